// Goal: who holds what, by address, after any order of coming and going; and nothing is remembered of who holds nothing.
import Base
import TestSupport
import Testing

@testable import Reactor

@Suite("What an address holds")
struct AddressLedgerTests {
    private static func v6(_ high: UInt64, _ low: UInt64) -> PeerAddress { PeerAddress(high: high, low: low, port: 9) }

    @Test("an IPv4 address counts alone, an IPv6 address with its 64 bits, a port and a unix socket not at all")
    func sites() {
        var ledger = AddressLedger()
        ledger.enter(0, of: .v4(0x0a00_0001, port: 1))
        ledger.enter(1, of: .v4(0x0a00_0001, port: 2))
        ledger.enter(2, of: .v4(0x0a00_0002, port: 1))
        ledger.enter(3, of: Self.v6(0x2001_0db8_0000_0001, 1))
        ledger.enter(4, of: Self.v6(0x2001_0db8_0000_0001, 2))
        ledger.enter(5, of: Self.v6(0x2001_0db8_0000_0002, 1))
        ledger.enter(6, of: .unix)
        #expect(ledger.holdings(of: .v4(0x0a00_0001, port: 7)).connections == 2)
        #expect(ledger.holdings(of: .v4(0x0a00_0002, port: 7)).connections == 1)
        #expect(ledger.holdings(of: .v4(0x0a00_0003, port: 7)).connections == 0)
        #expect(ledger.holdings(of: Self.v6(0x2001_0db8_0000_0001, 99)).connections == 2)
        #expect(ledger.holdings(of: Self.v6(0x2001_0db8_0000_0002, 99)).connections == 1)
        #expect(ledger.holdings(of: .unix).connections == 0)
        #expect(ledger.count == 4)
        for slot in 0...7 { ledger.leave(slot) }
        #expect(ledger.count == 0)
    }

    @Test("after any order of coming and going the figures are those of a plain count", arguments: [1, 2, 3] as [UInt64])
    func oracle(_ seed: UInt64) {
        var random = Seeded(seed: seed)
        var ledger = AddressLedger()
        var plain: [Int: (peer: PeerAddress, shakes: Bool)] = [:]
        let peers = (0..<8).map { PeerAddress.v4(UInt32($0), port: 0) }
        for _ in 0..<5_000 {
            let slot = Int.random(in: 0..<40, using: &random)
            if let held = plain[slot] {
                if held.shakes { ledger.countHandshake(slot, -1) }
                if held.shakes, Bool.random(using: &random) {
                    plain[slot]?.shakes = false
                } else {
                    ledger.leave(slot)
                    plain[slot] = nil
                }
            } else {
                let peer = peers.randomElement(using: &random) ?? .unix
                plain[slot] = (peer, Bool.random(using: &random))
                ledger.enter(slot, of: peer)
                if plain[slot]?.shakes == true { ledger.countHandshake(slot, 1) }
            }
            for peer in peers {
                let theirs = plain.values.filter { $0.peer == peer }
                let held = ledger.holdings(of: peer)
                #expect(held.connections == theirs.count && held.handshakes == theirs.count(where: \.shakes))
            }
            #expect(ledger.count == Set(plain.values.map(\.peer)).count)
        }
    }
}
