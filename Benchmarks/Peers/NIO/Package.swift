// swift-tools-version: 6.0
// A peer that Signalbox is measured against, built by Benchmarks/Peers/setup.sh and for nothing else: the package at the top does not
// know of it.
import PackageDescription

let package = Package(
    name: "nio-peer",
    products: [.executable(name: "nio-peer", targets: ["nio-peer"])],
    dependencies: [.package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2")],
    targets: [
        .executableTarget(
            name: "nio-peer",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ])
    ]
)
