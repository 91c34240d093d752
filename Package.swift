// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: dependencies, swiftSettings: strict)
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]

/// Rooms in one-way order: a room imports only rooms above it. docs/ARCHITECTURE.md says what each is for.
let package = Package(
    name: "needletail",
    products: [.executable(name: "needletail", targets: ["needletail"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(name: "CKernels", linkerSettings: [.linkedLibrary("m", .when(platforms: [.linux]))]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        room("JSON"),
        room("Step"),
        room("Progress"),
        room("Tensors"),
        room("Weights", ["CPCRE2", "JSON", "Tensors"]),
        room("Tokenizers", ["JSON", "CPCRE2", "CZlib"]),
        room("Templates", ["JSON"]),
        room("ModelText", ["JSON", "Tensors", "Tokenizers", "Weights"]),
        room(
            "Hub",
            ["JSON", "Progress"] + nio + [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        room("Compute", ["CKernels", "Step", "Tensors"]),
        room("Models", ["Compute", "JSON", "Step", "Tensors", "Weights"]),
        room("Planning", ["Compute", "JSON", "Models", "Step", "Tensors", "Weights"]),
        room("Quantize", ["CKernels", "Compute", "JSON", "ModelText", "Models", "Progress", "Step", "Tensors", "Tokenizers", "Weights"]),
        room("Prometheus"),
        room("Sampling"),
        room("Engine", ["Prometheus", "Sampling", "Step"]),
        room("OpenAI", ["JSON", "Sampling"]),
        room(
            "Web",
            nio + [
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ]),
        room(
            "Server",
            ["Engine", "JSON", "Prometheus", "OpenAI", "Sampling", "Step", "Templates", "Tokenizers", "Web"] + nio + [
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),
        room("Jobs", ["JSON"]),
        room("WorkerProtocol", ["JSON"]),
        room("SQLiteStore", ["Jobs", .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift")]),
        .target(name: "CPostgres", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        room("PostgresStore", ["CPostgres", "Jobs"]),
        room("Scaling", ["Jobs"]),
        .target(name: "CSpawn"),
        room(
            "Providers",
            ["CSpawn", "JSON", "Jobs"] + nio + [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room(
            "Gateway",
            ["JSON", "Jobs", "Prometheus", "Providers", "Scaling", "Web", "WorkerProtocol"] + nio + [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], resources: [.embedInCode("Dashboard/page.html")]),
        room(
            "Worker",
            ["Engine", "JSON", "OpenAI", "Sampling", "Server", "Web", "WorkerProtocol"] + nio + [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        room("Golden", ["Compute", "JSON", "ModelText", "Models", "Step", "Templates", "Tensors", "Tokenizers", "Weights"]),
        room(
            "CLI",
            [
                "Compute", "Engine", "Gateway", "Golden", "Hub", "JSON", "Jobs", "ModelText", "Models", "OpenAI", "Planning", "PostgresStore", "Progress", "Prometheus",
                "Providers", "Quantize", "SQLiteStore", "Sampling", "Server", "Step", "Templates", "Tensors", "Tokenizers", "Weights", "Worker",
                "WorkerProtocol",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ] + nio),
        .executableTarget(name: "needletail", dependencies: ["CLI"], swiftSettings: strict),
        .target(name: "FuzzReaders", dependencies: ["Tensors", "Weights"], path: "Fuzz/FuzzReaders", swiftSettings: strict),
        .executableTarget(name: "fuzz-readers", dependencies: ["FuzzReaders"], path: "Fuzz/fuzz-readers", swiftSettings: strict),
        .executableTarget(name: "kernels-bench", dependencies: ["CKernels"], path: "Benchmarks/kernels"),
        .executableTarget(
            name: "store-bench", dependencies: ["Jobs", "PostgresStore", "SQLiteStore"], path: "Benchmarks/store", swiftSettings: strict),
        .executableTarget(
            name: "tokenizer-bench", dependencies: ["Tokenizers"], path: "Benchmarks/tokenizers", exclude: ["bench.py", "README.md"],
            swiftSettings: strict),
        tests("JSON", ["JSON"]),
        tests("CKernels", ["CKernels"]),
        tests("Tensors", ["Tensors"]),
        tests("Weights", ["FuzzReaders", "JSON", "Tensors", "Weights"]),
        tests("Tokenizers", ["JSON", "TemporaryPath", "Tokenizers"]),
        tests("Templates", ["JSON", "Templates"]),
        tests("Jobs", ["JSON", "Jobs"]),
        tests("WorkerProtocol", ["JSON", "WorkerProtocol"]),
        tests("Store", ["CPostgres", "Jobs", "PostgresStore", "SQLiteStore", "TemporaryPath", "store-bench"]),
        tests("Scaling", ["Jobs", "Scaling"]),
        tests(
            "Providers",
            [
                "JSON", "Jobs", "Providers", "TemporaryPath", .product(name: "Logging", package: "swift-log"), .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ] + nio),
        tests(
            "Gateway",
            [
                "Gateway", "JSON", "Jobs", "Prometheus", "Providers", "SQLiteStore", "Scaling", "TemporaryPath", "Web", "WorkerProtocol",
                .product(name: "Crypto", package: "swift-crypto"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"), .product(name: "Logging", package: "swift-log"),
            ] + nio),
        tests("Progress", ["Progress"]),
        tests("Hub", ["Hub", "JSON", "Progress", "TemporaryPath", .product(name: "NIOSSL", package: "swift-nio-ssl"), .product(name: "Crypto", package: "swift-crypto")] + nio),
        tests("Compute", ["AllocationCounter", "CKernels", "Compute", "Step", "Tensors"]),
        tests("Golden", ["Compute", "Golden", "JSON", "Models", "Weights"]),
        tests("Models", ["Compute", "JSON", "Models", "Step", "TemporaryPath", "Tensors", "Weights"]),
        tests("Integration", ["AllocationCounter", "Compute", "Engine", "JSON", "Models", "Sampling", "Step", "Tensors", "Weights"]),
        tests("CLI", ["CLI", "JSON", "Sampling", "TemporaryPath", "Worker"]),
        tests("Planning", ["Compute", "JSON", "Models", "Planning", "Tensors", "Weights"]),
        tests("Quantize", ["CKernels", "Compute", "JSON", "ModelText", "Models", "Progress", "Quantize", "Step", "TemporaryPath", "Tensors", "Tokenizers", "Weights"]),
        tests("Sampling", ["Sampling"]),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        tests("Engine", ["AllocationCounter", "Engine", "Prometheus", "Sampling", "Step"]),
        tests("OpenAI", ["JSON", "OpenAI", "Sampling"]),
        tests(
            "Web",
            [
                "Web", .product(name: "NIOEmbedded", package: "swift-nio"), .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ] + nio),
        .target(name: "TemporaryPath", path: "Tests/TemporaryPath", swiftSettings: strict),
        .target(name: "StandInModel", dependencies: ["Engine", "JSON", "OpenAI", "Prometheus", "Sampling", "Server"], path: "Tests/StandInModel", swiftSettings: strict),
        tests(
            "Server",
            [
                "Engine", "JSON", "OpenAI", "Sampling", "Server", "StandInModel", "Step", "Templates", "Tokenizers",
                .product(name: "Logging", package: "swift-log"),
            ] + nio),
        tests(
            "Worker",
            [
                "Engine", "JSON", "OpenAI", "Sampling", "Server", "StandInModel", "Worker", "WorkerProtocol",
                .product(name: "Hummingbird", package: "hummingbird"), .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ] + nio),
    ]
)
