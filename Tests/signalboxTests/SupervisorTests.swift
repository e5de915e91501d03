// Goal: whoever started the process hears what the protocol has for it, in its words and at its pace.
import Base
import CLinux
import Glibc
import Testing

@testable import signalbox

struct SupervisorTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    /// Where datagrams come.
    private final class Ear {
        let folder: Folder
        let raw: Int32
        var path: String { folder.path + "/notify" }

        init() throws {
            folder = try Folder()
            raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var form = sockaddr_un()
            form.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8) + [0]
            unsafe withUnsafeMutableBytes(of: &form.sun_path) { unsafe $0.copyBytes(from: bytes) }
            let raw = raw
            let result = unsafe withUnsafePointer(to: &form) { form in
                unsafe form.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(raw, $0, socklen_t(2 + bytes.count)) }
            }
            try #require(result == 0)
        }

        deinit { close(raw) }

        func heard() -> [String] {
            var all: [String] = []
            var bytes = [UInt8](repeating: 0, count: 4_096)
            while true {
                let count = unsafe recv(raw, &bytes, bytes.count, 0)
                guard count >= 0 else { return all }
                all.append(String(decoding: bytes.prefix(count), as: UTF8.self))
            }
        }
    }

    private func made(_ environment: [String: String]) -> Supervisor? {
        Supervisor(environment: { environment[$0] }, process: 77, at: start)
    }

    @Test("the words of the protocol")
    func words() throws {
        let ear = try Ear()
        let supervisor = try #require(made(["NOTIFY_SOCKET": ear.path]))
        supervisor.ready("Serving")
        supervisor.reloading(at: start)
        supervisor.ready("Serving")
        supervisor.stopping("Draining")
        #expect(
            ear.heard() == [
                "READY=1\nSTATUS=Serving\n", "RELOADING=1\nMONOTONIC_USEC=5000000\n", "READY=1\nSTATUS=Serving\n",
                "STOPPING=1\nSTATUS=Draining\n",
            ])
    }

    @Test("how it is, only where that is news, and no more than once a second")
    func status() throws {
        let ear = try Ear()
        let supervisor = try #require(made(["NOTIFY_SOCKET": ear.path]))
        supervisor.ready("a")
        supervisor.tell("a", at: start)
        supervisor.tell("b", at: start)
        supervisor.tell("c", at: start + .milliseconds(999))
        supervisor.tell("d", at: start + .seconds(1))
        #expect(ear.heard() == ["READY=1\nSTATUS=a\n", "STATUS=b\n", "STATUS=d\n"])
    }

    @Test("twice in its time the watchdog hears that the loop turns")
    func watchdog() throws {
        let ear = try Ear()
        let supervisor = try #require(made(["NOTIFY_SOCKET": ear.path, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "77"]))
        #expect(supervisor.nextBeat == start)
        supervisor.beat(at: start)
        supervisor.beat(at: start + .milliseconds(1_499))
        #expect(ear.heard() == ["WATCHDOG=1\n"] && supervisor.nextBeat == start + .milliseconds(1_500))
        supervisor.beat(at: start + .milliseconds(1_600))
        #expect(ear.heard() == ["WATCHDOG=1\n"] && supervisor.nextBeat == start + .milliseconds(3_100))
    }

    @Test(
        "a watchdog that is another's, or makes no sense, hears nothing",
        arguments: [
            [:], ["WATCHDOG_USEC": "1000", "WATCHDOG_PID": "78"], ["WATCHDOG_USEC": "0"], ["WATCHDOG_USEC": "-5"],
            ["WATCHDOG_USEC": "soon"],
        ] as [[String: String]])
    func noWatchdog(_ environment: [String: String]) throws {
        #expect(Supervisor.interval({ environment[$0] }, process: 77) == nil)
        let ear = try Ear()
        let supervisor = try #require(made(environment.merging(["NOTIFY_SOCKET": ear.path]) { first, _ in first }))
        supervisor.beat(at: start)
        #expect(ear.heard() == [] && supervisor.nextBeat == nil)
    }

    @Test("where nobody wants to hear there is nobody to be told", arguments: [nil, "", "relative/path"])
    func nobody(_ name: String?) {
        #expect(made(name.map { ["NOTIFY_SOCKET": $0] } ?? [:]) == nil)
    }

    @Test("a watchdog that nobody named is for whoever reads it")
    func anybody() {
        #expect(Supervisor.interval({ ["WATCHDOG_USEC": "2000000"][$0] }, process: 77) == .seconds(1))
    }
}
