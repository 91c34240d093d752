import Gateway
import Glibc
import Jobs
import Logging
import Testing

@Suite struct ObservabilityQueueTests {
    private func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(Glibc.pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    /// All that is written until `last` comes, as lines.
    private static func lines(_ descriptor: Int32, until last: String) -> [String] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while !bytes.suffix(last.utf8.count).elementsEqual(last.utf8) {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func linesComeInOrder() throws {
        let ends = try pipe()
        let queue = LogQueue(ends.write)
        for number in 0..<200 { queue.write(Array("line \(number)\n".utf8)) }
        #expect(queue.flush(within: .seconds(60)))
        #expect(Self.lines(ends.read, until: "line 199\n") == (0..<200).map { "line \($0)" })
        #expect(queue.takeLost() == 0)
    }

    @Test func aStalledReaderHoldsNobodyUp() async throws {
        let ends = try pipe()
        let queue = LogQueue(ends.write, limit: 1 << 20)
        let logger = Logger(label: "test") { JobLogHandler(label: $0, format: .text, level: .info, redactor: Redactor(), sink: LogSink(queue)) }
        // More than the pipe and the queue hold; nobody reads.
        let text = String(repeating: "x", count: 1000)
        for number in 0..<3000 { logger.info("\(number) \(text)") }
        #expect(!queue.flush(within: .milliseconds(10)))
        // Then somebody does, and is told how many are missing.
        let (read, isRead) = AsyncStream.makeStream(of: [String].self)
        let reader = BatchThread<Int32>(weightLimit: 1, weight: { _ in 1 }) {
            { descriptors, _ in
                for descriptor in descriptors { isRead.yield(Self.lines(descriptor, until: " end\n")) }
            }
        }
        _ = reader.post(ends.read)
        #expect(queue.flush(within: .seconds(60)))
        logger.info("end")
        var lines = try #require(await read.first { _ in true })
        await reader.close()
        let end = lines.popLast(), last = lines.popLast()
        #expect(end?.hasSuffix(" info end") == true)
        let notice = try #require(last)
        #expect(notice.contains(" warning log lines were lost") && notice.hasSuffix("lines=\(3000 - lines.count)"), "\(notice)")
        #expect((1000..<2999).contains(lines.count))
        for (number, line) in lines.enumerated() { #expect(line.hasSuffix(" info \(number) \(text)")) }
    }

    @Test func aPipeWithoutAReaderIsNoEnd() throws {
        let ends = try pipe()
        close(ends.read)
        let queue = LogQueue(ends.write)
        queue.write(Array("nobody\n".utf8))
        #expect(queue.flush(within: .seconds(60)))
        #expect(queue.takeLost() == 1)
    }
}
