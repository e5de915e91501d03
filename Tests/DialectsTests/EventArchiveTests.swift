// EventArchiveTests: every event comes back as it was, whatever it has and has not; bytes of nobody are told from ours and harm nothing;
// the tables get what their columns hold.
import Base
import JSON
import TestSupport
import Testing

@testable import Dialects
@testable import Domain

struct EventArchiveTests {
    // MARK: Events and what they say

    /// Every event with every combination of members, but for the texts' contents.
    private static let events: [TaskEvent] = {
        var events: [TaskEvent] = [
            .queued, .started(TaskEvent.Start(startedAt: Happenings.at, attempt: 3)), .cancelled(reason: nil),
            .cancelled(reason: Happenings.text("why")), .cancelled(reason: .empty),
        ]
        for bits in 0..<128 { events.append(.progress(progress(bits))) }
        for bits in 0..<4 {
            events.append(.log(TaskEvent.Log(logs: Happenings.text("a\nb"), level: text("W", bits, 1), source: text("gpu", bits, 2))))
        }
        for cost in costs {
            for bits in 0..<64 { events.append(.failed(fault(bits, cost))) }
            for time in [nil, TimeSpan(nanoseconds: 1_234_567_890_123)] {
                events.append(
                    .completed(TaskEvent.Completion(result: Happenings.text(#"{"x": 1.0}"#), executionTime: time, cost: cost)))
            }
        }
        return events
    }()

    private static let costs: [Cost?] = [
        nil, .raw(Happenings.text(#"{"total_cost": 2.450}"#)),
        .metered(Rate(perHour: 0.1, currency: Happenings.text("€")), .milliseconds(1_500)),
    ]

    private static func text(_ text: String, _ bits: Int, _ bit: Int) -> SharedBytes? { bits & bit == 0 ? nil : Happenings.text(text) }

    private static func progress(_ bits: Int) -> TaskEvent.Progress {
        TaskEvent.Progress(
            reported: bits & 1 == 0 ? nil : 33.3, message: text("正在处理", bits, 2), step: text("load", bits, 4),
            stepInfo: text(#"{"k":[ 1]}"#, bits, 8), currentStep: text("4", bits, 16), totalSteps: bits & 32 == 0 ? nil : 10,
            completedSteps: bits & 64 == 0 ? nil : 300)
    }

    private static func fault(_ bits: Int, _ cost: Cost?) -> TaskEvent.Fault {
        TaskEvent.Fault(
            error: bits & 1 == 0 ? .raw(Happenings.text(#""no""#)) : .plain(Happenings.text("no")), code: text("E5", bits, 2),
            type: text("ValueError", bits, 4), details: text("[ 1]", bits, 8), step: text("save", bits, 16),
            executionTime: bits & 32 == 0 ? nil : .milliseconds(-7), cost: cost)
    }

    private func publication(_ event: TaskEvent, _ state: TaskState = .executing, progress: Double = 45.5) -> Publication {
        Happenings.publication(event, state, progress: progress)
    }

    private func records(_ publication: Publication) -> [Record] {
        var records: [Record] = []
        EventArchive.records(of: publication) { records.append($0) }
        return records
    }

    private func row(_ publication: Publication) throws -> EventRow {
        guard case .happened(let row) = try #require(records(publication).first) else { throw Missing() }
        return row
    }

    private struct Missing: Error {}

    private func readBack(_ publication: Publication) throws -> Publication {
        try #require(EventArchive.publication(of: try row(publication), on: publication.origin))
    }

    /// Everything that a publication says but its number; two that say the same are the same.
    private func said(_ publication: Publication) -> String {
        "\(publication.task) \(publication.sequence) \(publication.at.milliseconds) \(publication.state) "
            + "\(publication.progress.bitPattern) \(said(publication.event))"
    }

    private func said(_ event: TaskEvent) -> String {
        switch event {
        case .queued: return "queued"
        case .started(let start): return "started \(start.startedAt.milliseconds) \(start.attempt)"
        case .progress(let report):
            let texts = [report.message, report.step, report.stepInfo, report.currentStep].map { $0.map { "<\($0)>" } ?? "-" }
            let numbers = [report.totalSteps, report.completedSteps].map { $0.map(String.init) ?? "-" }
            return "progress \(report.reported.map { "\($0.bitPattern)" } ?? "-") \(texts) \(numbers)"
        case .log(let log): return "log <\(log.logs)> \(said(log.level)) \(said(log.source))"
        case .chunk(let piece): return "chunk <\(piece)>"
        case .failed(let fault):
            let texts = [fault.code, fault.type, fault.details, fault.step].map(said)
            return "failed \(said(fault.error)) \(texts) \(said(fault.executionTime)) \(said(fault.cost))"
        case .completed(let completion):
            return "completed <\(completion.result)> \(said(completion.executionTime)) \(said(completion.cost))"
        case .cancelled(let reason): return "cancelled \(said(reason))"
        }
    }

    private func said(_ text: SharedBytes?) -> String { text.map { "<\($0)>" } ?? "-" }
    private func said(_ time: TimeSpan?) -> String { time.map { "\($0.nanoseconds)" } ?? "-" }

    private func said(_ words: TaskEvent.Words) -> String {
        switch words {
        case .raw(let value): "raw <\(value)>"
        case .plain(let text): "plain <\(text)>"
        }
    }

    private func said(_ cost: Cost?) -> String {
        switch cost {
        case nil: "-"
        case .raw(let value): "raw <\(value)>"
        case .metered(let rate, let time): "metered \(rate.perHour.bitPattern) <\(rate.currency)> \(time.nanoseconds)"
        }
    }

    // MARK: There and back

    @Test("every event comes back as it was, with each combination of what it may have")
    func roundTrip() throws {
        #expect(Self.events.count == 5 + 128 + 4 + 3 * (64 + 2))
        for event in Self.events {
            let told = publication(event)
            let back = try readBack(told)
            #expect(said(back) == said(told))
            #expect(back.number == 0 && back.origin === told.origin)
        }
    }

    @Test("the state comes back", arguments: TaskState.allCases)
    func states(_ state: TaskState) throws {
        #expect(try readBack(publication(.queued, state)).state == state)
    }

    @Test(
        "doubles come back bit for bit",
        arguments: [0, -0.0, 0.1, 1.0 / 3, Double.leastNonzeroMagnitude, .leastNormalMagnitude, 99.999_999_999_999_99, 100])
    func doubles(_ figure: Double) throws {
        let report = TaskEvent.Progress(reported: figure)
        let back = try readBack(publication(.progress(report), progress: figure))
        #expect(said(back) == said(publication(.progress(report), progress: figure)))
        let rate = TaskEvent.completed(
            TaskEvent.Completion(result: .empty, cost: .metered(Rate(perHour: figure, currency: .empty), .zero)))
        #expect(said(try readBack(publication(rate)).event) == said(rate))
    }

    @Test(
        "numbers of every size come back",
        arguments: [0, 1, -1, 63, 64, -64, -65, 8_191, 8_192, 1 << 31, 1 << 55, 1 << 62, .max, .min, .max - 1, .min + 1] as [Int64])
    func numbers(_ number: Int64) throws {
        let started = TaskEvent.started(TaskEvent.Start(startedAt: WallTime(milliseconds: number), attempt: Int(number)))
        #expect(said(try readBack(publication(started)).event) == said(started))
        let progress = TaskEvent.progress(TaskEvent.Progress(totalSteps: Int(number), completedSteps: Int(number)))
        #expect(said(try readBack(publication(progress)).event) == said(progress))
        let completed = TaskEvent.completed(TaskEvent.Completion(result: .empty, executionTime: TimeSpan(nanoseconds: number)))
        #expect(said(try readBack(publication(completed)).event) == said(completed))
    }

    @Test("texts of every length come back, the short ones in a block of their size", arguments: [0, 1, 127, 128, 4_000, 5_000, 70_000])
    func lengths(_ length: Int) throws {
        let result = Happenings.text(String(repeating: "x", count: length))
        let told = publication(.completed(TaskEvent.Completion(result: result)), .completed, progress: 100)
        #expect(said(try readBack(told)) == said(told))
    }

    @Test("the time and the number are the row's, and those of another stream are taken from it")
    func address() throws {
        var row = try row(Happenings.started)
        row.sequence = .max
        row.at = WallTime(milliseconds: -5)
        let back = try #require(EventArchive.publication(of: row, on: Happenings.queued.origin))
        #expect(back.sequence == .max && back.at.milliseconds == -5 && back.origin === Happenings.queued.origin)
    }

    @Test("each event has a kind of its own, and its bytes begin with the version")
    func kinds() throws {
        let events: [TaskEvent] = [
            .queued, .started(TaskEvent.Start(startedAt: Happenings.at)), .progress(TaskEvent.Progress()),
            .log(TaskEvent.Log(logs: .empty)), .failed(TaskEvent.Fault(error: .raw(.empty))),
            .completed(TaskEvent.Completion(result: .empty)), .cancelled(reason: nil),
        ]
        let rows = try events.map { try row(publication($0)) }
        #expect(rows.map(\.kind) == [1, 2, 3, 4, 5, 6, 7])
        #expect(rows.allSatisfy { $0.bytes.span[0] == 1 })
    }

    @Test("the bytes of version 1 stay what they are: files hold them")
    func format() throws {
        func hex(_ event: TaskEvent, _ state: TaskState, _ progress: Double) throws -> String {
            var writer = ByteWriter()
            let bytes = try row(publication(event, state, progress: progress)).bytes
            for index in bytes.span.indices { writer.append(hex: UInt64(bytes.span[index]), digits: 2) }
            return writer.seal().description
        }
        #expect(try hex(.queued, .queued, 5) == "0100" + "0000000000001440" + "00")
        #expect(
            try hex(.started(TaskEvent.Start(startedAt: WallTime(milliseconds: 150), attempt: 1)), .executing, 0)
                == "0101" + "0000000000000000" + "00" + "ac02" + "02")
        let report = TaskEvent.Progress(reported: 1, message: Happenings.text("ab"), currentStep: .empty, completedSteps: -1)
        #expect(
            try hex(.progress(report), .executing, 0)
                == "0101" + "0000000000000000" + "53" + "000000000000f03f" + "026162" + "00" + "01")
        let fault = TaskEvent.Fault(
            error: .plain(Happenings.text("e")), step: Happenings.text("s"),
            cost: .metered(Rate(perHour: 1, currency: Happenings.text("USD")), TimeSpan(nanoseconds: 2)))
        #expect(
            try hex(.failed(fault), .failed, 0)
                == "0103" + "0000000000000000" + "91" + "0165" + "0173" + "000000000000f03f" + "03555344" + "04")
        let completion = TaskEvent.Completion(result: Happenings.text("7"), executionTime: .zero, cost: .raw(Happenings.text("{}")))
        #expect(try hex(.completed(completion), .completed, 0) == "0102" + "0000000000000000" + "03" + "0137" + "00" + "027b7d")
    }

    // MARK: Bytes of nobody

    /// What is read of the bytes must be an event that the archive writes in just these bytes, and that every dialect can tell.
    private func judge(_ bytes: [UInt8], kind: UInt8) -> Bool {
        let row = EventRow(taskID: Happenings.id, sequence: 7, kind: kind, at: Happenings.at, bytes: SharedBytes(bytes))
        guard let read = EventArchive.publication(of: row, on: Happenings.queued.origin) else { return true }
        guard let again = try? self.row(read), again.kind == kind, again.bytes == row.bytes else { return false }
        var writer = ByteWriter()
        for part in 0..<TaskDialect.messageCount(of: read) { TaskDialect.write(read, part: part, to: &writer) }
        for part in 0..<HubDialect.messageCount(of: read.event) { HubDialect.write(read, part: part, to: &writer) }
        for part in 0..<UserDialect.messageCount(of: read.event) { UserDialect.write(read, part: part, to: &writer) }
        ProgressAPI.writeHistory(of: read.task, [read], to: &writer)
        return true
    }

    private func bytes(_ event: TaskEvent) throws -> (bytes: [UInt8], kind: UInt8) {
        let row = try row(publication(event))
        return (row.bytes.span.indices.map { row.bytes.span[$0] }, row.kind)
    }

    @Test("a row that is cut off anywhere, or goes on, is nothing")
    func truncated() throws {
        for event in Self.events {
            let (bytes, kind) = try bytes(event)
            for cut in (0..<bytes.count).map({ Array(bytes[..<$0]) }) + [bytes + [0], bytes + bytes] {
                let row = EventRow(taskID: Happenings.id, sequence: 7, kind: kind, at: Happenings.at, bytes: SharedBytes(cut))
                #expect(EventArchive.publication(of: row, on: Happenings.queued.origin) == nil, "\(cut)")
            }
        }
    }

    @Test("a row with any bit turned is nothing, or an event")
    func flipped() throws {
        for event in Self.events {
            let (bytes, kind) = try bytes(event)
            for bit in 0..<bytes.count * 8 {
                var turned = bytes
                turned[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(judge(turned, kind: kind), "\(turned)")
            }
        }
    }

    @Test("a row of another kind is nothing, or an event")
    func otherKinds() throws {
        for event in Self.events {
            let bytes = try bytes(event).bytes
            for kind in UInt8.min...UInt8.max { #expect(judge(bytes, kind: kind), "\(bytes) as \(kind)") }
        }
    }

    @Test("bytes of chance are nothing, or an event", arguments: [1, 2, 3] as [UInt64])
    func chance(_ seed: UInt64) throws {
        var random = Seeded(seed: seed)
        for _ in 0..<10_000 {
            var bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            // Half of them look right for as long as they are looked at together.
            if Bool.random(using: &random) {
                let start = [1, UInt8.random(in: 0...4, using: &random), 0, 0, 0, 0, 0, 0, 0x14, 0x40]
                bytes = start + bytes.map { $0 & (Bool.random(using: &random) ? 0x0f : 0xff) }
            }
            #expect(judge(bytes, kind: UInt8.random(in: 0...8, using: &random)), "\(bytes)")
        }
    }

    @Test(
        "what the archive would not have written so is nothing; what it would is an event",
        arguments: [
            // Ours; another version, an unknown state, an unknown mark.
            (1, "01 00 0000000000001440 00", true), (1, "00 00 0000000000001440 00", false), (1, "02 00 0000000000001440 00", false),
            (1, "01 05 0000000000001440 00", false), (1, "01 00 0000000000001440 01", false), (3, "01 01 0000000000001440 80", false),
            (4, "01 01 0000000000001440 00 00", true), (4, "01 01 0000000000001440 04 00", false),
            // A progress that is no figure, is negative, is beyond 100; a report that is no figure.
            (1, "01 00 000000000000f87f 00", false), (1, "01 00 00000000000014c0 00", false), (1, "01 00 0000000000005940 00", true),
            (1, "01 00 0100000000005940 00", false), (1, "01 00 000000000000f07f 00", false),
            (3, "01 01 0000000000001440 01 000000000000f83f", true), (3, "01 01 0000000000001440 01 000000000000f87f", false),
            // A cost in both ways; a rate below nothing, without end, and none.
            (6, "01 02 0000000000005940 04 00 000000000000f03f 00 00", true),
            (6, "01 02 0000000000005940 06 00 000000000000f03f 00 00", false),
            (6, "01 02 0000000000005940 06 00 00", false), (6, "01 02 0000000000005940 04 00 000000000000f0bf 00 00", false),
            (6, "01 02 0000000000005940 04 00 000000000000f07f 00 00", false),
            (6, "01 02 0000000000005940 04 00 000000000000f87f 00 00", false),
            // A length beyond the end, beyond 63 bits, beyond 64; one of more bytes than it needs.
            (7, "01 04 0000000000001440 01 02 6162", true), (7, "01 04 0000000000001440 01 03 6162", false),
            (7, "01 04 0000000000001440 01 ffffffffffffffff7f", false), (7, "01 04 0000000000001440 01 ffffffffffffffffff01", false),
            (7, "01 04 0000000000001440 01 ffffffffffffffffff02", false),
            (7, "01 04 0000000000001440 01 ffffffffffffffffffff01", false), (7, "01 04 0000000000001440 01 8000", false),
            // A text that is no UTF-8, or not all of it.
            (7, "01 04 0000000000001440 01 02 c3a9", true), (7, "01 04 0000000000001440 01 01 ff", false),
            (7, "01 04 0000000000001440 01 01 c3", false),
            // No such kind.
            (0, "01 00 0000000000001440 00", false), (8, "01 00 0000000000001440 00", false),
        ] as [(UInt8, String, Bool)])
    func foreign(_ kind: UInt8, _ hex: String, _ isOurs: Bool) throws {
        let digits = hex.filter { $0 != " " }
        let bytes = try stride(from: 0, to: digits.count, by: 2).map {
            try #require(UInt8(digits.dropFirst($0).prefix(2), radix: 16))
        }
        let row = EventRow(taskID: Happenings.id, sequence: 7, kind: kind, at: Happenings.at, bytes: SharedBytes(bytes))
        #expect((EventArchive.publication(of: row, on: Happenings.queued.origin) != nil) == isOurs)
    }

    // MARK: What is kept

    private func names(_ event: TaskEvent) -> [String] {
        records(publication(event)).map {
            switch $0 {
            case .happened(let row): "happened \(row.taskID) \(row.sequence) \(row.at.milliseconds)"
            case .progressed(let row): "progressed \(row.taskID) \(row.sequence) \(row.createdAt.milliseconds)"
            case .logged(let row): "logged \(row.taskID) \(row.sequence) \(row.createdAt.milliseconds)"
            case .submitted, .assigned, .requeued, .resumed, .ended, .removed, .letterKept, .letterRemoved, .progressCleared,
                .sessionOpened, .sessionTouched, .sessionClosed, .activityNoted, .alertChanged, .deploymentChanged, .deploymentRemoved,
                .revoked, .revocationRemoved:
                "other"
            }
        }
    }

    @Test("each event has its row, then its place in a table; a piece of a result has neither")
    func kept() {
        let stamp = "interview_123 7 1768905000987"
        for event in Self.events {
            if case .log = event {
                #expect(names(event) == ["happened \(stamp)", "logged \(stamp)"])
            } else {
                #expect(names(event) == ["happened \(stamp)", "progressed \(stamp)"])
            }
        }
        #expect(names(.chunk(Happenings.text("{}"))).isEmpty)
    }

    private func progressRow(_ publication: Publication) throws -> ProgressRow {
        let rows = records(publication).compactMap { if case .progressed(let row) = $0 { row } else { nil } }
        return try #require(rows.first)
    }

    @Test("a report's row, in the document's columns")
    func progressColumns() throws {
        let publication = Happenings.progress(
            47.9, message: "正在处理第4个片段...", step: "load", info: #"{"k": 1.0}"#, currentStep: "处理视频片段", of: 10, done: 4)
        #expect(
            try progressRow(publication)
                == ProgressRow(
                    taskID: Happenings.id, progress: 47, currentStep: Happenings.text("处理视频片段"), totalSteps: 10, completedSteps: 4,
                    message: Happenings.text("正在处理第4个片段..."), status: Happenings.text("running"),
                    metadata: Happenings.text(#"{"k": 1.0}"#), createdAt: Happenings.at, sequence: 7))
    }

    @Test("a report without a current step has its step; one that says nothing leaves the columns empty")
    func sparseColumns() throws {
        #expect(try progressRow(Happenings.progress(step: "load")).currentStep == Happenings.text("load"))
        #expect(
            try progressRow(Happenings.progress(100, reported: nil))
                == ProgressRow(
                    taskID: Happenings.id, progress: 100, status: Happenings.text("running"), createdAt: Happenings.at, sequence: 7))
    }

    @Test(
        "a change of state has the document's word, and what was said of it",
        arguments: [
            (.queued, .queued, 5, "5 pending  "), (.started(TaskEvent.Start(startedAt: Happenings.at)), .executing, 10, "10 running  "),
            (Happenings.completed(#"{"a":1}"#), .completed, 100, "100 completed  "),
            (.cancelled(reason: Happenings.text("by user")), .cancelled, 40, "40 cancelled by user "),
            (.cancelled(reason: nil), .cancelled, 40, "40 cancelled  "),
            (Happenings.failed(.plain(Happenings.text(#""as it is""#)), step: "save"), .failed, 40, #"40 failed "as it is" save"#),
            (Happenings.failed(.raw(Happenings.text(#""a \u00e9\n\"b\"""#))), .failed, 40, "40 failed a é\n\"b\" "),
            (Happenings.failed(.raw(Happenings.text(#"{"code": 5}"#))), .failed, 40, #"40 failed {"code": 5} "#),
            (Happenings.failed(.raw(.empty)), .failed, 40, "40 failed Task failed "),
        ] as [(TaskEvent, TaskState, Double, String)])
    func stateColumns(_ event: TaskEvent, _ state: TaskState, _ progress: Double, _ expected: String) throws {
        let row = try progressRow(publication(event, state, progress: progress))
        #expect("\(row.progress) \(row.status) \(row.message) \(row.currentStep)" == expected)
    }

    @Test("texts are cut to the columns' characters, and no character in two; the event keeps them whole", arguments: ["x", "é", "处", "💡"])
    func cut(_ character: String) throws {
        func text(_ count: Int) -> SharedBytes { Happenings.text(String(repeating: character, count: count)) }
        for (step, message) in [(199, 499), (200, 500), (201, 501), (1_000, 1_000)] {
            let report = TaskEvent.Progress(message: text(message), currentStep: text(step))
            let row = try progressRow(publication(.progress(report)))
            #expect(row.currentStep == text(min(step, 200)) && row.message == text(min(message, 500)))
            #expect(said(try readBack(publication(.progress(report))).event) == said(.progress(report)))
        }
        let fault = TaskEvent.failed(TaskEvent.Fault(error: .plain(text(501)), step: text(201)))
        #expect(try progressRow(publication(fault, .failed)).message == text(500))
        #expect(try progressRow(publication(fault, .failed)).currentStep == text(200))
        #expect(try progressRow(publication(.cancelled(reason: text(501)), .cancelled)).message == text(500))
    }

    @Test("a log's row; who leaves level and source open is INFO and the worker")
    func logColumns() throws {
        func row(_ log: TaskEvent.Log) -> LogRow? {
            records(publication(.log(log))).compactMap { if case .logged(let row) = $0 { row } else { nil } }.first
        }
        #expect(
            row(TaskEvent.Log(logs: Happenings.text("a\nb"), level: Happenings.text("W"), source: Happenings.text("gpu")))
                == LogRow(
                    taskID: Happenings.id, sequence: 7, level: Happenings.text("W"), source: Happenings.text("gpu"),
                    text: Happenings.text("a\nb"), createdAt: Happenings.at))
        let bare = row(TaskEvent.Log(logs: .empty))
        #expect(bare?.level == Happenings.text("INFO") && bare?.source == Happenings.text("worker"))
    }
}
