import Crypto

/// What a file must hash to. The hub names large (LFS) files by the SHA-256 of their bytes and the others by git's blob id.
package enum ContentHash: Sendable, Hashable, CustomStringConvertible {
    case sha256(String)
    /// SHA-1 of `blob <size>\0` and the bytes.
    case gitBlob(String)

    /// nil for an etag that is neither 64 nor 40 lower-case hexadecimal digits (other servers, other names).
    package init?(etag: String) {
        guard HubReference.isLowerHex(etag) else { return nil }
        switch etag.utf8.count {
        case 64: self = .sha256(etag)
        case 40: self = .gitBlob(etag)
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .sha256(let hex), .gitBlob(let hex): hex
        }
    }
}

/// Hashes a file while it arrives.
struct ContentHasher {
    private enum Function {
        case sha256(SHA256)
        case sha1(Insecure.SHA1)
    }

    private var function: Function

    /// - Parameter size: of the whole file in bytes: git's blob id begins with it.
    init(_ expected: ContentHash, size: Int) {
        switch expected {
        case .sha256: function = .sha256(SHA256())
        case .gitBlob:
            var sha1 = Insecure.SHA1()
            sha1.update(data: Array("blob \(size)\0".utf8))
            function = .sha1(sha1)
        }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch function {
        case .sha256(var hash):
            function = .sha1(Insecure.SHA1())  // so that `hash` has one owner and is changed in place
            hash.update(bufferPointer: bytes)
            function = .sha256(hash)
        case .sha1(var hash):
            hash.update(bufferPointer: bytes)
            function = .sha1(hash)
        }
    }

    func finish() -> String {
        switch function {
        case .sha256(let hash): Self.hex(hash.finalize())
        case .sha1(let hash): Self.hex(hash.finalize())
        }
    }

    private static func hex(_ digest: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
