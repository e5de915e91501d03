// PacketTests: the digits of the kinds, and when a namespace is the one meant.
import Base
import Testing

@testable import SocketIO

@Suite("Packet")
struct PacketTests {
    @Test("The kinds have the document's digits")
    func digits() {
        #expect(PacketKind.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6])
        #expect(
            PacketKind.allCases == [.connect, .disconnect, .event, .ack, .connectError, .binaryEvent, .binaryAck])
        #expect(PacketKind.allCases.filter(\.isBinary) == [.binaryEvent, .binaryAck])
        #expect(PacketKind.allCases.filter(\.takesAckID) == [.event, .ack, .binaryEvent, .binaryAck])
    }

    @Test("A text's first byte tells whether it announces attachments")
    func binaryTexts() {
        func isBinary(_ text: [UInt8]) -> Bool { PacketKind.isBinary(text.span) }
        for byte in UInt8.min...UInt8.max { #expect(isBinary([byte, 0x31]) == (byte == UInt8(ascii: "5") || byte == UInt8(ascii: "6"))) }
        #expect(!isBinary([]))
    }

    private func equals(_ namespace: PacketNamespace, _ name: String, _ bytes: [UInt8]) -> Bool {
        namespace.equals(SharedBytes(name).span, in: bytes.span)
    }

    @Test("A namespace is its whole name and no other")
    func namespace() {
        let bytes = Array("0/admin,".utf8)
        let named = PacketNamespace.named(1..<7)
        for (name, isMeant) in [("/admin", true), ("/admi", false), ("/admins", false), ("/Admin", false), ("/", false), ("", false)] {
            #expect(equals(named, name, bytes) == isMeant, "\(name)")
        }
        #expect(equals(.main, "/", bytes))
        #expect(!equals(.main, "/admin", bytes))
        #expect(!equals(.main, "a", bytes))
    }
}
