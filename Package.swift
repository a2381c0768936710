// swift-tools-version: 6.2
import PackageDescription

// One place for the language mode and the warnings: every Swift target is built alike.
let swiftSettings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

// Kernels and image loops are unusable at -O0 (40 times slower), so C is optimised in debug builds too.
let kernelSettings: [CSetting] = [.unsafeFlags(["-O3", "-fno-math-errno"])]

func library(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: swiftSettings)
}

let package = Package(
  name: "fgnetd",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: ["FullFoundation"]),
    .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
  ],
  targets: [
    // C libraries of the system.
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas"),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5-serial"),
    .systemLibrary(name: "CPostgres", pkgConfig: "libpq"),
    .systemLibrary(name: "CTIFF", pkgConfig: "libtiff-4"),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng"),
    .systemLibrary(name: "CDeflate", pkgConfig: "libdeflate"),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto"),
    .systemLibrary(name: "CInotifyTools"),
    // Only a header: what shared objects with stages are written against.
    .systemLibrary(name: "CStage"),
    // C of our own.
    .target(name: "CLinux", cSettings: kernelSettings),
    .target(name: "CKernels", cSettings: kernelSettings),
    .target(name: "CVolumes", dependencies: ["CTIFF", "CPNG", "CHDF5", "CDeflate"], cSettings: kernelSettings),

    library("Domain", []),
    library("FGNetKernel", ["COpenBLAS", "CKernels", "CHDF5"]),
    library("Volumes", ["Domain", "CHDF5", "CVolumes", "CCrypto", "CLinux"]),
    library(
      "DB", ["Domain", "CPostgres", "CCrypto"], resources: [.embedInCode("Migrations"), .embedInCode("Access")]),
    library("Intake", ["Domain", "CLinux"]),
    library("Plugins", ["Domain", "FGNetKernel", "CKernels", "CLinux", "CStage"]),
    .target(
      name: "Simulator", dependencies: ["Domain"],
      // A section of pixels at -O0 takes a minute; every test that needs one would wait for it.
      swiftSettings: swiftSettings + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    library(
      "Web",
      [
        "Domain", "Volumes", "DB", "CDeflate", .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "Logging", package: "swift-log"),
      ], resources: [.embedInCode("Pages")]),
    library(
      "Daemon",
      [
        "Domain", "FGNetKernel", "Volumes", "DB", "Intake", "Plugins", "Simulator", "Web", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .executableTarget(name: "fgnetd", dependencies: ["Daemon"], swiftSettings: swiftSettings),
    // Reads HDF5 files of others apart from the daemon (docs/decisions/0007-hdf5-apart.md).
    .executableTarget(name: "fgnet-hdf5", dependencies: ["Volumes"], swiftSettings: swiftSettings),
    // GPL-2 like the library it stands on; a program of its own (docs/decisions/0002-watcher.md).
    .executableTarget(
      name: "fgnet-watch", dependencies: ["CInotifyTools"], exclude: ["COPYING"], swiftSettings: swiftSettings
    ),
    // Not installed: what the scripts in Benchmarks run.
    .target(name: "CPeak", path: "Benchmarks/speed/CPeak", cSettings: kernelSettings),
    .executableTarget(
      name: "fgnet-bench",
      dependencies: [
        "Domain", "FGNetKernel", "Plugins", "Volumes", "CKernels", "CPeak",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Benchmarks/speed/fgnet-bench", swiftSettings: swiftSettings),
    .executableTarget(
      name: "fgnet-bench-db",
      dependencies: ["Domain", "DB", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "Benchmarks/db/fgnet-bench-db", resources: [.embedInCode("Statements")], swiftSettings: swiftSettings),

    tests("DomainTests", ["Domain"]),
    tests("FGNetKernelTests", ["FGNetKernel", "CKernels", "CHDF5"], resources: [.copy("Golden")]),
    tests("VolumesTests", ["Volumes", "Domain", "fgnet-hdf5"]),
    tests("DBTests", ["DB", "Domain"]),
    tests("IntakeTests", ["Intake", "Domain"]),
    tests("PluginsTests", ["Plugins", "Domain", "FGNetKernel"], exclude: ["Stages"]),
    tests("SimulatorTests", ["Simulator", "Domain"]),
    tests("WebTests", ["Web", "Domain"]),
    tests(
      "DaemonTests",
      [
        "Daemon", "Domain", "DB", "Intake", "Plugins", "Volumes", "Simulator", "Web",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], exclude: ["Stages"]),
  ]
)
