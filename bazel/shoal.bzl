"""Rules that give every target of this project the include path "shoal/PACKAGE/HEADER.h"."""

load("@capnp-cpp//src/capnp:cc_capnp_library.bzl", "cc_capnp_library")
load("@rules_cc//cc:cc_library.bzl", "cc_library")

def shoal_cc_library(name, **kwargs):
    """cc_library whose headers are included as "shoal/PACKAGE/HEADER.h", inside and outside.

    Args:
      name: as for cc_library
      **kwargs: as for cc_library
    """
    cc_library(name = name, include_prefix = "shoal/" + native.package_name(), **kwargs)

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
