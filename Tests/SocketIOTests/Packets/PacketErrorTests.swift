// PacketErrorTests: what a sender is told says where its JSON breaks, and nothing of its text.
import JSON
import Testing

@testable import SocketIO

@Suite("PacketError")
struct PacketErrorTests {
    @Test("JSON's own sentence is kept")
    func sentence() {
        let error = PacketError.notJSON(JSONError(.expectedEnd, at: 5))
        #expect(error.description == "payload is not JSON: expected the end of the text at byte 5 of the payload")
        #expect("\(PacketError.reservedEventName)" == "event name is reserved")
    }
}
