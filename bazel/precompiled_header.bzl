"""System headers that the compiler has read once for all sources of one configuration.

Reading the headers of GoogleTest, Abseil and KJ takes two thirds of the time that a file of ours takes
to compile. Sources keep their own #include lines, and compile without a precompiled header as well.
"""

load("@rules_cc//cc:find_cc_toolchain.bzl", "find_cc_toolchain", "use_cc_toolchain")
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

def precompiled_header_file(name, headers):
    """The file that `-include` takes, less its ending; it has another name when the headers are others.

    Args:
      name: of the target
      headers: its attribute
    """
    return "{}.{}".format(name, hash(" ".join(headers)))

def _precompiled_header(ctx):
    toolchain = find_cc_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    headers = cc_common.merge_cc_infos(cc_infos = [dep[CcInfo] for dep in ctx.attr.deps])
    context = headers.compilation_context

    # g++ and clang both look for FILE.gch where a command line says `-include FILE`.
    output = ctx.actions.declare_file(
        precompiled_header_file(ctx.label.name, ctx.attr.headers) + ".gch",
    )
    flags = ctx.fragments.cpp.cxxopts + ctx.fragments.cpp.copts + ctx.attr.copts
    for header in ctx.attr.headers:
        flags += ["-include", header]
    source = "/dev/null"
    if toolchain.compiler == "clang":
        source = "-"  # clang makes all who use the result depend on the file
        flags += ["-Xclang", "-fno-pch-timestamp"]  # caches restore files with other times
    variables = cc_common.create_compile_variables(
        feature_configuration = features,
        cc_toolchain = toolchain,
        source_file = source,
        output_file = output.path,
        user_compile_flags = flags + ["-x", "c++-header"],
        include_directories = context.includes,
        quote_include_directories = context.quote_includes,
        system_include_directories = context.system_includes,
        preprocessor_defines = context.defines,
        use_pic = True,
    )
    ctx.actions.run_shell(
        mnemonic = "CppPrecompile",
        progress_message = "Precompiling {}".format(ctx.label.name),
        command = '"$@" </dev/null',
        arguments = [
            cc_common.get_tool_for_action(
                feature_configuration = features,
                action_name = "c++-compile",
            ),
        ] + cc_common.get_memory_inefficient_command_line(
            feature_configuration = features,
            action_name = "c++-compile",
            variables = variables,
        ),
        env = cc_common.get_environment_variables(
            feature_configuration = features,
            action_name = "c++-compile",
            variables = variables,
        ),
        inputs = depset(transitive = [context.headers, toolchain.all_files]),
        outputs = [output],
    )
    return [CcInfo(compilation_context = cc_common.create_compilation_context(
        headers = depset([output]),
    ))]

precompiled_header = rule(
    doc = "For what depends on this and compiles with the same `copts` and `-include`.",
    implementation = _precompiled_header,
    attrs = {
        "headers": attr.string_list(mandatory = True),
        "copts": attr.string_list(),
        "deps": attr.label_list(providers = [CcInfo]),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = use_cc_toolchain(),
)
