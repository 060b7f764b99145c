@0xaf2c4c36e71fc74f;

interface Greeter {
  greet @0 (name :Text) -> (greeting :Text);
}
