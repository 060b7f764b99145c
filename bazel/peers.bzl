"""Libraries beside which Shoal is measured, as far as the system has them installed."""

# {name: (a header, the linker's flags)}
_PEERS = {
    "boost": ("boost/interprocess/ipc/message_queue.hpp", ["-lrt", "-pthread"]),
    "grpc": ("grpcpp/grpcpp.h", ["-lgrpc++", "-lgrpc", "-lgpr"]),
    "nng": ("nng/nng.h", ["-lnng"]),
    "zmq": ("zmq.h", ["-lzmq"]),
}

def _compiles(rctx, header):
    script = 'echo "#include <$0>" | "${CC:-cc}" -std=c++17 -x c++ -fsyntax-only - 2>/dev/null'
    return rctx.execute(["sh", "-c", script, header]).return_code == 0

def _peers(rctx):
    build = [
        'load("@rules_cc//cc:cc_library.bzl", "cc_library")',
        'package(default_visibility = ["//visibility:public"])',
    ]
    for name, (header, linkopts) in _PEERS.items():
        found = _compiles(rctx, header)
        build.append('cc_library(name = "{}", defines = {}, linkopts = {})'.format(
            name,
            ["SHOAL_BENCH_HAS_" + name.upper()] if found else [],
            linkopts if found else [],
        ))
    rctx.file("BUILD.bazel", "\n".join(build))

peers_repository = repository_rule(
    doc = """A cc_library for each peer: where its header is found it defines SHOAL_BENCH_HAS_NAME
and links the library, otherwise it is empty.""",
    implementation = _peers,
    environ = ["CC"],
    local = True,
)
