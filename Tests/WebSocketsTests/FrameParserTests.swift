// Goal: headers at the borders of their forms, and every rule about them, however a header is cut.
import Base
import TestSupport
import Testing

@testable import WebSockets

private let atStart = HeaderRules(allowsCompression: false, expectsContinuation: false)

private enum Found: Equatable {
    case header(FrameHeader, bytesTaken: Int)
    case more
    case error(FrameError)
}

/// The first header of `bytes`, which come in pieces of `size`.
private func find(_ bytes: [UInt8], _ rules: HeaderRules = atStart, pieces size: Int) -> Found {
    var parser = FrameParser()
    var taken = 0
    while taken < bytes.count {
        let piece = Array(bytes[taken..<min(taken + size, bytes.count)])
        var position = 0
        do throws(FrameError) {
            let header = try parser.header(piece.span, &position, rules)
            taken += position
            if let header { return .header(header, bytesTaken: taken) }
        } catch {
            return .error(error)
        }
    }
    return .more
}

@Test("§5.2: length forms at their borders, however the header is cut", arguments: [1, 2, 3, 5, 7, 13, 14, 100])
func lengthForms(_ pieces: Int) {
    for (length, size) in [(0, 6), (1, 6), (125, 6), (126, 8), (127, 8), (0xffff, 8), (0x10000, 14)] {
        let frame = Array(clientFrame(2, [UInt8](repeating: 0, count: length)).prefix(size + 20))
        let header = FrameHeader(opcode: .binary, isFinal: true, isCompressed: false, mask: 0x3d21_fa37, payloadLength: length)
        #expect(find(frame, pieces: pieces) == .header(header, bytesTaken: size))
    }
}

@Test("§5.2: a length of 2^63 and more is refused, 2^63 - 1 is a number", arguments: [1, 14])
func topBit(_ pieces: Int) {
    let key: [UInt8] = [0, 0, 0, 0]
    let most: [UInt8] = [0x82, 0xff, 0x7f] + [UInt8](repeating: 0xff, count: 7) + key
    let header = FrameHeader(opcode: .binary, isFinal: true, isCompressed: false, mask: 0, payloadLength: .max)
    #expect(find(most, pieces: pieces) == .header(header, bytesTaken: 14))
    for first: UInt8 in [0x80, 0xff] {
        let over: [UInt8] = [0x82, 0xff, first] + [UInt8](repeating: 0, count: 7) + key
        #expect(find(over, pieces: pieces) == .error(.lengthTopBit))
    }
}

@Test("§5.2: lengths in longer forms than needed are refused", arguments: [1, 14])
func minimalLengths(_ pieces: Int) {
    for (length, form) in [(0, 16), (125, 16), (0, 64), (126, 64), (0xffff, 64)] {
        let frame = clientFrame(1, [UInt8](repeating: 97, count: length), lengthForm: form)
        #expect(find(frame, pieces: pieces) == .error(.lengthNotMinimal))
    }
}

@Test("§5.1, §5.2, §5.4, §5.5: rules of the first two bytes, judged as soon as they are here", arguments: [1, 2])
func firstTwoBytes(_ pieces: Int) {
    let compressed = HeaderRules(allowsCompression: true, expectsContinuation: false)
    let inMessage = HeaderRules(allowsCompression: true, expectsContinuation: true)
    let table: [(UInt8, UInt8, HeaderRules, Found)] = [
        (0x81, 0x80, atStart, .more), (0x01, 0x80, atStart, .more), (0x82, 0xfe, atStart, .more), (0x89, 0xfd, atStart, .more),
        (0x81, 0x00, atStart, .error(.unmasked)), (0x88, 0x02, atStart, .error(.unmasked)),
        (0x83, 0x80, atStart, .error(.reservedOpcode)), (0x8b, 0x80, atStart, .error(.reservedOpcode)),
        (0x8f, 0x80, atStart, .error(.reservedOpcode)), (0x87, 0x80, atStart, .error(.reservedOpcode)),
        (0xc1, 0x80, atStart, .error(.reservedBits)), (0xa1, 0x80, atStart, .error(.reservedBits)),
        (0x91, 0x80, atStart, .error(.reservedBits)), (0xf1, 0x80, compressed, .error(.reservedBits)),
        (0xc1, 0x80, compressed, .more), (0x42, 0x80, compressed, .more),
        // RFC 7692 §6.1: not on control frames, not on continuations
        (0xc9, 0x80, compressed, .error(.reservedBits)), (0xc0, 0x80, inMessage, .error(.reservedBits)),
        (0x09, 0x80, atStart, .error(.fragmentedControl)), (0x08, 0x80, inMessage, .error(.fragmentedControl)),
        (0x89, 0xfe, atStart, .error(.longControl)), (0x88, 0xff, atStart, .error(.longControl)),
        (0x80, 0x80, atStart, .error(.unexpectedContinuation)), (0x00, 0x80, atStart, .error(.unexpectedContinuation)),
        (0x80, 0x80, inMessage, .more), (0x00, 0x80, inMessage, .more), (0x8a, 0x80, inMessage, .more),
        (0x81, 0x80, inMessage, .error(.expectedContinuation)), (0x02, 0x80, inMessage, .error(.expectedContinuation)),
    ]
    for (first, second, rules, found) in table {
        #expect(find([first, second], rules, pieces: pieces) == found, "\(String(first, radix: 16)) \(String(second, radix: 16))")
    }
}
