/// Takes keys and passwords out of what is logged. Known by their form (`nt_client_…`), by what stands before them (`Bearer …`, `password=…`), by their
/// place in a URL, and, whatever they look like, by asking whether a word is a key.
package struct Redactor: Sendable {
    package static let mark = "[redacted]"

    private let isKey: @Sendable (String) -> Bool
    /// Words that are asked about; `ConfiguredKeys` refuses shorter keys.
    private static let shortestKey = ConfiguredKeys.shortestKeyInBytes

    /// - isKey: whether this text is a key; asked for every long word, `KeyRing.isKey` is fast enough.
    package init(isKey: @escaping @Sendable (String) -> Bool = { _ in false }) { self.isKey = isKey }

    package func callAsFunction(_ text: String) -> String {
        // Shorter than any key or password worth the name with what announces it.
        guard text.utf8.count >= 8 else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var place = 0
        // Whether the next word is a secret by what was before it.
        var isAnnounced = false
        while place < bytes.count {
            guard Self.isWord(bytes[place]) else {
                result.append(bytes[place])
                place += 1
                continue
            }
            let start = place
            while place < bytes.count, Self.isWord(bytes[place]) { place += 1 }
            let word = bytes[start..<place]
            let isOnlySeparator = word.allSatisfy { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: "\\") }
            if isAnnounced, !isOnlySeparator, !Self.isScheme(word) {
                result.append(contentsOf: Self.mark.utf8)
                isAnnounced = false
                continue
            }
            result.append(contentsOf: redacted(word))
            if isOnlySeparator { continue }
            let isNamed = Self.announces(word) || (Self.isSecretName(word) && Self.separatorFollows(bytes, place))
            isAnnounced = isNamed || (isAnnounced && Self.isScheme(word))
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Whether the value under this name is a secret whatever it is.
    package static func isSecretName(_ name: String) -> Bool { isSecretName(Array(name.utf8)[...]) }

    // MARK: - Words

    private func redacted(_ word: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        if isSecret(word) { return Array(Self.mark.utf8)[...] }
        // `name=value`, `name:value`
        if let cut = word.firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") }), Self.isSecretName(word[..<cut]), cut + 1 < word.endIndex {
            return word[...cut] + Array(Self.mark.utf8)
        }
        var word = withoutCredentials(word)
        // Parts of paths, queries and lists.
        var from = word.startIndex
        while from < word.endIndex {
            guard let start = word[from...].firstIndex(where: Self.isPart) else { break }
            let end = word[start...].firstIndex { !Self.isPart($0) } ?? word.endIndex
            if isSecret(word[start..<end]) {
                word.replaceSubrange(start..<end, with: Self.mark.utf8)
                from = start + Self.mark.utf8.count
            } else {
                from = end
            }
        }
        return word
    }

    private func isSecret(_ word: ArraySlice<UInt8>) -> Bool {
        let word = word.trimmed(of: [UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "!")])
        guard word.count >= Self.shortestKey else { return false }
        let text = String(decoding: word, as: UTF8.self)
        // Anywhere in it: something may have been written right before the key.
        for prefix in ["nt_client_", "nt_worker_", "nt_admin_"] where text.contains(prefix) { return true }
        return isKey(text)
    }

    /// `scheme://user:password@host` without what stands before the `@`.
    private func withoutCredentials(_ word: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let mark = Array("://".utf8)
        guard word.count > 4, let scheme = word.indices.dropLast(3).first(where: { word[$0..<$0 + 3].elementsEqual(mark) }) else { return word }
        let rest = word[(scheme + 3)...]
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return word }
        return word[..<(scheme + 3)] + Array(Self.mark.utf8) + word[at...]
    }

    /// A run of these is a word.
    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"),
            UInt8(ascii: "}"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "&"):
            false
        default: true
        }
    }

    /// A run of these may be a key inside a word.
    private static func isPart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func lowercased(_ word: ArraySlice<UInt8>) -> String { String(decoding: word, as: UTF8.self).lowercased() }

    /// `Bearer` and the like, between a header's name and its key.
    private static func isScheme(_ word: ArraySlice<UInt8>) -> Bool { (5...6).contains(word.count) && ["bearer", "basic"].contains(lowercased(word)) }

    /// Words after which a key comes without more ado.
    private static func announces(_ word: ArraySlice<UInt8>) -> Bool {
        guard let last = word.last else { return false }
        if isScheme(word) { return true }
        guard last == UInt8(ascii: ":") || last == UInt8(ascii: "=") else { return false }
        return isSecretName(word.dropLast())
    }

    private static func isSecretName(_ word: ArraySlice<UInt8>) -> Bool {
        guard (3...40).contains(word.count) else { return false }
        let name = lowercased(word.trimmed(of: [UInt8(ascii: "-"), UInt8(ascii: "\\")])).replacing("-", with: "").replacing("_", with: "")
        return ["key", "token", "secret", "password", "authorization", "cookie", "credential"].contains(name)
            || ["apikey", "accesskey", "secretkey", "accesssecret", "secretaccesskey", "clientsecret", "webhooksecret", "accesstoken", "authtoken", "hftoken", "password"]
                .contains { name.hasSuffix($0) } || name.hasSuffix("authorization")
    }

    /// Whether `:` or `=` comes next, quotes and spaces aside.
    private static func separatorFollows(_ bytes: [UInt8], _ place: Int) -> Bool {
        let next = bytes[place...].first { $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'") && $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\\") }
        return next == UInt8(ascii: ":") || next == UInt8(ascii: "=")
    }
}

extension ArraySlice<UInt8> {
    fileprivate func trimmed(of bytes: [UInt8]) -> ArraySlice<UInt8> {
        var slice = self
        while let first = slice.first, bytes.contains(first) { slice = slice.dropFirst() }
        while let last = slice.last, bytes.contains(last) { slice = slice.dropLast() }
        return slice
    }
}
