/// Comparing secrets.
package enum ConstantTime {
    /// Whether both hold the same bytes, in time that depends only on lengths.
    package static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        var difference = a.count ^ b.count
        for (index, byte) in a.enumerated() { difference |= Int(byte ^ (index < b.count ? b[index] : 0)) }
        return difference == 0
    }
}
