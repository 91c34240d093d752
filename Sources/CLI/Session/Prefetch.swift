import Glibc

/// Reads files ahead into the system's cache, several parts at once: worth it where they come from a cold disk or over a network.
enum Prefetch {
    private static let threads = 4
    private static let partBytes = 16 << 20

    /// Returns at once; the threads end by themselves. What cannot be read is passed over: whoever needs it will say so.
    static func start(_ paths: [String]) {
        for number in 0..<threads {
            // Blocking reads have no place on the tasks' threads.
            let work = Unmanaged.passRetained(Work(paths: paths, number: number))
            var thread = pthread_t()
            let status = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                }, work.toOpaque())
            if status == 0 { pthread_detach(thread) } else { work.release() }
        }
    }

    private final class Work: Sendable {
        private let paths: [String]
        private let number: Int

        init(paths: [String], number: Int) {
            self.paths = paths
            self.number = number
        }

        /// Every `threads`th part of each file.
        func run() {
            let buffer = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { buffer.deallocate() }
            for path in paths {
                let file = open(path, O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { continue }
                defer { close(file) }
                var part = number
                while readPart(file, part, buffer) { part += threads }
            }
        }

        private func readPart(_ file: Int32, _ part: Int, _ buffer: UnsafeMutableRawPointer) -> Bool {
            let start = part * partBytes
            for offset in stride(from: start, to: start + partBytes, by: 1 << 20) where pread(file, buffer, 1 << 20, offset) <= 0 { return false }
            return true
        }
    }
}
