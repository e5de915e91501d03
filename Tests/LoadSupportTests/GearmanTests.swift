// GearmanTests: packets as gearmand's protocol has them, however many bytes of one have come.

import Base
import LoadSupport
import Testing

@Suite struct GearmanTests {
    private let created: [UInt8] = [0x00, 0x52, 0x45, 0x53, 0, 0, 0, 8, 0, 0, 0, 3, 0x48, 0x3a, 0x31]

    @Test("a packet to the server")
    func written() {
        var output = ByteWriter()
        let arguments = Array("f\0\0x".utf8)
        Gearman.append(.submitJob, arguments.span, to: &output)
        Gearman.append(.grabJob, to: &output)
        #expect(
            (0..<output.count).map { output.span[$0] } == [
                0x00, 0x52, 0x45, 0x51, 0, 0, 0, 7, 0, 0, 0, 4, 0x66, 0, 0, 0x78, 0x00, 0x52, 0x45, 0x51, 0, 0, 0, 9, 0, 0, 0, 0,
            ])
    }

    @Test("a packet of the server, behind another")
    func read() {
        let bytes = created + created
        #expect(Gearman.read(bytes.span, from: 0) == .packet(.jobCreated, 12..<15))
        #expect(Gearman.read(bytes.span, from: 15) == .packet(.jobCreated, 27..<30))
        for count in 0..<created.count { #expect(Gearman.read(Array(created.prefix(count)).span, from: 0) == .incomplete) }
    }

    @Test(
        "what is no packet of the server, or an error of its own", arguments: [(1, 0x51), (3, 0x51), (7, 19), (7, 200)] as [(Int, UInt8)])
    func broken(_ place: Int, _ value: UInt8) {
        var bytes = created
        bytes[place] = value
        #expect(Gearman.read(bytes.span, from: 0) == .broken)
    }
}
