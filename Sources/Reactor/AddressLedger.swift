// AddressLedger: how many connections each address holds, and how many of them shake hands still. Refuses nobody: the loop asks and
// decides. Who comes by a unix socket has no address and is not counted.
//
// Cost: one hash of an address when a connection comes, none when it goes; 4 bytes a slot, and some 80 an address that holds something.
// An address that holds nothing is forgotten, so that there are never more of them than connections.
import Base

struct AddressLedger {
    private struct Account {
        var site: PeerAddress
        var connections = 0
        var handshakes = 0
    }

    private static let none: Int32 = -1

    private var places: [PeerAddress: Int32] = [:]
    private var accounts: [Account] = []
    private var unused: [Int32] = []
    /// By slot of the connection: its account.
    private var holders: [Int32] = []

    /// Addresses that hold something.
    var count: Int { places.count }

    /// What the address holds.
    func holdings(of peer: PeerAddress) -> (connections: Int, handshakes: Int) {
        guard !peer.isUnix, let place = places[peer.site] else { return (0, 0) }
        return (accounts[Int(place)].connections, accounts[Int(place)].handshakes)
    }

    /// The connection in `slot` is the address's from now on.
    mutating func enter(_ slot: Int, of peer: PeerAddress) {
        guard !peer.isUnix else { return }
        let site = peer.site
        let place: Int32
        if let known = places[site] {
            place = known
        } else {
            if let free = unused.popLast() {
                place = free
                accounts[Int(place)] = Account(site: site)
            } else {
                place = Int32(accounts.count)
                accounts.append(Account(site: site))
            }
            places[site] = place
        }
        accounts[Int(place)].connections += 1
        while holders.count <= slot { holders.append(AddressLedger.none) }
        precondition(holders[slot] == AddressLedger.none, "slot \(slot) has two addresses")
        holders[slot] = place
    }

    /// The connection in `slot` begins to shake hands, or is done with it.
    mutating func countHandshake(_ slot: Int, _ change: Int) {
        guard slot < holders.count, holders[slot] != AddressLedger.none else { return }
        accounts[Int(holders[slot])].handshakes += change
    }

    /// The connection in `slot` is no more; nothing is done for one that was never entered.
    mutating func leave(_ slot: Int) {
        guard slot < holders.count, holders[slot] != AddressLedger.none else { return }
        let place = holders[slot]
        holders[slot] = AddressLedger.none
        accounts[Int(place)].connections -= 1
        guard accounts[Int(place)].connections == 0 else { return }
        places[accounts[Int(place)].site] = nil
        unused.append(place)
    }
}
