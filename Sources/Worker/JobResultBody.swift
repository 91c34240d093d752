internal import JSON

/// Bodies of done posts.
enum JobResultBody {
    /// - Parameter elements: JSON texts with commas between.
    static func list(_ elements: [UInt8]) -> [UInt8] {
        var writer = JSONWriter(capacity: elements.count + 16)
        writer.raw("{\"output\":[")
        writer.bytes += elements
        writer.raw("]}")
        return writer.bytes
    }

    /// One output, unless it is too large.
    static func limited(_ element: [UInt8], _ limit: Int) -> [UInt8] { element.count > limit ? tooLarge(limit) : list(element) }

    static func failed(_ error: String) -> [UInt8] {
        var writer = JSONWriter(capacity: error.utf8.count + 32)
        writer.raw("{\"error\":")
        writer.string(error)
        writer.raw("}")
        return writer.bytes
    }

    static func refused(status: Int, byteCount: Int) -> [UInt8] { failed("the result of \(byteCount) bytes was refused with HTTP \(status)") }

    static func tooLarge(_ limit: Int) -> [UInt8] { failed("the result is larger than \(limit) bytes, the most that a result may hold") }
}
