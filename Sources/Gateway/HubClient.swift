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
    /// What is known of it until it has a session, and not needed after its greeting.
    final class Arrival {
        let request: HubRequest
        let peer: PeerAddress

        init(_ request: HubRequest, from peer: PeerAddress) {
            self.request = request
            self.peer = peer
        }
    }

    /// What it was given when it began to listen to a task.
    struct Picture {
        /// The publication that came next: before it there is nothing to be told.
        let number: UInt64
        /// The last number of the stream that was in it.
        let sequence: UInt64
        /// Where the client was before; nil where it has to be given a picture anew.
        let before: UInt64?
    }

    /// One whose socket is closing: it is told no more.
    final class Departure {
        let session: Session
        /// How far it was told of each task, and what it began with.
        fileprivate(set) var heard: [(position: StreamPosition, picture: Picture)]
        /// The number of the hub's last publication before.
        let number: UInt64

        fileprivate init(_ session: Session, _ heard: [(position: StreamPosition, picture: Picture)], number: UInt64) {
            self.session = session
            self.heard = heard
            self.number = number
        }
    }

    enum Phase {
        /// It is not greeted yet: it may wait for the journal.
        case arriving(Arrival)
        case listening(Session)
        case leaving(Departure)
        case gone
    }

    /// What most clients do not have.
    private final class Extra {
        var deaf: Set<TaskID> = []
        var predecessor: ClientID?
        /// Where it was in the tasks of which it was told what it missed, when it came back.
        var places: [TaskID: UInt64] = [:]
    }

    var phase: Phase
    private var extra: Extra?
    /// Whether several messages may stand in one frame, a line each.
    let isBatched: Bool

    init(_ request: HubRequest, from peer: PeerAddress) {
        phase = .arriving(Arrival(request, from: peer))
        isBatched = request.isBatched
    }

    /// What it said of itself; nil once it has a session.
    var arrival: Arrival? {
        if case .arriving(let arrival) = phase { arrival } else { nil }
    }

    private func ownExtra() -> Extra {
        let own = extra ?? Extra()
        extra = own
        return own
    }

    // MARK: Having been here before

    /// The session that it came back as: it may do so again, until it comes with its new name.
    var predecessor: ClientID? { extra?.predecessor }

    func cameBack(as predecessor: ClientID) { ownExtra().predecessor = predecessor }

    /// It begins to listen to a task, or listens no more.
    ///
    /// - Parameter before: where it was, and from where on it is told what it missed; nil where it is given a picture.
    func began(_ task: TaskID, after before: UInt64?) {
        if let before { ownExtra().places[task] = before } else { extra?.places[task] = nil }
    }

    // MARK: What is not for it

    /// Tasks that it named and that are not for it: it hears nothing of them, as of a task that is not there.
    var deaf: Set<TaskID> { extra?.deaf ?? [] }

    func deafen(to task: TaskID) { ownExtra().deaf.insert(task) }

    /// It is deaf to the task no more.
    ///
    /// - Returns: whether it was.
    func hear(of task: TaskID) -> Bool { extra?.deaf.remove(task) != nil }

    // MARK: The end

    /// Whether it is told what happens.
    var isListening: Bool {
        if case .listening = phase { true } else { false }
    }

    /// Its socket is closing: from now on it is told nothing, and how far it was told is kept.
    func leave(_ broker: Broker) {
        guard case .listening(let session) = phase else { return }
        let heard = broker.hub.positions(of: session.subscriber).map { listener in
            // A picture of nothing leaves out nothing: who never saw it is told all.
            let before = listener.pictureSequence == 0 ? 0 : extra?.places[listener.task]
            return (
                position: HubClient.position(of: listener, broker.task(listener.task)),
                picture: Picture(number: listener.joined + 1, sequence: listener.pictureSequence, before: before)
            )
        }
        broker.hub.leave(session.subscriber)
        phase = .leaving(Departure(session, heard, number: broker.hub.number))
    }

    private static func position(of listener: ListenerPosition, _ record: TaskRecord?) -> StreamPosition {
        guard let record else { return StreamPosition(task: listener.task, epoch: 0, sequence: 0) }
        return StreamPosition(
            task: listener.task, epoch: record.stream.origin.epoch, sequence: listener.sequence,
            isOver: record.state.isTerminal && listener.sequence == record.sequence)
    }

    /// Of what it was to be told of a task only so much was on its way when its socket closed.
    func rewind(_ id: TaskID, to sequence: UInt64) {
        guard case .leaving(let departure) = phase,
            let index = departure.heard.firstIndex(where: { $0.position.task == id })
        else { return }
        let epoch = departure.heard[index].position.epoch
        departure.heard[index].position = StreamPosition(task: id, epoch: epoch, sequence: sequence)
    }
}
