// Addresses as people write them.
import Base
import CLinux
import Glibc
import Testing

@testable import Reactor

struct SocketAddressTests {
    @Test(
        "what can be listened on is read, and written as it was meant",
        arguments: [
            ("127.0.0.1:8080", SocketAddress.v4(0x7f00_0001, port: 8080), "127.0.0.1:8080"),
            ("0.0.0.0:0", .v4(0, port: 0), "0.0.0.0:0"),
            ("localhost:65535", .v4(0x7f00_0001, port: 65535), "127.0.0.1:65535"),
            ("[::]:80", .v6(high: 0, low: 0, port: 80), "[::]:80"),
            ("[2001:db8::1]:443", .v6(high: 0x2001_0db8_0000_0000, low: 1, port: 443), "[2001:db8::1]:443"),
            ("unix:/run/x.sock", .unix(path: "/run/x.sock"), "unix:/run/x.sock"),
        ])
    func wellFormed(_ text: String, _ address: SocketAddress, _ written: String) throws {
        #expect(try SocketAddress(text) == address)
        #expect(address.description == written)
    }

    @Test(
        "what cannot is refused with the reason",
        arguments: [
            ("", SocketAddress.Mistake.portMissing), ("8080", .portMissing), ("127.0.0.1", .portMissing),
            ("127.0.0.1:", .portInvalid), ("127.0.0.1:65536", .portInvalid), ("127.0.0.1:-1", .portInvalid),
            ("127.0.0.1:+80", .portInvalid),
            (":80", .hostInvalid), ("example.org:80", .hostInvalid), ("::1:80", .hostInvalid),
            ("[127.0.0.1]:80", .hostInvalid),
            ("[::1:80", .hostInvalid), ("127.0.0.1.5:80", .hostInvalid),
            ("unix:", .pathInvalid), ("unix:/a\0b", .pathInvalid), ("unix:/" + String(repeating: "a", count: 107), .pathInvalid),
        ])
    func malformed(_ text: String, _ mistake: SocketAddress.Mistake) {
        #expect(throws: mistake) { try SocketAddress(text) }
    }

    @Test("the kernel's form carries network order")
    func kernelForm() {
        let bytes = unsafe SocketAddress.v6(high: 0x2001_0db8_0000_0000, low: 0x42, port: 0x1234).withKernelForm { form, size in
            unsafe Array(UnsafeRawBufferPointer(start: form, count: Int(size)))
        }
        #expect(bytes.count == 28)
        #expect(bytes[2..<4] == [0x12, 0x34])
        #expect(bytes[8..<12] == [0x20, 0x01, 0x0d, 0xb8])
        #expect(bytes[23] == 0x42)
    }
}
