// PeerAddress: the kinds are told apart, and written as people know them.
import Base
import Testing

@Suite struct PeerAddressTests {
    @Test("an address is written as people know it", arguments: [
        (PeerAddress.v4(0x7f00_0001, port: 8_080), "127.0.0.1:8080"),
        (PeerAddress.v4(0xffff_ffff, port: 65_535), "255.255.255.255:65535"),
        (PeerAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 443), "[2001:db8::1]:443"),
        (PeerAddress(high: 0, low: 1, port: 1), "[::1]:1"),
        (PeerAddress(high: 0, low: 0, port: 0), "[::]:0"),
        // RFC 5952 §4.2: one group alone is not left out, of two runs the longest is, of two as long the first.
        (PeerAddress(high: 0x0001_0000_0002_0003, low: 0x0004_0005_0006_0007, port: 2), "[1:0:2:3:4:5:6:7]:2"),
        (PeerAddress(high: 0x0001_0000_0000_0002, low: 0x0000_0000_0000_0003, port: 2), "[1:0:0:2::3]:2"),
        (PeerAddress(high: 0x0001_0000_0000_0002, low: 0x0003_0000_0000_0004, port: 2), "[1::2:3:0:0:4]:2"),
        (PeerAddress.unix, "unix"),
    ])
    func description(_ address: PeerAddress, _ text: String) {
        #expect(address.description == text)
    }

    @Test("IPv4 is the mapped prefix and nothing else")
    func v4() {
        #expect(PeerAddress.v4(0xc0a8_0001, port: 1).v4 == 0xc0a8_0001)
        #expect(PeerAddress(high: 0, low: 0xffff_0a00_0001, port: 1).v4 == 0x0a00_0001)
        #expect(PeerAddress(high: 1, low: 0xffff_0a00_0001, port: 1).v4 == nil)
        #expect(PeerAddress(high: 0, low: 0x1_ffff_0a00_0001, port: 1).v4 == nil)
        #expect(PeerAddress(high: 0, low: 0x0a00_0001, port: 1).v4 == nil)
        #expect(PeerAddress.unix.v4 == nil)
    }

    @Test("loopback: 127/8, ::1 and unix sockets", arguments: [
        (PeerAddress.v4(0x7f01_0203, port: 1), true), (PeerAddress.v4(0x8000_0001, port: 1), false),
        (PeerAddress(high: 0, low: 1, port: 1), true), (PeerAddress(high: 1, low: 1, port: 1), false),
        (PeerAddress(high: 0, low: 0, port: 1), false), (PeerAddress.unix, true),
    ])
    func loopback(_ address: PeerAddress, _ isLoopback: Bool) {
        #expect(address.isLoopback == isLoopback)
    }
}
