// SharedBytes: slices of one block, equal by content, and alive as long as anybody holds one.
@testable import Base
import Testing

@Suite struct SharedBytesTests {
    @Test("a slice is the bytes of its range, and a slice of a slice too")
    func slices() {
        let bytes = SharedBytes((0..<100).map { UInt8($0) })
        let middle = bytes[10..<90]
        let inner = middle[5..<10]
        #expect(copy(inner.span) == [15, 16, 17, 18, 19])
        #expect(bytes[100..<100].isEmpty)
        #expect(inner.block === bytes.block, "slicing copies nothing")
    }

    @Test("equal by content, whatever block it lies in")
    func equality() {
        let one = SharedBytes("abcabc")
        #expect(one[0..<3] == one[3..<6])
        #expect(one[0..<3].hashValue == SharedBytes("abc").hashValue)
        #expect(one[0..<3] != one[1..<4])
        #expect(one[0..<3] != one[0..<2])
        #expect(SharedBytes.empty == SharedBytes([UInt8]()))
    }

    @Test("a slice keeps its block alive, and the last one lets it go")
    func life() {
        weak var block: SharedBytes.Block?
        do {
            var slice = SharedBytes.empty
            do {
                let bytes = SharedBytes("long lived")
                block = bytes.block
                slice = bytes[5..<10]
            }
            #expect(block != nil)
            #expect(slice.description == "lived")
        }
        #expect(block == nil)
    }

    @Test("text is its UTF-8, and what is none is replaced")
    func text() {
        #expect(copy(SharedBytes("né").span) == [0x6e, 0xc3, 0xa9])
        #expect(SharedBytes([0x61, 0xff]).description == "a\u{fffd}")
    }

    @Test("a slice outside of the bytes traps")
    func outside() async {
        await #expect(processExitsWith: .failure) {
            _ = SharedBytes("abc")[1..<3][0..<3]
        }
    }

    @Test("what is kept long keeps no larger block: a slice is copied, and a block of its own is not")
    func compact() {
        let message = SharedBytes(String(repeating: "x", count: 1_000))
        #expect(message.compact.block === message.block)
        for slice in [message[0..<5], message[10..<1_000], message[0..<0]] {
            #expect(slice.compact == slice && slice.compact.block !== message.block)
        }
        let name = SharedBytes("name")
        #expect(name.compact.block === name.block)
        var writer = ByteWriter(capacity: 1_000)
        writer.append("name")
        let written = writer.take()
        #expect(written.compact == name && written.compact.block !== written.block)
    }
}
