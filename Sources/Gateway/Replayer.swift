// Replayer: what watchers missed, whole or not at all: out of memory, and where that does not reach back, out of the journal first. Reads
// page after page until the rows meet what memory holds; then, in one step with the greeting, they are one row without a gap. Sends
// nothing, which is the services': all have the same, so that the journal is read for so many watchers and no more.
//
// Cost: what memory holds costs a copy of its publications. The journal is asked for a thousand events at a time, a millisecond or two
// each on its own thread.
internal import Base
internal import Dialects
internal import Domain

final class Replayer {
    /// What is read for one watcher.
    private struct Reading {
        /// The question whose answer is awaited.
        var number: UInt32 = 0
        /// What the journal may know: what memory reaches back to now, it may not when all the rest has been read.
        var gaps: [StreamPosition]
        /// What was read, by task: each row follows the one before.
        var rows: [TaskID: [Publication]] = [:]
        var asked: TaskID?
        var eventCount = 0
        var byteCount = 0
    }

    /// Events of one question.
    private static let pageEvents = 1_000

    private let context: Context
    private var readings: [ConnectionID: Reading] = [:]
    /// Who waits for another's reading to end, in order; who left meanwhile stands here until the turn comes.
    private var line: [ConnectionID] = []
    private var waiting: [ConnectionID: [StreamPosition]] = [:]
    private var number: UInt32 = 0

    init(_ context: Context) { self.context = context }

    /// Watchers for whom the journal is read, or will be.
    var count: Int { readings.count + waiting.count }

    // MARK: Reading

    /// Asks the journal for what came after the positions, as far as memory does not know it and the journal may.
    ///
    /// - Returns: whether there is something to be waited for. Then ``found(_:number:_:)`` says when it is there.
    func begin(_ id: ConnectionID, _ positions: [StreamPosition]) -> Bool {
        let gaps = positions.filter(isReadable)
        guard gaps.contains(where: { missed($0, known: []) == nil }) else { return false }
        if readings.count < context.limits.replaysMax {
            start(id, gaps)
        } else {
            waiting[id] = gaps
            line.append(id)
        }
        return true
    }

    /// Whether the journal can know what came after the position, or comes while it is read.
    private func isReadable(_ position: StreamPosition) -> Bool {
        guard let task = context.broker.task(position.task), task.isRecorded else { return false }
        return position.epoch == task.stream.origin.epoch && position.sequence <= task.sequence
    }

    private func start(_ id: ConnectionID, _ gaps: [StreamPosition]) {
        var reading = Reading(gaps: gaps)
        if let first = gaps.first(where: { missed($0, known: []) == nil }) ?? gaps.first { ask(for: first, id, &reading) }
        readings[id] = reading
    }

    private func ask(for gap: StreamPosition, _ id: ConnectionID, _ reading: inout Reading) {
        number &+= 1
        reading.number = number
        reading.asked = gap.task
        let last = reading.rows[gap.task]?.last?.sequence ?? gap.sequence
        let limit = min(Replayer.pageEvents, context.limits.replayEventsMax - reading.eventCount)
        context.inquiries.append(Inquiry(
            question: .events(gap.task, after: last, limit: limit), ticket: .replay(id, number: reading.number)))
    }

    /// The journal has answered.
    ///
    /// - Returns: whether all is there that there will be.
    func found(_ id: ConnectionID, number: UInt32, _ content: Finding.Content) -> Bool {
        guard var reading = readings[id], reading.number == number, let asked = reading.asked else { return false }
        if !take(content, of: asked, into: &reading) { reading.gaps.removeAll { $0.task == asked } }
        // Memory went on meanwhile: what met it then may not meet it now.
        let next = reading.gaps.first { missed($0, known: reading.rows[$0.task] ?? []) == nil }
        if let next, reading.eventCount < context.limits.replayEventsMax {
            ask(for: next, id, &reading)
        } else {
            reading.asked = nil
        }
        readings[id] = reading
        return reading.asked == nil
    }

    /// - Returns: whether there was anything new that follows what was read before.
    private func take(_ content: Finding.Content, of id: TaskID, into reading: inout Reading) -> Bool {
        guard case .events(let rows, _) = content, !rows.isEmpty, let task = context.broker.task(id),
            let gap = reading.gaps.first(where: { $0.task == id }), gap.epoch == task.stream.origin.epoch
        else { return false }
        var known = reading.rows.removeValue(forKey: id) ?? []
        defer { reading.rows[id] = known }
        for row in rows {
            let last = known.last?.sequence ?? gap.sequence
            guard row.sequence == last + 1, let publication = EventArchive.publication(of: row, on: task.stream.origin) else {
                return false
            }
            known.append(publication)
            reading.eventCount += 1
            reading.byteCount += publication.byteCount
            guard reading.byteCount <= context.limits.replayBytesMax else {
                reading.byteCount -= known.reduce(0) { $0 + $1.byteCount }
                known = []
                return false
            }
        }
        return true
    }

    // MARK: The whole

    /// Everything that came after the position, in order: in one step with what is told next, for memory goes on.
    ///
    /// - Returns: nil where some of it is no longer to be had.
    func missed(_ position: StreamPosition, by id: ConnectionID) -> [Publication]? {
        missed(position, known: readings[id]?.rows[position.task] ?? [])
    }

    private func missed(_ position: StreamPosition, known: [Publication]) -> [Publication]? {
        guard let task = context.broker.task(position.task) else { return nil }
        let last = known.last?.sequence ?? position.sequence
        guard case .whole(let held) = context.broker.hub.since(last, epoch: position.epoch, of: task.stream) else { return nil }
        return known + held
    }

    /// The watcher has what it came for, or is gone.
    func end(_ id: ConnectionID) {
        if waiting.removeValue(forKey: id) != nil, line.count > 2 * waiting.count + 64 { line.removeAll { waiting[$0] == nil } }
        guard readings.removeValue(forKey: id) != nil else { return }
        var taken = 0
        while taken < line.count, readings.count < context.limits.replaysMax {
            let next = line[taken]
            taken += 1
            if let gaps = waiting.removeValue(forKey: next) { start(next, gaps) }
        }
        line.removeFirst(taken)
    }
}

extension Context {
    /// Lets what the other end says wait: it is not known yet who speaks, or from where it has to be told.
    func hold(_ conversation: WebSocketConversation) {
        conversation.isReviewing = true
        outbox.pauseReading(conversation.id)
    }

    func release(_ conversation: WebSocketConversation) {
        conversation.isReviewing = false
        resumable.append(conversation.id)
    }
}
