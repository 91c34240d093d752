import Glibc

/// A path in the folder for temporary files.
func temporaryPath(_ name: String) -> String { (getenv("TMPDIR").map { String(cString: $0) } ?? P_tmpdir) + "/" + name }
