// The mailbox: order, one wake for a batch, and many posters.
import Base
import Dispatch
import Synchronization
import Testing

@testable import Reactor

struct MailboxTests {
    @Test("only the first value of a batch rings")
    func coalescing() throws {
        let poller = try Poller(eventsMax: 1)
        let bell = try Doorbell()
        try poller.add(bell.descriptor.raw, .input, userData: 1)
        let mailbox = Mailbox<Int>(doorbell: bell)
        mailbox.post(1)
        bell.silence()
        mailbox.post(2)
        #expect(try poller.wait(milliseconds: 0) == 0, "the box was not empty: somebody has rung")
        var batch = [99]
        mailbox.drain(into: &batch)
        #expect(batch == [1, 2])
        mailbox.post(3)
        #expect(try poller.wait(milliseconds: 0) == 1)
        mailbox.drain(into: &batch)
        #expect(batch == [3])
        mailbox.drain(into: &batch)
        #expect(batch.isEmpty)
    }

    @Test("nothing that several threads post is lost or woken for in vain")
    func manyPosters() throws {
        let poller = try Poller(eventsMax: 1)
        let bell = try Doorbell()
        try poller.add(bell.descriptor.raw, .input, userData: 1)
        let mailbox = Mailbox<Int>(doorbell: bell)
        for poster in 0..<4 {
            DispatchQueue.global().async {
                for value in 0..<1_000 { mailbox.post(poster * 1_000 + value) }
            }
        }
        var batch: [Int] = []
        var all: [Int] = []
        while all.count < 4_000 {
            guard try poller.wait(milliseconds: 10_000) == 1 else { break }
            bell.silence()
            mailbox.drain(into: &batch)
            all += batch
        }
        #expect(all.sorted() == Array(0..<4_000))
        for poster in 0..<4 {
            let own = all.filter { $0 / 1_000 == poster }
            #expect(own == own.sorted(), "one poster's values keep their order")
        }
    }
}
