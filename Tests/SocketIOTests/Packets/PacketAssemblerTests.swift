// PacketAssemblerTests: binary packets come together from a text and exactly as many binary messages, in order, within their bounds.
import Base
import JSON
import Testing

@testable import SocketIO

@Suite("PacketAssembler")
struct PacketAssemblerTests {
    private let start = Instant(nanoseconds: 1_000)
    private let text = #"52-/a,["x",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#
    private var index = JSONIndex()

    private mutating func send(
        _ text: String, to assembler: inout PacketAssembler
    ) throws(PacketError) -> PacketAssembler.Arrival {
        try assembler.received(text: SharedBytes(text).span, index: &index, at: start)
    }

    private func send(
        _ binary: [UInt8], to assembler: inout PacketAssembler, at now: Instant? = nil
    ) throws(PacketError) -> AssembledPacket? {
        try assembler.received(binary: binary.span, at: now ?? start)
    }

    @Test("A packet is whole with its last attachment, and the next one begins anew")
    mutating func assembly() throws {
        var assembler = PacketAssembler()
        for round in 0..<3 {
            #expect(try send(text, to: &assembler) == .gathering)
            #expect(assembler.deadline == start + .seconds(20))
            #expect(try send([1, UInt8(round)], to: &assembler) == nil)
            let whole = try #require(try send([], to: &assembler))
            #expect(whole.attachments == [SharedBytes([1, UInt8(round)]), SharedBytes.empty])
            #expect(whole.text.description == text)
            #expect(whole.packet.attachments == 2)
            #expect(whole.packet.placeholders.map(\.number) == [1, 0])
            #expect(assembler.deadline == nil)
            #expect(try send("2[\"a\"]", to: &assembler) == .whole(Packet(kind: .event, payload: 1..<6)))
        }
    }

    @Test("A binary acknowledgement is put together alike")
    mutating func acknowledgement() throws {
        var assembler = PacketAssembler()
        #expect(try send(#"61-15[{"_placeholder":true,"num":0}]"#, to: &assembler) == .gathering)
        let whole = try #require(try send([9], to: &assembler))
        #expect(whole.packet.ackID == 15)
        #expect(whole.attachments == [SharedBytes([9])])
    }

    @Test("Text among attachments is an error, and final")
    mutating func textBetween() throws {
        var assembler = PacketAssembler()
        _ = try send(text, to: &assembler)
        _ = try send([1], to: &assembler)
        #expect(throws: PacketError.textAmongAttachments) { try send("2[\"a\"]", to: &assembler) }
        #expect(assembler.deadline == nil)
        #expect(throws: PacketError.textAmongAttachments) { try send([2], to: &assembler) }
        #expect(throws: PacketError.textAmongAttachments) { try send("2[\"a\"]", to: &assembler) }
        #expect(throws: PacketError.textAmongAttachments) { try assembler.expire(at: start) }
    }

    @Test("A binary message that nobody announced is an error, first or one too many")
    mutating func tooMany() throws {
        var first = PacketAssembler()
        #expect(throws: PacketError.unexpectedAttachment) { try send([1], to: &first) }
        var assembler = PacketAssembler()
        _ = try send(text, to: &assembler)
        _ = try send([1], to: &assembler)
        _ = try send([2], to: &assembler)
        #expect(throws: PacketError.unexpectedAttachment) { try send([3], to: &assembler) }
    }

    @Test("A malformed text is an error, and final")
    mutating func malformed() {
        var assembler = PacketAssembler()
        #expect(throws: PacketError.unknownKind) { try send("9", to: &assembler) }
        #expect(throws: PacketError.unknownKind) { try send("2[\"a\"]", to: &assembler) }
    }

    @Test("Text and attachments together have a bound, to the byte")
    mutating func bytes() throws {
        let limits = PacketLimits(assembledBytesMax: text.utf8.count + 5)
        var fitting = PacketAssembler(limits: limits)
        _ = try send(text, to: &fitting)
        _ = try send([1, 2, 3], to: &fitting)
        #expect(try send([4, 5], to: &fitting) != nil)
        var long = PacketAssembler(limits: limits)
        _ = try send(text, to: &long)
        _ = try send([1, 2, 3], to: &long)
        #expect(throws: PacketError.assemblyTooLong) { try send([4, 5, 6], to: &long) }
        var longText = PacketAssembler(limits: PacketLimits(assembledBytesMax: text.utf8.count - 1))
        #expect(throws: PacketError.assemblyTooLong) { try send(text, to: &longText) }
    }

    @Test("What is held is counted until the packet is whole, or given up")
    mutating func heldBytes() throws {
        var assembler = PacketAssembler()
        #expect(assembler.heldBytes == 0)
        _ = try send(text, to: &assembler)
        #expect(assembler.heldBytes == text.utf8.count)
        _ = try send([1, 2, 3], to: &assembler)
        #expect(assembler.heldBytes == text.utf8.count + 3)
        _ = try send([4], to: &assembler)
        #expect(assembler.heldBytes == 0)
        _ = try send(text, to: &assembler)
        #expect(throws: PacketError.assemblyTimeout) { try assembler.expire(at: start + .seconds(20)) }
        #expect(assembler.heldBytes == 0)
    }

    @Test("Attachments are due within a time")
    mutating func timeout() throws {
        let limits = PacketLimits(assemblyTimeout: .seconds(2))
        let before = start + TimeSpan(nanoseconds: 1_999_999_999)
        var assembler = PacketAssembler(limits: limits)
        try assembler.expire(at: start + .seconds(100))
        _ = try send(text, to: &assembler)
        _ = try send([1], to: &assembler, at: before)
        // An attachment does not buy time for the next one.
        #expect(assembler.deadline == start + .seconds(2))
        try assembler.expire(at: before)
        var other = assembler
        #expect(throws: PacketError.assemblyTimeout) { try assembler.expire(at: start + .seconds(2)) }
        #expect(throws: PacketError.assemblyTimeout) { try send([2], to: &other, at: start + .seconds(2)) }
    }
}
