"""A program as --compilation_mode=opt builds it, whatever the rest is built as."""

def _to_opt(_settings, _attr):
    return {"//command_line_option:compilation_mode": "opt"}

_opt = transition(
    implementation = _to_opt,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

def _optimised_binary(ctx):
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = program,
        target_file = ctx.executable.binary,
        is_executable = True,
    )

    # An attribute with a transition is a list.
    runfiles = ctx.attr.binary[0][DefaultInfo].default_runfiles
    return [DefaultInfo(executable = program, runfiles = runfiles)]

optimised_binary = rule(
    doc = "The same program as `binary`, by another name.",
    implementation = _optimised_binary,
    attrs = {
        "binary": attr.label(cfg = _opt, executable = True, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
)
