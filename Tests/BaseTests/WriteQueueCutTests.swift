// Goal: what waits can be dropped so that only whole messages leave, wherever the kernel stopped within them.
import Glibc
import Testing

@testable import Base

@Suite("A queue that is cut")
struct WriteQueueCutTests {
    private let outbox = Outbox()
    private let id = ConnectionID(slot: 3, generation: 1)

    init() { outbox.open(id) }

    private func waiting() -> String {
        var slices = unsafe [iovec](repeating: iovec(), count: 32)
        return unsafe slices.withUnsafeMutableBufferPointer { slices in
            let count = unsafe outbox.gather(id, into: slices, bytesMax: 1 << 20)
            var text = ""
            for index in 0..<count {
                let slice = unsafe slices[index]
                unsafe text += String(decoding: UnsafeRawBufferPointer(start: slice.iov_base, count: slice.iov_len), as: UTF8.self)
            }
            return text
        }
    }

    @Test("a message in one piece or in several is kept whole where it stands first, and dropped whole where it does not", arguments: 0...7)
    func cut(_ sent: Int) {
        // The first message in three pieces, then one in one piece, then one in two.
        outbox.write(to: id) { $0.append("ab") }
        outbox.append(SharedBytes("cd"), to: id, continues: true)
        outbox.write(to: id, continues: true) { $0.append("ef") }
        outbox.append(SharedBytes("GHI"), to: id)
        outbox.write(to: id) { $0.append("j") }
        outbox.append(SharedBytes("kl"), to: id, continues: true)
        outbox.consume(id, sent)
        outbox.cut(id)
        let expected = sent < 6 ? String("abcdef".dropFirst(sent)) : String("GHI".dropFirst(sent - 6))
        #expect(waiting() == expected)
        #expect(outbox.queuedBytes(id) == expected.utf8.count && outbox.queuedBytes == expected.utf8.count)
        outbox.append(SharedBytes("!"), to: id)
        #expect(waiting() == expected + "!")
        outbox.settle(id)
        #expect(waiting() == expected + "!")
        outbox.consume(id, expected.utf8.count + 1)
        #expect(outbox.queuedBytes == 0)
    }

    @Test("nothing is dropped of an empty queue, nor of one that is gone")
    func empty() {
        outbox.cut(id)
        #expect(outbox.queuedBytes == 0)
        outbox.append(SharedBytes("x"), to: id)
        outbox.close(id)
        outbox.cut(id)
        #expect(outbox.queuedBytes == 0)
    }

    @Test("who waits for room hears of it")
    func room() {
        outbox.roomBytes = 4
        outbox.append(SharedBytes("abc"), to: id)
        outbox.append(SharedBytes("def"), to: id)
        outbox.awaitRoom(id)
        #expect(!outbox.hasRoomy)
        outbox.cut(id)
        #expect(outbox.hasRoomy)
    }
}
