// Goal: the table of close codes, whole.
import Testing

@testable import WebSockets

@Test("§7.4: exactly the codes of the registry and of applications may stand in a close frame")
func closeCodesOnTheWire() {
    let allowed: Set<UInt16> = Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]).union(3000...4999)
    #expect(Set((UInt16.min...UInt16.max).filter { CloseCode(rawValue: $0).mayBeSent }) == allowed)
}
