// EventArchive: what happened to a task as it is written down, and the way back: an event that is read from the database is the event that
// was told, whatever document tells it then. A binary format of its own, and document P's table `progress_histories`. Not the journal,
// which knows neither; not a message.
//
// Cost: an event is written once into one block, some 20 bytes and its users' texts copied once (a long one with nothing copied twice);
// reading copies nothing. Only a failure that is reported in JSON is looked into, for its words in the table.
internal import Base
public import Domain
internal import JSON

public enum EventArchive {
    /// The first byte of every row; bytes of another version are not understood.
    static let version: UInt8 = 1

    /// Which event a row is of, as its `kind` says.
    enum Kind: UInt8, CaseIterable {
        case queued = 1
        case started, progress, log, failed, completed, cancelled
    }

    /// Tells every record that keeps the publication: its event, and where the tables have a place for it, its progress or its log.
    /// A transient event is not kept.
    public static func records(of publication: Publication, _ tell: (Record) -> Void) {
        guard let kind = kind(of: publication.event) else { return }
        tell(
            .happened(
                EventRow(
                    taskID: publication.task, sequence: publication.sequence, kind: kind.rawValue, at: publication.at,
                    bytes: encoded(publication))))
        switch publication.event {
        case .progress(let report): tell(.progressed(row(of: publication, report)))
        case .log(let log): tell(.logged(row(of: publication, log)))
        case .queued, .started, .completed, .failed, .cancelled: tell(.progressed(row(of: publication)))
        case .chunk: break
        }
    }

    /// The event that a row keeps, as it was told, but for its number among all publications, which is 0.
    ///
    /// - Parameter origin: the stream of the row's task.
    /// - Returns: nil for bytes that this archive did not write.
    public static func publication(of row: EventRow, on origin: StreamOrigin) -> Publication? {
        guard let kind = Kind(rawValue: row.kind) else { return nil }
        do throws(Unreadable) {
            var reader = Reader(row.bytes)
            guard try reader.byte() == version, let state = TaskState(rawValue: try reader.byte()) else { return nil }
            let progress = try reader.double()
            // Not a number is no figure either.
            guard progress >= 0, progress <= 100 else { return nil }
            let event = try reader.event(kind)
            guard reader.isAtEnd else { return nil }
            return Publication(
                number: 0, origin: origin, sequence: row.sequence, at: row.at, event: event, state: state, progress: progress)
        } catch {
            return nil
        }
    }

    private static func kind(of event: TaskEvent) -> Kind? {
        switch event {
        case .queued: .queued
        case .started: .started
        case .progress: .progress
        case .log: .log
        case .failed: .failed
        case .completed: .completed
        case .cancelled: .cancelled
        case .chunk: nil
        }
    }

    /// The version, the state, the task's progress, then the event's own members: a byte of marks that says which are there, and those.
    private static func encoded(_ publication: Publication) -> SharedBytes {
        // All that is not a user's text fits in the room that an event counts for its object.
        var writer = ByteWriter(capacity: 64 + publication.event.byteCount)
        writer.append(version)
        writer.append(publication.state.rawValue)
        writer.append(bits: publication.progress)
        writer.append(event: publication.event)
        // Exactly its size where a copy costs nothing; the long ones stay where they are.
        return writer.count <= 4_096 ? writer.seal() : writer.take()
    }
}

// MARK: Rows of the tables

extension EventArchive {
    /// Characters that the document's columns hold.
    static let stepCharactersMax = 200
    static let messageCharactersMax = 500

    /// The document's words for the states, in bytes.
    private static let words = TaskState.allCases.map { SharedBytes("\(TaskDialect.word($0))") }
    /// What a log's reporter leaves open, as watchers are told.
    private static let defaultLevel = SharedBytes("INFO")
    private static let defaultSource = SharedBytes("worker")
    private static let unsaid = SharedBytes("Task failed")

    private static func row(of publication: Publication, _ report: TaskEvent.Progress) -> ProgressRow {
        var row = blankRow(of: publication)
        row.currentStep = (report.currentStep ?? report.step ?? .empty).prefix(characters: stepCharactersMax)
        row.totalSteps = report.totalSteps ?? 0
        row.completedSteps = report.completedSteps ?? 0
        row.message = (report.message ?? .empty).prefix(characters: messageCharactersMax)
        row.metadata = report.stepInfo ?? .empty
        return row
    }

    /// Of an event that moved the task to another state.
    private static func row(of publication: Publication) -> ProgressRow {
        var row = blankRow(of: publication)
        switch publication.event {
        case .failed(let fault):
            row.currentStep = (fault.step ?? .empty).prefix(characters: stepCharactersMax)
            row.message = plain(fault.error).prefix(characters: messageCharactersMax)
        case .cancelled(let reason): row.message = (reason ?? .empty).prefix(characters: messageCharactersMax)
        case .queued, .started, .completed, .progress, .log, .chunk: break
        }
        return row
    }

    private static func blankRow(of publication: Publication) -> ProgressRow {
        ProgressRow(
            taskID: publication.task, progress: Int(min(max(publication.progress, 0), 100)),
            status: words[Int(publication.state.rawValue)], createdAt: publication.at, sequence: publication.sequence)
    }

    private static func row(of publication: Publication, _ log: TaskEvent.Log) -> LogRow {
        LogRow(
            taskID: publication.task, sequence: publication.sequence, level: log.level ?? defaultLevel, source: log.source ?? defaultSource,
            text: log.logs, createdAt: publication.at)
    }

    /// A reporter's words as text: of a JSON string what it stands for, of another value the value, and of none what watchers are told.
    private static func plain(_ words: TaskEvent.Words) -> SharedBytes {
        switch words {
        case .plain(let text): return text
        case .raw(let value):
            guard !value.isEmpty else { return unsaid }
            guard value.span[0] == UInt8(ascii: "\""), let index = try? JSONIndex(of: value) else { return value }
            var text = ByteWriter(capacity: value.count)
            return index.decode(index.root, in: value.span, into: &text) ? text.take() : value
        }
    }
}

extension SharedBytes {
    /// The first so many characters (scalars) of a UTF-8 text, and none of them in part.
    fileprivate func prefix(characters: Int) -> SharedBytes {
        // A character has a byte at least.
        guard count > characters else { return self }
        let bytes = span
        var left = characters
        for index in bytes.indices where bytes[index] & 0xc0 != 0x80 {
            // A copy: the row is kept a while, and the rest of the text need not be.
            if left == 0 { return SharedBytes(copying: bytes.extracting(..<index)) }
            left -= 1
        }
        return self
    }
}

// MARK: Writing

/// Which members of an event are there, from the lowest bit on, in the order in which they are asked for.
private struct Marks {
    var bits: UInt8 = 0
    private var next: UInt8 = 1

    init(bits: UInt8 = 0) { self.bits = bits }

    mutating func add(_ isThere: Bool) {
        if isThere { bits |= next }
        next <<= 1
    }

    mutating func add(_ cost: Cost?) {
        switch cost {
        case nil: break
        case .raw: bits |= next
        case .metered: bits |= next << 1
        }
        next <<= 2
    }

    mutating func take() -> Bool {
        defer { next <<= 1 }
        return bits & next != 0
    }

    /// Whether no bit is left over.
    var isUsedUp: Bool { next == 0 || bits < next }
}

extension ByteWriter {
    fileprivate mutating func append(event: TaskEvent) {
        switch event {
        case .queued: append(UInt8(0))
        case .started(let start):
            append(UInt8(0))
            append(signed: start.startedAt.milliseconds)
            append(signed: Int64(start.attempt))
        case .progress(let report): append(report)
        case .log(let log):
            var marks = Marks()
            marks.add(log.level != nil)
            marks.add(log.source != nil)
            append(marks.bits)
            append(text: log.logs)
            append(text: log.level)
            append(text: log.source)
        case .failed(let fault): append(fault)
        case .completed(let completion):
            var marks = Marks()
            marks.add(completion.executionTime != nil)
            marks.add(completion.cost)
            append(marks.bits)
            append(text: completion.result)
            append(completion.executionTime)
            append(completion.cost)
        case .cancelled(let reason):
            append(reason == nil ? 0 : 1)
            append(text: reason)
        case .chunk: preconditionFailure("a piece of a result is not kept")
        }
    }

    private mutating func append(_ report: TaskEvent.Progress) {
        var marks = Marks()
        marks.add(report.reported != nil)
        marks.add(report.message != nil)
        marks.add(report.step != nil)
        marks.add(report.stepInfo != nil)
        marks.add(report.currentStep != nil)
        marks.add(report.totalSteps != nil)
        marks.add(report.completedSteps != nil)
        append(marks.bits)
        if let reported = report.reported { append(bits: reported) }
        append(text: report.message)
        append(text: report.step)
        append(text: report.stepInfo)
        append(text: report.currentStep)
        if let count = report.totalSteps { append(signed: Int64(count)) }
        if let count = report.completedSteps { append(signed: Int64(count)) }
    }

    private mutating func append(_ fault: TaskEvent.Fault) {
        var marks = Marks()
        switch fault.error {
        case .raw: marks.add(false)
        case .plain: marks.add(true)
        }
        marks.add(fault.code != nil)
        marks.add(fault.type != nil)
        marks.add(fault.details != nil)
        marks.add(fault.step != nil)
        marks.add(fault.executionTime != nil)
        marks.add(fault.cost)
        append(marks.bits)
        append(text: fault.error.bytes)
        append(text: fault.code)
        append(text: fault.type)
        append(text: fault.details)
        append(text: fault.step)
        append(fault.executionTime)
        append(fault.cost)
    }

    private mutating func append(_ cost: Cost?) {
        switch cost {
        case nil: break
        case .raw(let value): append(text: value)
        case .metered(let rate, let time):
            append(bits: rate.perHour)
            append(text: rate.currency)
            append(time)
        }
    }

    private mutating func append(_ time: TimeSpan?) {
        if let time { append(signed: time.nanoseconds) }
    }

    /// Its length, then its bytes.
    private mutating func append(text: SharedBytes?) {
        guard let text else { return }
        append(number: UInt64(text.count))
        append(text)
    }

    /// The eight bytes of a double, lowest first.
    fileprivate mutating func append(bits value: Double) {
        for shift in stride(from: 0, to: 64, by: 8) { append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(shift))) }
    }

    /// Small numbers of either sign in few bytes: the sign becomes the lowest bit.
    private mutating func append(signed value: Int64) { append(number: UInt64(bitPattern: value << 1 ^ value >> 63)) }

    /// Seven bits a byte, lowest first; the highest bit says that more follow.
    private mutating func append(number value: UInt64) {
        var rest = value
        while rest > 0x7f {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

// MARK: Reading

/// Bytes that the archive did not write.
private struct Unreadable: Error {}

/// Takes a row's bytes apart, front to back; texts share its block.
private struct Reader {
    private let bytes: SharedBytes
    private var at = 0

    init(_ bytes: SharedBytes) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    mutating func event(_ kind: EventArchive.Kind) throws(Unreadable) -> TaskEvent {
        var marks = Marks(bits: try byte())
        let event = try event(kind, &marks)
        guard marks.isUsedUp else { throw Unreadable() }
        return event
    }

    private mutating func event(_ kind: EventArchive.Kind, _ marks: inout Marks) throws(Unreadable) -> TaskEvent {
        switch kind {
        case .queued: return .queued
        case .started:
            return .started(TaskEvent.Start(startedAt: WallTime(milliseconds: try signed()), attempt: try count()))
        case .progress: return .progress(try progress(&marks))
        case .log:
            let (hasLevel, hasSource) = (marks.take(), marks.take())
            return .log(TaskEvent.Log(logs: try text(), level: try text(if: hasLevel), source: try text(if: hasSource)))
        case .failed: return .failed(try fault(&marks))
        case .completed:
            let (hasTime, hasRaw, hasMetered) = (marks.take(), marks.take(), marks.take())
            return .completed(
                TaskEvent.Completion(result: try text(), executionTime: try time(if: hasTime), cost: try cost(hasRaw, hasMetered)))
        case .cancelled: return .cancelled(reason: try text(if: marks.take()))
        }
    }

    private mutating func progress(_ marks: inout Marks) throws(Unreadable) -> TaskEvent.Progress {
        let reported = marks.take() ? try double() : nil
        if let reported, reported.isNaN { throw Unreadable() }
        return TaskEvent.Progress(
            reported: reported, message: try text(if: marks.take()), step: try text(if: marks.take()),
            stepInfo: try text(if: marks.take()), currentStep: try text(if: marks.take()), totalSteps: try count(if: marks.take()),
            completedSteps: try count(if: marks.take()))
    }

    private mutating func fault(_ marks: inout Marks) throws(Unreadable) -> TaskEvent.Fault {
        let isPlain = marks.take()
        let words = try text()
        let (code, type) = (try text(if: marks.take()), try text(if: marks.take()))
        let (details, step) = (try text(if: marks.take()), try text(if: marks.take()))
        let executionTime = try time(if: marks.take())
        return TaskEvent.Fault(
            error: isPlain ? .plain(words) : .raw(words), code: code, type: type, details: details, step: step,
            executionTime: executionTime, cost: try cost(marks.take(), marks.take()))
    }

    private mutating func cost(_ isRaw: Bool, _ isMetered: Bool) throws(Unreadable) -> Cost? {
        switch (isRaw, isMetered) {
        case (false, false): return nil
        case (true, false): return .raw(try text())
        case (true, true): throw Unreadable()
        case (false, true):
            let perHour = try double()
            guard perHour.isFinite, perHour >= 0 else { throw Unreadable() }
            return .metered(Rate(perHour: perHour, currency: try text()), TimeSpan(nanoseconds: try signed()))
        }
    }

    private mutating func time(if isThere: Bool) throws(Unreadable) -> TimeSpan? {
        isThere ? TimeSpan(nanoseconds: try signed()) : nil
    }

    private mutating func count(if isThere: Bool) throws(Unreadable) -> Int? { isThere ? try count() : nil }

    private mutating func count() throws(Unreadable) -> Int { Int(try signed()) }

    private mutating func text(if isThere: Bool) throws(Unreadable) -> SharedBytes? { isThere ? try text() : nil }

    private mutating func text() throws(Unreadable) -> SharedBytes {
        guard let length = Int(exactly: try number()), length <= bytes.count - at else { throw Unreadable() }
        let text = bytes[at..<at + length]
        at += length
        // Whoever writes it into a message relies on it.
        guard UTF8Validator.isValid(text.span) else { throw Unreadable() }
        return text
    }

    mutating func double() throws(Unreadable) -> Double {
        var bits: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 8) { bits |= UInt64(try byte()) << UInt64(shift) }
        return Double(bitPattern: bits)
    }

    private mutating func signed() throws(Unreadable) -> Int64 {
        let number = try number()
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }

    private mutating func number() throws(Unreadable) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            let byte = try byte()
            // The tenth byte has room for one bit; a last byte of nothing is no way to write a number.
            guard shift < 63 || byte <= 1, shift == 0 || byte > 0 else { throw Unreadable() }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw Unreadable()
    }

    mutating func byte() throws(Unreadable) -> UInt8 {
        guard at < bytes.count else { throw Unreadable() }
        defer { at += 1 }
        return bytes.span[at]
    }
}
