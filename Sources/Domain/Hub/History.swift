// History: the last publications of every stream, so that whoever comes back can be told what it missed. In memory only; older ones are
// the journal's business. A task that only waits has none: its coming stands in its stream.
//
// Cost: a publication is a ring's place and a step to the end of the chain; 64 bytes and what its event holds.
import Base

/// What a watcher missed.
public enum Replay: Sendable {
    /// All of it, in order.
    case whole([Publication])
    /// Some of it is no longer held, or the position is one of another stream. What is held begins at this sequence number; nil where
    /// nothing is.
    case gap(firstHeld: UInt64?)
}

/// What the histories hold together.
public struct HistoryFigures: Sendable, Equatable {
    /// Streams with a history.
    public internal(set) var streams = 0
    public internal(set) var publications = 0
    public internal(set) var bytes = 0
    /// Histories given up because all of them together were too large.
    public internal(set) var shed = 0
}

struct History {
    /// One stream's.
    private struct Row {
        /// Whose it is: the slot may have been another's.
        let epoch: UInt64
        /// Without a gap: each sequence number is the one before plus one.
        var ring: Ring<Publication>
        var bytes = Row.ownBytes

        /// What a row costs without a publication.
        static let ownBytes = 160
    }

    /// The streams by their last publication, oldest first.
    private var rows = Chain<Row>()
    private(set) var figures = HistoryFigures()
    /// Publications kept of one stream.
    let lengthMax: Int
    /// Bytes of all streams together.
    let bytesMax: Int
    /// Most tasks come, begin and end, and say nothing else.
    private static let lengthExpected = 3

    init(lengthMax: Int, bytesMax: Int) {
        precondition(lengthMax > 0 && bytesMax >= 0, "a history of \(lengthMax) publications, \(bytesMax) bytes")
        self.lengthMax = lengthMax
        self.bytesMax = bytesMax
    }

    private func row(of stream: borrowing TaskStream) -> Row? {
        guard let row = rows[stream.place], row.epoch == stream.origin.epoch else { return nil }
        return row
    }

    private func holds(_ stream: borrowing TaskStream) -> Bool { rows[stream.place]?.epoch == stream.origin.epoch }

    /// Keeps a publication of the stream: the one after the last.
    mutating func append(_ publication: Publication, to stream: inout TaskStream) {
        if !holds(stream) {
            if publication.sequence == 1, case .queued = publication.event {
                stream.birth = TaskStream.Birth(number: publication.number, at: publication.at, progress: publication.progress)
                return
            }
            stream.place = rows.append(Row(epoch: stream.origin.epoch, ring: Ring(capacity: lengthMax, expecting: History.lengthExpected)))
            figures.streams += 1
            figures.bytes += Row.ownBytes
            if let birth = History.birth(of: stream), publication.sequence == 2 { keep(birth, at: stream.place) }
            stream.birth = nil
        }
        keep(publication, at: stream.place)
        rows.moveToEnd(stream.place)
        while figures.bytes > bytesMax, !rows.isEmpty {
            drop(rows.first)
            figures.shed += 1
        }
    }

    private mutating func keep(_ publication: Publication, at place: Int) {
        let bytes = publication.byteCount
        let dropped = rows.with(place) { row in
            let oldest = row.ring.isFull ? row.ring.popFirst() : nil
            row.ring.append(publication)
            row.bytes += bytes - (oldest?.byteCount ?? 0)
            return oldest
        }
        figures.bytes += bytes
        if let dropped = dropped ?? nil { figures.bytes -= dropped.byteCount } else { figures.publications += 1 }
    }

    private mutating func drop(_ place: Int) {
        guard let row = rows.remove(place) else { return }
        figures.streams -= 1
        figures.publications -= row.ring.count
        figures.bytes -= row.bytes
    }

    private static func birth(of stream: borrowing TaskStream) -> Publication? {
        guard let birth = stream.birth else { return nil }
        return Publication(
            number: birth.number, origin: stream.origin, sequence: 1, at: birth.at, event: .queued, state: .queued, progress: birth.progress
        )
    }

    /// What came after `sequence`.
    ///
    /// - Parameter epoch: the stream's that the position belongs to; nil where it is not known. The position 0, before everything, is one
    ///   of every stream.
    func since(_ sequence: UInt64, epoch: UInt64?, of stream: borrowing TaskStream) -> Replay {
        let row = row(of: stream)
        let birth = History.birth(of: stream)
        let firstHeld = row?.ring.first?.sequence ?? birth?.sequence
        if sequence > 0, let epoch, epoch != stream.origin.epoch { return .gap(firstHeld: firstHeld) }
        if sequence == stream.sequence { return .whole([]) }
        guard sequence < stream.sequence, let firstHeld, firstHeld - 1 <= sequence else { return .gap(firstHeld: firstHeld) }
        guard let row else { return .whole(birth.map { [$0] } ?? []) }
        let start = Int(sequence - (firstHeld - 1))
        return .whole((start..<row.ring.count).map { row.ring[$0] })
    }

    /// The last publications that are held, oldest first.
    func last(_ count: Int, of stream: borrowing TaskStream) -> [Publication] {
        guard count > 0 else { return [] }
        guard let row = row(of: stream) else { return History.birth(of: stream).map { [$0] } ?? [] }
        return (max(row.ring.count - count, 0)..<row.ring.count).map { row.ring[$0] }
    }

    /// Gives up what is held of the stream.
    mutating func clear(_ stream: inout TaskStream) {
        stream.birth = nil
        guard holds(stream) else { return }
        drop(stream.place)
    }
}
