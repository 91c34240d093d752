/// What a grammar or schema allows next; the state of one choice. Called from one thread at a time, in the order
/// `fillMask`, `accept`, `fillMask`, …
package protocol TokenConstraint: AnyObject, Sendable {
    /// Writes the allowed ids: bit `id % 64` of word `id / 64`. `mask` holds one bit per vocabulary entry, rounded up to words; every word must be written.
    func fillMask(_ mask: UnsafeMutableBufferPointer<UInt64>)
    /// Takes the chosen token.
    /// - Returns: false if it was not allowed, which fails the request.
    func accept(_ token: Int32) -> Bool
    /// True once nothing may follow: the choice then ends with `stop` without waiting for an EOS token.
    var isComplete: Bool { get }
}
