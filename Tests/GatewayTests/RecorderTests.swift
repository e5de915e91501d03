// Goal: promises are kept in order, behind everything that they depend on and never before; what fails is tried again or counted as lost.
import Base
import Domain
import Testing

@testable import Gateway

@Suite("Recorder")
final class RecorderTests {
    private var recorder = Recorder()

    private func promise(_ number: UInt32) -> Promise {
        .receipt(ExchangeID(connection: ConnectionID(slot: 1, generation: 1), number: number))
    }

    private func number(_ promise: Promise) -> UInt32 {
        guard case .receipt(let exchange) = promise else { return 0 }
        return exchange.number
    }

    private func mayKeep(_ number: UInt32) -> Bool { recorder.mayKeep(promise(number)) }

    private func committed(_ upTo: UInt64) -> [UInt32] { recorder.committed(upTo: upTo).map(number) }

    private func requested() -> [UInt32] { recorder.takeRequested().map(number) }

    private let removed = Record.removed(TaskID(high: 1, low: 1))
    private let cleared = Record.progressCleared(TaskID(high: 1, low: 1))

    @Test("with nothing on its way a promise is kept at once")
    func atOnce() {
        #expect(mayKeep(1))
        recorder.append(cleared)
        #expect(!mayKeep(2))
        #expect(committed(1) == [2])
        #expect(mayKeep(3))
        #expect(recorder.promiseCount == 0)
    }

    @Test("a promise waits for all records before it, and for none behind it")
    func order() {
        for index in 1...4 {
            recorder.append(cleared)
            #expect(!mayKeep(UInt32(index)))
        }
        #expect(committed(2) == [1, 2])
        #expect(committed(2).isEmpty)
        #expect(committed(4) == [3, 4])
    }

    @Test("records are taken once, numbered without a gap")
    func taking() {
        recorder.append(cleared)
        recorder.append(removed)
        var taken: [RecordEntry] = []
        recorder.take(into: &taken)
        #expect(taken.map(\.number) == [1, 2])
        recorder.append(removed)
        recorder.take(into: &taken)
        #expect(taken.map(\.number) == [3])
    }

    private func taken() -> [RecordEntry] {
        var list: [RecordEntry] = []
        recorder.take(into: &list)
        return list
    }

    private func failed(_ entries: [RecordEntry], bytesMax: Int = 1 << 20) -> Int {
        recorder.failed(entries, bytesMax: bytesMax, retryAt: Instant(nanoseconds: 5)).count
    }

    private func broken(_ numbers: Set<UInt32>) -> [UInt32] {
        recorder.takeBroken { numbers.contains(number($0)) }.map(number)
    }

    @Test("what the disk did not take is tried again before anything newer, under its numbers; who waits for it waits on")
    func failure() {
        recorder.append(cleared)
        recorder.append(removed)
        #expect(!mayKeep(1))
        #expect(failed(taken()) == 0)
        #expect(recorder.isFailing && recorder.retryTime == Instant(nanoseconds: 5) && recorder.lost == 0)
        recorder.append(cleared)
        #expect(!mayKeep(2))
        #expect(taken().isEmpty, "nothing newer goes before it")
        #expect(broken([]).isEmpty)
        recorder.retry()
        #expect(!recorder.isFailing && recorder.retryTime == nil)
        let again = taken()
        #expect(again.map(\.number) == [1, 2, 3])
        #expect(again.map(\.isAwaited) == [false, true, true])
        #expect(committed(3) == [1, 2])
        #expect(mayKeep(3))
    }

    @Test("whoever cannot be told yes is told so, and the others keep their order")
    func broken() {
        for number in 1...4 {
            recorder.append(removed)
            _ = mayKeep(UInt32(number))
        }
        _ = failed(taken())
        #expect(broken([2, 4]) == [2, 4])
        recorder.retry()
        _ = taken()
        #expect(committed(4) == [1, 3])
    }

    @Test("batches whose failures are told in any order are tried again in theirs")
    func sorted() {
        recorder.append(removed)
        let first = taken()
        recorder.append(cleared)
        let second = taken()
        _ = failed(second)
        _ = failed(first)
        recorder.retry()
        #expect(taken().map(\.number) == [1, 2])
    }

    @Test("what nobody was promised gives way where too much waits to be tried again; where nothing is left, nobody waits")
    func bounded() {
        recorder.append(cleared)
        recorder.append(removed)
        recorder.append(cleared)
        #expect(failed(taken(), bytesMax: 0) == 0)
        #expect(recorder.lost == 1 && recorder.isFailing, "the first had room, and an end always has")
        recorder.retry()
        _ = taken()
        _ = committed(3)
        recorder.append(cleared)
        #expect(!mayKeep(1))
        #expect(failed(taken(), bytesMax: -1) == 0)
        #expect(!recorder.isFailing && recorder.lost == 2)
        #expect(recorder.takeDue().map(number) == [1])
    }

    @Test("requested promises come in order, once")
    func requests() {
        recorder.request(promise(1))
        recorder.request(promise(2))
        #expect(requested() == [1, 2])
        #expect(requested().isEmpty)
    }
}
