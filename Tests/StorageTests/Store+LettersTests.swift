// Store+LettersTests: dead letters come back as they were kept, in their order, and go with the task that takes their place or not at all.
import Base
import Domain
import Testing

@testable import Storage

struct StoreLettersTests {
    private static let full: DeadLetter = {
        var submission = Submission(
            payload: SharedBytes("{\"n\": 1.0}"), group: SharedBytes("g"), model: SharedBytes("m"), priority: .high, timeout: .seconds(9),
            retries: 4, idempotencyKey: SharedBytes("k\u{1f}j"))
        (submission.user, submission.project) = (SharedBytes("u"), SharedBytes("p"))
        (submission.provider, submission.type) = (SharedBytes("v"), SharedBytes("t"))
        return DeadLetter(
            number: 7, id: name(7), submission: submission, attempts: 5, createdAt: time(1), failedAt: time(2), failure: .reported,
            words: SharedBytes("{}"))
    }()

    @Test("letters come back as they were kept, in the order of their numbers, also from a file that is opened again")
    func roundTrip() throws {
        let scratch = try Scratch()
        let letters = [letter(1, place: 2), letter(2, place: 5, payload: 200_000), StoreLettersTests.full, letter(3, place: 9, payload: 0)]
        do {
            var rig = try Rig(scratch.location)
            try rig.write(letters.reversed().map { .letterKept($0) })
            #expect(try rig.recover().letters == letters)
            try rig.journal.close()
        }
        var rig = try Rig(scratch.location)
        #expect(try rig.recover().letters == letters)
        // One that was written twice is there once.
        try rig.write(.letterKept(letters[0]), .letterRemoved(name(2)), .letterRemoved(name(99)))
        #expect(try rig.recover().letters == [letters[0], letters[2], letters[3]])
    }

    @Test("a letter goes in the very transaction in which its new task comes: both or neither")
    func atomic() throws {
        let scratch = try Scratch()
        var rig = try Rig(scratch.location) { $0.filePagesMax = 60 }
        try rig.write(.letterKept(letter(1)), .letterKept(letter(2, place: 2)))
        var task = image(3)
        task.replayOf = name(1)
        try rig.write(.submitted(task))
        #expect(try rig.recover().letters.map(\.id) == [name(2)])
        var large = image(4, payload: 1 << 20)
        large.replayOf = name(2)
        try rig.write(.submitted(large))
        #expect(rig.listener.failures.count == 1)
        let found = try rig.recover()
        #expect(found.letters.map(\.id) == [name(2)] && found.live.map(\.id) == [name(3)])
    }

    @Test("it goes also where its new task comes, ends and is removed within one transaction")
    func folded() throws {
        var rig = try Rig()
        try rig.write(.letterKept(letter(1)))
        var task = image(3)
        task.replayOf = name(1)
        try rig.write(.submitted(task), .ended(ending(3)), .removed(name(3)))
        let found = try rig.recover()
        #expect(found.letters.isEmpty && found.live.isEmpty && found.ended.isEmpty)
    }

    @Test("letters stay when the history is forgotten: who keeps them says when they go")
    func forgetting() throws {
        var rig = try Rig()
        try rig.write(.submitted(image(1)), .ended(ending(1, .failed(.timeout))), .letterKept(letter(1)))
        #expect(try rig.forget(before: 1_000_000) > 0)
        #expect(try rig.recover().letters == [letter(1)])
    }
}
