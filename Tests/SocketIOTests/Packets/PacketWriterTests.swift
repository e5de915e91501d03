// PacketWriterTests: the answers of a server, byte for byte as the protocol's document has them. Packets in general are written in
// PacketReaderTests, both ways.
import Base
import Testing

@testable import SocketIO

@Suite("PacketWriter")
struct PacketWriterTests {
    private func written(_ body: (inout ByteWriter) -> Void) -> String {
        var writer = ByteWriter(capacity: 16)
        body(&writer)
        return writer.seal().description
    }

    private let main = SharedBytes("/")
    private let admin = SharedBytes("/admin")
    private let random = SharedBytes("/random")
    private let empty = SharedBytes.empty

    @Test("CONNECT is answered with the session's id, and the recovery's where there is one")
    func connected() {
        let sid = SharedBytes("oSO0OpakMV_3jnilAAAA")
        #expect(written { PacketWriter.connected(namespace: main.span, sid: sid, to: &$0) } == #"0{"sid":"oSO0OpakMV_3jnilAAAA"}"#)
        #expect(
            written { PacketWriter.connected(namespace: admin.span, sid: sid, pid: SharedBytes("p"), to: &$0) }
                == #"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA","pid":"p"}"#)
    }

    @Test("CONNECT_ERROR says why")
    func refused() {
        #expect(
            written { PacketWriter.invalidNamespace(random.span, to: &$0) }
                == #"4/random,{"message":"Invalid namespace"}"#)
        #expect(
            written { PacketWriter.refused(namespace: main.span, message: "Not authorized", to: &$0) }
                == #"4{"message":"Not authorized"}"#)
        #expect(
            written {
                PacketWriter.refused(namespace: main.span, message: "a\"b", data: SharedBytes(#"{"code":[1]}"#), to: &$0)
            } == #"4{"message":"a\"b","data":{"code":[1]}}"#)
    }

    @Test("DISCONNECT keeps the comma of its namespace")
    func disconnect() {
        #expect(written { PacketWriter.disconnect(namespace: admin.span, to: &$0) } == "1/admin,")
        #expect(written { PacketWriter.disconnect(namespace: main.span, to: &$0) } == "1")
        #expect(written { PacketWriter.disconnect(namespace: empty.span, to: &$0) } == "1")
    }

    @Test("A packet goes behind what is there, and its payload behind its head")
    func head() {
        let text = written {
            $0.append("4")
            PacketWriter.head(.binaryEvent, namespace: admin.span, ackID: Packet.ackIDMax, attachments: 10, to: &$0)
            $0.append(#"["x","#)
            PacketWriter.placeholder(9, to: &$0)
            $0.append("]")
        }
        #expect(text == #"4510-/admin,9007199254740991["x",{"_placeholder":true,"num":9}]"#)
    }
}
