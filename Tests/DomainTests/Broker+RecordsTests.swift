// Broker+RecordsTests: which tasks are written down, when, as what, and before whom anybody hears of it.
import Base
import Testing

@testable import Domain

struct BrokerRecordsTests {
    @Test("a task that somebody waits for and that says nothing is written nowhere")
    func silentSync() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(request: 1)
        try rig.broker.chunk(task.id, by: worker, Rig.piece, at: rig.now)
        try rig.complete(task, by: worker)
        #expect(
            rig.order() == ["assign", "publish started", "publish chunk", "publish completed", "answer", "acknowledge"])
        #expect(!task.isRecorded)
    }

    @Test("a task that nobody waits for is two records: taken in, where a worker has it at once, and ended; each before who hears of it")
    func silentAsync() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(accepted: 1)
        #expect(task.isRecorded)
        #expect(rig.order() == ["assign", "record submitted executing 1", "publish started", "accept"])
        try rig.complete(task, by: worker)
        #expect(rig.order() == ["record ended completed 2", "publish completed", "acknowledge"])
    }

    @Test("a task that nobody at all is told of is written down all the same")
    func nobody() throws {
        let rig = Rig()
        _ = rig.ready()
        try rig.submit()
        #expect(rig.order() == ["assign", "record submitted executing 1", "publish started"])
    }

    @Test("a task with an idempotency key is written down although somebody waits for it")
    func keyed() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", request: 1)
        try rig.fail(task, by: worker)
        #expect(
            rig.order() == [
                "assign", "record submitted executing 1", "publish started", "record ended failed 2",
                "record letter 1", "publish failed", "answer", "acknowledge",
            ])
    }

    @Test("with its first report a task is written down as it stands, with its events so far, and from then on each event")
    func firstReport() throws {
        let rig = Rig()
        let worker = rig.ready()
        let first = try rig.submit(request: 1)
        let task = try rig.submit(retries: 1, request: 2)
        try rig.complete(first, by: worker)
        _ = rig.order()
        try rig.progress(task, by: worker, 5)
        #expect(
            rig.order() == [
                "record submitted executing 2", "archive queued 1", "archive started 2", "publish progress", "archive progress 3",
            ])
        try rig.broker.logged(task.id, by: worker, Rig.log, at: rig.now)
        try rig.broker.chunk(task.id, by: worker, Rig.piece, at: rig.now)
        #expect(rig.order() == ["publish log", "archive log 4", "publish chunk"])
        rig.gone(worker)
        #expect(rig.order() == ["record requeued 5", "publish queued", "archive queued 5"])
        let next = rig.ready()
        #expect(rig.order() == ["assign", "record assigned 6", "publish started", "archive started 6"])
        try rig.complete(task, by: next)
        #expect(rig.order() == ["record ended completed 7", "publish completed", "archive completed 7", "answer", "acknowledge"])
    }

    @Test("a log is a report as well, and of a recorded task only the events are still missing")
    func firstLog() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        _ = rig.order()
        try rig.broker.logged(task.id, by: worker, Rig.log, at: rig.now)
        #expect(rig.order() == ["archive started 1", "publish log", "archive log 2"])
        _ = rig.cancel(task)
        #expect(rig.order() == ["record ended cancelled 3", "publish cancelled", "archive cancelled 3"].withRecall(at: 0))
    }

    @Test("what is written at the first report says how the task stands")
    func imageOnTheWay() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit("payload", timeout: .seconds(9), retries: 2, user: "u", request: 2)
        rig.pass(.seconds(1))
        try rig.progress(task, by: worker, 5)
        let images = rig.taken().compactMap { effect -> TaskImage? in
            if case .record(.submitted(let image)) = effect { image } else { nil }
        }
        let image = try #require(images.first)
        #expect(image.id == task.id && image.userID == SharedBytes("u") && image.group == SharedBytes("default"))
        #expect(image.state == .executing && image.worker == worker.id.text && image.startedAt == task.enqueuedAt && image.attempts == 1)
        #expect(image.payload == SharedBytes("payload") && image.retriesLeft == 2 && !image.isDetached && image.origin == .dispatched)
        #expect(image.deadline?.milliseconds == task.enqueuedAt.milliseconds + 9_000 && image.createdAt == task.createdAt)
    }

    @Test("whoever submits and does not wait is answered each time, also when the key names a task that is known or has ended")
    func acceptedAgain() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", accepted: 1)
        try rig.submit(key: "k", accepted: 2)
        #expect(rig.heard() == ["w1 gets t1", "request 1: t1 is taken in", "request 2: t1 is taken in"])
        try rig.complete(task, by: worker)
        _ = rig.heard()
        try rig.submit(key: "k", accepted: 3)
        #expect(rig.order() == ["accept"])
    }

    // MARK: The disk refuses

    @Test("a promised task that the disk refused is withdrawn, its worker told, and its key free")
    func refusedPromise() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", accepted: 1)
        _ = rig.order()
        rig.pass(.seconds(1))
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        #expect(rig.heard() == ["w1 drops t1"])
        #expect(task.state == .cancelled && !task.isRecorded && worker.hands.isEmpty)
        let again = try rig.submit(key: "k", accepted: 2)
        #expect(again !== task && again.isRecorded)
    }

    @Test("one that waits is taken out of the line; nothing more of it is written")
    func refusedWaiting() throws {
        let rig = Rig()
        _ = rig.ready()
        try rig.submit()
        let task = try rig.submit(accepted: 1)
        _ = rig.order()
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        #expect(rig.order() == ["publish cancelled"])
        #expect(rig.broker.queuedCount == 0)
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        rig.broker.recordFailed(of: rig.image(task, named: TaskID(high: 1, low: 1)), at: rig.now)
        #expect(rig.order() == [])
    }

    @Test("one that ended meanwhile keeps its end in memory and gives up its key")
    func refusedEnded() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", accepted: 1)
        try rig.complete(task, by: worker)
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        #expect(task.state == .completed && !task.isRecorded)
        #expect(try rig.submit(key: "k", accepted: 2) !== task)
    }

    @Test("a task that somebody waits for goes on unwritten, until somebody wants it who does not wait")
    func refusedSync() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", request: 1)
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        _ = rig.order()
        try rig.progress(task, by: worker, 1)
        #expect(rig.order() == ["publish progress"])
        try rig.submit(key: "k", accepted: 2)
        #expect(rig.order() == ["record submitted executing 2", "accept"] && task.isRecorded)
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        #expect(task.state == .cancelled)
    }

    @Test("one that ended unwritten is written whole when it is promised")
    func refusedThenPromised() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(key: "k", request: 1)
        rig.broker.recordFailed(of: rig.image(task), at: rig.now)
        try rig.complete(task, by: worker)
        _ = rig.order()
        try rig.submit(key: "k", accepted: 2)
        #expect(rig.order() == ["record submitted executing 2", "record ended completed 2", "accept"])
    }

    // MARK: What the record of a task says

    @Test("who had a task last is known after its end, and when it was last heard of")
    func lastWorker() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit()
        #expect(task.lastWorker == worker.id && task.updatedAt == task.createdAt && task.createdAt == task.enqueuedAt)
        rig.pass(.seconds(1))
        try rig.broker.chunk(task.id, by: worker, Rig.piece, at: rig.now)
        #expect(task.updatedAt == rig.now.wall)
        rig.pass(.seconds(1))
        try rig.complete(task, by: worker)
        #expect(task.worker == nil && task.lastWorker == worker.id && task.updatedAt == rig.now.wall && task.origin == .dispatched)
    }
}

extension [String] {
    /// The same, with a worker told to drop its task.
    fileprivate func withRecall(at index: Int) -> [String] {
        var lines = self
        lines.insert("recall", at: index)
        return lines
    }
}
