/// `org/name` on the hub, checked by the hub's own rules, so that it can become part of addresses and folder names.
package struct RepoID: Sendable, Hashable, CustomStringConvertible {
    package let organization: String
    package let name: String

    /// nil where either half is empty, longer than 96, begins or ends with `-` or `.`, or holds other than ASCII letters, digits,
    /// `-`, `_` and `.`; or where `--` or `..` appears or the name ends in `.git`.
    package init?(_ text: some StringProtocol) {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ Self.isName(String($0)) }), !text.contains("--"), !text.contains(".."),
            !text.hasSuffix(".git")
        else { return nil }
        organization = String(halves[0])
        name = String(halves[1])
    }

    package var description: String { "\(organization)/\(name)" }

    /// The folder in the cache: `models--org--name`.
    package var folderName: String { "models--\(organization)--\(name)" }

    private static func isName(_ part: String) -> Bool {
        let isEdge: (UInt8) -> Bool = { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ".") }
        guard let first = part.utf8.first, let last = part.utf8.reversed().first, part.utf8.count <= 96 else { return false }
        return isEdge(first) && isEdge(last) && part.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}

/// A repository, at which revision, and which of its models.
package struct HubReference: Sendable, Hashable, CustomStringConvertible {
    package let repo: RepoID
    /// Branch, tag, `refs/pr/n` or commit.
    package var revision: String
    /// Which weights to take where there are several: a quantisation (`Q4_K_M`), a file, a pattern with `*` and `?`.
    package var choice: String?

    package init(repo: RepoID, revision: String = "main", choice: String? = nil) {
        (self.repo, self.revision, self.choice) = (repo, revision, choice)
    }

    package var description: String {
        "\(repo)" + (revision == "main" ? "" : "@\(revision)") + (choice.map { ":\($0)" } ?? "")
    }

    /// Whether the text may be a revision, and a path below `refs`.
    static func isRevision(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.count <= 255 && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }
            && text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }

    /// A whole commit hash: 40 lower-case hexadecimal digits.
    static func isCommit(_ text: some StringProtocol) -> Bool { text.utf8.count == 40 && isLowerHex(text) }

    static func isLowerHex(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
