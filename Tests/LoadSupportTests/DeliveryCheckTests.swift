// DeliveryCheckTests: what is lost, comes twice or comes late is told apart, whatever the watcher's share of the numbers.

import LoadSupport
import Testing

@Suite struct DeliveryCheckTests {
    private func verdicts(_ numbers: [Int], first: Int = 0, step: Int = 1, before end: Int) -> (seen: [DeliveryCheck.Verdict], lost: Int) {
        var check = DeliveryCheck(first: first, step: step)
        let seen = numbers.map { check.receive($0, before: end) }
        return (seen, check.lost(before: end))
    }

    @Test("all in order: nothing is wrong", arguments: [(0, 1), (0, 3), (2, 3), (9, 10)])
    func inOrder(_ first: Int, _ step: Int) {
        let numbers = Array(stride(from: first, to: 100, by: step))
        let found = verdicts(numbers, first: first, step: step, before: 100)
        #expect(found.seen == numbers.map { _ in .new })
        #expect(found.lost == 0)
    }

    @Test("what never comes is lost: in the middle, at the end, all of it")
    func lost() {
        #expect(verdicts([0, 1, 4], before: 5).lost == 2)
        #expect(verdicts([0, 1], before: 5).lost == 3)
        #expect(verdicts([], before: 5).lost == 5)
        #expect(verdicts([], first: 4, step: 3, before: 11).lost == 3)
        #expect(verdicts([], first: 4, step: 3, before: 4).lost == 0)
        #expect(verdicts([4, 10], first: 4, step: 3, before: 12).lost == 1)
    }

    @Test("what comes after its successor is late, and not lost")
    func late() {
        let found = verdicts([0, 3, 1, 2, 4], before: 5)
        #expect(found.seen == [.new, .new, .late, .late, .new])
        #expect(found.lost == 0)
    }

    @Test("what comes again is twice, also when it was late")
    func twice() {
        let found = verdicts([0, 0, 2, 1, 1, 2], before: 3)
        #expect(found.seen == [.new, .twice, .new, .late, .twice, .twice])
        #expect(found.lost == 0)
    }

    @Test("another watcher's, or one that nobody has published yet, is foreign and changes nothing")
    func foreign() {
        let found = verdicts([5, 0, 1, 7, -2, 4], first: 1, step: 3, before: 7)
        #expect(found.seen == [.foreign, .foreign, .new, .foreign, .foreign, .new])
        #expect(found.lost == 0)
    }

    @Test("the next one that nobody has published yet is foreign, and new once it is published")
    func tooEarly() {
        var check = DeliveryCheck(first: 0, step: 1)
        #expect(check.receive(0, before: 0) == .foreign)
        #expect(check.receive(0, before: 1) == .new)
    }

    @Test("a number's place in the watcher's own count")
    func place() {
        #expect(DeliveryCheck(first: 4, step: 10).place(of: 4) == 0)
        #expect(DeliveryCheck(first: 4, step: 10).place(of: 34) == 3)
    }
}
