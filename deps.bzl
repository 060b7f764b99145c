"""The dependencies of a WORKSPACE build (MODULE.bazel names the same ones)."""

load("//bazel:system.bzl", "REPOSITORIES")

def shoal_deps():
    """Declares each dependency that the WORKSPACE has not declared above this call."""
    for name, repository in REPOSITORIES.items():
        if not native.existing_rule(name):
            repository(name = name)
