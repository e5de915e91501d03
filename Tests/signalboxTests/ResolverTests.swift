// Where a host is, and which addresses are not called, whoever names them and however they are written.
import Base
import Reactor
import Testing

@testable import signalbox

struct ResolverTests {
    private func literal(_ host: String) throws(Resolver.Refusal) -> SocketAddress? {
        try Resolver.literal(SharedBytes(host), port: 81)
    }

    @Test(
        "an address is known at once, with brackets or without, and so is localhost",
        arguments: [
            ("127.0.0.1", .v4(0x7f00_0001, port: 81)), ("10.1.2.3", .v4(0x0a01_0203, port: 81)),
            ("192.168.0.1", .v4(0xc0a8_0001, port: 81)), ("172.16.0.9", .v4(0xac10_0009, port: 81)),
            ("localhost", .v4(0x7f00_0001, port: 81)), ("LocalHost", .v4(0x7f00_0001, port: 81)),
            ("::1", .v6(high: 0, low: 1, port: 81)), ("[::1]", .v6(high: 0, low: 1, port: 81)),
            ("fd00::7", .v6(high: 0xfd00_0000_0000_0000, low: 7, port: 81)),
            ("2001:db8:0:1::a", .v6(high: 0x2001_0db8_0000_0001, low: 10, port: 81)),
            ("::ffff:10.0.0.1", .v4(0x0a00_0001, port: 81)), ("[::ffff:a00:1]", .v4(0x0a00_0001, port: 81)),
            ("223.255.255.255", .v4(0xdfff_ffff, port: 81)), ("169.253.255.255", .v4(0xa9fd_ffff, port: 81)),
            ("169.255.0.0", .v4(0xa9ff_0000, port: 81)), ("1.0.0.0", .v4(0x0100_0000, port: 81)),
        ] as [(String, SocketAddress)])
    func literals(_ host: String, _ address: SocketAddress) throws {
        #expect(try literal(host) == address)
        #expect(try Resolver.lookUp(SharedBytes(host), port: 81) == address, "and without asking anybody")
    }

    @Test("a name is left to be asked for", arguments: ["gpu-7", "gpu-7.example.", "unix", "a_b", "1.2.3", "0x7f.1", "10.0.0.256"])
    func names(_ host: String) throws {
        #expect(try literal(host) == nil)
    }

    @Test(
        "what is no host is refused before anybody is asked",
        arguments: [
            "", "a b", "a\r\nb", "a\0", "127.0.0.1\0", "unix:/run/x", "/run/x", "a:1", "127.0.0.1:80", "[::1", "::1]", "[a]",
            "fe80::1%eth0", "a/b", "a@b", "h\u{f6}st", String(repeating: "a", count: 254), ":", "[]",
        ])
    func noHost(_ host: String) {
        #expect(throws: Resolver.Refusal(reason: "'\(host)' is no host")) { try literal(host) }
        #expect(throws: Resolver.Refusal(reason: "'\(host)' is no host")) { try Resolver.lookUp(SharedBytes(host), port: 81) }
    }

    static let forbidden: [(host: String, kind: String)] = [
        ("0.0.0.0", "an unspecified address"), ("0.1.2.3", "an unspecified address"), ("::", "an unspecified address"),
        ("[::]", "an unspecified address"), ("169.254.169.254", "a link-local address"), ("169.254.0.0", "a link-local address"),
        ("169.254.255.255", "a link-local address"), ("fe80::1", "a link-local address"), ("[febf::1]", "a link-local address"),
        ("224.0.0.1", "a multicast address"), ("239.255.255.255", "a multicast address"), ("ff02::1", "a multicast address"),
        ("ffff::", "a multicast address"), ("255.255.255.255", "the broadcast address"),
        ("::ffff:169.254.169.254", "a link-local address"), ("::ffff:a9fe:a9fe", "a link-local address"),
        ("::ffff:0.0.0.0", "an unspecified address"), ("::ffff:224.0.0.1", "a multicast address"),
        ("::ffff:255.255.255.255", "the broadcast address"), ("64:ff9b::a9fe:a9fe", "a link-local address"),
        ("fd00:ec2::254", "a metadata service"), ("fd20:ce::254", "a metadata service"), ("100.100.100.200", "a metadata service"),
        ("168.63.129.16", "a metadata service"),
        // RFC 3056: 6to4.
        ("2002:a9fe:a9fe::1", "a link-local address"), ("2002:0:1::", "an unspecified address"),
        ("2002:e000:1:2:3:4:5:6", "a multicast address"), ("2002:ffff:ffff::", "the broadcast address"),
        ("[2002:6464:64c8::1]", "a metadata service"),
        // RFC 8215: behind prefixes of 96, 48, 56 and 64 bits.
        ("64:ff9b:1::a9fe:a9fe", "a link-local address"), ("64:ff9b:1:2:3:4:a83f:8110", "a metadata service"),
        ("64:ff9b:1::1", "an unspecified address"), ("64:ff9b:1:a9fe:a9:fe00::", "a link-local address"),
        ("64:ff9b:1:1a9:fe:a9fe::", "a link-local address"), ("64:ff9b:1:2:a9:fea9:fe00::", "a link-local address"),
        ("64:ff9b:1:6464:64:c800::", "a metadata service"),
    ]

    @Test(
        "a gateway's form of an address at which there may be one is called as it is",
        arguments: [
            "2002:a00:1::1", "2002:7f00:1::", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "64:ff9b:1:7:8:9:808:808", "64:ff9b:2::a9fe:a9fe",
        ])
    func embedded(_ host: String) throws {
        #expect(try literal(host) != nil)
    }

    @Test("addresses at which no deployment can be are refused, in every dress", arguments: forbidden)
    func refused(_ address: (host: String, kind: String)) {
        #expect(throws: Resolver.Refusal(reason: "host is \(address.kind)")) { try literal(address.host) }
    }

    @Test("a name that the system knows is found, and what it finds is looked at as well")
    func lookUp() throws {
        // inet_aton(3)'s ways to write an address, which the system understands without asking anybody.
        #expect(try Resolver.lookUp(SharedBytes("0x7f.1"), port: 81) == .v4(0x7f00_0001, port: 81))
        #expect(try Resolver.lookUp(SharedBytes("2130706433"), port: 81) == .v4(0x7f00_0001, port: 81))
        #expect(throws: Resolver.Refusal(reason: "host is a link-local address")) {
            try Resolver.lookUp(SharedBytes("0xa9fea9fe"), port: 81)
        }
        #expect(throws: Resolver.Refusal(reason: "host is an unspecified address")) { try Resolver.lookUp(SharedBytes("0"), port: 81) }
    }

    @Test("a unix socket is no host")
    func unix() {
        #expect(throws: Resolver.Refusal(reason: "a unix socket is no host")) { try Resolver.permitted(.unix(path: "x")) }
    }
}
