// Goal: the events of whole conversations, the same however the network cuts them, and the memory they leave.
import Base
import CZlib
import TestSupport
import Testing

@testable import WebSockets

@Test("a connection is small")
func connectionSize() {
    #expect(MemoryLayout<WebSocketConnection>.size <= 80)
    #expect(MemoryLayout<WebSocketConnection.Event>.size <= 32)
}

// MARK: Messages

@Test("§5.6: messages of both kinds at the borders of the length forms", arguments: Chunking.all)
func messages(_ chunking: Chunking) {
    for count in [0, 1, 7, 8, 63, 64, 125, 126, 127, 128, 1000, 65_535, 65_536] {
        let payload = sampleText(count, seed: UInt64(count))
        let bytes = clientFrame(1, payload) + clientFrame(2, payload) + clientFrame(1, payload)
        #expect(run(bytes, chunking) == [.text(payload), .binary(payload), .text(payload)])
    }
}

@Test("§5.4, §5.5: fragments, with control frames between them", arguments: Chunking.all)
func fragments(_ chunking: Chunking) {
    let bytes =
        clientText("Hel", isFinal: false) + clientFrame(9, [1, 2]) + clientFrame(0, [], isFinal: false) + clientFrame(10)
        + clientFrame(0, Array("lo ".utf8), isFinal: false) + clientFrame(0, Array("wörld".utf8)) + clientText("next")
        + clientFrame(2, [0xff], isFinal: false) + clientFrame(9, [UInt8](0..<125)) + clientFrame(0) + clientFrame(9)
    #expect(
        run(bytes, chunking) == [
            .ping([1, 2]), .pong([]), .text("Hello wörld"), .text("next"), .ping([UInt8](0..<125)), .binary([0xff]), .ping([]),
        ])
}

@Test("a message in 65,536 fragments is one message; one more than the limit is too many")
func manyFragments() {
    let middle = Array(repeating: clientFrame(0, [0x61], isFinal: false), count: 65_534).joined()
    let bytes = clientText("", isFinal: false) + middle + clientFrame(0)
    #expect(run(bytes, .whole) == [.text([UInt8](repeating: 0x61, count: 65_534))])
    #expect(run(bytes, .whole, limits: WebSocketLimits(messageBytesMax: 1 << 20, fragmentsMax: 65_535)) == [.failed(.tooManyFragments)])
}

@Test("1009: the limit holds for a frame by its header, and across fragments", arguments: Chunking.all)
func messageLimit(_ chunking: Chunking) {
    let limits = WebSocketLimits(messageBytesMax: 300)
    func ok(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x61, count: count) }
    #expect(run(clientFrame(1, ok(300)), chunking, limits: limits) == [.text(ok(300))])
    #expect(run(Array(clientFrame(1, ok(301)).prefix(8)), chunking, limits: limits) == [.failed(.messageTooBig)])
    #expect(run(clientFrame(1, ok(5)) + clientFrame(2, ok(301)), chunking, limits: limits) == [.text(ok(5)), .failed(.messageTooBig)])
    let split = clientFrame(1, ok(200), isFinal: false)
    #expect(run(split + clientFrame(0, ok(100)), chunking, limits: limits) == [.text(ok(300))])
    #expect(run(split + clientFrame(0, ok(101)), chunking, limits: limits) == [.failed(.messageTooBig)])
    let huge: [UInt8] = [0x00, 0xff, 0x7f] + [UInt8](repeating: 0xff, count: 7) + [0, 0, 0, 0]
    #expect(run(split + huge, chunking, limits: limits) == [.failed(.messageTooBig)])
}

@Test("§5: breaches of the framing, after the good messages before them", arguments: Chunking.all)
func breaches(_ chunking: Chunking) {
    let table: [([UInt8], FrameError)] = [
        (clientFrame(1, [0x61], isMasked: false), .unmasked), (clientFrame(1, reserved: 4), .reservedBits),
        (clientFrame(1, [0x61], reserved: 1), .reservedBits), (clientFrame(9, reserved: 2), .reservedBits),
        (clientFrame(3), .reservedOpcode), (clientFrame(11), .reservedOpcode), (clientFrame(9, isFinal: false), .fragmentedControl),
        (clientFrame(9, [UInt8](repeating: 0, count: 126)), .longControl), (clientFrame(0, [0x61]), .unexpectedContinuation),
        (clientText("a", isFinal: false) + clientText("b"), .expectedContinuation),
        (clientText("a", isFinal: false) + clientFrame(0) + clientFrame(0), .unexpectedContinuation),
        (clientFrame(1, [0x61], lengthForm: 16), .lengthNotMinimal), (clientFrame(2, [0x61], lengthForm: 64), .lengthNotMinimal),
        ([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], .lengthTopBit),
    ]
    for (bytes, error) in table {
        let events = run(clientText("good") + clientFrame(2, [1]) + bytes + clientText("never"), chunking)
        #expect(events.prefix(2) == [.text("good"), .binary([1])])
        #expect(events.last == .failed(error))
        #expect(events.count == (error == .unexpectedContinuation && bytes[0] == 0x01 ? 4 : 3))
    }
}

// MARK: UTF-8

@Test("§8.1: text that is not UTF-8, whole, cut by reads and cut by fragments", arguments: Chunking.all)
func invalidText(_ chunking: Chunking) {
    let bad: [[UInt8]] = [
        [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x80], [0xf8, 0x88, 0x80, 0x80, 0x80],
    ]
    for sequence in bad {
        for prefix in [0, 1, 7, 70, 200] {
            let payload = [UInt8](repeating: 0x61, count: prefix) + sequence
            #expect(run(clientFrame(1, payload), chunking) == [.failed(.invalidUTF8)])
            let cut = prefix + 1
            let fragmented = clientFrame(1, Array(payload[..<cut]), isFinal: false) + clientFrame(0, Array(payload[cut...]))
            #expect(run(fragmented, chunking) == [.failed(.invalidUTF8)])
            #expect(run(clientFrame(2, payload), chunking) == [.binary(payload)])
        }
    }
}

@Test("§8.1: fails inside an unfinished frame, at the byte that is wrong")
func failsFast() {
    var connection = WebSocketConnection()
    let workspace = WebSocketWorkspace()
    let good = Array("κόσμε".utf8)
    let frame = clientFrame(1, good + [0xf4, 0x90, 0x80, 0x80] + Array("edited".utf8))
    let lead = 6 + good.count
    #expect(feed(Array(frame[..<lead]), to: &connection, workspace) == [])
    #expect(feed([frame[lead]], to: &connection, workspace) == [])
    #expect(feed([frame[lead + 1]], to: &connection, workspace) == [.failed(.invalidUTF8)])
    #expect(connection.pendingBytes == 0)
}

// MARK: Whole messages

/// What `nextWhole` takes off the front of the bytes, and the bytes as they are then.
private func takeWhole(_ frames: [UInt8], _ connection: inout WebSocketConnection) -> (taken: [Seen], position: Int, bytes: [UInt8]) {
    var bytes = frames
    var taken: [Seen] = []
    var position = 0
    var span = bytes.mutableSpan
    while let message = connection.nextWhole(&span, &position, testLimits) {
        let payload = message.range.map { span[$0] }
        taken.append(message.kind == .text ? .text(payload) : .binary(payload))
    }
    return (taken, position, bytes)
}

@Test("whole messages are taken in a row, and what is none is left as it came")
func wholeMessages() {
    let long = String(repeating: "ä", count: 600)
    let whole = clientText("one") + clientFrame(2, [1, 2, 255]) + clientText("") + clientText(long)
    let others: [[UInt8]] = [
        [], [0x81], Array(clientText("cut").dropLast()), clientText("part", isFinal: false), clientFrame(9, [1]), clientFrame(8),
        clientFrame(1, [0xc3, 0x28] + Array(String(repeating: "x", count: 100).utf8)), clientFrame(1, [], isMasked: false),
        clientFrame(2, [1], lengthForm: 16), clientFrame(2, [1], reserved: 4),
        clientFrame(2, [UInt8](repeating: 7, count: 70_000)),
    ]
    for other in others {
        var connection = WebSocketConnection()
        let (taken, position, bytes) = takeWhole(whole + other, &connection)
        #expect(taken == [.text("one"), .binary([1, 2, 255]), .text(""), .text(long)])
        #expect(position == whole.count && Array(bytes[whole.count...]) == other)
        // What is left comes to what it would have come to.
        #expect(feed(other, to: &connection, WebSocketWorkspace()) == run(other, .whole))
    }
}

@Test("no message is whole inside of another one, nor behind the end")
func wholeMessagesInBetween() {
    for start in [clientText("a", isFinal: false), [0x82, 0x81], clientFrame(8), clientFrame(3)] {
        var connection = WebSocketConnection()
        _ = feed(start, to: &connection, WebSocketWorkspace())
        let (taken, position, bytes) = takeWhole(clientText("b"), &connection)
        #expect(taken == [] && position == 0 && bytes == clientText("b"))
    }
}

// MARK: Closing

@Test("§5.5.1, §7.4: close payloads", arguments: Chunking.all)
func closePayloads(_ chunking: Chunking) {
    #expect(run(clientFrame(8), chunking) == [.close(nil, [])])
    #expect(run(clientFrame(8, [0x03]), chunking) == [.failed(.badClosePayload)])
    #expect(run(clientFrame(8, [0x03, 0xe8]), chunking) == [.close(1000, [])])
    let reason = Array(String(repeating: "é", count: 61).utf8) + [0x21]
    #expect(run(clientFrame(8, [0x03, 0xe8] + reason), chunking) == [.close(1000, reason)])
    #expect(run(clientFrame(8, [0x03, 0xe8, 0xc3]), chunking) == [.failed(.invalidUTF8)])
    #expect(run(clientFrame(8, [UInt8](repeating: 0x61, count: 126)), chunking) == [.failed(.longControl)])
    for code: UInt16 in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        #expect(run(clientFrame(8, [UInt8(code >> 8), UInt8(code & 255)]), chunking) == [.failed(.badCloseCode)])
    }
    for code: UInt16 in [1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
        #expect(run(clientFrame(8, [UInt8(code >> 8), UInt8(code & 255)]), chunking) == [.close(code, [])])
    }
}

@Test("§5.5.1: what follows a close frame is dropped, also inside a fragmented message", arguments: Chunking.all)
func nothingAfterClose(_ chunking: Chunking) {
    let rest = clientText("late") + clientFrame(8, [0x03, 0xe8]) + [0xff, 0xff, 0xff]
    #expect(run(clientText("a") + clientFrame(8, [0x03, 0xe9]) + rest, chunking) == [.text("a"), .close(1001, [])])
    #expect(run(clientText("a", isFinal: false) + clientFrame(8, [0x03, 0xe8]) + rest, chunking) == [.close(1000, [])])
}

@Test("§7.1: the closing handshake from both sides, one close frame each")
func closingHandshake() {
    let workspace = WebSocketWorkspace()
    var theirs = WebSocketConnection()
    #expect(theirs.closing == .open)
    #expect(feed(clientFrame(8, [0x03, 0xe8]), to: &theirs, workspace) == [.close(1000, [])])
    #expect(theirs.closing == .closeReceived)
    #expect(theirs.startClose() == true)
    #expect(theirs.closing == .done)
    #expect(theirs.startClose() == false)

    var ours = WebSocketConnection()
    #expect(ours.startClose() == true)
    #expect(ours.closing == .closeSent)
    #expect(ours.startClose() == false)
    // What the peer sent before it saw our close frame still arrives.
    #expect(feed(clientText("on its way"), to: &ours, workspace) == [.text("on its way")])
    #expect(feed(clientFrame(8), to: &ours, workspace) == [.close(nil, [])])
    #expect(ours.closing == .done)
    #expect(ours.startClose() == false)

    var broken = WebSocketConnection()
    #expect(feed([0x83, 0x80], to: &broken, workspace) == [.failed(.reservedOpcode)])
    #expect(feed(clientText("never"), to: &broken, workspace) == [])
    #expect(broken.startClose() == true)
    #expect(broken.startClose() == false)
}

// MARK: Memory

@Test("nothing is copied where a message is whole, and nothing is kept where none is in progress")
func nothingKept() {
    let workspace = WebSocketWorkspace()
    var connection = WebSocketConnection()
    var buffer = clientText("whole") + Array(clientFrame(2, [UInt8](0..<50)).prefix(20))
    var span = buffer.mutableSpan
    var position = 0
    #expect(connection.next(&span, &position, testLimits, workspace) == .text(Payload(.received, 6..<11)))
    #expect(connection.next(&span, &position, testLimits, workspace) == .needMore)
    #expect(connection.pendingBytes == 14)
    var rest = Array(clientFrame(2, [UInt8](0..<50)).dropFirst(20))
    var restSpan = rest.mutableSpan
    position = 0
    #expect(connection.next(&restSpan, &position, testLimits, workspace) == .binary(Payload(.message, 0..<50)))
    #expect(connection.pendingBytes == 50)
    #expect(connection.next(&restSpan, &position, testLimits, workspace) == .needMore)
    #expect(connection.pendingBytes == 0 && connection.progress == nil)
}

@Test("an idle connection is 19 bytes, whatever it has heard; one whose contexts stay holds them", arguments: Chunking.all)
func idleSize(_ chunking: Chunking) {
    #expect(MemoryLayout<WebSocketConnection>.size <= 19)
    let workspace = WebSocketWorkspace()
    var connection = WebSocketConnection(deflate: agreed())
    let messages: [[UInt8]] = [
        clientText("whole"), clientFrame(2, [UInt8](repeating: 7, count: 7_000)), clientFrame(9, [1, 2]), clientFrame(10),
        clientText("in ", isFinal: false) + clientFrame(9, [3]) + clientFrame(0, Array("pieces".utf8)),
        clientFrame(1, RawDeflate().message(Array("compressed".utf8)), reserved: 4),
    ]
    for message in messages {
        for piece in chunking.split(message) { _ = feed(piece, to: &connection, workspace) }
        #expect(connection.progress == nil && connection.pendingBytes == 0)
    }
    var keeping = WebSocketConnection(deflate: agreed(clientContext: true))
    #expect(feed(messages[5], to: &keeping, workspace) == [.text("compressed")])
    #expect(keeping.progress?.inflater != nil)
}

@Test("a close frame in pieces gives its memory back after it was seen")
func cutCloseFrame() {
    let workspace = WebSocketWorkspace()
    var connection = WebSocketConnection()
    let spare = workspace.takeAssembler()
    workspace.giveBack(spare)
    #expect(feed(clientFrame(8, [0x03, 0xe8, 0x61]).dropLast(1).map { $0 }, to: &connection, workspace) == [])
    #expect(workspace.takeAssembler() !== spare)
    #expect(feed([0x61 ^ 0x21], to: &connection, workspace) == [.close(1000, [0x61])])
    #expect(workspace.takeAssembler() === spare)
}

// MARK: Compression, coming in

@Test("RFC 7692 §6, §7.2: compressed messages, whole and in fragments, with and without context", arguments: Chunking.all)
func compressedMessages(_ chunking: Chunking) {
    for keepsContext in [false, true] {
        for bits: UInt8 in [9, 15] {
            var bytes: [UInt8] = []
            var expected: [Seen] = []
            var peer = RawDeflate(windowBits: Int32(bits))
            for (index, count) in [10, 3000, 0, 40_000, 64, 5000].enumerated() {
                let message = sampleText(count, seed: UInt64(index))
                if !keepsContext { peer = RawDeflate(windowBits: Int32(bits)) }
                let payload = peer.message(message)
                if index.isMultiple(of: 2) {
                    bytes += clientFrame(1, payload, reserved: 4)
                    expected.append(.text(message))
                } else {
                    let third = payload.count / 3
                    bytes += clientFrame(2, Array(payload[..<third]), isFinal: false, reserved: 4) + clientFrame(9, [7])
                    bytes += clientFrame(0, Array(payload[third..<(2 * third)]), isFinal: false)
                    bytes += clientFrame(0, Array(payload[(2 * third)...]), isFinal: false) + clientFrame(0)
                    expected += [.ping([7]), .binary(message)]
                }
                bytes += clientText("plain")
                expected.append(.text("plain"))
            }
            let deflate = agreed(clientContext: keepsContext, clientBits: bits)
            #expect(run(bytes, chunking, deflate: deflate) == expected)
        }
    }
}

@Test("RFC 7692: what is wrong in a compressed message is 1007 or 1009, however it is cut", arguments: Chunking.all)
func brokenCompression(_ chunking: Chunking) {
    let limits = WebSocketLimits(messageBytesMax: 50_000)
    let deflate = agreed(clientContext: true)
    func outcome(_ payload: [UInt8], _ opcode: UInt8 = 1) -> [Seen] {
        run(clientText("good") + clientFrame(opcode, payload, reserved: 4), chunking, deflate: deflate, limits: limits)
    }
    func text(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x61, count: count) }
    #expect(outcome(RawDeflate().message(text(50_000))) == [.text("good"), .text(text(50_000))])
    #expect(outcome(RawDeflate().message(text(50_001))) == [.text("good"), .failed(.messageTooBig)])
    #expect(outcome(RawDeflate().message(text(5_000_000))) == [.text("good"), .failed(.messageTooBig)])
    #expect(outcome([0x07, 1, 2, 3]) == [.text("good"), .failed(.invalidDeflate)])
    #expect(outcome(Array(RawDeflate().message(text(3000)).dropLast(2))) == [.text("good"), .failed(.invalidDeflate)])
    // Errors come in the order of the message, not of the reads: bad text before the limit, and before broken data.
    #expect(outcome(RawDeflate().message(text(100) + [0xff] + text(60_000))) == [.text("good"), .failed(.invalidUTF8)])
    #expect(outcome(RawDeflate().message(text(60_000) + [0xff])) == [.text("good"), .failed(.messageTooBig)])
    #expect(outcome(RawDeflate().message(text(100) + [0xff]) + [0x00, 0x00, 0xff, 0xff, 0x07]) == [.text("good"), .failed(.invalidUTF8)])
    #expect(outcome(RawDeflate().message(Array("€".utf8.dropLast()))) == [.text("good"), .failed(.invalidUTF8)])
    #expect(outcome(RawDeflate().message([0xff]), 2) == [.text("good"), .binary([0xff])])
}

@Test("RFC 7692 §6.1: RSV1 without agreement, on control frames and on continuations is refused", arguments: Chunking.all)
func misplacedCompressionBit(_ chunking: Chunking) {
    let payload = RawDeflate().message([1, 2, 3])
    #expect(run(clientFrame(2, payload, reserved: 4), chunking) == [.failed(.reservedBits)])
    #expect(run(clientFrame(9, reserved: 4), chunking, deflate: agreed()) == [.failed(.reservedBits)])
    let split = clientFrame(2, payload, isFinal: false, reserved: 4) + clientFrame(0, reserved: 4)
    #expect(run(split, chunking, deflate: agreed()) == [.failed(.reservedBits)])
}

@Test("compressed input that says nothing ends at the limit too")
func endlessEmptyBlocks() {
    let limits = WebSocketLimits(messageBytesMax: 1000)
    let block: [UInt8] = Array(repeating: [0x00, 0x00, 0x00, 0xff, 0xff], count: 20).flatMap { $0 }
    let more = Array(repeating: clientFrame(0, block, isFinal: false), count: 20).joined()
    let bytes = clientFrame(2, block, isFinal: false, reserved: 4) + more
    #expect(run(bytes, .whole, deflate: agreed(), limits: limits) == [.failed(.messageTooBig)])
}

@Test("without context two connections of a loop may be in the middle of a message at once")
func interleavedConnections() {
    let workspace = WebSocketWorkspace()
    var first = WebSocketConnection(deflate: agreed())
    var second = WebSocketConnection(deflate: agreed())
    let texts = [sampleText(3000, seed: 1), sampleText(3000, seed: 2)]
    let frames = texts.map { clientFrame(1, RawDeflate().message($0), reserved: 4) }
    for _ in 0..<3 {
        #expect(feed(Array(frames[0].prefix(100)), to: &first, workspace) == [])
        #expect(feed(Array(frames[1].prefix(50)), to: &second, workspace) == [])
        #expect(feed(Array(frames[0].dropFirst(100)), to: &first, workspace) == [.text(texts[0])])
        #expect(feed(Array(frames[1].dropFirst(50)), to: &second, workspace) == [.text(texts[1])])
    }
}

@Test("RFC 7692 §7.1.1.2: without context no message can look back into another, of whichever connection")
func nothingToLookBackTo() {
    let workspace = WebSocketWorkspace()
    let secret = farRepeats(200, times: 1, seed: 6)
    let peer = RawDeflate()
    let (first, second) = (peer.message(secret), peer.message(secret))
    for _ in 0..<2 {
        var owner = WebSocketConnection(deflate: agreed())
        #expect(feed(clientFrame(2, first, reserved: 4), to: &owner, workspace) == [.binary(secret)])
        var other = WebSocketConnection(deflate: agreed())
        #expect(feed(clientFrame(2, second, reserved: 4), to: &other, workspace) == [.failed(.invalidDeflate)])
    }
}

// MARK: Fuzz

@Test("random and mutated conversations: however cut, the same events; nothing traps", arguments: 0..<8)
func fuzz(_ seed: Int) {
    var random = Seeded(seed: UInt64(seed) &* 7919 &+ 1)
    let limits = WebSocketLimits(messageBytesMax: 2000, fragmentsMax: 20)
    for round in 0..<100 {
        let peer = RawDeflate()
        var bytes: [UInt8] = []
        var isInMessage = false
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            var payload = sampleText(Int.random(in: 0...300, using: &random), seed: random.next())
            switch Int.random(in: 0...9, using: &random) {
            case 0: bytes += clientFrame(9, Array(payload.prefix(125)))
            case 1: bytes += clientFrame(UInt8.random(in: 0...15, using: &random), payload, isFinal: Bool.random(using: &random))
            case 2...5:
                let isFinal = Bool.random(using: &random)
                bytes += clientFrame(isInMessage ? 0 : UInt8.random(in: 1...2, using: &random), payload, isFinal: isFinal)
                isInMessage = !isFinal
            case 6: bytes += (0..<20).map { _ in UInt8.random(in: 0...255, using: &random) }
            case 7 where isInMessage: bytes += clientFrame(0, payload, isFinal: false)
            default:
                if Bool.random(using: &random) { payload = Array(repeating: payload, count: 12).flatMap { $0 } }
                bytes += clientFrame(isInMessage ? 0 : 1, isInMessage ? payload : peer.message(payload), reserved: isInMessage ? 0 : 4)
                isInMessage = false
            }
        }
        if !round.isMultiple(of: 3) {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            }
        }
        for deflate in [nil, agreed(clientContext: true), agreed()] {
            let whole = run(bytes, .whole, deflate: deflate, limits: limits)
            for chunking in [Chunking.byteByByte, .seeded(random.next()), .seeded(random.next())] {
                #expect(run(bytes, chunking, deflate: deflate, limits: limits) == whole)
            }
            for event in whole {
                if case .text(let payload) = event {
                    #expect(payload.count <= limits.messageBytesMax && String(validating: payload, as: UTF8.self) != nil)
                }
            }
        }
    }
}
