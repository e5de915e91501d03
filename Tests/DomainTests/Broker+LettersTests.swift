// Broker+LettersTests: which failed tasks are kept to be tried again, what is kept of them, and how one becomes a task again.
import Base
import Testing

@testable import Domain

struct BrokerLettersTests {
    private func verdict(_ body: () throws(LetterRefusal) -> Void) -> String {
        do throws(LetterRefusal) {
            try body()
            return "done"
        } catch {
            switch error {
            case .unknownLetter: return "unknown"
            case .underWay: return "under way"
            case .notTaken(let refusal): return "\(refusal)"
            }
        }
    }

    /// A rig with a worker, and tasks of the group g that have failed.
    private func failed(_ count: Int, _ change: (inout Limits) -> Void = { _ in }) throws -> (Rig, [TaskRecord]) {
        let rig = Rig(seed: 4, change)
        let worker = rig.ready("g")
        let tasks = try (0..<count).map { number in
            let task = try rig.submit("{\"n\":\(number)}", group: "g", retries: 1, user: number % 2 == 0 ? "u" : nil)
            try rig.fail(task, by: worker)
            rig.pass(.milliseconds(10))
            return task
        }
        _ = rig.taken()
        return (rig, tasks)
    }

    private func names(_ rig: Rig, before: UInt64? = nil, group: String? = nil, limit: Int = 99) -> ([TaskID], Bool) {
        let page = rig.broker.letters(before: before, in: group.map { SharedBytes($0) }, limit: limit) { _ in true }
        return (page.letters.map(\.id), page.hasMore)
    }

    // MARK: Which

    @Test("a promised task that fails becomes a letter, for whatever reason; others, and other ends, do not")
    func which() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 9)
        let (waited, done, cancelled) = (try rig.submit(request: 1), try rig.submit(), try rig.submit())
        let (said, keyed, late) = (try rig.submit(), try rig.submit(key: "k", request: 2), try rig.submit(timeout: .seconds(5)))
        let lost = try rig.submit()
        let reported = try rig.register("r")
        // Its events are written down, and still nobody was promised it.
        try rig.progress(waited, by: worker, 50)
        try rig.fail(waited, by: worker)
        try rig.complete(done, by: worker)
        _ = rig.cancel(cancelled)
        #expect(rig.report(reported, .failed(TaskEvent.Fault(error: .plain(Rig.piece)))) == "taken" && rig.broker.letterCount == 0)
        try rig.fail(said, by: worker, "\"no\"")
        try rig.fail(keyed, by: worker)
        rig.pass(.seconds(5))
        rig.gone(worker)
        #expect(names(rig).0 == [lost.id, late.id, keyed.id, said.id] && rig.broker.statistics.lettersKept == 4)
        let kinds = [said, keyed, late, lost].map { rig.broker.letter($0.id)?.failure }
        #expect(kinds == [.reported, .reported, .timeout, .workerDisconnected])
        #expect(rig.broker.letter(said.id)?.words == SharedBytes("\"no\"") && rig.broker.letter(lost.id)?.words == nil)
    }

    @Test("a task that could not be written down leaves no letter")
    func refused() throws {
        let rig = Rig()
        let worker = rig.ready()
        let task = try rig.submit(accepted: 1)
        let image = rig.image(task)
        try rig.fail(task, by: worker)
        #expect(rig.broker.letterCount == 1)
        let shelf = Shelf()
        shelf.take(rig.taken())
        rig.broker.recordFailed(of: image, at: rig.now)
        #expect(rig.broker.letterCount == 0)
        // It was written before the news came, or will be.
        shelf.take(rig.taken())
        #expect(shelf.letters.isEmpty)
    }

    @Test("a letter says all that was asked for, and what came of it; it is written behind the task's end")
    func contents() throws {
        let rig = Rig()
        let worker = rig.ready("g", models: ["m"])
        var submission = Submission(
            payload: SharedBytes("{ \"a\": 1.0 }"), group: SharedBytes("g"), model: SharedBytes("m"), priority: .low, timeout: .seconds(50),
            retries: 2, idempotencyKey: SharedBytes("k"))
        (submission.user, submission.project) = (SharedBytes("u"), SharedBytes("p"))
        (submission.provider, submission.type) = (SharedBytes("v"), SharedBytes("t"))
        let task = try rig.broker.submit(submission, for: .nobody, at: rig.now)
        let created = rig.now.wall
        rig.gone(worker)
        let other = rig.ready("g")
        rig.pass(.seconds(2))
        _ = rig.taken()
        try rig.fail(task, by: other)
        #expect(rig.order().prefix(3) == ["record ended failed \(task.sequence)", "record letter 1", "publish failed"])
        #expect(rig.broker.letter(task.id) == DeadLetter(
            number: 1, id: task.id, submission: submission, attempts: 2, createdAt: created, failedAt: rig.now.wall, failure: .reported,
            words: SharedBytes("\"oops\"")))
    }

    // MARK: Bounds

    @Test("the oldest give way to the newest, by count and by bytes; one that is larger than all that may be kept is not")
    func bounds() throws {
        let (rig, tasks) = try failed(5) { $0.deadLettersMax = 3 }
        #expect(names(rig).0 == tasks.suffix(3).reversed().map(\.id))
        let one = DeadLetters.ownBytes + 15
        let (small, others) = try failed(5) { $0.deadLetterBytesMax = 2 * one }
        #expect(names(small).0 == others.suffix(2).reversed().map(\.id) && small.broker.letterBytes <= 2 * one)
        #expect(rig.broker.statistics.lettersKept == 5 && rig.broker.statistics.lettersDropped == 2)
        for none in [try failed(2) { $0.deadLetterBytesMax = 300 }.0, try failed(2) { $0.deadLettersMax = 0 }.0] {
            #expect(none.broker.letterCount == 0 && none.broker.statistics.lettersKept == 0 && none.broker.statistics.lettersDropped == 2)
        }
    }

    @Test("whose time is up is forgotten, here and on the disk")
    func time() throws {
        let (rig, tasks) = try failed(2) {
            $0.deadLetterTime = .seconds(100)
            $0.resultTTL = .seconds(1)
        }
        rig.pass(.milliseconds(99_980))
        #expect(names(rig).0 == [tasks[1].id] && rig.order().filter { $0.contains("letter") } == ["record letter gone"])
        #expect(rig.broker.nextDeadline.map { $0 - rig.now.instant } == .milliseconds(10))
        rig.pass(.milliseconds(10))
        #expect(rig.broker.letterCount == 0 && rig.broker.letterBytes == 0 && rig.broker.statistics.lettersDropped == 2)
    }

    @Test("pages go from the newest to the oldest, also where a letter has gone in between")
    func pages() throws {
        let (rig, tasks) = try failed(5)
        let names5 = tasks.reversed().map(\.id)
        #expect(names(rig, limit: 2) == (Array(names5[..<2]), true))
        let cursor = try #require(rig.broker.letter(names5[1])?.number)
        #expect(verdict { () throws(LetterRefusal) in try rig.broker.removeLetter(names5[1]) } == "done")
        #expect(names(rig, before: cursor, limit: 2) == (Array(names5[2..<4]), true))
        #expect(names(rig, before: cursor, limit: 3) == (Array(names5[2...]), false))
        #expect(names(rig, before: 1) == ([], false) && names(rig, group: "h") == ([], false) && names(rig, group: "g").0.count == 4)
        let mine = rig.broker.letters(before: nil, in: nil, limit: 9) { $0.submission.user == SharedBytes("u") }
        #expect(mine.letters.map(\.id) == [tasks[4].id, tasks[2].id, tasks[0].id])
        let short = rig.broker.letters(before: nil, in: nil, limit: 9, wordsBytesMax: 7) { _ in true }
        #expect(short.letters.count == 2 && short.hasMore)
    }

    // MARK: Replays

    @Test("a replay is a new task of the same submission and owner; the letter goes once that is written, with its record")
    func replay() throws {
        let (rig, tasks) = try failed(1)
        let old = tasks[0]
        let task = try rig.broker.replay(old.id, at: rig.now)
        #expect(task.id != old.id && task.payload == SharedBytes("{\"n\":0}") && task.user == SharedBytes("u") && task.retriesLeft == 1)
        #expect(task.group === old.group && task.isDetached && task.timeout == old.timeout && task.state == .executing)
        var replaced: [TaskID?] = []
        for case .record(.submitted(let image)) in rig.taken() { replaced.append(image.replayOf) }
        #expect(replaced == [old.id] && rig.broker.statistics.lettersReplayed == 1)
        // Until then it is there, and nobody else has it replayed or removed.
        #expect(rig.broker.letter(old.id) != nil)
        #expect(verdict { () throws(LetterRefusal) in _ = try rig.broker.replay(old.id, at: rig.now) } == "under way")
        #expect(verdict { () throws(LetterRefusal) in try rig.broker.removeLetter(old.id) } == "under way")
        rig.broker.replaySettled(of: old.id, by: old.id)
        #expect(rig.broker.letterCount == 1)
        rig.broker.replaySettled(of: old.id, by: task.id)
        #expect(rig.broker.letterCount == 0 && rig.order() == [])
        #expect(verdict { () throws(LetterRefusal) in _ = try rig.broker.replay(old.id, at: rig.now) } == "unknown")
    }

    @Test("one whose new task is not taken in, or cannot be written down, stays and may be tried again")
    func staying() throws {
        let (rig, tasks) = try failed(1)
        let task = try rig.broker.replay(tasks[0].id, at: rig.now)
        var image = rig.image(task)
        image.replayOf = tasks[0].id
        rig.broker.recordFailed(of: image, at: rig.now)
        #expect(Rig.end(of: task) == "cancelled")
        let again = try rig.broker.replay(tasks[0].id, at: rig.now)
        // What the first attempt was promised comes late.
        rig.broker.replaySettled(of: tasks[0].id, by: task.id)
        #expect(rig.broker.letterCount == 1)
        rig.broker.replaySettled(of: tasks[0].id, by: again.id)
        #expect(rig.broker.letterCount == 0)
        let (idle, lost) = try failed(1)
        idle.gone(idle.broker.allGroups[0].allWorkers[0])
        #expect(verdict { () throws(LetterRefusal) in _ = try idle.broker.replay(lost[0].id, at: idle.now) } == "noWorker")
        idle.broker.close()
        #expect(verdict { () throws(LetterRefusal) in _ = try idle.broker.replay(lost[0].id, at: idle.now) } == "closing")
        #expect(idle.broker.letterCount == 1)
    }

    @Test("the key names the new task, but where it has another already")
    func keys() throws {
        let rig = Rig { $0.resultTTL = .seconds(10) }
        let worker = rig.ready(concurrency: 9)
        let first = try rig.submit(key: "k")
        try rig.fail(first, by: worker)
        #expect(try rig.submit(key: "k") === first)
        let replayed = try rig.broker.replay(first.id, at: rig.now)
        #expect(try rig.submit(key: "k") === replayed && replayed !== first)
        rig.pass(.seconds(10))
        #expect(try rig.submit(key: "k") === replayed)

        let other = try rig.submit(key: "j")
        try rig.fail(other, by: worker)
        rig.pass(.seconds(10))
        let later = try rig.submit(key: "j")
        let again = try rig.broker.replay(other.id, at: rig.now)
        #expect(again !== later && again.idempotencyKey == nil)
        #expect(try rig.submit(key: "j") === later)
    }

    @Test("a replay that cannot be written down gives the key back to the task that failed")
    func keyBack() throws {
        let rig = Rig()
        let worker = rig.ready(concurrency: 9)
        let first = try rig.submit(key: "k")
        try rig.fail(first, by: worker)
        let replayed = try rig.broker.replay(first.id, at: rig.now)
        var image = rig.image(replayed)
        image.replayOf = first.id
        rig.broker.recordFailed(of: image, at: rig.now)
        #expect(try rig.submit(key: "k") === first)
        // Not where somebody else has it by then.
        let again = try rig.broker.replay(first.id, at: rig.now)
        rig.pass(.milliseconds(1))
        rig.broker.replaySettled(of: first.id, by: again.id)
        #expect(try rig.submit(key: "k") === again)
    }

    @Test("all of a group are replayed oldest first, as many as may; a group that takes none in keeps its own")
    func all() throws {
        let (rig, tasks) = try failed(3)
        let worker = rig.ready("h")
        let foreign = try rig.submit(group: "h")
        try rig.fail(foreign, by: worker)
        rig.gone(worker)
        var replays = rig.broker.replayAll(in: nil, max: 2, where: { _ in true }, at: rig.now)
        #expect(replays.tasks.map(\.letter) == [tasks[0].id, tasks[1].id] && replays.refused == 0 && replays.remaining == 2)
        replays = rig.broker.replayAll(in: SharedBytes("h"), max: 9, where: { _ in true }, at: rig.now)
        #expect(replays.tasks.isEmpty && replays.refused == 1 && replays.remaining == 1)
        replays = rig.broker.replayAll(in: nil, max: 9, where: { $0.submission.user == nil }, at: rig.now)
        #expect(replays.tasks.isEmpty && replays.refused == 1 && replays.remaining == 1)
        replays = rig.broker.replayAll(in: nil, max: 9, where: { _ in true }, at: rig.now)
        #expect(replays.tasks.map(\.letter) == [tasks[2].id] && replays.refused == 1 && replays.remaining == 1)
    }

    // MARK: Removed

    @Test("one that nobody wants goes, and so does that of a task that is forgotten by order")
    func removed() throws {
        let (rig, tasks) = try failed(2)
        #expect(verdict { () throws(LetterRefusal) in try rig.broker.removeLetter(tasks[0].id) } == "done")
        #expect(verdict { () throws(LetterRefusal) in try rig.broker.removeLetter(tasks[0].id) } == "unknown")
        #expect(rig.order() == ["record letter gone"])
        #expect(rig.remove(tasks[1].id) == "removed" && rig.order() == ["record removed", "record letter gone"])
        #expect(rig.broker.letterCount == 0)
    }

    @Test("a task of an outside program that has a letter's name is another: removed or not written down, it takes no letter along")
    func namesakes() throws {
        let (rig, tasks) = try failed(1) { $0.resultTTL = .seconds(1) }
        rig.pass(.seconds(1))
        let namesake = try rig.register("\(tasks[0].id)")
        #expect(namesake.id == tasks[0].id)
        #expect(rig.report(namesake, .completed(result: Rig.piece)) == "taken" && rig.remove(namesake.id) == "removed")
        #expect(rig.broker.letter(tasks[0].id) != nil)
        let another = try rig.register("\(tasks[0].id)")
        rig.broker.recordFailed(of: rig.image(another), at: rig.now)
        #expect(rig.broker.letter(tasks[0].id) != nil && !rig.order().contains("record letter gone"))
    }

    // MARK: Restart

    @Test("letters are taken up again in their order, within their time and bounds, and numbers go on")
    func restored() throws {
        let (rig, tasks) = try failed(3)
        let letters = tasks.compactMap { rig.broker.letter($0.id) }
        let next = Rig(seed: 9) { $0.deadLettersMax = 2 }
        next.begin(after: rig, pause: .seconds(5))
        next.broker.restore(letters: letters, at: next.now)
        #expect(names(next).0 == [tasks[2].id, tasks[1].id] && next.order() == ["record letter gone"])
        let worker = next.ready("g")
        let fresh = try next.submit(group: "g")
        try next.fail(fresh, by: worker)
        #expect(next.broker.letter(fresh.id)?.number == 4)
        let old = Rig(seed: 9) { $0.deadLetterTime = .seconds(4) }
        old.begin(after: rig, pause: .seconds(5))
        old.broker.restore(letters: letters, at: old.now)
        #expect(old.broker.letterCount == 0 && old.order().count == 3)
    }
    @Test("a damaged file has a letter of a task that lives: the task ends, and the letter stays as it is")
    func premature() throws {
        let rig = Rig(seed: 4)
        let worker = rig.ready("g")
        let task = try rig.submit(group: "g")
        let letter = DeadLetter(
            number: 1, id: task.id, submission: Submission(payload: Rig.piece), attempts: 7, createdAt: rig.now.wall,
            failedAt: rig.now.wall, failure: .timeout)
        rig.broker.restore(letters: [letter], at: rig.now)
        try rig.fail(task, by: worker)
        #expect(task.state.isTerminal && rig.broker.letter(task.id) == letter && rig.broker.statistics.lettersDropped == 1)
    }
}
