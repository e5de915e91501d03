// ServerFrameReaderTests: the same messages come out of a stream however it is cut; what no server may send is broken.

import LoadSupport
import TestSupport
import Testing

@Suite struct ServerFrameReaderTests {
    private enum Seen: Equatable {
        case message(ClientFrame.Opcode, [UInt8])
        case control(ClientFrame.Opcode, [UInt8])
        case broken
    }

    private func read(_ bytes: [UInt8], _ way: Chunking) -> [Seen] {
        var reader = ServerFrameReader()
        var seen: [Seen] = []
        var message: [UInt8] = []
        for piece in way.split(bytes) {
            var position = 0
            var isMore = true
            while isMore {
                switch reader.next(in: piece.span, from: &position) {
                case .incomplete:
                    isMore = false
                case .payload(let range, let offset, let isLast):
                    #expect(offset == message.count)
                    message += piece[range]
                    if isLast {
                        seen.append(.message(reader.opcode, message))
                        message = []
                    }
                case .control(let opcode):
                    seen.append(.control(opcode, reader.controlPayload))
                case .broken:
                    return seen + [.broken]
                }
            }
            #expect(position == piece.count)
        }
        return seen
    }

    private let long = (0..<300).map { UInt8(truncatingIfNeeded: $0) }

    @Test("messages of all lengths, fragments and a ping between them", arguments: Chunking.all)
    func stream(_ way: Chunking) {
        let huge = [UInt8](repeating: 7, count: 70_000)
        var bytes: [UInt8] = [0x81, 2, 0x48, 0x69, 0x82, 0]
        bytes += [0x82, 126, 1, 44] + long
        bytes += [0x01, 1, 0x61, 0x89, 2, 1, 2, 0x00, 0, 0x80, 1, 0x62]
        bytes += [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70] + huge
        bytes += [0x8a, 0, 0x88, 2, 3, 0xe8]
        #expect(read(bytes, way) == [
            .message(.text, [0x48, 0x69]), .message(.binary, []), .message(.binary, long), .control(.ping, [1, 2]),
            .message(.text, [0x61, 0x62]), .message(.binary, huge), .control(.pong, []), .control(.close, [3, 0xe8]),
        ])
    }

    @Test("what a server must not send is broken", arguments: [
        [0x81, 0x80, 0, 0, 0, 0], [0xc1, 0], [0xa1, 0], [0x91, 0], [0x83, 0], [0x8b, 0], [0x80, 0], [0x09, 0], [0x89, 126, 0, 126],
        [0x01, 0, 0x01, 0], [0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
    ] as [[UInt8]], Chunking.all)
    func broken(_ bytes: [UInt8], _ way: Chunking) {
        #expect(read(bytes, way).last == .broken)
    }

    @Test("RFC 7692 §6: a compressed message is known where compression was agreed on, and broken elsewhere")
    func compressed() {
        let bytes: [UInt8] = [0xc1, 1, 0x61, 0x81, 1, 0x62]
        var reader = ServerFrameReader(extended: true)
        var position = 0
        #expect(reader.next(in: bytes.span, from: &position) == .payload(2..<3, offset: 0, isLast: true))
        #expect(reader.isCompressed)
        #expect(reader.next(in: bytes.span, from: &position) == .payload(5..<6, offset: 0, isLast: true))
        #expect(!reader.isCompressed)
        var plain = ServerFrameReader()
        position = 0
        #expect(plain.next(in: bytes.span, from: &position) == .broken)
    }

    @Test("RFC 7692 §6.1: neither a continuation nor a control frame is marked", arguments: [
        [0x41, 1, 0x61, 0xc0, 1, 0x62], [0xc9, 0] as [UInt8],
    ])
    func marked(_ bytes: [UInt8]) {
        var reader = ServerFrameReader(extended: true)
        var position = 0
        var event = reader.next(in: bytes.span, from: &position)
        if case .payload = event { event = reader.next(in: bytes.span, from: &position) }
        #expect(event == .broken)
    }
}
