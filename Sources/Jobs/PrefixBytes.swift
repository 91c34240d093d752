/// Prefix hashes as stores keep them: 8 bytes each, little-endian.
package enum PrefixBytes {
    package static func bytes(_ hashes: [UInt64]) -> [UInt8] {
        hashes.flatMap { hash in (0..<8).map { UInt8(truncatingIfNeeded: hash >> (8 * UInt64($0))) } }
    }

    package static func hashes(_ bytes: [UInt8]) -> [UInt64] {
        (0..<bytes.count / 8).map { index in
            (0..<8).reduce(0) { $0 | UInt64(bytes[8 * index + $1]) << (8 * UInt64($1)) }
        }
    }
}
