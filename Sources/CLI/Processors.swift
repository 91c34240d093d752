import Glibc

/// The machine, as far as this process may use it.
enum Processors {
    /// Processors that the scheduler may run this process on, and no more than a container's quota gives.
    static var available: Int {
        let allowed = affinity ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        return max(1, min(allowed, quota ?? allowed))
    }

    /// Bits of `Cpus_allowed`, a hexadecimal mask with commas.
    private static var affinity: Int? {
        guard let status = SmallFile.text("/proc/self/status") else { return nil }
        for line in status.split(separator: "\n") where line.hasPrefix("Cpus_allowed:") {
            let count = line.dropFirst(13).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
            return count > 0 ? count : nil
        }
        return nil
    }

    /// cgroup v2's `cpu.max`: "quota period" in microseconds.
    private static var quota: Int? {
        guard let line = SmallFile.text("/sys/fs/cgroup/cpu.max") else { return nil }
        let parts = line.split(whereSeparator: \.isWhitespace)
        guard parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), period > 0 else { return nil }
        return Int((quota / period).rounded(.up))
    }
}

/// Memory of the machine, in bytes.
enum MachineMemory {
    /// What can be taken without swapping: the kernel's estimate, and what is left of a container's limit.
    static var available: Int {
        let free = field("MemAvailable:") ?? (1 << 31)
        guard let text = SmallFile.text("/sys/fs/cgroup/memory.max"), let limit = Int(text.filter(\.isNumber)) else { return free }
        let used = SmallFile.text("/sys/fs/cgroup/memory.current").flatMap { Int($0.filter(\.isNumber)) } ?? 0
        return min(free, max(0, limit - used))
    }

    private static func field(_ name: String) -> Int? {
        guard let text = SmallFile.text("/proc/meminfo") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return Int(line.filter(\.isNumber)).map { $0 * 1024 }
        }
        return nil
    }
}

/// Short text files of the system.
enum SmallFile {
    static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = fread(&buffer, 1, buffer.count, file)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
