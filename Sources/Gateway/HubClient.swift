// HubClient: one socket of document P's hub: what its client said of itself in the handshake, which session it is, and how far it was
// told. Decides nothing: HubService does.
internal import Base
internal import Dialects
internal import Domain
internal import HTTP1

/// What a client of the hub says of itself in its handshake.
struct HubRequest {
    /// Nil where it does not say.
    var user: SharedBytes?
    var project: SharedBytes?
    /// What it was called before its last socket ended.
    var formerly: ClientID?
    /// The last numbers that it has seen: they go before what the server believes to have told.
    var seen: [TaskID: UInt64]
    /// Whether several messages may stand in one frame, a line each.
    var isBatched: Bool
    /// What it calls itself.
    var agent: SharedBytes

    /// The value of `batch` that asks for it.
    static let batchedWord = SharedBytes("ndjson")
    /// What the document calls a user who gives no name.
    static let nobody = SharedBytes("anonymous")

    /// Whose session it is.
    var owner: SharedBytes { user ?? HubRequest.nobody }

    /// Reads `last_seq`: `TASK:NUMBER`, or several of them with commas between, or nothing.
    ///
    /// - Returns: nil where it is something else.
    static func positions(_ text: Span<UInt8>) -> [TaskID: UInt64]? {
        var positions: [TaskID: UInt64] = [:]
        var start = 0
        while start <= text.count, !text.isEmpty {
            var end = start
            var colon: Int?
            while end < text.count, text[end] != UInt8(ascii: ",") {
                if text[end] == UInt8(ascii: ":") { colon = end }
                end += 1
            }
            guard let colon, let id = TaskID(text.extracting(start..<colon)),
                let number = EventStreamDialect.position(text.extracting(colon + 1..<end))
            else { return nil }
            positions[id] = number
            start = end + 1
        }
        return positions
    }
}

/// One socket of the hub.
final class HubClient {
    /// What it was given when it began to listen to a task.
    struct Picture {
        /// The publication that came next: before it there is nothing to be told.
        let number: UInt64
        /// The last number of the stream that was in it.
        let sequence: UInt64
        /// Where the client was before; nil where it has to be given a picture anew.
        let before: UInt64?
    }

    enum Phase {
        /// It is not greeted yet: it may wait for the journal.
        case arriving
        case listening(Session)
        /// Its socket is closing: it is told no more, and was told so far when the hub's last publication had this number.
        case leaving(Session, [StreamPosition], UInt64)
        case gone
    }

    /// What is known of it until it is greeted, and not needed after that.
    final class Arrival {
        let request: HubRequest
        let peer: PeerAddress

        init(_ request: HubRequest, from peer: PeerAddress) {
            self.request = request
            self.peer = peer
        }
    }

    /// Nil once it is greeted.
    private(set) var arrival: Arrival?
    var request: HubRequest? { arrival?.request }
    /// Whether several messages may stand in one frame, a line each.
    let isBatched: Bool
    var phase = Phase.arriving
    /// Tasks that it named and that are not for it: it hears nothing of them, as of a task that is not there.
    var deaf: Set<TaskID> = []
    /// Few: they are searched.
    private var pictures: [(task: TaskID, picture: Picture)] = []
    /// The session that it came back as: it may do so again, until it comes with its new name.
    var predecessor: ClientID?
    /// When its last sign of life was written down.
    var touchedAt = Instant(nanoseconds: .min)

    init(_ request: HubRequest, from peer: PeerAddress) {
        arrival = Arrival(request, from: peer)
        isBatched = request.isBatched
    }

    /// It has been told who it is.
    func greeted() { arrival = nil }

    func picture(of task: TaskID) -> Picture? { pictures.first { $0.task == task }?.picture }

    /// - Parameter picture: nil where it listens no more.
    func set(_ picture: Picture?, of task: TaskID) {
        pictures.removeAll { $0.task == task }
        if let picture { pictures.append((task, picture)) }
        if pictures.isEmpty { pictures = [] }
    }

    /// Nil before the greeting and after the end.
    var session: Session? {
        switch phase {
        case .listening(let session), .leaving(let session, _, _): session
        case .arriving, .gone: nil
        }
    }

    /// Whether it is told what happens.
    var isListening: Bool {
        if case .listening = phase { true } else { false }
    }

    /// Its socket is closing: from now on it is told nothing, and how far it was told is kept.
    func leave(_ broker: Broker) {
        guard case .listening(let session) = phase else { return }
        let positions = broker.hub.positions(of: session.subscriber).map { task, sequence in
            guard let record = broker.task(task) else { return StreamPosition(task: task, epoch: 0, sequence: 0) }
            return StreamPosition(
                task: task, epoch: record.stream.origin.epoch, sequence: sequence,
                isOver: record.state.isTerminal && sequence == record.sequence)
        }
        broker.hub.leave(session.subscriber)
        phase = .leaving(session, positions, broker.hub.number)
    }

    /// Of what it was to be told of a task only so much was on its way when its socket closed.
    func rewind(_ id: TaskID, to sequence: UInt64) {
        guard case .leaving(let session, var positions, let number) = phase,
            let index = positions.firstIndex(where: { $0.task == id })
        else { return }
        positions[index] = StreamPosition(task: id, epoch: positions[index].epoch, sequence: sequence)
        phase = .leaving(session, positions, number)
    }
}
