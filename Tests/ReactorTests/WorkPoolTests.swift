// The work pool: its width, its line, and that everything accepted is run.
import Base
import Dispatch
import Synchronization
import Testing

@testable import Reactor

struct WorkPoolTests {
    @Test("no more run at a time than the width, and all are run", arguments: [1, 3])
    func width(_ width: Int) {
        let pool = WorkPool(width: width)
        let running = Mutex((now: 0, most: 0, done: 0))
        let finished = DispatchGroup()
        for _ in 0..<500 {
            finished.enter()
            let accepted = pool.run {
                running.withLock {
                    $0.now += 1
                    $0.most = max($0.most, $0.now)
                }
                // Long enough to meet whoever runs beside it.
                _ = (0..<1_000).reduce(0, ^)
                running.withLock {
                    $0.now -= 1
                    $0.done += 1
                }
                finished.leave()
            }
            #expect(accepted)
        }
        finished.wait()
        running.withLock {
            #expect($0.done == 500)
            #expect($0.most <= width)
        }
    }

    @Test("as many as the width do run at the same time")
    func parallel() {
        let pool = WorkPool(width: 2)
        let first = DispatchSemaphore(value: 0)
        let second = DispatchSemaphore(value: 0)
        let finished = DispatchGroup()
        finished.enter()
        finished.enter()
        // Each waits for the other: with one at a time, neither would end.
        #expect(
            pool.run {
                first.signal(); second.wait(); finished.leave()
            })
        #expect(
            pool.run {
                second.signal(); first.wait(); finished.leave()
            })
        #expect(finished.wait(timeout: .now() + 30) == .success)
    }

    @Test("a full line takes no more, and takes again when it is shorter")
    func fullLine() {
        let pool = WorkPool(width: 1, waitingMax: 2)
        let gate = DispatchSemaphore(value: 0)
        let begun = DispatchSemaphore(value: 0)
        let finished = DispatchGroup()
        finished.enter()
        #expect(
            pool.run {
                begun.signal(); gate.wait(); finished.leave()
            })
        begun.wait()
        for _ in 0..<2 {
            finished.enter()
            #expect(pool.run { finished.leave() })
        }
        #expect(!pool.run {})
        #expect(pool.load == (1, 2))
        gate.signal()
        finished.wait()
        finished.enter()
        #expect(pool.run { finished.leave() })
        finished.wait()
    }
}
