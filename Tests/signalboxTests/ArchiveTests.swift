// ArchiveTests: what a process tells in its first moments, before anything that it does is written, no later one tells as something else.
import Base
import Domain
import Gateway
import Glibc
import Reactor
import Storage
import Testing

@testable import signalbox

/// A journal's line of work that gets nothing done by itself, as in the moments before a process is killed.
private final class Standstill: JournalQueue {
    func add(_ work: @escaping @Sendable () -> Void) {}
    func wait(_ work: @Sendable () -> Void) { work() }
}

/// One that does everything at once.
private final class Haste: JournalQueue {
    func add(_ work: @escaping @Sendable () -> Void) { work() }
    func wait(_ work: @Sendable () -> Void) { work() }
}

/// One life of a server, as far as its archive knows.
private final class Life {
    private static let now = Instant(nanoseconds: 1_000_000_000_000)
    private static let wall = WallTime(milliseconds: 1_700_000_000_000)
    private let outbox = Outbox()
    private let server: Server
    private let archive: Archive

    init(_ path: String, on queue: any JournalQueue) throws {
        let log = Log(level: .error, format: .text) { _ in }
        server = Server(settings: Settings(), outbox: outbox, log: log, random: Randomness(seed: 1))
        archive = try Archive(
            .directory(path), StorageSettings(), memory: .seconds(600), on: queue, doorbell: try Doorbell(), log: log, at: Life.now)
        server.observe(Life.wall, at: Life.now)
        try archive.restore(server, resultTTL: .seconds(300), endedBytesMax: 1 << 20, at: Life.now, wall: Life.wall)
    }

    /// - Returns: what the request is answered, as far as that is to be said already.
    @discardableResult
    func ask(_ request: String, _ body: String = "") -> String {
        let id = ConnectionID(slot: 1, generation: 1)
        outbox.open(id)
        server.opened(id, from: .v4(0x7f00_0001, port: 1), at: Life.now)
        let fields = "Host: a\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        var bytes = Array("\(request) HTTP/1.1\r\n\(fields)\(body)".utf8)
        var span = bytes.mutableSpan
        server.received(id, &span, at: Life.now)
        archive.collect(from: server, at: Life.now)
        archive.deliver(to: server, at: Life.now)
        var slices = unsafe [iovec](repeating: iovec(), count: 16)
        let answer = unsafe slices.withUnsafeMutableBufferPointer { slices in
            let count = unsafe outbox.gather(id, into: slices, bytesMax: .max)
            return unsafe slices[..<count].map {
                unsafe String(decoding: UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len), as: UTF8.self)
            }.joined()
        }
        outbox.close(id)
        server.closed(id, .peerEnded, at: Life.now)
        return answer
    }

    /// The number of the task's last event, as everybody is told it.
    func sequence(of task: String) -> Int? {
        ask("GET /api/task/task/\(task)/status").firstMatch(of: /"seq":(\d+)/).flatMap { Int($0.1) }
    }
}

@Suite("The archive")
struct ArchiveTests {
    @Test("a process that is killed before anything of it is written leaves its numbers to nobody")
    func numbers() throws {
        var template = Array("/tmp/signalbox-tests-\(String(repeating: "X", count: 6))".utf8CString)
        _ = unsafe mkdtemp(&template)
        let path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["signalbox.db", "signalbox.db-wal", "signalbox.db-shm", "signalbox.lock"] { _ = unsafe unlink(path + "/" + name) }
            _ = unsafe rmdir(path)
        }
        do {
            let life = try Life(path, on: Haste())
            #expect(life.ask("POST /api/task/register", #"{"task_id":"t","user_id":1}"#).contains(#""seq":1"#))
        }
        var told = 1
        for _ in 0..<3 {
            let life = try Life(path, on: Standstill())
            #expect(life.ask("POST /api/task/task/t/progress", #"{"progress":1}"#) == "")
            let sequence = try #require(life.sequence(of: "t"))
            #expect(sequence > told)
            told = sequence
        }
    }
}
