// HistoryTests: what came after a position is all of it in order, or a gap; over any number of streams, lengths and bounds.
import Base
import Testing
import TestSupport

@testable import Domain

struct HistoryTests {
    /// A stream that a test can hold.
    private final class Holder {
        var stream: TaskStream
        var published: [Publication] = []

        init(_ stream: consuming TaskStream) { self.stream = stream }

        func publish(_ event: TaskEvent, number: UInt64, into history: inout History) {
            let sequence = stream.advance()
            let publication = Publication(
                number: number, origin: stream.origin, sequence: sequence, at: WallTime(milliseconds: Int64(number)), event: event,
                state: .queued, progress: 0)
            published.append(publication)
            history.append(publication, to: &stream)
        }
    }

    private static func holders(_ count: Int) -> [Holder] {
        var source = StreamSource(epoch: 77)
        return (0..<count).map { Holder(source.open(task: TaskID(high: 0, low: UInt64($0)), user: nil, project: nil)) }
    }

    private static func numbers(_ replay: Replay) -> [UInt64]? {
        switch replay {
        case .whole(let publications): publications.map(\.number)
        case .gap: nil
        }
    }

    private static func firstHeld(_ replay: Replay) -> UInt64? {
        switch replay {
        case .whole: nil
        case .gap(let firstHeld): firstHeld
        }
    }

    @Test("a task that only came holds nothing, and its coming is told all the same")
    func birth() {
        var history = History(lengthMax: 3, bytesMax: 1 << 20)
        let holder = Self.holders(1)[0]
        #expect(Self.numbers(history.since(0, epoch: nil, of: holder.stream)) == [])
        holder.publish(.queued, number: 5, into: &history)
        #expect(history.figures == HistoryFigures())
        #expect(Self.numbers(history.since(0, epoch: nil, of: holder.stream)) == [5])
        #expect(Self.numbers(history.since(1, epoch: nil, of: holder.stream)) == [])
        #expect(history.last(9, of: holder.stream).map(\.at) == [WallTime(milliseconds: 5)])
        holder.publish(.progress(.init(reported: 1)), number: 6, into: &history)
        #expect(Self.numbers(history.since(0, epoch: nil, of: holder.stream)) == [5, 6])
        #expect(history.figures.publications == 2 && history.figures.streams == 1)
        history.clear(&holder.stream)
        #expect(history.figures == HistoryFigures())
        let lost = history.since(0, epoch: nil, of: holder.stream)
        #expect(Self.numbers(lost) == nil && Self.firstHeld(lost) == nil)
    }

    @Test("a position of another stream, or ahead of this one, is a gap; nothing seen is a position of every stream")
    func foreign() {
        var history = History(lengthMax: 3, bytesMax: 1 << 20)
        let holder = Self.holders(1)[0]
        let epoch = holder.stream.origin.epoch
        for number: UInt64 in 1...3 { holder.publish(.log(.init(logs: .empty)), number: number, into: &history) }
        #expect(Self.numbers(history.since(2, epoch: epoch, of: holder.stream)) == [3])
        #expect(Self.firstHeld(history.since(2, epoch: epoch &+ 1, of: holder.stream)) == 1)
        #expect(Self.numbers(history.since(3, epoch: epoch &+ 1, of: holder.stream)) == nil)
        #expect(Self.numbers(history.since(0, epoch: epoch &+ 1, of: holder.stream)) == [1, 2, 3])
        #expect(Self.firstHeld(history.since(4, epoch: epoch, of: holder.stream)) == 1)
        #expect(Self.firstHeld(history.since(.max, epoch: nil, of: holder.stream)) == 1)
    }

    @Test("a restored stream goes on where it was, and what came before is a gap")
    func restored() {
        var history = History(lengthMax: 3, bytesMax: 1 << 20)
        let holder = Holder(TaskStream(task: TaskID(high: 0, low: 1), user: nil, project: nil, epoch: 4, sequence: 40))
        #expect(Self.numbers(history.since(40, epoch: 4, of: holder.stream)) == [])
        #expect(Self.numbers(history.since(39, epoch: 4, of: holder.stream)) == nil)
        holder.publish(.queued, number: 1, into: &history)
        #expect(holder.published[0].sequence == 41)
        #expect(Self.numbers(history.since(40, epoch: 4, of: holder.stream)) == [1])
        #expect(Self.firstHeld(history.since(39, epoch: 4, of: holder.stream)) == 41)
    }

    @Test("random streams agree with arrays", arguments: 1...12)
    func chance(_ seed: Int) {
        var random = Seeded(seed: UInt64(seed))
        let lengthMax = [1, 2, 7, 100][seed % 4]
        let bytesMax = [0, 5_000, 1 << 30][seed % 3]
        var history = History(lengthMax: lengthMax, bytesMax: bytesMax)
        let holders = Self.holders(12)
        /// What each stream is to have; and the streams with a history in the order of their last publication.
        var held = [[Publication]](repeating: [], count: holders.count)
        var order: [Int] = []
        var shed = 0
        func bytes() -> Int { order.reduce(0) { $0 + 160 + held[$1].reduce(0) { $0 + $1.byteCount } } }
        for number in 1...1_000 {
            let at = Int.random(in: 0..<holders.count, using: &random)
            let holder = holders[at]
            if Int.random(in: 0..<60, using: &random) == 0 {
                history.clear(&holder.stream)
                held[at] = []
                order.removeAll { $0 == at }
            } else {
                let text = SharedBytes([UInt8](repeating: 0, count: Int.random(in: 0..<200, using: &random)))
                let event: TaskEvent = holder.stream.sequence == 0 && at % 2 == 0 ? .queued : .log(.init(logs: text))
                holder.publish(event, number: UInt64(number), into: &history)
                held[at].append(holder.published[holder.published.count - 1])
                if case .queued = event { continue }
                held[at] = Array(held[at].suffix(lengthMax))
                order.removeAll { $0 == at }
                order.append(at)
                while bytes() > bytesMax, !order.isEmpty {
                    held[order.removeFirst()] = []
                    shed += 1
                }
            }
            #expect(history.figures.shed == shed && history.figures.streams == order.count)
            #expect(history.figures.publications == order.reduce(0) { $0 + held[$1].count })
            #expect(history.figures.bytes == bytes() && history.figures.bytes <= bytesMax)
            let asked = Int.random(in: 0..<holders.count, using: &random)
            let position = UInt64.random(in: 0...holders[asked].stream.sequence, using: &random)
            let missed = holders[asked].published.dropFirst(Int(position)).map(\.number)
            let isHeld = missed.allSatisfy { number in number >= held[asked].first?.number ?? .max }
            let replay = history.since(position, epoch: holders[asked].stream.origin.epoch, of: holders[asked].stream)
            #expect(Self.numbers(replay) == (isHeld ? missed : nil))
            if !isHeld { #expect(Self.firstHeld(replay) == held[asked].first?.sequence) }
            #expect(history.last(3, of: holders[asked].stream).map(\.number) == held[asked].suffix(3).map(\.number))
        }
        for holder in holders { history.clear(&holder.stream) }
        #expect(history.figures.streams == 0 && history.figures.publications == 0 && history.figures.bytes == 0)
    }
}
