// TakeoverDoor: where another process of the same user knocks that is to take over (option --takeover): it is given the listening sockets,
// and told when the data is free. One at a time. Decides what is said, and when somebody has taken too long; what the server does then is
// the host's.
import Base
import Reactor

final class TakeoverDoor {
    /// What the host is to do.
    enum Turn {
        case none
        /// The other process has all it needs: give way.
        case giveWay
        /// The other process is gone before it had the data: serve on.
        case serveOn
    }

    private enum Phase {
        case waiting
        /// Somebody has knocked, and has that long to say why.
        case greeting(PassingSocket, until: Instant)
        /// It has the sockets, and that long to make up its mind.
        case offered(PassingSocket, until: Instant)
        /// It waits for the data.
        case awaited(PassingSocket)
        /// It has everything. The connection stays open: its end tells that this process has ended.
        case done(PassingSocket)
    }

    /// Time for a word that costs the other process no work, and for one that costs it some.
    private static let greetingTimeout = TimeSpan.seconds(5)
    private static let decisionTimeout = TimeSpan.seconds(60)
    /// Knocks that one turn answers.
    private static let knocksMax = 16

    /// Nil once nobody may knock here any more.
    private var socket: PassingSocket?
    private let loop: EventLoop
    private let log: Log
    private let version: String
    private var phase = Phase.waiting
    /// As the listeners were asked for, by where they are.
    private let wanted: [SocketAddress: String]

    init(_ socket: PassingSocket, loop: EventLoop, version: String, wanted: [SocketAddress: String], log: Log) throws(Errno) {
        self.socket = socket
        self.loop = loop
        self.version = version
        self.wanted = wanted
        self.log = log
        try loop.attend(socket.raw)
    }

    /// Whether the descriptor is one of the door's, and what it leads to.
    func attended(_ raw: Int32, isServing: Bool, at now: Instant) -> Turn {
        if let socket, raw == socket.raw {
            admit(at: socket, isServing: isServing, at: now)
            return .none
        }
        switch phase {
        case .waiting: return .none
        case .greeting(let peer, _): return raw == peer.raw ? greeted(peer, at: now) : .none
        case .offered(let peer, _): return raw == peer.raw ? decided(peer) : .none
        case .awaited(let peer), .done(let peer): return raw == peer.raw ? waited(peer) : .none
        }
    }

    // MARK: Words

    private func admit(at socket: PassingSocket, isServing: Bool, at now: Instant) {
        for _ in 0..<TakeoverDoor.knocksMax {
            guard let peer = socket.accept() else { return }
            guard peer.isOfOurUser else {
                log.warning("takeover refused", ("reason", "the process is another user's" as StaticString))
                continue
            }
            guard case .waiting = phase, isServing else {
                _ = peer.send(TakeoverWords.refused(isServing ? "another process is taking over" : "the server is stopping").text)
                continue
            }
            do throws(Errno) {
                try loop.attend(peer.raw)
                phase = .greeting(peer, until: now + TakeoverDoor.greetingTimeout)
            } catch {
                log.warning("takeover refused", ("reason", error.description))
            }
        }
    }

    private func greeted(_ peer: PassingSocket, at now: Instant) -> Turn {
        let (words, descriptors) = receive(from: peer)
        descriptors.forEach(PassingSocket.close)
        guard case .said(.hello(let other)) = words else {
            if words == .silence { return .none }
            if words == .nonsense { _ = peer.send(TakeoverWords.refused("what was said is not understood").text) }
            return dismiss(peer, "what was said is not understood")
        }
        let listeners = loop.openListeners
        guard let socket, listeners.count < PassingSocket.descriptorsMax else {
            return refuse(peer, "there are too many listening sockets")
        }
        let offer = TakeoverWords.offer(
            version: version,
            listeners.map { TakeoverWords.Offered(wanted: wanted[$0.address] ?? $0.address.description, ownsFile: $0.ownsFile) })
        guard offer.text.utf8.count <= PassingSocket.messageBytesMax, peer.send(offer.text, [socket.raw] + listeners.map(\.raw)) else {
            return dismiss(peer, "the listening sockets could not be passed on")
        }
        log.info("another process would take over", ("version", other))
        phase = .offered(peer, until: now + TakeoverDoor.decisionTimeout)
        return .none
    }

    private func decided(_ peer: PassingSocket) -> Turn {
        let (words, descriptors) = receive(from: peer)
        descriptors.forEach(PassingSocket.close)
        switch words {
        case .silence: return .none
        case .said(.go):
            phase = .awaited(peer)
            return .giveWay
        case .said, .nonsense, .end: return dismiss(peer, "the other process has thought better of it")
        }
    }

    private func waited(_ peer: PassingSocket) -> Turn {
        let (words, descriptors) = receive(from: peer)
        descriptors.forEach(PassingSocket.close)
        guard words != .silence else { return .none }
        if case .done = phase {
            loop.dismiss(peer.raw)
            return .none
        }
        _ = dismiss(peer, "the other process is gone")
        return .serveOn
    }

    private enum Heard: Equatable {
        case said(TakeoverWords)
        case nonsense
        case silence
        case end
    }

    private func receive(from peer: PassingSocket) -> (words: Heard, descriptors: [Int32]) {
        switch peer.receive() {
        case .message(let text, let descriptors): (TakeoverWords(text).map { .said($0) } ?? .nonsense, descriptors)
        case .nothing: (.silence, [])
        case .ended: (.end, [])
        case .failed: (.nonsense, [])
        }
    }

    private func refuse(_ peer: PassingSocket, _ reason: String) -> Turn {
        _ = peer.send(TakeoverWords.refused(reason).text)
        return dismiss(peer, reason)
    }

    private func dismiss(_ peer: PassingSocket, _ reason: String) -> Turn {
        loop.dismiss(peer.raw)
        phase = .waiting
        log.warning("no takeover", ("reason", reason))
        return .none
    }

    // MARK: What the host says

    /// The data is free.
    ///
    /// - Returns: whether the other process has been told; if not, it finds out when this one ends.
    func sayYours() -> Bool {
        guard case .awaited(let peer) = phase else { return false }
        phase = .done(peer)
        socket?.leaveFile()
        shut()
        return peer.send(TakeoverWords.yours.text)
    }

    /// This process serves on.
    func refuse(_ reason: String) {
        guard case .awaited(let peer) = phase else { return }
        _ = refuse(peer, reason)
    }

    /// The server stops by itself: nobody is let in any more. Whoever has the sockets already, finds out when this process ends.
    func close() {
        shut()
        switch phase {
        case .waiting: break
        case .greeting(let peer, _): _ = refuse(peer, "the server is stopping")
        case .offered(let peer, _), .awaited(let peer):
            loop.dismiss(peer.raw)
            phase = .done(peer)
        case .done: break
        }
    }

    private func shut() {
        if let socket { loop.dismiss(socket.raw) }
        socket = nil
    }

    // MARK: Time

    var nextDeadline: Instant? {
        switch phase {
        case .waiting, .awaited, .done: nil
        case .greeting(_, let until), .offered(_, let until): until
        }
    }

    func timersDue(at now: Instant) {
        switch phase {
        case .waiting, .awaited, .done: break
        case .greeting(let peer, let until), .offered(let peer, let until):
            if until <= now { _ = refuse(peer, "that took too long") }
        }
    }
}
