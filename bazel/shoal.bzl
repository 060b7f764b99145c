"""Rules that give every target of this project the include path "shoal/PACKAGE/HEADER.h"."""

load("@capnp-cpp//src/capnp:cc_capnp_library.bzl", "cc_capnp_library")
load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")
load(":precompiled_header.bzl", "precompiled_header_file")

# What most sources of the library include.
LIBRARY_HEADERS = [
    "algorithm",
    "array",
    "atomic",
    "chrono",
    "fstream",
    "functional",
    "iostream",
    "memory",
    "mutex",
    "optional",
    "random",
    "span",
    "string",
    "thread",
    "utility",
    "variant",
    "vector",
    "absl/container/inlined_vector.h",
    "absl/status/statusor.h",
    "absl/strings/str_cat.h",
    "absl/strings/str_format.h",
    "absl/time/clock.h",
    "capnp/message.h",
    "capnp/serialize.h",
    "kj/debug.h",
]

# And most tests.
TEST_HEADERS = LIBRARY_HEADERS + ["gmock/gmock.h", "gtest/gtest.h"]

# What only tests use takes longer to optimise than to run.
TEST_COPTS = select({
    "//bazel:address_sanitizer": ["-O0"],
    "//conditions:default": [],
})

def _faster(kwargs):
    """The attributes of a target, with a precompiled header where they are this workspace's own."""
    if native.repository_name() != "@":
        return kwargs
    for_tests = kwargs.get("testonly") or native.package_name().startswith("tests")
    name = "test_headers" if for_tests else "library_headers"
    file = precompiled_header_file(name, TEST_HEADERS if for_tests else LIBRARY_HEADERS)
    return dict(
        kwargs,
        copts = kwargs.get("copts", []) + (TEST_COPTS if for_tests else []) + select({
            "//bazel:precompiles": ["-include", "$(BINDIR)/bazel/" + file],
            "//conditions:default": [],
        }),
        deps = kwargs.get("deps", []) + select({
            "//bazel:precompiles": ["//bazel:" + name],
            "//conditions:default": [],
        }),
    )

def shoal_cc_library(name, **kwargs):
    """cc_library whose headers are included as "shoal/PACKAGE/HEADER.h", inside and outside.

    Args:
      name: as for cc_library
      **kwargs: as for cc_library
    """
    cc_library(name = name, include_prefix = "shoal/" + native.package_name(), **_faster(kwargs))

def shoal_cc_binary(name, **kwargs):
    """cc_binary of this workspace.

    Args:
      name: as for cc_binary
      **kwargs: as for cc_binary
    """
    cc_binary(name = name, **_faster(kwargs))

def shoal_cc_test(name, **kwargs):
    """cc_test of this workspace.

    Args:
      name: as for cc_test
      **kwargs: as for cc_test
    """
    cc_test(name = name, **_faster(dict(kwargs, testonly = True)))

def shoal_capnp_library(name, **kwargs):
    """cc_capnp_library whose headers are included as "shoal/PACKAGE/FILE.capnp.h".

    Args:
      name: as for cc_capnp_library
      **kwargs: as for cc_capnp_library
    """
    cc_capnp_library(
        name = name,
        include_prefix = "shoal/" + native.package_name(),
        src_prefix = native.package_name(),
        **kwargs
    )
