// Delivery: what many get, written: one publication or one bulletin in one format, as everybody who hears in that format gets it. A value
// that the senders queue, hold back or break up without knowing what it says.
internal import Base
internal import Domain

/// Something in one format, as everybody gets it.
struct Delivery {
    enum Form {
        /// Frames of plain WebSockets.
        case frames
        /// A frame with all messages, one a line, and a line feed behind it for those that put several publications into one frame.
        case lines
        /// A chunk of HTTP/1.1.
        case chunk
    }

    let form: Form
    let bytes: SharedBytes
    /// The text of the first message within the bytes; all of the text, but in `frames`.
    let first: Range<Int>
    /// The text of the second message in `frames`; mostly there is none.
    let second: Range<Int>
    let messageCount: Int
}

/// The delivery that was held back last, by itself: one that waits for a slow reader may wait long, and must not keep a page of others.
struct Keepsakes {
    private var number: UInt64 = 0
    private var source = SharedBytes.empty
    private var copy = SharedBytes.empty

    /// The delivery in memory of its own: one copy for all who hold it back.
    mutating func keepsake(of delivery: Delivery, number: UInt64) -> Delivery {
        // What is larger lies in no page.
        guard delivery.bytes.count <= SharedPage.sliceBytesMax else { return delivery }
        if self.number != number || source != delivery.bytes {
            self.number = number
            source = delivery.bytes
            copy = SharedBytes(copying: delivery.bytes.span)
        }
        return Delivery(
            form: delivery.form, bytes: copy, first: delivery.first, second: delivery.second, messageCount: delivery.messageCount)
    }
}

/// What the senders know of that which they deliver.
struct Occasion {
    /// What may become of it while it waits for a slow reader.
    enum Waiting {
        case kept
        /// A later one with the same key takes its place.
        case replaceable(key: UInt64)
        /// It may be left out, and the reader is told of the gap.
        case log(Backlog.Gap)
    }

    /// Its number among all publications.
    let number: UInt64
    /// Whose stream it belongs to.
    let stream: UInt64
    let waiting: Waiting
    /// Whether nothing more comes of its stream.
    let isLast: Bool

    init(_ publication: Publication) {
        number = publication.number
        stream = publication.epoch
        isLast = publication.event.isTerminal
        let sequence = publication.sequence
        waiting =
            switch publication.conflation {
            case .never: .kept
            case .replaceable(let key): .replaceable(key: key)
            case .droppable: .log(Backlog.Gap(task: publication.task, first: sequence, last: sequence, at: publication.at))
            }
    }

    init(_ bulletin: Bulletin) {
        number = bulletin.number
        stream = UInt64(bulletin.event.channel.rawValue)
        isLast = false
        waiting =
            switch bulletin.event {
            // A picture of how things stand makes the one before it worthless.
            case .resources, .models: .replaceable(key: stream)
            case .activity, .alert, .deployment: .kept
            }
    }
}
