// Rig: files of the kernel's and what may become of them, a directory that goes away, and a copy of the stand-in for NVIDIA's library.
import Glibc
import TestSupport
import Testing

@testable import Vitals

/// The kernel's files, as a machine has them.
enum Machine {
    static let stat = """
        cpu  2159777 4 408577 1786354 11577 0 77547 5543 0 0
        cpu0 1049890 0 205494 923253 2476 0 40536 2809 0 0
        cpu1 1109886 4 203082 863101 9101 0 37011 2733 0 0
        intr 19164400 0 0 9 0 0 0
        ctxt 59884518
        btime 1763741892
        processes 212040
        procs_running 2
        procs_blocked 0
        softirq 9371621 0 1083341 5 4157573 0 0 1 2024404 27 2106270

        """

    static let cpuinfo = """
        processor\t: 0
        model name\t: AMD EPYC
        cpu MHz\t\t: 2596.125
        cache size\t: 1024 KB
        cpu cores\t: 2

        processor\t: 1
        cpu MHz\t\t: 2403.875

        """

    static let meminfo = """
        MemTotal:       24684084 kB
        MemFree:        24001220 kB
        MemAvailable:   24258388 kB
        Buffers:           11540 kB
        HugePages_Total:       0

        """

    static let netDev = """
        Inter-|   Receive                                                |  Transmit
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
            lo: 835968123858 303342452    0 5086    0     0          0         0 835968123858 303342452    0    0    0     0       0   0
          ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
          eth0: 162163888    5766    1    2    3     4          5         6   692474    4731    0    0    0     0       0          0
        wlp3s0: 1000    10    0    0    0     0          0         0   2000    20    0    0    0     0       0          0

        """
}

/// A directory of its own, removed at the end.
final class Scratch {
    let path: String
    /// What was made in it, the innermost last.
    private var files: [String] = []
    private var folders: [String] = []

    init() throws {
        var template = Array("/tmp/signalbox-vitals-\(String(repeating: "X", count: 6))".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe $0.baseAddress.map { unsafe mkdtemp($0) } != nil }
        try #require(made)
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Writes a file, and makes the folders that its name goes through.
    func write(_ name: String, _ bytes: [UInt8]) throws {
        var folder = path
        for part in name.split(separator: "/").dropLast() {
            folder += "/" + part
            if unsafe mkdir(folder, 0o700) == 0 { folders.append(folder) }
        }
        let file = path + "/" + name
        let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0, "\(file): errno \(errno)")
        defer { close(descriptor) }
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        try #require(written == bytes.count)
        files.append(file)
    }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func remove(_ name: String) { _ = unsafe unlink(path + "/" + name) }

    /// Where a link leads to; empty where it is none.
    static func target(of link: String) -> String {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                if let start = text.baseAddress { unsafe readlink(link, start, text.count) } else { 0 }
            }
        }
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    deinit {
        for file in files { _ = unsafe unlink(file) }
        for folder in folders.reversed() { _ = unsafe rmdir(folder) }
        _ = unsafe rmdir(path)
    }
}

/// A copy of the stand-in: one that no other test's settings reach.
// @safe: the address is a library's that stays loaded as long as this object.
@safe
final class StandIn {
    private static let name = "libNVMLStandIn.so"

    private let scratch: Scratch
    /// Ours, so that what the library counts is there after the server let go of it.
    private var held: UnsafeMutableRawPointer?

    var path: String { scratch.path + "/" + StandIn.name }

    /// Without settings it has two GPUs.
    init(_ settings: [UInt8]?) throws {
        scratch = try Scratch()
        try scratch.write(StandIn.name, try StandIn.built.get())
        if let settings { try scratch.write(StandIn.name + ".settings", settings) }
    }

    convenience init(_ settings: String?) throws { try self.init(settings.map { Array($0.utf8) }) }

    deinit {
        if let held = unsafe held { unsafe dlclose(held) }
    }

    /// Holds from the next count of the devices on.
    func set(_ settings: String) throws { try scratch.write(StandIn.name + ".settings", settings) }

    /// How often the library was started, and shut down.
    func calls() throws -> (starts: Int32, shutdowns: Int32) {
        if unsafe held == nil { unsafe held = dlopen(path, RTLD_NOW | RTLD_LOCAL) }
        let library = try unsafe #require(held)
        let starts = try unsafe #require(dlsym(library, "standInStarts"))
        let shutdowns = try unsafe #require(dlsym(library, "standInShutdowns"))
        return unsafe (starts.load(as: Int32.self), shutdowns.load(as: Int32.self))
    }

    /// The library that is built beside the tests. Where a program of the toolchain runs them, their own path is among its arguments.
    private static let built = Result {
        let paths = [Scratch.target(of: "/proc/self/exe")] + CommandLine.arguments
        let besides = paths.map { $0.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") }
        var file = ProcFile()
        let found = besides.contains { file.read($0 + "/" + name) }
        try #require(found, "\(name) is not built")
        return unsafe file.text.withUnsafeBufferPointer { unsafe Array($0) }
    }
}

/// The bytes of every beginning of a text that ends within a line, and the same text up to that line.
func cuts(_ text: String) -> [(cut: [UInt8], whole: [UInt8])] {
    let bytes = Array(text.utf8)
    return (0...bytes.count).map { count in
        let cut = Array(bytes[..<count])
        return (cut, Array(cut[..<((cut.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1)]))
    }
}

/// The text with some bytes changed, moved or lost, in many ways that stay the same from run to run.
func garbled(_ text: String, rounds: Int = 500) -> [[UInt8]] {
    var random = Seeded(seed: 7)
    let signs = Array("0123456789 \t\n:.-xcpu\0".utf8) + [0xff, 0x80]
    return (0..<rounds).map { _ in
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...8, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] = signs.randomElement(using: &random) ?? 0
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(contentsOf: Array("99999999999999999999".utf8), at: place)
            default: bytes.removeSubrange(place..<min(place + 40, bytes.count))
            }
        }
        return bytes
    }
}
