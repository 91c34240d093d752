// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Rooms in one-way order: a room imports only rooms above it. See docs/ARCHITECTURE.md.
let package = Package(
    name: "needletail",
    targets: [
        .target(name: "JSON", swiftSettings: strict),
        .target(name: "Step", swiftSettings: strict),
        .target(name: "CKernels"),
        .target(name: "Tensors", swiftSettings: strict),
        .target(name: "Weights", dependencies: ["JSON", "Tensors"], swiftSettings: strict),
        .target(name: "Sampling", swiftSettings: strict),
        .target(name: "Models", dependencies: ["Compute", "JSON", "Step", "Tensors", "Weights"], swiftSettings: strict),
        .target(name: "Engine", dependencies: ["Sampling", "Step"], swiftSettings: strict),
        .target(name: "Compute", dependencies: ["CKernels", "Tensors", "Step"], swiftSettings: strict),
        .target(name: "Golden", dependencies: ["Compute", "JSON", "Models", "Step", "Tensors", "Weights"], swiftSettings: strict),
        .testTarget(name: "JSONTests", dependencies: ["JSON"], swiftSettings: strict),
    ]
)
