// ChildProcessTests: a command's input, output, words and end; with real processes, and waits that have a bound.
import Base
import Glibc
import Testing

@testable import Reactor

struct ChildProcessTests {
    /// Waits until a descriptor has something to say, ten seconds at most.
    private func awaitInput(_ raw: Int32) {
        var watched = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&watched, 1, 10_000)
    }

    /// Everything that comes of a descriptor until its end.
    private func all(_ raw: Int32) -> String {
        var queue = ByteQueue()
        while true {
            awaitInput(raw)
            switch ChildProcess.read(raw, into: &queue) {
            case .some: continue
            case .nothing: return "nothing came in time"
            case .ended: return SharedBytes(copying: queue.span).description
            }
        }
    }

    /// Its pipes have ended, so its end is near.
    private func end(of process: ChildProcess) -> ChildProcess.End? {
        for _ in 0..<1_000 {
            if let end = process.takeEnd() { return end }
            _ = poll(nil, 0, 10)
        }
        return nil
    }

    private func start(_ command: String..., input: SharedBytes = .empty) throws -> ChildProcess {
        try ChildProcess(command, input: input, environment: ["PATH=/usr/bin:/bin", "NAME=value"])
    }

    @Test("input goes in whole, however much it is, and output and words come apart")
    func streams() throws {
        let text = String(repeating: "0123456789", count: 100_000)
        let process = try start("sh", "-c", "cat; echo $NAME >&2; exit 3", input: SharedBytes(text))
        #expect(all(process.output) == text)
        #expect(all(process.words) == "value\n")
        #expect(end(of: process) == .exited(3))
    }

    @Test("a signal reaches all that it started")
    func signals() throws {
        let process = try start("sh", "-c", "sleep 600 & echo on; wait")
        awaitInput(process.output)
        #expect(process.takeEnd() == nil)
        process.signal(SIGTERM)
        #expect(all(process.output) == "on\n", "the pipe's last writer is gone")
        #expect(end(of: process) == .killed(signal: SIGTERM))
    }

    @Test("what cannot be run is said at once")
    func missing() {
        #expect(throws: Errno(ENOENT, in: "posix_spawnp")) { try start("/no/such/program") }
    }
}
