// Courier: runs the machine's errands: looks at the machine's counters, finds where deployments are, connects to them, and brings home
// what came of it by a mailbox. Decides nothing.
//
// What may block has threads of its own: a name server that does not answer, or a GPU driver that hangs, holds up nobody else.
import Base
import Domain
import Gateway
import Reactor
import Vitals

final class Courier {
    /// What comes home from other threads.
    private enum News: Sendable {
        case sampled(ResourceSample)
        case found(HealthProbe, SocketAddress)
        case lost(HealthProbe, Resolver.Refusal)
    }

    /// Names that are looked up at a time.
    private static let lookUpsMax = 4
    /// Beyond it a look at the machine is complained of.
    private static let samplePatience = TimeSpan.seconds(10)

    private let loop: EventLoop
    private let log: Log
    private let mailbox: Mailbox<News>
    private let vitals: ResourceProbe
    /// The server asks for one look at a time; the last may have been told a moment before its thread was done.
    private let sampling = WorkPool(width: 1, waitingMax: 1)
    private let resolving: WorkPool
    private var watch = SampleWatch(patience: Courier.samplePatience)
    private var lookUps: LookUps
    private var errands: [Errand] = []
    private var news: [News] = []

    init(_ configuration: Configuration, loop: EventLoop, log: Log) {
        self.loop = loop
        self.log = log
        mailbox = Mailbox(doorbell: loop.doorbell)
        // The disk that matters is the one that the data is on.
        var sources = ResourceProbe.Sources(diskPath: configuration.data == Configuration.noData ? "." : configuration.data)
        sources.nvmlLibrary = configuration.nvmlLibrary
        vitals = ResourceProbe(sources)
        resolving = WorkPool(width: Courier.lookUpsMax, waitingMax: configuration.settings.limits.probesMax)
        lookUps = LookUps(patience: configuration.settings.limits.probeTimeout)
    }

    // MARK: Out

    /// Sets out for whatever the server wants, until it wants nothing more: an errand that ends at once may lead to another.
    func collect(from server: Server, at now: Instant) {
        while true {
            server.takeErrands(into: &errands)
            guard !errands.isEmpty else { return }
            for errand in errands {
                switch errand {
                case .sample: sample(at: now)
                case .connect(let probe): resolve(probe, for: server, at: now)
                }
            }
        }
    }

    private func sample(at now: Instant) {
        let (vitals, mailbox) = (vitals, mailbox)
        let isAsked = sampling.run { mailbox.post(.sampled(vitals.sample(at: now))) }
        precondition(isAsked, "the machine is looked at once at a time")
        watch.began(at: now)
    }

    private func resolve(_ probe: HealthProbe, for server: Server, at now: Instant) {
        do throws(Resolver.Refusal) {
            if let address = try Resolver.literal(probe.host, port: probe.port) {
                return connect(probe, to: address, for: server, at: now)
            }
            let mailbox = mailbox
            let deadline = lookUps.began(probe, at: now)
            let isAsked = resolving.run {
                do throws(Resolver.Refusal) {
                    // Nobody waits any more: those behind it are not to wait for it either.
                    if SystemClock.now() >= deadline { throw Resolver.Refusal(reason: Courier.slowness) }
                    mailbox.post(.found(probe, try Resolver.lookUp(probe.host, port: probe.port)))
                } catch {
                    mailbox.post(.lost(probe, error))
                }
            }
            if isAsked { return }
            _ = lookUps.ended(probe)
            throw Resolver.Refusal(reason: "too many hosts are looked up")
        } catch {
            server.notConnected(probe, reason: SharedBytes(error.reason), at: now)
        }
    }

    private func connect(_ probe: HealthProbe, to address: SocketAddress, for server: Server, at now: Instant) {
        do throws(Errno) {
            server.connected(try loop.connect(to: address), for: probe, at: now)
        } catch {
            server.notConnected(probe, reason: SharedBytes(error.description), at: now)
        }
    }

    private static let slowness = "name lookups take too long"

    // MARK: Time

    /// When to call ``timersDue(for:at:)`` next.
    var nextDeadline: Instant? {
        guard let deadline = watch.nextDeadline else { return lookUps.nextDeadline }
        return lookUps.nextDeadline.map { min($0, deadline) } ?? deadline
    }

    /// Complains of a machine that cannot be looked at, and gives up names that nobody tells in time.
    func timersDue(for server: Server, at now: Instant) {
        if watch.isNewlyOverdue(at: now) { log.warning("resource sample hangs", ("milliseconds", Courier.samplePatience)) }
        while let probe = lookUps.giveUp(at: now) { server.notConnected(probe, reason: SharedBytes(Courier.slowness), at: now) }
    }

    // MARK: Home

    /// Tells the server what came of its errands.
    func deliver(to server: Server, at now: Instant) {
        mailbox.drain(into: &news)
        for piece in news {
            switch piece {
            case .sampled(let sample):
                if let span = watch.ended(at: now) { log.info("resource sample came", ("milliseconds", span)) }
                server.sampled(sample, at: now)
            case .found(let probe, let address):
                if lookUps.ended(probe) { connect(probe, to: address, for: server, at: now) }
            case .lost(let probe, let refusal):
                if lookUps.ended(probe) { server.notConnected(probe, reason: SharedBytes(refusal.reason), at: now) }
            }
        }
        news.removeAll(keepingCapacity: true)
    }
}
