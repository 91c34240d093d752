// Fuzzes the checkpoint readers.
//
// Seeded mutator, any build, 200,000 inputs a reader:
//   swift build -c release --product fuzz-readers && .build/release/fuzz-readers all 200000 1
// Arguments: reader (safetensors, gguf, index, config, all), inputs a reader, seed, number of the first input. A crash prints nothing
// more; run it again under `FUZZ_TRACE=1` for the number of the last input, then with that as first input.
//
// libFuzzer, which follows coverage and starts from the same seeds:
//   swift build -c release --sanitize fuzzer -Xswiftc -DLIBFUZZER --scratch-path .build-fuzz --product fuzz-readers
//   FUZZ_READER=gguf .build-fuzz/release/fuzz-readers -runs=200000 -seed=1 -max_len=8192

import FuzzReaders

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

#if !LIBFUZZER
@main
enum Command {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let reader = arguments.first ?? "all"
        let count = arguments.count > 1 ? Int(arguments[1]) ?? 0 : 200_000
        let seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 0 : 1
        let start = arguments.count > 3 ? Int(arguments[3]) ?? 0 : 0
        let targets = reader == "all" ? FuzzTarget.allCases : FuzzTarget(rawValue: reader).map { [$0] } ?? []
        if targets.isEmpty || count < 1 || start < 0 {
            print("usage: fuzz-readers [all|safetensors|gguf|index|config] [inputs] [seed] [first input]")
            exit(2)
        }
        let trace = getenv("FUZZ_TRACE") != nil
        for target in targets {
            let run = try FuzzRun(target, seed: seed, count: count, from: start) { number in
                guard trace else { return }
                // Unbuffered, so that it is out before a crash.
                var line = "\(target) \(number)\n"
                line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
            }
            print("\(target): \(run.inputs) inputs from seed \(seed), \(run.accepted) accepted, no crash")
        }
    }
}
#else
private let chosen = FuzzTarget(rawValue: getenv("FUZZ_READER").map { String(cString: $0) } ?? "") ?? .safetensors

/// What libFuzzer's main loop calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    chosen.feed(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
}

/// libFuzzer's own mutation.
@_silgen_name("LLVMFuzzerMutate")
private func libFuzzerMutate(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int) -> Int

/// Brings our seeds in, so that no corpus is needed: now and then an input starts over from one of them.
@_cdecl("LLVMFuzzerCustomMutator")
public func fuzzMutate(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int, _ seed: UInt32) -> Int {
    guard count < 8 || seed % 64 == 0, let files = try? chosen.seeds() else { return libFuzzerMutate(bytes, count, limit) }
    let file = files[Int(seed / 64) % files.count]
    guard file.count <= limit else { return libFuzzerMutate(bytes, count, limit) }
    for (index, byte) in file.enumerated() { bytes[index] = byte }
    return libFuzzerMutate(bytes, file.count, limit)
}
#endif
