import Glibc

/// A path in the folder for temporary files.
package func temporaryPath(_ name: String) -> String { (getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir) + "/" + name }

/// A new folder for temporary files; nil where none can be made.
package func temporaryFolder(_ name: String) -> String? {
    var template = Array(temporaryPath(name + "-XXXXXX").utf8CString)
    return mkdtemp(&template).map { String(cString: $0) }
}
