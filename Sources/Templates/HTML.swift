extension Interpreter {
    /// `markupsafe.escape`.
    func escapeHTML(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 38 || $0 == 60 || $0 == 62 || $0 == 34 || $0 == 39 }) else { return text }
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): bytes += Array("&amp;".utf8)
            case UInt8(ascii: "<"): bytes += Array("&lt;".utf8)
            case UInt8(ascii: ">"): bytes += Array("&gt;".utf8)
            case UInt8(ascii: "\""): bytes += Array("&#34;".utf8)
            case UInt8(ascii: "'"): bytes += Array("&#39;".utf8)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `Markup.striptags`: comments and tags out, white space collapsed, entities resolved.
    func stripTags(_ text: String) throws -> String {
        try charge(text.utf8.count >> 3)
        var bytes = Array(text.utf8)
        bytes = remove(bytes, from: "<!--", to: "-->")
        bytes = remove(bytes, from: "<", to: ">")
        var words: [String] = [], word = String.UnicodeScalarView()
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            if scalar.isPythonSpace {
                if !word.isEmpty { words.append(String(word)) }
                word = String.UnicodeScalarView()
            } else {
                word.append(scalar)
            }
        }
        if !word.isEmpty { words.append(String(word)) }
        return try unescapeHTML(words.joined(separator: " "))
    }

    private func remove(_ bytes: [UInt8], from open: String, to close: String) -> [UInt8] {
        let start = ByteSearch(Array(open.utf8)), end = ByteSearch(Array(close.utf8))
        var result: [UInt8] = [], place = 0
        while let first = start.first(in: bytes, from: place, to: bytes.count),
            let last = end.first(in: bytes, from: first, to: bytes.count)
        {
            result += bytes[place..<first]
            place = last + close.utf8.count
        }
        return result + bytes[place...]
    }

    /// The entities that `escape` makes, numbers, and the common names.
    func unescapeHTML(_ text: String) throws -> String {
        guard text.contains("&") else { return text }
        let names: [String: String] = [
            "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": "\u{A0}", "copy": "©", "reg": "®", "hellip": "…",
            "mdash": "—", "ndash": "–", "lsquo": "‘", "rsquo": "’", "ldquo": "“", "rdquo": "”", "laquo": "«", "raquo": "»", "bull": "•",
            "middot": "·", "deg": "°", "euro": "€", "pound": "£", "yen": "¥", "cent": "¢", "sect": "§", "para": "¶", "times": "×",
            "divide": "÷", "plusmn": "±", "trade": "™", "larr": "←", "rarr": "→", "uarr": "↑", "darr": "↓",
        ]
        let source = Array(text.unicodeScalars)
        var result = String.UnicodeScalarView(), index = 0
        while index < source.count {
            guard source[index] == "&", let end = source[index..<min(index + 12, source.count)].firstIndex(of: ";") else {
                result.append(source[index])
                index += 1
                continue
            }
            let name = String(scalars: source[index + 1..<end])
            var replacement = names[name]
            if name.hasPrefix("#") {
                let isHex = name.hasPrefix("#x") || name.hasPrefix("#X")
                replacement = UInt32(name.dropFirst(isHex ? 2 : 1), radix: isHex ? 16 : 10).flatMap(Unicode.Scalar.init).map { String(Character($0)) }
            }
            if let replacement {
                result.append(contentsOf: replacement.unicodeScalars)
                index = end + 1
            } else {
                result.append("&")
                index += 1
            }
        }
        return String(result)
    }
}
