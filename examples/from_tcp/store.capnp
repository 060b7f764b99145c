@0xf7c2d7b8a1e64093;
# A store of values by key, whose changes can be watched.

interface Store {
  set @0 (key :Text, value :Text);

  get @1 (key :Text) -> (value :Text);
  # Fails when there is no such key.

  watch @2 (key :Text, watcher :Watcher);
  # Tells `watcher` of each value that the key is given from now on.

  interface Watcher {
    changed @0 (value :Text);
  }
}
