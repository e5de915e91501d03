// NetworkCounters: what went through the network interfaces since they came up, by /proc/net/dev (proc_pid_net(5)). Reads no file.
import Domain

enum NetworkCounters {
    /// Where the sent ones begin: eight counters of what was received stand before.
    private static let firstSent = 8

    /// All interfaces but the loopback together. A line that says something else counts for nothing; a sum ends at what 64 bits hold.
    static func totals(_ text: Span<UInt8>) -> ResourceSample.Network {
        var totals = ResourceSample.Network(bytesSent: 0, bytesReceived: 0, packetsSent: 0, packetsReceived: 0)
        var start = 0
        while let line = ProcText.line(of: text, from: start) {
            start = line.upperBound + 1
            guard let one = interface(text, line) else { continue }
            totals.bytesReceived = sum(totals.bytesReceived, one.bytesReceived)
            totals.packetsReceived = sum(totals.packetsReceived, one.packetsReceived)
            totals.bytesSent = sum(totals.bytesSent, one.bytesSent)
            totals.packetsSent = sum(totals.packetsSent, one.packetsSent)
        }
        return totals
    }

    /// `eth0: 162163888 5766 …`; old kernels leave no blank behind the colon.
    private static func interface(_ text: Span<UInt8>, _ line: Range<Int>) -> ResourceSample.Network? {
        var colon = line.lowerBound
        while colon < line.upperBound, text[colon] != UInt8(ascii: ":") { colon += 1 }
        if colon == line.upperBound { return nil }
        var before = line.lowerBound..<colon
        guard let name = ProcText.word(of: text, in: &before), !ProcText.equal(text, name, "lo") else { return nil }
        var rest = colon + 1..<line.upperBound
        guard let bytesReceived = ProcText.number(of: text, in: &rest), let packetsReceived = ProcText.number(of: text, in: &rest) else {
            return nil
        }
        for _ in 2..<firstSent {
            if ProcText.number(of: text, in: &rest) == nil { return nil }
        }
        guard let bytesSent = ProcText.number(of: text, in: &rest), let packetsSent = ProcText.number(of: text, in: &rest) else {
            return nil
        }
        return ResourceSample.Network(
            bytesSent: bytesSent, bytesReceived: bytesReceived, packetsSent: packetsSent, packetsReceived: packetsReceived)
    }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
