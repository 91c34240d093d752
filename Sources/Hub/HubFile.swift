import JSON

/// One file of a repository at a commit, as the hub's tree lists it.
package struct HubFile: Sendable, Hashable {
    /// Relative to the repository's root, checked to stay below it.
    package let path: String
    /// Bytes of the file itself, not of its LFS pointer.
    package let size: Int
    /// Git's id of the blob: of the content, or of the pointer where there is `sha256`.
    package let blobID: String
    /// Hash of the content of a large file.
    package let sha256: String?
    /// Kept for Python's listing on disk only; nothing here fetches over Xet.
    package let xetHash: String?

    package init(path: String, size: Int, blobID: String, sha256: String? = nil, xetHash: String? = nil) {
        (self.path, self.size, self.blobID, self.sha256, self.xetHash) = (path, size, blobID, sha256, xetHash)
    }

    package var hash: ContentHash? { ContentHash(etag: sha256 ?? blobID) }

    /// Refuses what would leave the snapshot's folder.
    static func isSafe(path: String) -> Bool {
        !path.isEmpty && path.utf8.count <= 4096 && !path.utf8.contains(0) && !path.contains("\\")
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    /// Refuses what cannot be a file name in `blobs`.
    static func isSafe(etag: String) -> Bool {
        !etag.isEmpty && etag.utf8.count <= 200 && !etag.hasPrefix(".")
            && etag.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\") }
    }
}

/// The tree listing as `huggingface_hub` keeps it in `trees/<commit>.json`, so that either program saves the other a request and
/// knows offline whether a snapshot is complete.
enum TreeListing {
    /// nil for anything that is not a listing of format 1.
    static func parse(_ bytes: [UInt8]) -> [HubFile]? {
        guard let json = try? JSONValue(parsing: bytes), json["format_version"]?.int == 1, let files = json["files"]?.object
        else { return nil }
        var result: [HubFile] = []
        for (path, entry) in files.members {
            guard HubFile.isSafe(path: path), let size = entry["size"]?.int, size >= 0, let blob = entry["blob_id"]?.string
            else { return nil }
            let sha256 = entry["lfs_sha256"]?.string
            result.append(HubFile(
                path: path, size: sha256 == nil ? size : entry["lfs_size"]?.int ?? size, blobID: blob, sha256: sha256,
                xetHash: entry["xet_hash"]?.string))
        }
        return result
    }

    static func bytes(_ files: [HubFile]) -> [UInt8] {
        var listing = JSONObject()
        for file in files.sorted(by: { $0.path < $1.path }) {
            var entry = JSONObject([("size", .int(file.size)), ("blob_id", .string(file.blobID))])
            if let sha256 = file.sha256 {
                entry["lfs_sha256"] = .string(sha256)
                entry["lfs_size"] = .int(file.size)
            }
            if let xet = file.xetHash { entry["xet_hash"] = .string(xet) }
            listing[file.path] = .object(entry)
        }
        var writer = JSONWriter()
        writer.value(.object(JSONObject([("format_version", .int(1)), ("files", .object(listing))])))
        return writer.bytes
    }
}
