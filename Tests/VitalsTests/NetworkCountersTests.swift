// NetworkCountersTests: /proc/net/dev of several kernels, and files that are none.
import Domain
import Testing

@testable import Vitals

@Suite("NetworkCounters")
struct NetworkCountersTests {
    private func totals(_ text: String) -> ResourceSample.Network {
        let bytes = Array(text.utf8)
        return NetworkCounters.totals(bytes.span)
    }

    private func network(_ bytesSent: UInt64, _ bytesReceived: UInt64, _ packetsSent: UInt64, _ packetsReceived: UInt64)
        -> ResourceSample.Network
    {
        ResourceSample.Network(
            bytesSent: bytesSent, bytesReceived: bytesReceived, packetsSent: packetsSent, packetsReceived: packetsReceived)
    }

    @Test("All interfaces but the loopback together")
    func figures() {
        #expect(totals(Machine.netDev) == network(694_474, 162_164_888, 4_751, 5_776))
    }

    @Test(
        "A line that says something else counts for nothing",
        arguments: [
            "", "eth0\n", "eth0:\n", ":\n", "eth0: 1 2 3 4 5 6 7 8 9\n", "eth0: 1 2 3 4 5 6 7 8 9 x\n", "eth0: -1 2 3 4 5 6 7 8 9 10\n",
            "eth0: 1 2 x 4 5 6 7 8 9 10\n", "eth0: 1 2 3 4 5 6 7 8 9 10", "lo: 1 2 3 4 5 6 7 8 9 10\n",
            "eth0: 18446744073709551616 2 3 4 5 6 7 8 9 10\n",
        ])
    func nothing(text: String) {
        #expect(totals(text) == network(0, 0, 0, 0))
    }

    @Test("A blank behind the colon is not needed, and a name that begins like the loopback's is another")
    func names() {
        #expect(totals("eth0:1 2 3 4 5 6 7 8 9 10\n") == network(9, 1, 10, 2))
        #expect(totals("lo0: 1 2 3 4 5 6 7 8 9 10\n") == network(9, 1, 10, 2))
    }

    @Test("A sum ends at what 64 bits hold")
    func overflow() {
        let most = "18446744073709551615"
        let line = ": \(most) \(most) 0 0 0 0 0 0 \(most) \(most)\n"
        #expect(totals("a\(line)b\(line)") == network(.max, .max, .max, .max))
    }

    @Test("A file that is cut off counts as its whole lines, and garbage does not stop the reading")
    func garbage() {
        for (cut, whole) in cuts(Machine.netDev) { #expect(NetworkCounters.totals(cut.span) == NetworkCounters.totals(whole.span)) }
        for bytes in garbled(Machine.netDev) { _ = NetworkCounters.totals(bytes.span) }
    }
}
