import Glibc
import Hub

/// Models that are on this machine already, in the folders where Runpod's platform and its image put them. Asks no network.
package enum CachedModel {
    /// Roots of caches, in the order of the search.
    package static func roots(_ environment: [String: String], downloadFolder: String?) -> [String] {
        var roots: [String] = []
        func add(_ path: String?) {
            if let path, !path.isEmpty, !roots.contains(path) { roots.append(path) }
        }
        add(downloadFolder)
        add(environment["HF_HUB_CACHE"])
        add(environment["HUGGINGFACE_HUB_CACHE"])
        add(environment["HF_HOME"].map { $0 + "/hub" })
        let base = WorkerVariables.text(environment["BASE_PATH"]) ?? "/runpod-volume"
        add(base + "/huggingface-cache/hub")
        add("/runpod-volume/huggingface-cache/hub")
        return roots
    }

    /// The snapshot folder of a model of the hub; first under its name as it is, then whatever the case of letters.
    package static func find(_ name: String, revision: String?, roots: [String]) -> String? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        let folder = "models--\(parts[0])--\(parts[1])"
        for root in roots {
            if let found = snapshot(root + "/" + folder, revision) { return found }
        }
        for root in roots {
            for entry in list(root) where entry != folder && entry.lowercased() == folder.lowercased() {
                if let found = snapshot(root + "/" + entry, revision) { return found }
            }
        }
        // Where the SDK's own cache puts models.
        let direct = "/runpod/cache/\(name)/\(revision ?? "main")"
        return holdsModel(direct) ? direct : nil
    }

    private static func snapshot(_ folder: String, _ revision: String?) -> String? {
        let commits = list(folder + "/snapshots")
        guard !commits.isEmpty else { return nil }
        let wanted = revision ?? "main"
        let named = SmallFile.text(folder + "/refs/" + wanted)?.filter { !$0.isWhitespace }
        for commit in [named, wanted].compactMap({ $0 }) where commits.contains(commit) {
            let path = "\(folder)/snapshots/\(commit)"
            if holdsModel(path) { return path }
        }
        // Without a reference the only snapshot is the one that was meant, unless another revision was asked for.
        guard named == nil, revision == nil, commits.count == 1 else { return nil }
        let path = "\(folder)/snapshots/\(commits[0])"
        return holdsModel(path) ? path : nil
    }

    private static func holdsModel(_ path: String) -> Bool { (try? LocalModel.inFolder(path)) != nil }

    private static func list(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
