extension Interpreter {
    /// Makes links of web and mail addresses. The forms of address are those of Jinja's expressions, without its list of odd cases.
    func urlize(_ value: Value, _ arguments: Arguments) throws -> Value {
        let bound = try arguments.bind("urlize", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes")
        let text = escapeHTML(try self.text(of: value))
        let limit = try bound[0].flatMap { $0.isNone ? nil : $0 }.map { try int($0, "trim_url_limit") }
        var relations = Set(try bound[3].flatMap { $0.isNone ? nil : $0 }.map { try self.text($0, "rel") }?.split(separator: " ").map(String.init) ?? [])
        if try isTrue(bound[1] ?? .bool(false)) { relations.insert("nofollow") }
        relations.insert("noopener")
        var attributes = " rel=\"\(relations.sorted().joined(separator: " "))\""
        if let target = bound[2], !target.isNone { attributes += " target=\"\(escapeHTML(try self.text(of: target)))\"" }
        let schemes = try bound[4].flatMap { $0.isNone ? nil : $0 }.map { try elements(of: $0).map { try self.text($0, "scheme") } } ?? []
        var result = "", word = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            guard scalar.isPythonSpace else {
                word.append(scalar)
                continue
            }
            try charge()
            result += try link(String(word), attributes, limit, schemes)
            result.unicodeScalars.append(scalar)
            word = String.UnicodeScalarView()
        }
        return try string(result + link(String(word), attributes, limit, schemes))
    }

    private func link(_ word: String, _ attributes: String, _ limit: Int?, _ schemes: [String]) throws -> String {
        var head = "", middle = word, tail = ""
        while let open = ["(", "<", "&lt;"].first(where: { middle.hasPrefix($0) }) {
            head += open
            middle.removeFirst(open.count)
        }
        while let close = [")", ">", ".", ",", "&gt;"].first(where: { middle.hasSuffix($0) }) {
            tail = close + tail
            middle.removeLast(close.count)
        }
        for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
            var missing = occurrences(of: open, in: middle) - occurrences(of: close, in: middle)
            while missing > 0, let found = tail.utf8.indices.first(where: { tail[$0...].hasPrefix(close) }) {
                let end = tail.index(found, offsetBy: close.count)
                middle += tail[..<end]
                tail = String(tail[end...])
                missing -= 1
            }
        }
        func shown(_ url: String) throws -> String {
            guard let limit, url.length > limit else { return url }
            return (try slice(.string(url), start: nil, stop: limit, step: nil).text ?? "") + "..."
        }
        let isMail = middle.contains("@")
        if isWebAddress(middle) {
            let scheme = middle.hasPrefix("https://") || middle.hasPrefix("http://") ? "" : "https://"
            middle = "<a href=\"\(scheme)\(middle)\"\(attributes)>\(try shown(middle))</a>"
        } else if middle.hasPrefix("mailto:"), isMailAddress(String(middle.dropFirst(7))) {
            middle = "<a href=\"\(middle)\">\(middle.dropFirst(7))</a>"
        } else if isMail, !middle.hasPrefix("www."), !middle.hasPrefix("@"), !middle.contains(":"), isMailAddress(middle) {
            middle = "<a href=\"mailto:\(middle)\">\(middle)</a>"
        } else {
            for scheme in schemes where middle != scheme && middle.hasPrefix(scheme) {
                middle = "<a href=\"\(middle)\"\(attributes)>\(middle)</a>"
            }
        }
        return head + middle + tail
    }

    private func occurrences(of part: String, in text: String) -> Int {
        let bytes = Array(text.utf8), search = ByteSearch(Array(part.utf8))
        var count = 0, place = 0
        while let found = search.first(in: bytes, from: place, to: bytes.count) {
            count += 1
            place = found + part.utf8.count
        }
        return count
    }

    /// `scheme://host`, `www.host`, or a host under one of the old top-level domains; then a port and a path perhaps.
    private func isWebAddress(_ text: String) -> Bool {
        let lower = LetterCase.lower(text)
        let scheme = ["https://", "http://"].first { lower.hasPrefix($0) } ?? ""
        let prefix = scheme.isEmpty && lower.hasPrefix("www.") ? "www." : scheme
        let rest = lower.dropFirst(prefix.count)
        let host = rest.prefix { !"/?#:".contains($0) }
        var tail = rest.dropFirst(host.count)
        if tail.first == ":" {
            let port = tail.dropFirst().prefix { $0.isNumber }
            guard (1...5).contains(port.count) else { return false }
            tail = tail.dropFirst(port.count + 1)
        }
        guard tail.isEmpty || tail.first != ":" && "/?#".contains(tail.first ?? "/") else { return false }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard let top = labels.last, labels.allSatisfy({ !$0.isEmpty && $0.unicodeScalars.allSatisfy { $0.isWord || $0 == "%" || $0 == "-" } })
        else { return false }
        let isPlainTop = (2...63).contains(top.utf8.count) && top.utf8.allSatisfy { $0 >= 97 && $0 <= 122 }
        if !prefix.isEmpty {
            if isPlainTop || top.hasPrefix("xn--") { return true }
            return !scheme.isEmpty && labels.count == 4 && labels.allSatisfy { $0.utf8.count <= 3 && $0.utf8.allSatisfy(\.isDigit) }
        }
        return labels.count >= 2 && labels.dropLast().allSatisfy { (2...63).contains($0.count) }
            && ["com", "net", "int", "edu", "gov", "org", "info", "mil"].contains(String(top))
    }

    private func isMailAddress(_ text: String) -> Bool {
        guard let at = text.lastIndex(of: "@"), at > text.startIndex else { return false }
        let host = text[text.index(after: at)...]
        guard let dot = host.lastIndex(of: "."), dot > host.startIndex, host.index(after: dot) < host.endIndex else { return false }
        return host.unicodeScalars.allSatisfy { $0.isWord || $0 == "." || $0 == "-" }
            && host[host.index(after: dot)...].unicodeScalars.allSatisfy(\.isWord)
    }
}
