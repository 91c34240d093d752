/// Names a job: `<uuid>-u1`, or `sync-<uuid>-u1` where the client waits in the same call. Opaque on input.
package struct JobID: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }
    package var description: String { text }
}

/// Names an endpoint: a queue and the workers that serve it. `[A-Za-z0-9_-]+`.
package struct EndpointID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }
    package var description: String { text }
    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
}

/// Names a worker, one process or container that takes jobs (`RUNPOD_POD_ID`).
package struct WorkerID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }
    package var description: String { text }
    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
}

extension JobID {
    /// A fresh id for a job that came in this way.
    package static func make(_ origin: JobOrigin) -> JobID {
        JobID((origin == .runsync ? "sync-" : "") + UUIDText.random() + "-u1")
    }
}

extension WorkerID {
    /// A fresh id of 14 lower-case letters and digits, as container ids are.
    package static func make() -> WorkerID {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return WorkerID(String((0..<14).map { _ in letters[Int.random(in: 0..<letters.count)] }))
    }
}

extension String {
    /// Whether this may name an endpoint, a job or a worker in a URL: `[A-Za-z0-9_-]{1,128}`.
    package var isURLName: Bool {
        (1...128).contains(utf8.count)
            && utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// UUID version 4 (RFC 9562) in lower case.
package enum UUIDText {
    package static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        let high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = Array("0123456789abcdef".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(36)
        for nibble in 0..<32 {
            if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 { bytes.append(UInt8(ascii: "-")) }
            let word = nibble < 16 ? high : low
            bytes.append(digits[Int(word >> UInt64(60 - 4 * (nibble % 16)) & 15)])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
