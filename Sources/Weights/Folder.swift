#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Names in a folder, for finding a model's files.
struct Folder {
    let path: String
    /// Sorted.
    let names: [String]

    /// nil where `path` is no folder that can be read.
    init?(_ path: String) {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        self.path = path
        self.names = names.sorted()
    }

    func contains(_ name: String) -> Bool { names.contains(name) }

    func file(_ name: String) -> String { path.utf8.last == UInt8(ascii: "/") ? path + name : path + "/" + name }

    /// The folder part of a path: `.` where it has none.
    static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
    }
}

/// A file name of the form `stem-00001-of-00003.ext`.
struct PartName: Equatable {
    let stem: String, part: Int, count: Int, ending: String

    /// nil where the name is not of that form.
    init?(_ name: String, ending: String) {
        guard name.utf8.hasSuffix(ending) else { return nil }
        let body = Array(name.utf8.dropLast(ending.utf8.count))
        // "-00001-of-00003"
        guard body.count > 15 else { return nil }
        let tail = body[(body.count - 15)...]
        func number(_ start: Int) -> Int? {
            var value = 0
            for byte in tail[(tail.startIndex + start)..<(tail.startIndex + start + 5)] {
                guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard tail.first == UInt8(ascii: "-"), tail.dropFirst(6).prefix(4).elementsEqual("-of-".utf8),
            let part = number(1), let count = number(10), part >= 1, part <= count
        else { return nil }
        self.part = part
        self.count = count
        self.ending = ending
        stem = String(decoding: body.dropLast(15), as: UTF8.self)
    }

    /// The name of part `index`, from 1.
    func name(_ index: Int) -> String { "\(stem)-\(Self.fiveDigits(index))-of-\(Self.fiveDigits(count))\(ending)" }

    private static func fiveDigits(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.utf8.count)) + digits
    }
}
