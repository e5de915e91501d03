// ClientIDTests: the one form of a client's name, and everything that is not it.
import Base
import Testing
import TestSupport

@testable import Domain

struct ClientIDTests {
    @Test("a name is read back as it was written")
    func roundTrip() {
        var random = Randomness(seed: 4)
        for _ in 0..<100 {
            let id = ClientID(drawnFrom: &random)
            #expect(id.description.utf8.count == ClientID.bytes)
            #expect(ClientID(SharedBytes(id.description).span) == id)
        }
        #expect(ClientID(high: 1, low: 0xab).description == "client-000000000000000100000000000000ab")
    }

    @Test(
        "what this server does not give is no name",
        arguments: [
            "", "client-", "client-123456", "client-0000000000000001000000000000000", "client-000000000000000100000000000000ab0",
            "client-000000000000000100000000000000AB", "client-000000000000000100000000000000ag", "Client-000000000000000100000000000000ab",
            "client_000000000000000100000000000000ab",
        ])
    func refused(_ text: String) {
        #expect(ClientID(SharedBytes(text).span) == nil)
    }
}
