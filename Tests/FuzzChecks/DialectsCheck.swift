// DialectsCheck: whatever a worker, an outside program, a watcher or a caller says, its reader answers with a value or a problem in words,
// and leaves its scratch as it was; what is read and told on is JSON in every dialect; and an event that is archived is read back as it
// was. No row of an archive makes its reader trap.
import Base
import Dialects
import Domain
import JSON

private let limits = Limits()
private let now = WallTime(milliseconds: 1_700_000_000_000)
private let origin = StreamOrigin(task: TaskID(high: 7, low: 9), user: SharedBytes("u"), project: nil, epoch: 3)

func checkDialects(_ input: FuzzInput) {
    switch input.choice & 0x0f {
    case 0: checkArchive(input.bytes)
    case 1: checkWords(input.bytes)
    case let reader: checkReader(reader, input.bytes)
    }
}

// MARK: JSON

private func checkReader(_ reader: UInt8, _ text: [UInt8]) {
    var index = JSONIndex()
    guard (try? index.build(from: text.span)) != nil else { return }
    var scratch = ByteWriter()
    scratch.append("scratch")
    do throws(RequestProblem) {
        try read(reader, text, index, &scratch)
    } catch {
        var writer = ByteWriter()
        WorkerDialect.write(error, to: &writer)
        requireJSON(writer, "the problem \(error)")
        require(!error.sentence.isEmpty, "a problem without words")
    }
    require(array(scratch.span) == Array("scratch".utf8), "the scratch is left as \(array(scratch.span))")
}

private func read(_ reader: UInt8, _ text: [UInt8], _ index: JSONIndex, _ scratch: inout ByteWriter) throws(RequestProblem) {
    let bytes = text.span
    switch reader {
    case 2: tell(try WorkerDialect.read(bytes, index, limits: limits, scratch: &scratch))
    case 3: _ = try HubDialect.read(bytes, index, scratch: &scratch)
    case 4: _ = try UserDialect.read(bytes, index, scratch: &scratch)
    case 5: _ = try TaskDialect.read(bytes, index, scratch: &scratch)
    case 6: check(try DispatchAPI.readOrder(bytes, index, key: nil, limits: limits, scratch: &scratch))
    case 7: check(try GPUTaskAPI.readOrder(bytes, index, key: SharedBytes("k"), limits: limits, scratch: &scratch))
    case 8:
        let order = try DeploymentAPI.readOrder(bytes, index, limits: limits, scratch: &scratch)
        var writer = ByteWriter()
        DeploymentAPI.write(
            Deployment(id: order.id ?? SharedBytes("d"), form: order.form, status: .pending, createdAt: now), at: now, to: &writer)
        requireJSON(writer, "a deployment")
        _ = try DeploymentAPI.readChange(of: order.form, bytes, index, limits: limits, scratch: &scratch)
    case 9:
        let draft = try ActivityAPI.readDraft(bytes, index, owner: nil, limits: limits, scratch: &scratch)
        require(draft.message.count <= bytes.count, "a message of \(draft.message.count) bytes")
    case 10: _ = try DeadLetterAPI.readReplay(bytes, index, limits: limits, scratch: &scratch)
    case 11: tell(try ProducerDialect.words(.message, in: bytes, index, limits: limits, scratch: &scratch))
    case 12: tell(try ProducerDialect.words(.batch, in: bytes, index, limits: limits, scratch: &scratch))
    case 13: _ = try ProducerDialect.token(in: bytes, index, scratch: &scratch)
    default:
        // The path's last part chooses the verb.
        let verb = ProducerVerb.allCases[text.count % ProducerVerb.allCases.count]
        tell(try ProducerDialect.read(verb, nil, bytes, index, limits: limits, scratch: &scratch))
    }
}

private func check(_ order: Order) {
    let submission = order.submission
    var index = JSONIndex()
    require((try? index.build(from: submission.payload.span)) != nil, "a payload that is no JSON")
    require(submission.timeout.map { $0 > .zero } ?? true, "a timeout of \(submission.timeout as Any)")
}

// MARK: Told on

private func tell(_ message: WorkerMessage) {
    switch message {
    case .complete(_, let completion): tell(.completed(completion), .completed)
    case .failed(_, let fault): tell(.failed(fault), .failed)
    case .progress(_, let progress): tell(.progress(progress), .executing)
    case .logs(_, let log): tell(.log(log), .executing)
    case .chunk(_, let chunk): tell(.chunk(chunk), .executing)
    case .ready(_, _, let rate, _):
        require(rate.map { $0.perHour >= 0 && $0.perHour.isFinite } ?? true, "a rate of \(rate as Any)")
    case .status, .drain, .refresh, .ping: break
    }
}

private func tell(_ words: [ProducerWord]) {
    for word in words {
        switch word.event {
        case .success(let event): tell(event)
        case .failure(let problem): require(!problem.sentence.isEmpty, "a problem without words")
        }
    }
}

private func tell(_ event: ProducerEvent) {
    switch event {
    case .register, .started: break
    case .progress(_, let progress): tell(.progress(progress), .executing)
    case .log(_, let log): tell(.log(log), .executing)
    case .completed(_, let result): tell(.completed(TaskEvent.Completion(result: result)), .completed)
    case .failed(_, let fault): tell(.failed(fault), .failed)
    case .cancelled(_, let reason): tell(.cancelled(reason: reason), .cancelled)
    }
}

/// Every dialect tells it in JSON, and the archive keeps it.
private func tell(_ event: TaskEvent, _ state: TaskState) {
    let publication = Publication(number: 1, origin: origin, sequence: 5, at: now, event: event, state: state, progress: 50)
    for part in 0..<TaskDialect.messageCount(of: publication) {
        requireJSON("a task's message") { TaskDialect.write(publication, part: part, to: &$0) }
    }
    for part in 0..<HubDialect.messageCount(of: event) {
        requireJSON("the hub's message") { HubDialect.write(publication, part: part, to: &$0) }
    }
    for part in 0..<UserDialect.messageCount(of: event) {
        requireJSON("a user's message") { UserDialect.write(publication, part: part, to: &$0) }
    }
    var stream = ByteWriter()
    EventStreamDialect.write(publication, to: &stream)
    require(isEventStream(array(stream.span)), "a stream of \(array(stream.span))")
    EventArchive.records(of: publication) { record in
        guard case .happened(let row) = record else { return }
        guard let again = EventArchive.publication(of: row, on: origin) else { fatalError("what was archived cannot be read: \(row)") }
        require(rows(of: again) == rows(of: publication), "what was archived is read as another")
    }
}

private func rows(of publication: Publication) -> [EventRow] {
    var rows: [EventRow] = []
    EventArchive.records(of: publication) { if case .happened(let row) = $0 { rows.append(row) } }
    return rows
}

private func requireJSON(_ what: String, _ write: (inout ByteWriter) -> Void) {
    var writer = ByteWriter()
    write(&writer)
    requireJSON(writer, what)
}

private func requireJSON(_ writer: borrowing ByteWriter, _ what: String) {
    var index = JSONIndex()
    let isJSON = (try? index.build(from: writer.span)) != nil
    let text = array(writer.span)
    require(isJSON, "\(what) is no JSON: \(text)")
}

/// Whether every line is a field or empty, and none ends in a way of its own.
private func isEventStream(_ text: [UInt8]) -> Bool {
    if text.isEmpty { return true }
    guard !text.contains(0x0d), text.suffix(2) == [0x0a, 0x0a] else { return false }
    let lines = text.dropLast(2).split(separator: 0x0a, omittingEmptySubsequences: false)
    return lines.allSatisfy { line in
        line.isEmpty || ["id: ", "event: ", "data: "].contains { line.starts(with: $0.utf8) }
    }
}

// MARK: Other texts

/// A row as a damaged archive may have it.
private func checkArchive(_ bytes: [UInt8]) {
    guard let kind = bytes.first else { return }
    let row = EventRow(taskID: origin.task, sequence: 5, kind: kind, at: now, bytes: SharedBytes(Array(bytes.dropFirst())))
    guard let publication = EventArchive.publication(of: row, on: origin) else { return }
    require(publication.progress >= 0 && publication.progress <= 100, "a progress of \(publication.progress)")
    // Whoever is told it is told something, were it not JSON where a user's JSON was damaged.
    var writer = ByteWriter()
    for part in 0..<TaskDialect.messageCount(of: publication) { TaskDialect.write(publication, part: part, to: &writer) }
    for part in 0..<HubDialect.messageCount(of: publication.event) { HubDialect.write(publication, part: part, to: &writer) }
    for part in 0..<UserDialect.messageCount(of: publication.event) { UserDialect.write(publication, part: part, to: &writer) }
    EventStreamDialect.write(publication, to: &writer)
    guard let again = rows(of: publication).first.flatMap({ EventArchive.publication(of: $0, on: origin) }) else {
        fatalError("what was read of an archive and is archived again cannot be read")
    }
    require(rows(of: again) == rows(of: publication), "what was archived is read as another")
}

/// Cursors, limits, positions, names: what stands in a query or a header.
private func checkWords(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 0x0a, maxSplits: 3, omittingEmptySubsequences: false).map { SharedBytes(Array($0)) }
    let (first, second, third) = (parts.first, parts.dropFirst().first, parts.dropFirst(2).first)
    if let query = try? UserTaskAPI.readQuery(status: first, limit: second, cursor: third) {
        require((1...UserTaskAPI.limitMax).contains(query.limit), "a page of \(query.limit)")
        if let cursor = query.cursor { requireJSON("a page") { UserTaskAPI.writeTasks([TaskDetails](), next: cursor, to: &$0) } }
    }
    if let question = try? AlertAPI.readQuestion(limit: first, cursor: second, active: third) {
        require((1...AlertAPI.limitMax).contains(question.limit), "a page of \(question.limit)")
    }
    if let question = try? ActivityAPI.readQuestion(limit: first, cursor: second, kind: third, severity: nil, visibility: .everybodys) {
        require((1...ActivityAPI.limitMax).contains(question.limit), "a page of \(question.limit)")
    }
    _ = try? DeadLetterAPI.readQuestion(limit: first, cursor: second, group: third)
    _ = EventStreamDialect.position(bytes.span)
    _ = MonitorDialect.command(bytes.span)
    guard let id = TaskID(bytes.span) else { return }
    require(TaskID(Array(id.description.utf8).span) == id, "\(id) is the name of another")
    requireJSON("a name") { ProgressAPI.writeCleared(id, to: &$0) }
    var text = ByteWriter()
    MonitorDialect.writeProblem("no", event: bytes.span, to: &text)
    requireJSON(text, "a problem with an event")
}
