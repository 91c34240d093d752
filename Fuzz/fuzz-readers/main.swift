// Fuzzes the checkpoint readers.
//
// Seeded mutator, any build, 200,000 inputs a reader:
//   swift build -c release --product fuzz-readers && .build/release/fuzz-readers all 200000 1
// Arguments: reader (safetensors, gguf, index, config, all), inputs a reader, seed, number of the first input. A crash prints nothing
// more; run it again under `FUZZ_TRACE=1` for the number of the last input, then with that as first input.
//
// libFuzzer, which follows coverage (the corpus folder starts with the seeds; see its own help for options):
//   swift build -c release --sanitize fuzzer -Xswiftc -DLIBFUZZER --scratch-path .build-fuzz --product fuzz-readers
//   FUZZ_READER=gguf .build-fuzz/release/fuzz-readers -runs=200000 -seed=1 corpus/

import FuzzReaders

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

#if LIBFUZZER
/// libFuzzer's own main loop.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

let chosen = FuzzTarget(rawValue: environment("FUZZ_READER") ?? "") ?? .safetensors
var argc = CommandLine.argc
var argv = CommandLine.unsafeArgv
exit(
    runDriver(&argc, &argv) { bytes, count in
        chosen.feed(UnsafeRawBufferPointer(start: bytes, count: count))
        return 0
    })
#else
let arguments = CommandLine.arguments.dropFirst() + []
let reader = arguments.first ?? "all"
let count = arguments.count > 1 ? Int(arguments[1]) ?? 0 : 200_000
let seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 0 : 1
let start = arguments.count > 3 ? Int(arguments[3]) ?? 0 : 0
let targets = reader == "all" ? FuzzTarget.allCases : FuzzTarget(rawValue: reader).map { [$0] } ?? []
if targets.isEmpty || count < 1 || start < 0 {
    print("usage: fuzz-readers [all|safetensors|gguf|index|config] [inputs] [seed] [first input]")
    exit(2)
}
let trace = environment("FUZZ_TRACE") != nil
for target in targets {
    let run = try FuzzRun(target, seed: seed, count: count, from: start) { number in
        guard trace else { return }
        // Unbuffered, so that it is out before a crash.
        var line = "\(target) \(number)\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
    print("\(target): \(run.inputs) inputs from seed \(seed), \(run.accepted) accepted, no crash")
}
#endif
