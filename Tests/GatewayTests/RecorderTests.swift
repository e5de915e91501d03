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

    @Test("what has to be written is tried again under a new number, and who waits for it waits on; the rest is lost")
    func failure() {
        recorder.append(cleared)
        recorder.append(removed)
        #expect(!mayKeep(1))
        var taken: [RecordEntry] = []
        recorder.take(into: &taken)
        let judged = recorder.failed(taken, bytesMax: 1 << 20, retryAt: Instant(nanoseconds: 5))
        #expect(judged.promises.map(number) == [1])
        #expect(recorder.lost == 1)
        #expect(recorder.hasUnwritten)
        #expect(recorder.retryTime == Instant(nanoseconds: 5))
        recorder.delay(promise(1))
        // Who comes meanwhile waits behind it.
        #expect(!mayKeep(2))
        recorder.retry()
        #expect(recorder.retryTime == nil)
        recorder.take(into: &taken)
        #expect(taken.map(\.number) == [3])
        #expect(committed(3) == [2, 1])
        #expect(mayKeep(3))
    }

    @Test("what waits to be tried again is bounded")
    func bounded() {
        recorder.append(removed)
        recorder.append(removed)
        var taken: [RecordEntry] = []
        recorder.take(into: &taken)
        _ = recorder.failed(taken, bytesMax: 0, retryAt: Instant(nanoseconds: 5))
        #expect(recorder.lost == 1)
    }

    @Test("requested promises come in order, once")
    func requests() {
        recorder.request(promise(1))
        recorder.request(promise(2))
        #expect(requested() == [1, 2])
        #expect(requested().isEmpty)
    }
}
