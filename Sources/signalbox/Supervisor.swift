// Supervisor: whoever started the process and wants to hear how it is: systemd's notify protocol (sd_notify(3)), as lines in datagrams.
// Knows no socket's details, and not when what is to be told. Nothing depends on it: where nobody wants to hear, nothing is said.
import Base
import Glibc
import Reactor

final class Supervisor {
    private let socket: NotificationSocket
    /// How often it must hear that the loop turns; nil where it does not ask.
    private let interval: TimeSpan?
    private(set) var nextBeat: Instant?
    private var status = ""
    private var saidAt = Instant(nanoseconds: 0)

    /// Variables that speak of this process alone, and are none of its children's.
    static let variables = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]

    /// - Returns: nil where nobody wants to hear, or where it cannot be told.
    init?(environment: (String) -> String?, process: Int32, at now: Instant) {
        guard let name = environment("NOTIFY_SOCKET"), let socket = try? NotificationSocket(name) else { return nil }
        self.socket = socket
        interval = Supervisor.interval(environment, process: process)
        nextBeat = interval.map { _ in now }
    }

    /// sd_watchdog_enabled(3): the time is for the process that is named, or for whoever reads it; half of it is the pace.
    static func interval(_ environment: (String) -> String?, process: Int32) -> TimeSpan? {
        if let named = environment("WATCHDOG_PID"), Int32(named) != process { return nil }
        guard let microseconds = environment("WATCHDOG_USEC").flatMap({ Int64($0) }), microseconds > 0 else { return nil }
        return .microseconds(max(microseconds / 2, 1_000))
    }

    // MARK: What is told

    /// It serves, from the first or again.
    func ready(_ status: String) {
        self.status = status
        socket.send("READY=1\nSTATUS=\(status)\n")
    }

    /// It reads anew what it was told; ``ready(_:)`` follows.
    func reloading(at now: Instant) {
        socket.send("RELOADING=1\nMONOTONIC_USEC=\(now.nanoseconds / 1_000)\n")
    }

    /// It has begun to stop.
    func stopping(_ status: String) {
        self.status = status
        socket.send("STOPPING=1\nSTATUS=\(status)\n")
    }

    /// How it is, in words; told once a second at most, and only if it is news.
    func tell(_ words: String, at now: Instant) {
        guard words != status, now - saidAt >= .seconds(1) else { return }
        status = words
        saidAt = now
        socket.send("STATUS=\(words)\n")
    }

    /// The loop turns.
    func beat(at now: Instant) {
        guard let interval, let due = nextBeat, due <= now else { return }
        socket.send("WATCHDOG=1\n")
        nextBeat = now + interval
    }
}
