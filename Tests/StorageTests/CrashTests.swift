// Durability: a process that journals is killed at a random moment, again and again, and everything that it acknowledged is there.
import Base
import Domain
import Glibc
import TestSupport
import Testing

@testable import Storage

@Suite(.serialized)
struct CrashTests {
    /// A process of Tests/StorageCrash, and what it says.
    private final class Child {
        private let process: pid_t
        private let output: Int32
        private var rest: [UInt8] = []

        init(_ directory: String, first: UInt64, _ durability: Durability) throws {
            var ends: [Int32] = [0, 0]
            let piped = unsafe pipe(&ends)
            try #require(piped == 0)
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            var actions = unsafe posix_spawn_file_actions_t()
            unsafe posix_spawn_file_actions_init(&actions)
            defer { unsafe posix_spawn_file_actions_destroy(&actions) }
            unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
            let path = try Child.path()
            var words: [UnsafeMutablePointer<CChar>?] = unsafe []
            for word in [path, directory, "\(first)", "\(durability)"] { unsafe words.append(strdup(word)) }
            unsafe words.append(nil)
            defer { for place in unsafe words.indices { unsafe free(words[place]) } }
            var started: pid_t = 0
            let code = unsafe posix_spawn(&started, path, &actions, nil, words, environ)
            close(ends[1])
            output = ends[0]
            process = started
            try #require(code == 0, "\(path) does not start: \(code)")
        }

        /// Beside the tests themselves. Where a program of the toolchain runs them, their own path is among its arguments.
        private static func path() throws -> String {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                    if let start = text.baseAddress { unsafe readlink("/proc/self/exe", start, text.count) } else { 0 }
                }
            }
            let paths = [String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)] + CommandLine.arguments
            let besides = paths.map { $0.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") }
            let found = besides.map { $0 + "/StorageCrash" }.first { unsafe access($0, X_OK) == 0 }
            return try #require(found, "StorageCrash is not built")
        }

        /// The next line; nil at the end.
        func line() -> String? {
            while true {
                if let end = rest.firstIndex(of: 0x0a) {
                    defer { rest.removeFirst(end + 1) }
                    return String(decoding: rest[..<end], as: UTF8.self)
                }
                var bytes = [UInt8](repeating: 0, count: 65_536)
                let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(output, $0.baseAddress, $0.count) }
                guard count > 0 else { return nil }
                rest += bytes[..<count]
            }
        }

        func kill() {
            Glibc.kill(process, SIGKILL)
            var status: Int32 = 0
            _ = unsafe waitpid(process, &status, 0)
        }

        deinit { close(output) }
    }

    @Test("what was acknowledged before a kill is there after it, and nothing of a batch is missing", arguments: Durability.allCases)
    func killed(_ durability: Durability) throws {
        let scratch = try Scratch()
        var random = Seeded(seed: durability == .powerLoss ? 1 : 2)
        // Tasks begin at 3, so that the batches of three end at multiples.
        var next: UInt64 = 3
        var acknowledged: UInt64 = 0
        for round in 0..<6 {
            let child = try Child(scratch.path, first: next, durability)
            for _ in 0...Int.random(in: 0...40, using: &random) {
                let line = try #require(child.line())
                acknowledged = try #require(UInt64(line), "\(line)")
            }
            child.kill()
            // What it said between the last line that was read and its death was acknowledged as well.
            while let line = child.line() { acknowledged = try #require(UInt64(line), "\(line)") }

            let rig = try Rig(scratch.location)
            let found = try rig.recover()
            let live = Set(found.live.map(\.createdAt.milliseconds))
            let ended = Set(found.ended.map(\.createdAt.milliseconds))
            let last = Int64(max(live.max() ?? 0, ended.max() ?? 0))
            #expect(last >= Int64(acknowledged / 2), "round \(round): task \(acknowledged / 2) was acknowledged")
            #expect(last % 3 == 2, "round \(round): a batch is whole or not there")
            // Without gaps, and each as its records say.
            let all = Set(3...last)
            #expect(ended == all.filter { $0 % 3 == 0 } && live == all.subtracting(ended), "round \(round)")
            #expect(found.live.allSatisfy { $0.payload.count == 700 } && found.ended.allSatisfy { $0.ending?.content?.count == 700 })
            next = UInt64(last) + 1
            try rig.journal.close()
            var database = try Database(scratch.file)
            #expect(try database.texts("PRAGMA integrity_check") == ["ok"])
        }
    }
}
