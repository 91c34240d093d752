/// Environment variables on their way through Ray, which replaces `$NAME` and `${NAME}` in values by variables of its own process and knows no
/// escape for that (`update_envs` in Ray 2.x). The addresses that workers are given have such names in them (`$ID`).
///
/// A value with `$` in it travels with `$` and `\` as escapes of `printf %b`, and the shell that Ray starts turns it back before it becomes the
/// worker. No value is ever part of a command line, which others could see.
package struct RayEnvironment: Sendable {
    /// For `runtime_env.env_vars`.
    package private(set) var variables: [(name: String, value: String)] = []
    /// Commands for `sh`, to stand before the worker's own; empty where nothing has to be turned back.
    package private(set) var prelude = ""

    package init(_ pairs: [(name: String, value: String)]) throws(ProviderError) {
        for (name, value) in pairs {
            guard name.isVariableName, !value.utf8.contains(0) else {
                throw ProviderError("'\(name.shortened(60))' is no name for an environment variable, or its value holds a zero byte")
            }
            guard value.contains("$") else {
                variables.append((name, value))
                continue
            }
            variables.append((name, value.replacing("\\", with: "\\\\").replacing("$", with: "\\0044")))
            // A substitution loses line ends at its end; the full stop guards them.
            prelude += "needletail_value=$(printf '%b.' \"$\(name)\"); export \(name)=\"${needletail_value%.}\"; "
        }
        if !prelude.isEmpty { prelude += "unset needletail_value; " }
    }
}
