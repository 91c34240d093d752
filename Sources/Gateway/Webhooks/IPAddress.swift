internal import Glibc

/// An IPv4 or IPv6 address, for saying where it leads.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16, in network order.
    package let bytes: [UInt8]

    /// - bytes: 4 or 16; nil for any other count.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// Reads `192.0.2.1` (all four numbers, decimal) or `2001:db8::1`; no brackets, no zone.
    package init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            bytes = withUnsafeBytes(of: &v4) { Array($0) }
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            bytes = withUnsafeBytes(of: &v6) { Array($0) }
        } else {
            return nil
        }
    }

    package var isV6: Bool { bytes.count == 16 }
    package var isLoopback: Bool { isV6 ? bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1 : bytes.first == 127 }

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = isV6 ? AF_INET6 : AF_INET
        return bytes.withUnsafeBytes { bytes in
            inet_ntop(family, bytes.baseAddress, &text, socklen_t(text.count)).map { String(cString: $0) } ?? ""
        }
    }
}

extension IPAddress {
    /// Where an address leads, as far as webhooks are concerned.
    package enum Reach: Equatable, Sendable {
        case everywhere
        /// Into this machine or the networks around it.
        case inside(String)
        /// To no single host, or by a detour that hides the host, or to a cloud's metadata service.
        case nowhere(String)
    }

    /// By IANA's registries of special-purpose addresses (RFC 6890 and its updates).
    package var reach: Reach { isV6 ? reachOfV6 : Self.reachOfV4(bytes) }

    private static func reachOfV4(_ b: [UInt8]) -> Reach {
        switch (b[0], b[1], b[2]) {
        case (0, _, _): .nowhere("an unspecified address")
        case (10, _, _), (172, 16...31, _), (192, 168, _): .inside("a private address")
        case (100, 64...127, _): .inside("a carrier's shared address")
        case (127, _, _): .inside("a loopback address")
        // 169.254.169.254 hands out a cloud machine's credentials.
        case (169, 254, _): .nowhere("a link-local address")
        case (192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 18...19, _), (198, 51, 100), (203, 0, 113): .nowhere("a reserved address")
        case (224...239, _, _): .nowhere("a multicast address")
        case (240...255, _, _): .nowhere("a reserved address")
        default: .everywhere
        }
    }

    private var reachOfV6: Reach {
        let words = (0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
        switch (words[0], words[1]) {
        case (0x0064, 0xFF9B) where words[2...5].allSatisfy { $0 == 0 }:
            // NAT64 (RFC 6052): the way of an IPv6-only network to IPv4 hosts, so what counts is the host behind it.
            return switch Self.reachOfV4(Array(bytes[12...])) {
            case .everywhere: .everywhere
            case .inside(let what): .nowhere("\(what) behind NAT64")
            case .nowhere(let what): .nowhere("\(what) behind NAT64")
            }
        case (0, 0) where words[2...6].allSatisfy { $0 == 0 } && words[7] == 1: return .inside("a loopback address")
        case (0, 0) where words[2...4].allSatisfy { $0 == 0 } && words[5] == 0xFFFF: return .nowhere("an IPv4 address in IPv6 form")
        // AWS's metadata service.
        case (0xFD00, 0x0EC2): return .nowhere("a metadata service's address")
        case (0xFC00...0xFDFF, _): return .inside("a unique-local address")
        case (0xFE80...0xFEBF, _): return .nowhere("a link-local address")
        case (0xFF00..., _): return .nowhere("a multicast address")
        case (0x2002, _): return .nowhere("a 6to4 address")
        // Teredo, benchmarks, ORCHID and other assignments to protocols; documentation.
        case (0x2001, 0...0x01FF), (0x2001, 0x0DB8), (0x3FFF, 0...0x0FFF): return .nowhere("a reserved address")
        case (0x2000...0x3FFF, _): return .everywhere
        default: return .nowhere("a reserved address")
        }
    }

    /// Why a webhook may not go there; nil: it may.
    package func refusal(allowsPrivate: Bool) -> String? {
        switch reach {
        case .everywhere: nil
        case .inside(let what): allowsPrivate ? nil : what
        case .nowhere(let what): what
        }
    }
}
