// MonitorWatcher: where one client stands in the fleet's namespace: what it listens to, under which name it may come back, and what it
// alone was told lately. Tells nothing itself.
internal import Base
internal import Dialects
internal import Domain

final class MonitorWatcher {
    /// What one client alone was told. It has a place in the order of all events, so that who comes back is told again what it missed.
    struct Note {
        enum Kind {
            case subscribed(MonitorSubscription)
            case unsubscribed(MonitorSubscription)
            /// How things stood in that channel; told again, it is as they stand now.
            case picture(Channel)
        }

        /// Of its first event; the others follow.
        let offset: UInt64
        let count: UInt64
        let kind: Kind
        /// Channels that it began to listen to with this: of what was there before it is told nothing but the picture.
        let joined: ChannelSet
    }

    /// What it is called in the namespace; the same when it comes back.
    let name: SocketName
    /// With it the client comes back as who it was.
    let secret: SocketName
    var principal: Principal
    /// Its place in the hub; nil while it listens to nothing.
    var subscriber: SubscriberID?
    var channels: ChannelSet = []
    /// The last of them, oldest first.
    private(set) var notes: [Note] = []
    /// The offset of the last that is noted no more: who has not got that one cannot be told what it missed.
    private(set) var forgottenOffset: UInt64 = 0

    /// Notes that are kept: more than a client's program begins with.
    private static let notesMax = 16

    init(name: SocketName, secret: SocketName, principal: Principal) {
        self.name = name
        self.secret = secret
        self.principal = principal
    }

    func note(_ kind: Note.Kind, joining joined: ChannelSet = [], offset: UInt64, count: Int = 1) {
        if notes.count == MonitorWatcher.notesMax {
            let first = notes.removeFirst()
            forgottenOffset = first.offset + first.count - 1
        }
        notes.append(Note(offset: offset, count: UInt64(count), kind: kind, joined: joined))
    }

    /// What it alone was told and has not got, if it has everything up to the offset.
    func notes(since offset: UInt64) -> [Note] { notes.filter { $0.offset + $0.count > offset + 1 } }

    /// Whether it was there when a bulletin came, if it has everything up to the offset: it may have begun to listen only behind it.
    func was(there bulletin: Bulletin, since offset: UInt64) -> Bool {
        !notes(since: offset).contains { $0.joined.contains(bulletin.event.channel) && $0.offset > bulletin.offset }
    }

    /// Whether a bulletin is for it, of a channel that it listens to.
    func hears(_ bulletin: Bulletin) -> Bool {
        channels.contains(bulletin.event.channel) && (bulletin.owner.map { principal.mayActFor($0) } ?? true)
    }
}
