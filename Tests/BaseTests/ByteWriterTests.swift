// ByteWriter: what was appended is there, in order, through every growth, and numbers are written as the standard library does.
@testable import Base
import TestSupport
import Testing

@Suite struct ByteWriterTests {
    @Test("what goes in is there, however it is cut", arguments: Chunking.all)
    func order(_ chunking: Chunking) {
        let bytes = (0..<2_000).map { UInt8(truncatingIfNeeded: $0 * 31) }
        var writer = ByteWriter(capacity: 16)
        for piece in chunking.split(bytes) { writer.append(piece.span) }
        #expect(copy(writer.span) == bytes)
        #expect(copy(writer.seal().span) == bytes)
    }

    @Test("all kinds of bytes join")
    func kinds() {
        var writer = ByteWriter(capacity: 0)
        writer.append("literal ")
        writer.append(String(repeating: "é", count: 20))
        writer.append(SharedBytes(" shared")[0..<4])
        writer.append(UInt8(ascii: "."))
        writer.append([UInt8]().span)
        #expect(writer.seal().description == "literal " + String(repeating: "é", count: 20) + " sha.")
    }

    @Test("decimals are those of the standard library", arguments: [
        0, 1, 9, 10, 11, 99, 100, 12_345, -1, -10, -999, .max, .min, .max - 1, .min + 1, 999_999_999_999_999_999, 1_000_000_000_000_000_000,
    ])
    func decimal(_ value: Int) {
        var writer = ByteWriter(capacity: 0)
        writer.append("12345678")
        writer.append(decimal: value)
        writer.append(decimal: value)
        #expect(writer.seal().description == "12345678\(value)\(value)")
    }

    @Test("decimals of every length and random value")
    func decimals() {
        var random = Seeded(seed: 1)
        var writer = ByteWriter()
        for _ in 0..<5_000 {
            let value = Int(truncatingIfNeeded: random.next()) >> Int.random(in: 0..<64, using: &random)
            writer.removeAll()
            writer.append(decimal: value)
            #expect(writer.seal().description == String(value))
        }
    }

    @Test("hex digits: as many as asked for, the lowest ones", arguments: [
        (0, 1, "0"), (0, 4, "0000"), (0xabc, 3, "abc"), (0xabc, 2, "bc"), (0xabc, 6, "000abc"),
        (.max, 16, "ffffffffffffffff"), (0x0123_4567_89ab_cdef, 16, "0123456789abcdef"),
    ] as [(UInt64, Int, String)])
    func hex(_ value: UInt64, _ digits: Int, _ text: String) {
        var writer = ByteWriter(capacity: 0)
        writer.append(hex: value, digits: digits)
        #expect(writer.seal().description == text)
    }

    @Test("a UUID is its 36 characters, wherever it is written")
    func uuid() {
        var writer = ByteWriter(capacity: 0)
        writer.append("task:")
        writer.append(uuid: 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)
        writer.append(uuid: 0, .max)
        #expect(
            writer.seal().description
                == "task:01234567-89ab-cdef-fedc-ba987654321000000000-0000-0000-ffff-ffffffffffff")
    }

    @Test("memory: kept by removeAll, given back beyond what is retained")
    func memory() {
        var writer = ByteWriter(capacity: 16)
        writer.append([UInt8](repeating: 1, count: 10_000).span)
        let grown = writer.capacity
        writer.removeAll()
        #expect(writer.isEmpty && writer.capacity == grown)
        writer.append(UInt8(1))
        writer.removeAll(retaining: grown)
        #expect(writer.isEmpty && writer.capacity == grown)
        writer.removeAll(retaining: 100)
        #expect(writer.isEmpty && writer.capacity == 100)
        writer.append([UInt8](repeating: 2, count: 200).span)
        #expect(copy(writer.span) == [UInt8](repeating: 2, count: 200))
    }

    @Test("what was written can be changed where it lies, and its end forgotten")
    func inPlace() {
        var writer = ByteWriter()
        writer.append("....body")
        patch(&writer)
        writer.truncate(to: 6)
        #expect(writer.seal().description == "len4bo")
        writer.append("!")
        #expect(writer.seal().description == "len4bo!")
    }

    private func patch(_ writer: inout ByteWriter) {
        var span = writer.mutableSpan
        for (index, byte) in "len4".utf8.enumerated() { span[index] = byte }
    }

    @Test("a sealed block does not follow the writer")
    func seal() {
        var writer = ByteWriter()
        writer.append("one")
        let sealed = writer.seal()
        writer.removeAll()
        writer.append("two")
        #expect(sealed.description == "one")
    }
}
