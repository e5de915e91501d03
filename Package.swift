// swift-tools-version: 6.2
// The floors of the house, lowest first. A target names only floors below it; Tests/TidyTests checks every import.
import PackageDescription

let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // Lets a type of ours hand out a span of its own bytes, as the standard library's types do.
    .enableExperimentalFeature("Lifetimes"),
    // Debug builds, and so every test, check exclusive access at run time; the reactor is one thread and pays for it nowhere else.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

func floor(_ name: String, _ below: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: below, swiftSettings: house)
}

func tests(_ name: String, _ below: [Target.Dependency]) -> Target {
    .testTarget(name: name + "Tests", dependencies: below + ["TestSupport"], swiftSettings: house)
}

let package = Package(
    name: "signalbox",
    products: [
        .executable(name: "signalbox", targets: ["signalbox"]),
        .executable(name: "load-generator", targets: ["LoadGenerator"]),
        .executable(name: "raw-echo", targets: ["RawEcho"]),
        // Tests load it in NVIDIA's place; nothing links it.
        .library(name: "NVMLStandIn", type: .dynamic, targets: ["NVMLStandIn"]),
        // Everything that libFuzzer's entry is linked with (`make fuzz`).
        .library(name: "FuzzChecks", type: .static, targets: ["FuzzChecks"]),
    ],
    targets: [
        // 0: headers of the system
        .systemLibrary(name: "CLinux", path: "Sources/CLinux/include"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // 1: nouns that everyone may use
        floor("Base"),

        // 2: codecs, which know only bytes
        floor("Crypto", ["Base", "COpenSSL"]),
        floor("JSON", ["Base"]),
        floor("HTTP1", ["Base"]),
        floor("WebSockets", ["Base", "Crypto", "CZlib"]),
        floor("SocketIO", ["Base", "Crypto", "JSON"]),

        // 3: the domain, which knows only tasks and workers
        floor("Domain", ["Base"]),

        // 3: files that the server hands out
        .target(
            name: "Clients", dependencies: ["Base"], exclude: ["pictures", "python"],
            resources: [
                .embedInCode("javascript/signalbox.js"), .embedInCode("javascript/signalbox.d.ts"),
                .embedInCode("react/RealtimeProgressTracker.tsx"), .embedInCode("vue/useTask.js"),
                .embedInCode("examples/worker-python.py"), .embedInCode("examples/worker-node.js"),
                .embedInCode("examples/websocket_client_example.py"), .embedInCode("examples/worker_example.py"),
                .embedInCode("examples/watcher-example.mjs"), .embedInCode("examples/worker-openai.py"),
                .embedInCode("pages/dashboard.html"), .embedInCode("pages/house.css"), .embedInCode("pages/dashboard.css"),
                .embedInCode("pages/house.js"), .embedInCode("pages/sockets.js"), .embedInCode("pages/charts.js"),
                .embedInCode("pages/dashboard.js"), .embedInCode("pages/test-worker.html"), .embedInCode("pages/test-worker.css"),
                .embedInCode("pages/test-worker.js"), .embedInCode("pages/docs.html"), .embedInCode("pages/docs.css"),
                .embedInCode("pages/docs.js"), .embedInCode("pages/openapi.json"), .embedInCode("pages/asyncapi.json"),
            ],
            swiftSettings: house),

        // 4: bytes to domain and back
        floor("Dialects", ["Base", "Crypto", "Domain", "JSON"]),

        // 5: the machine: bytes, completions and time in; queued bytes and jobs out
        floor("Gateway", ["Base", "Clients", "Dialects", "Domain", "HTTP1", "JSON", "SocketIO", "WebSockets"]),

        // 6: the performers
        floor("Reactor", ["Base", "CLinux", "COpenSSL"]),
        floor("Storage", ["Base", "CSQLite", "Domain"]),
        floor("Vitals", ["Base", "CLinux", "Domain"]),

        // 7: the program
        .executableTarget(
            name: "signalbox",
            dependencies: [
                "Base", "Crypto", "Dialects", "Domain", "Gateway", "JSON", "Reactor", "SocketIO", "Storage", "Vitals", "WebSockets",
            ],
            swiftSettings: house),

        // Benchmarks: the load generator, and the kernel's limit that it is held against
        .target(name: "LoadSupport", dependencies: ["Base", "CZlib"], path: "Benchmarks/LoadSupport", swiftSettings: house),
        .executableTarget(
            name: "LoadGenerator", dependencies: ["Base", "CLinux", "COpenSSL", "LoadSupport"], path: "Benchmarks/LoadGenerator",
            swiftSettings: house),
        .target(name: "AllocationCount", path: "Benchmarks/AllocationCount", cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra"])]),
        .executableTarget(
            name: "in-process",
            dependencies: [
                "AllocationCount", "Base", "Dialects", "Domain", "Gateway", "HTTP1", "JSON", "LoadSupport", "SocketIO", "WebSockets",
            ],
            path: "Benchmarks/InProcess", swiftSettings: house),
        .executableTarget(
            name: "RawEcho", path: "Benchmarks/RawEcho", cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra"])],
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),

        // Tests: one target a floor
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: house),
        .target(
            name: "FuzzChecks",
            dependencies: [
                "Base", "CSQLite", "CZlib", "Crypto", "Dialects", "Domain", "Gateway", "HTTP1", "JSON", "SocketIO", "Storage", "WebSockets",
            ],
            path: "Tests/FuzzChecks", swiftSettings: house),
        .executableTarget(
            name: "StorageCrash", dependencies: ["Base", "Domain", "Storage"], path: "Tests/StorageCrash", swiftSettings: house),
        .target(
            name: "NVMLStandIn", path: "Tests/NVMLStandIn", publicHeadersPath: ".", cSettings: [.unsafeFlags(["-Wall", "-Wextra"])]),
        .executableTarget(
            name: "Simulator", dependencies: ["Base", "CSQLite", "Domain", "Gateway", "Reactor", "Storage", "TestSupport"],
            path: "Tests/Simulator", exclude: ["planted.py"], swiftSettings: house),
        tests("Base", ["Base"]),
        tests("Crypto", ["Base", "Crypto"]),
        tests("JSON", ["Base", "JSON"]),
        tests("HTTP1", ["Base", "HTTP1"]),
        tests("WebSockets", ["Base", "CZlib", "Crypto", "WebSockets"]),
        tests("SocketIO", ["Base", "JSON", "SocketIO"]),
        tests("Domain", ["Base", "Domain"]),
        tests("Dialects", ["Base", "Crypto", "Dialects", "Domain", "JSON"]),
        tests("Gateway", ["Base", "Clients", "Dialects", "Domain", "Gateway", "HTTP1", "SocketIO", "WebSockets"]),
        tests("Reactor", ["Base", "CLinux", "COpenSSL", "Reactor"]),
        tests("Vitals", ["Base", "Domain", "Vitals"]),
        tests("Storage", ["Base", "CSQLite", "Domain", "Storage", "StorageCrash"]),
        tests("signalbox", ["Base", "Crypto", "Dialects", "Domain", "Gateway", "JSON", "Reactor", "Storage", "signalbox"]),
        tests("Simulator", ["Simulator"]),
        tests("FuzzChecks", ["FuzzChecks"]),
        tests("LoadSupport", ["Base", "LoadSupport"]),
        tests("Tidy", ["Base"]),
    ]
)
