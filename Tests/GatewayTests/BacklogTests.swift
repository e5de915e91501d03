// Goal: whatever comes faster than it is read, the order of each task stands, nothing that must be told is lost, and what is left out is
// said to be.
import Base
import TestSupport
import Testing
import WebSockets

@testable import Domain
@testable import Gateway

@Suite("Backlog")
struct BacklogTests {
    private struct Source {
        let origin: StreamOrigin
        var sequence: UInt64 = 0

        init(_ number: UInt64) {
            origin = StreamOrigin(task: TaskID(high: 0, low: number), user: nil, project: nil, epoch: number)
        }
    }

    private enum Kind: CaseIterable { case started, progress, log, completed }

    private static let at = WallTime(milliseconds: 1_700_000_000_000)

    private static func publication(_ kind: Kind, _ source: inout Source, number: UInt64) -> Publication {
        source.sequence += 1
        let event: TaskEvent =
            switch kind {
            case .started: .started(TaskEvent.Start(startedAt: at))
            case .progress: .progress(TaskEvent.Progress())
            case .log: .log(TaskEvent.Log(logs: SharedBytes("l")))
            case .completed: .cancelled(reason: nil)
            }
        return Publication(
            number: number, origin: source.origin, sequence: source.sequence, at: at, event: event, state: .executing, progress: 1)
    }

    private static func delivery(_ text: String) -> Delivery {
        let bytes = SharedBytes(text)
        return Delivery(form: .frames, bytes: bytes, first: 0..<bytes.count, second: 0..<0, messageCount: 1)
    }

    private static func describe(_ piece: Backlog.Piece) -> String {
        switch piece {
        case .delivery(let delivery, let number): "\(number):\(delivery.bytes)"
        case .message(_, let text): "private:\(text)"
        case .gap(let gap): "gap:\(gap.task) \(gap.first)-\(gap.last)"
        }
    }

    private static func drain(_ backlog: inout Backlog) -> [String] {
        var seen: [String] = []
        while let piece = backlog.popFirst() { seen.append(describe(piece)) }
        return seen
    }

    /// Plays letters: s started, p progress, l a log of 100 bytes, c the end, + something private; capitals are the second task's.
    private static func play(_ letters: String, logsMax: Int = 10) -> (left: [String], toll: Backlog.Toll) {
        var backlog = Backlog(logBytesMax: logsMax * (100 + Backlog.itemBytes))
        var sources = [Source(1), Source(2)]
        var toll = Backlog.Toll()
        for (index, letter) in letters.enumerated() {
            let other = letter.isUppercase ? 1 : 0
            let kind: Kind
            switch letter.lowercased() {
            case "s": kind = .started
            case "p": kind = .progress
            case "l": kind = .log
            case "c": kind = .completed
            default:
                backlog.append(.text, SharedBytes("\(index + 1)"))
                continue
            }
            let text = kind == .log ? "\(letter)" + String(repeating: "-", count: 99) : "\(letter)"
            let publication = publication(kind, &sources[other], number: UInt64(index + 1))
            let taken = backlog.append(delivery(text), of: Occasion(publication))
            toll.conflated += taken.conflated
            toll.logsLeftOut += taken.logsLeftOut
        }
        let left = drain(&backlog).map { $0.filter { $0 != "-" || $0.isNumber } }
        #expect(backlog.isEmpty && backlog.byteCount == 0)
        return (left, toll)
    }

    private static func gap(_ task: UInt64, _ first: Int, _ last: Int) -> String {
        "gap:\(TaskID(high: 0, low: task)) \(first)-\(last)".filter { $0 != "-" }
    }

    @Test("newer progress of a task takes the place of older, at the end; another task's stays where it is")
    func conflation() {
        #expect(Self.play("spPpp").left == ["1:s", "3:P", "5:p"])
        #expect(Self.play("spPpp").toll == Backlog.Toll(conflated: 2, logsLeftOut: 0))
        #expect(Self.play("pPpP").left == ["3:p", "4:P"])
    }

    @Test("status, endings and what is said to one alone stay, in order")
    func kept() {
        #expect(Self.play("sps+pc+").left == ["1:s", "3:s", "private:4", "5:p", "6:c", "private:7"])
    }

    @Test("the oldest logs give way to one note in their place")
    func gaps() {
        #expect(Self.play("slll", logsMax: 2).left == ["1:s", Self.gap(1, 2, 2), "3:l", "4:l"])
        #expect(Self.play("sllll", logsMax: 1).left == ["1:s", Self.gap(1, 2, 4), "5:l"])
        #expect(Self.play("slslL", logsMax: 1).left == ["1:s", Self.gap(1, 2, 2), "3:s", Self.gap(1, 4, 4), "5:L"])
        #expect(Self.play("lLlLl", logsMax: 1).left == [Self.gap(1, 1, 2), Self.gap(2, 1, 2), "5:l"])
        #expect(Self.play("sllll", logsMax: 1).toll == Backlog.Toll(conflated: 0, logsLeftOut: 3))
    }

    @Test("gaps that only replaced progress stood between become one: a task that logs and reports for ever does not grow")
    func joined() {
        let round = String(repeating: "lp", count: 500)
        #expect(Self.play(round, logsMax: 0).left == [Self.gap(1, 1, 999), "1000:p"])
    }

    @Test("after what left, everything begins anew")
    func reuse() {
        let backlog = Backlog(logBytesMax: 1_000)
        var source = Source(1)
        for number in 1...1_000 as ClosedRange<UInt64> {
            _ = backlog.append(Self.delivery("p"), of: Occasion(Self.publication(.progress, &source, number: number)))
            if number % 3 == 0, let piece = backlog.popFirst() {
                #expect(Self.describe(piece) == "\(number):p")
                #expect(backlog.isEmpty && backlog.byteCount == 0)
            }
        }
    }

    // MARK: Against an oracle

    /// The rules again, over a plain list.
    private struct Plain {
        struct Item {
            var text: String
            var epoch: UInt64?
            var kind: Kind?
            var bytes: Int
            var gap: ClosedRange<UInt64>?
        }

        var items: [Item] = []
        let logBytesMax: Int
        var bytes: Int { items.reduce(0) { $0 + $1.bytes } }

        mutating func append(_ text: String, bytes: Int, _ kind: Kind, _ publication: Publication) {
            if kind == .progress { items.removeAll { $0.kind == .progress && $0.epoch == publication.epoch } }
            items.append(Item(text: text, epoch: publication.epoch, kind: kind, bytes: bytes + Backlog.itemBytes,
                gap: publication.sequence...publication.sequence))
            while items.reduce(0, { $0 + ($1.kind == .log ? $1.bytes : 0) }) > logBytesMax,
                let oldest = items.firstIndex(where: { $0.kind == .log }) {
                items[oldest].kind = nil
                items[oldest].text = "gap"
                items[oldest].bytes = Backlog.itemBytes
            }
            join()
        }

        mutating func join() {
            var index = 0
            while index < items.count {
                if items[index].text == "gap",
                    let before = items[..<index].lastIndex(where: { $0.epoch == items[index].epoch }), items[before].text == "gap",
                    let first = items[before].gap, let second = items[index].gap {
                    items[before].gap = first.lowerBound...second.upperBound
                    items.remove(at: index)
                } else {
                    index += 1
                }
            }
        }

        mutating func popFirst() -> String? {
            guard !items.isEmpty else { return nil }
            let item = items.removeFirst()
            if item.text == "gap", let gap = item.gap, let epoch = item.epoch {
                return "gap:\(TaskID(high: 0, low: epoch)) \(gap.lowerBound)-\(gap.upperBound)"
            }
            return item.epoch == nil ? "private:\(item.text)" : item.text
        }
    }

    @Test("agrees with a plain list through random turns; each task's numbers grow", arguments: UInt64(0)..<40)
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        let logBytesMax = Int.random(in: 0...2_000, using: &random)
        let backlog = Backlog(logBytesMax: logBytesMax)
        var plain = Plain(logBytesMax: logBytesMax)
        var sources = (1...4).map { Source(UInt64($0)) }
        for number in 1...600 as ClosedRange<UInt64> {
            if Int.random(in: 0..<8, using: &random) == 0 {
                backlog.append(.text, SharedBytes("\(number)"))
                plain.items.append(Plain.Item(text: "\(number)", bytes: "\(number)".utf8.count + Backlog.itemBytes))
            } else if let kind = Kind.allCases.randomElement(using: &random) {
                let index = Int.random(in: 0..<sources.count, using: &random)
                let publication = Self.publication(kind, &sources[index], number: number)
                let text = String(repeating: "x", count: Int.random(in: 1...300, using: &random))
                _ = backlog.append(Self.delivery(text), of: Occasion(publication))
                plain.append("\(number):" + text, bytes: text.utf8.count, kind, publication)
            }
            for _ in 0..<Int.random(in: 0...(number % 50 == 0 ? 40 : 1), using: &random) {
                #expect(backlog.popFirst().map(Self.describe) == plain.popFirst())
            }
            #expect(backlog.byteCount == plain.bytes)
        }
        while let expected = plain.popFirst() { #expect(backlog.popFirst().map(Self.describe) == expected) }
        #expect(backlog.isEmpty && backlog.byteCount == 0)
    }
}
