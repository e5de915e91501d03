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

    private let loop: EventLoop
    private let mailbox: Mailbox<News>
    private let vitals: ResourceProbe
    /// The server asks for one look at a time; the last may have been told a moment before its thread was done.
    private let sampling = WorkPool(width: 1, waitingMax: 1)
    private let resolving: WorkPool
    private var errands: [Errand] = []
    private var news: [News] = []

    init(_ configuration: Configuration, loop: EventLoop) {
        self.loop = loop
        mailbox = Mailbox(doorbell: loop.doorbell)
        // The disk that matters is the one that the data is on.
        var sources = ResourceProbe.Sources(diskPath: configuration.data == Configuration.noData ? "." : configuration.data)
        sources.nvmlLibrary = configuration.nvmlLibrary
        vitals = ResourceProbe(sources)
        resolving = WorkPool(width: Courier.lookUpsMax, waitingMax: configuration.settings.limits.probesMax)
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
    }

    private func resolve(_ probe: HealthProbe, for server: Server, at now: Instant) {
        do throws(Resolver.Refusal) {
            if let address = try Resolver.literal(probe.host, port: probe.port) {
                return connect(probe, to: address, for: server, at: now)
            }
            let mailbox = mailbox
            let isAsked = resolving.run {
                do throws(Resolver.Refusal) {
                    mailbox.post(.found(probe, try Resolver.lookUp(probe.host, port: probe.port)))
                } catch {
                    mailbox.post(.lost(probe, error))
                }
            }
            if !isAsked { throw Resolver.Refusal(reason: "too many hosts are looked up") }
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

    // MARK: Home

    /// Tells the server what came of its errands.
    func deliver(to server: Server, at now: Instant) {
        mailbox.drain(into: &news)
        for piece in news {
            switch piece {
            case .sampled(let sample): server.sampled(sample, at: now)
            case .found(let probe, let address): connect(probe, to: address, for: server, at: now)
            case .lost(let probe, let refusal): server.notConnected(probe, reason: SharedBytes(refusal.reason), at: now)
            }
        }
        news.removeAll(keepingCapacity: true)
    }
}
