/// A folder that appears whole or not at all: it is filled under another name first, and what was there is replaced at the end.
package enum OutputFolder {
    package static func write(_ path: String, _ fill: (String) throws -> Void) throws {
        let temporary = path + ".partial"
        if FolderFiles.exists(temporary) { FolderFiles.remove(temporary) }
        if FolderFiles.exists(path), !FolderFiles.exists("\(path)/config.json") {
            throw QuantiseError("\(path) is no model folder, so it is not replaced")
        }
        try FolderFiles.makeFolder(temporary)
        do {
            try fill(temporary)
            if FolderFiles.exists(path) { FolderFiles.remove(path) }
            try FolderFiles.rename(temporary, to: path)
        } catch {
            FolderFiles.remove(temporary)
            throw error
        }
    }
}
