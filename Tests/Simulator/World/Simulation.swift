// Simulation: one seed, one run of the whole product, with nobody else in it. How it is built:
//
// - World/ is what stands around the server. `Agenda` is time itself: the run takes off what is due next, and that is all that ever moves.
//   `Machine` is one life of the process: the real `Server` and the real `Archive` and `Journal`, driven in the reactor's order; `Socket`
//   is a connection, cut, late, stalled or dead; `Disk` a real database whose journal works when it is told to; `Fate` and `Weather` are
//   what the seed chose to be hard.
// - Actors/ are the clients: everybody whom the documents know, written from the documents. They do what they like, and write down what
//   they were promised.
// - Checks/ is what they are held to: the `Ledger` knows every promise and finds the one that is broken, however many crashes lie between
//   the two; the `Chronicle` does so for what watchers are told. `Tally` counts what happened, so that a run that sees nothing is seen.
//
// The run has three parts: everybody is busy, and things go wrong; then nothing goes wrong any more, and everything must come to an end;
// then everybody leaves, and nothing may be left.
import Base
import Domain
import Gateway
import Reactor
import Storage

/// Why a run failed.
struct Violation: Error, CustomStringConvertible {
    /// Which check found it.
    let check: String
    let detail: String
    let at: TimeSpan

    var description: String { "[\(check)] at \(at.milliseconds) ms: \(detail)" }
}

final class Simulation {
    static let start = Instant(nanoseconds: 1_000_000_000_000)
    /// 2023-11-14T22:13:20Z
    private static let wallAtStart: Int64 = 1_700_000_000_000

    let seed: UInt64
    private(set) var now = Simulation.start
    var chance: Chance
    let fate: Fate
    let disk = Disk()
    var trace: Trace
    var tally = Tally()
    private(set) lazy var ledger = Ledger(self)
    private(set) lazy var chronicle = Chronicle(self)
    private(set) lazy var bulletins = Bulletins(self)
    private(set) var machine: Machine?
    private(set) var violation: Violation?
    private(set) var cast: Cast?
    private var agenda = Agenda()
    private let bell: Doorbell
    private(set) var life = 0
    private var isStarting = false
    private var isStopping = false
    private var wallStep: Int64 = 0
    private var lastSocket = 0
    private var lastNonce = 0

    init(seed: UInt64, isTraced: Bool = false) throws {
        self.seed = seed
        var chance = Chance(seed: seed)
        fate = Fate(&chance)
        self.chance = chance
        trace = Trace(isRead: isTraced)
        bell = try Doorbell()
    }

    /// - Returns: what was found to be wrong; nil for nothing.
    func run() -> Violation? {
        tally[.runs] += 1
        begin()
        let weather = Weather(self)
        let cast = Cast(self)
        self.cast = cast
        weather.begin()
        cast.enter()
        pass(fate.length)
        weather.end()
        trace.note(now, "*") { "nothing goes wrong any more" }
        cast.finish()
        for _ in 0..<60 where violation == nil && !cast.isDone { pass(.seconds(5)) }
        if violation == nil, !cast.isDone { fail("liveness", "not done in five minutes: \(cast.unfinished)") }
        if violation == nil { cast.audit() }
        pass(.seconds(10))
        if violation == nil {
            ledger.close()
            chronicle.close(disk.events())
            bulletins.close()
        }
        cast.leave()
        // Sessions by polling have no connection that would tell of their end.
        pass(.seconds(10) + fate.settings.limits.socketPingInterval + fate.settings.limits.socketPingTimeout)
        checkRemains()
        // Promises are read again by one more process.
        agenda.removeAll()
        machine = nil
        return violation
    }

    /// Lets time pass.
    private func pass(_ span: TimeSpan) {
        let end = now + span
        while violation == nil, let due = agenda.nextDue, due <= end {
            now = max(now, due)
            agenda.takeFirst(dueBy: now)?()
        }
        now = end
    }

    func fail(_ check: String, _ detail: String) {
        trace.note(now, "!") { "[\(check)] \(detail)" }
        if violation == nil { violation = Violation(check: check, detail: detail, at: now - Simulation.start) }
    }

    // MARK: Time

    var wall: WallTime {
        WallTime(milliseconds: Simulation.wallAtStart + wallStep + (now - Simulation.start).milliseconds)
    }

    func stepWall(_ milliseconds: Int) {
        wallStep += Int64(milliseconds)
        tally[.clockSteps] += 1
    }

    func at(_ due: Instant, _ body: @escaping () -> Void) { agenda.add(at: due, body) }
    func after(_ span: TimeSpan, _ body: @escaping () -> Void) { agenda.add(at: now + span, body) }

    // MARK: What everybody knows

    /// A number for a task that nobody else has.
    func nextNonce() -> Int {
        lastNonce += 1
        return lastNonce
    }

    /// Tasks that one may watch, the newest last.
    private(set) var notices: [String] = []
    private var published: Set<String> = []

    func published(_ id: String) { if published.insert(id).inserted { notices.append(id) } }
    func isPublished(_ id: String) -> Bool { published.contains(id) }

    // MARK: The process

    private func begin() {
        guard machine == nil, !isStarting else { return }
        isStarting = true
        do throws(StorageError) {
            machine = try Machine(self, life: life + 1, bell: bell)
            life += 1
            isStarting = false
            trace.note(now, "*") { "life \(self.life) begins" }
        } catch {
            // Somebody else holds the database, and whoever starts the server starts it again.
            trace.note(now, "*") { "no start: \(error)" }
            tally[.failedStarts] += 1
            after(.milliseconds(500)) { [self] in
                isStarting = false
                begin()
            }
        }
    }

    /// The process is killed: all that it knew is gone, but for what is committed.
    func crash() {
        guard let machine else { return }
        tally[.crashes] += 1
        machine.die()
        self.machine = nil
        isStopping = false
        after(chance.span(1...1_500)) { [self] in begin() }
    }

    /// The process is asked to stop, and another one begins when it has.
    func restart() {
        guard let machine, !isStopping else { return }
        tally[.restarts] += 1
        isStopping = true
        machine.stop()
    }

    /// A turn has ended.
    func turned() {
        guard let machine, isStopping, machine.server.isOver else { return }
        isStopping = false
        let isWritten = machine.close()
        if !isWritten, !disk.isHeld { fail("durability", "a stop in order leaves something unwritten") }
        if !isWritten { tally[.unwrittenStops] += 1 }
        self.machine = nil
        after(chance.span(1...1_000)) { [self] in begin() }
    }

    // MARK: The network

    func connect(_ guest: any Guest) -> Socket {
        lastSocket += 1
        let socket = Socket(self, number: lastSocket, guest: guest)
        tally[.connections] += 1
        after(fate.latency(&chance)) { [self] in
            guard let machine, machine.isListening, socket.isOpen else { return socket.answered(false) }
            machine.accept(socket)
            socket.answered(true)
        }
        return socket
    }

    /// A connection goes dead. The client finds out in its own time.
    func silence(_ socket: Socket) {
        tally[.silences] += 1
        socket.silence()
        after(chance.span(500...15_000)) { socket.perish() }
    }

    // MARK: What the machine is like

    func vitals() -> ResourceSample {
        let usage = Double(chance.number(10...95))
        return ResourceSample(
            processor: ResourceSample.Processor(usage: usage, cores: 8, frequency: 3_200),
            memory: ResourceSample.Space(total: 1 << 34, available: UInt64((100 - usage) / 100 * Double(1 << 34))),
            disk: ResourceSample.Space(total: 1 << 40, available: 1 << 39), gpus: nil,
            network: ResourceSample.Network(bytesSent: 1, bytesReceived: 2, packetsSent: 3, packetsReceived: 4))
    }

    // MARK: The end

    /// Everybody has left: what does the server still hold?
    private func checkRemains() {
        guard violation == nil else { return }
        guard let machine else { return fail("liveness", "no server at the end") }
        if let remains = Remains.of(machine.server, machine.outbox) { fail("remains", remains) }
    }
}
