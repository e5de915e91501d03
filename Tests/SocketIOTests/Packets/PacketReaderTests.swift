// PacketReaderTests: the examples of the protocol's document and of its reference parser, what malformed packets are refused for, and
// that no input reaches beyond its own bytes. What is read is written again by PacketWriter and must be the same text.
import Base
import JSON
import Testing
import TestSupport

@testable import SocketIO

/// A packet as a test reads it: its ranges replaced by what lies in them.
private struct PlainPacket: Hashable {
    var kind: PacketKind
    var namespace = "/"
    var ackID: UInt64?
    var attachments = 0
    var payload: String?
    var placeholders: [String] = []

    init(
        _ kind: PacketKind, _ namespace: String = "/", ackID: UInt64? = nil, attachments: Int = 0, _ payload: String? = nil,
        placeholders: [String] = []
    ) {
        self.kind = kind
        self.namespace = namespace
        self.ackID = ackID
        self.attachments = attachments
        self.payload = payload
        self.placeholders = placeholders
    }

    init(_ packet: Packet, in bytes: [UInt8]) {
        kind = packet.kind
        if case .named(let range) = packet.namespace { namespace = String(decoding: bytes[range], as: UTF8.self) }
        ackID = packet.ackID
        attachments = packet.attachments
        payload = packet.payload.map { String(decoding: bytes[$0], as: UTF8.self) }
        placeholders = packet.placeholders.map { "\($0.number) \(String(decoding: bytes[$0.range], as: UTF8.self))" }
    }

    /// The packet's text.
    var written: String {
        var writer = ByteWriter()
        PacketWriter.packet(
            kind, namespace: SharedBytes(namespace).span, ackID: ackID, attachments: attachments, payload: SharedBytes(payload ?? "").span,
            to: &writer)
        return writer.seal().description
    }
}

/// Reads a text twice: as it is, and as the end of a longer array of exactly its size, where a read beyond the end traps.
private func read(_ bytes: [UInt8], limits: PacketLimits = PacketLimits()) throws(PacketError) -> PlainPacket {
    var index = JSONIndex()
    let first = try PacketReader.read(bytes.span, index: &index, limits: limits)
    var longer = [UInt8](repeating: UInt8(ascii: "7"), count: 13)
    longer.reserveCapacity(13 + bytes.count)
    longer += bytes
    let second = try PacketReader.read(longer.span.extracting(13..<longer.count), index: &index, limits: limits)
    #expect(first == second)
    return PlainPacket(first, in: bytes)
}

private func read(_ text: String, limits: PacketLimits = PacketLimits()) throws(PacketError) -> PlainPacket {
    try read(Array(text.utf8), limits: limits)
}

private let zero = #"{"_placeholder":true,"num":0}"#
private let one = #"{"_placeholder":true,"num":1}"#

@Suite("PacketReader")
struct PacketReaderTests {
    private static let examples: [(String, PlainPacket)] = [
        ("0", PlainPacket(.connect)),
        (#"0{"token":"123"}"#, PlainPacket(.connect, "/", #"{"token":"123"}"#)),
        (#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#, PlainPacket(.connect, "/admin", #"{"sid":"oSO0OpakMV_3jnilAAAA"}"#)),
        ("0/custom,", PlainPacket(.connect, "/custom")),
        (#"4{"message":"Not authorized"}"#, PlainPacket(.connectError, "/", #"{"message":"Not authorized"}"#)),
        (#"4"Unauthorized""#, PlainPacket(.connectError, "/", #""Unauthorized""#)),
        (#"4/random,{"message":"Invalid namespace"}"#, PlainPacket(.connectError, "/random", #"{"message":"Invalid namespace"}"#)),
        (#"2["foo"]"#, PlainPacket(.event, "/", #"["foo"]"#)),
        (#"2/admin,["bar"]"#, PlainPacket(.event, "/admin", #"["bar"]"#)),
        (#"2[1,"a",{}]"#, PlainPacket(.event, "/", #"[1,"a",{}]"#)),
        (#"212["foo"]"#, PlainPacket(.event, "/", ackID: 12, #"["foo"]"#)),
        (#"2/test,1["a",1,{}]"#, PlainPacket(.event, "/test", ackID: 1, #"["a",1,{}]"#)),
        (#"20["a"]"#, PlainPacket(.event, "/", ackID: 0, #"["a"]"#)),
        (#"29007199254740991["a"]"#, PlainPacket(.event, "/", ackID: 9_007_199_254_740_991, #"["a"]"#)),
        (#"3/admin,13["bar"]"#, PlainPacket(.ack, "/admin", ackID: 13, #"["bar"]"#)),
        ("3123[]", PlainPacket(.ack, "/", ackID: 123, "[]")),
        ("1/admin,", PlainPacket(.disconnect, "/admin")),
        ("1", PlainPacket(.disconnect)),
        (
            #"51-["baz",\#(zero)]"#,
            PlainPacket(.binaryEvent, "/", attachments: 1, #"["baz",\#(zero)]"#, placeholders: ["0 \(zero)"])
        ),
        (
            #"52-/admin,["baz",\#(zero),\#(one)]"#,
            PlainPacket(
                .binaryEvent, "/admin", attachments: 2, #"["baz",\#(zero),\#(one)]"#, placeholders: ["0 \(zero)", "1 \(one)"])
        ),
        (
            #"52-7["x",{"a":[\#(one)]},[[\#(zero)]]]"#,
            PlainPacket(
                .binaryEvent, "/", ackID: 7, attachments: 2, #"["x",{"a":[\#(one)]},[[\#(zero)]]]"#,
                placeholders: ["1 \(one)", "0 \(zero)"])
        ),
        (
            #"61-15["bar",\#(zero)]"#,
            PlainPacket(.binaryAck, "/", ackID: 15, attachments: 1, #"["bar",\#(zero)]"#, placeholders: ["0 \(zero)"])
        ),
        (#"61-/a,15[\#(zero)]"#, PlainPacket(.binaryAck, "/a", ackID: 15, attachments: 1, "[\(zero)]", placeholders: ["0 \(zero)"])),
        // Of a packet without attachments the placeholders are data like other data.
        (#"2["a",\#(zero)]"#, PlainPacket(.event, "/", #"["a",\#(zero)]"#)),
    ]

    @Test("The document's examples read as they say, and are written as they stand", arguments: examples.indices)
    func example(place: Int) throws {
        let (text, packet) = PacketReaderTests.examples[place]
        #expect(try read(text) == packet)
        #expect(packet.written == text)
    }

    @Test(
        "What may be written in several ways reads alike",
        arguments: [
            ("0/custom", "0/custom,"), ("0/", "0"), ("0/,", "0"), ("1/a", "1/a,"), ("0/admin?token=1&uid=a,", "0/admin,"),
            ("0/admin?token=1", "0/admin,"), ("0/?a=/b?c,{}", "0{}"), (#"2/?a,["x"]"#, #"2["x"]"#), (#"2007["x"]"#, #"27["x"]"#),
        ])
    func variants(text: String, plain: String) throws {
        #expect(try read(text).written == plain)
    }

    private static let refusals: [(String, PacketError)] = [
        ("", .empty), ("7", .unknownKind), ("999", .unknownKind), ("/", .unknownKind), ("abc", .unknownKind), ("\u{ff}", .unknownKind),
        ("5", .expectedAttachments), ("5-", .expectedAttachments), ("51", .expectedAttachments), (#"5["a"]"#, .expectedAttachments),
        ("5x-", .expectedAttachments), ("5-1-", .expectedAttachments), (#"51["a"]"#, .expectedAttachments),
        (#"50-["a"]"#, .noAttachments), ("6000-", .noAttachments), ("517-", .tooManyAttachments),
        ("599999999999999999999999999-", .tooManyAttachments),
        ("0/\(String(repeating: "a", count: 128)),", .namespaceTooLong), ("0/a?\(String(repeating: "b", count: 128))", .namespaceTooLong),
        ("0/a\nb,", .badNamespace), ("0/a\u{7f}", .badNamespace),
        (#"29007199254740992["a"]"#, .ackIDTooLarge), (#"299999999999999999999999999999["a"]"#, .ackIDTooLarge),
        (#"3["a"]"#, .expectedAckID), (#"61-["a",\#(zero)]"#, .expectedAckID),
        ("01{}", .unexpectedAckID), ("11", .unexpectedAckID), (#"41{"message":"x"}"#, .unexpectedAckID),
        ("2", .expectedPayload), ("2/admin,", .expectedPayload), ("212", .expectedPayload), ("31", .expectedPayload),
        ("4", .expectedPayload), ("51-", .expectedPayload), ("61-1", .expectedPayload), (#"2/admin["a"]"#, .expectedPayload),
        ("1/admin,{}", .unexpectedPayload), ("1[]", .unexpectedPayload), ("1 ", .unexpectedPayload),
        (#"442["some","data""#, .unexpectedAckID),
        (#"2["some","data""#, .notJSON(JSONError(.expectedCommaOrBracket, at: 14))),
        (#"2/admin,"invalid"#, .notJSON(JSONError(.unterminatedString, at: 8))),
        (#"2abc["a"]"#, .notJSON(JSONError(.expectedValue, at: 0))), (#"2-1["a"]"#, .notJSON(JSONError(.expectedEnd, at: 2))),
        (#"2["a"]x"#, .notJSON(JSONError(.expectedEnd, at: 5))), ("0[]", .expectedObject), (#"0/admin,"invalid""#, .expectedObject),
        ("0null", .expectedObject), ("2/admin,{}", .expectedArray), (#"2"a""#, .expectedArray), ("31{}", .expectedArray),
        ("31null", .expectedArray), (#"51-{"a":\#(zero)}"#, .expectedArray), ("4[]", .expectedObjectOrString),
        ("4true", .expectedObjectOrString), ("2[]", .expectedEventName), (#"2[{"toString":"foo"}]"#, .expectedEventName),
        (#"2[true,"foo"]"#, .expectedEventName), (#"2[null,"bar"]"#, .expectedEventName), (#"2[["a"]]"#, .expectedEventName),
        (#"51-[\#(zero)]"#, .expectedEventName),
        (#"2["connect"]"#, .reservedEventName), (#"2["connect_error"]"#, .reservedEventName),
        (#"2["disconnect","123"]"#, .reservedEventName), (#"2["disconnecting"]"#, .reservedEventName),
        (#"2["newListener"]"#, .reservedEventName), (#"2["removeListener"]"#, .reservedEventName),
        (#"2["\u0063onnect"]"#, .reservedEventName), (#"51-["connect",\#(zero)]"#, .reservedEventName),
        (#"51-["a",\#(one)]"#, .badPlaceholder), (#"51-["a",{"_placeholder":true}]"#, .badPlaceholder),
        (#"51-["a",{"_placeholder":true,"num":-1}]"#, .badPlaceholder), (#"51-["a",{"_placeholder":true,"num":0.5}]"#, .badPlaceholder),
        (#"51-["a",{"_placeholder":true,"num":"splice"}]"#, .badPlaceholder),
        (#"51-["a",{"_placeholder":true,"num":99999999999999999999}]"#, .badPlaceholder),
        (#"52-["a",\#(zero),\#(zero)]"#, .repeatedPlaceholder), (#"51-["a"]"#, .unusedAttachment),
        (#"52-["a",\#(zero)]"#, .unusedAttachment), (#"51-["a",{"_placeholder":false,"num":0}]"#, .unusedAttachment),
    ]

    @Test("Malformed packets are refused for what is wrong with them", arguments: refusals.indices)
    func malformed(place: Int) {
        let (text, error) = PacketReaderTests.refusals[place]
        #expect(throws: error, "\(text)") { try read(text) }
        #expect(!error.description.isEmpty)
    }

    @Test("Names that only resemble a reserved one are free")
    func resemblance() throws {
        for name in ["Connect", "connect ", "connected", "", "error", "message"] {
            #expect(try read(#"2["\#(name)"]"#).payload == #"["\#(name)"]"#)
        }
    }

    @Test("A namespace that is not UTF-8 is refused, one that is not ASCII is not")
    func namespaceText() throws {
        #expect(throws: PacketError.badNamespace) { try read([0x30, 0x2f, 0xff, 0x2c]) }
        #expect(throws: PacketError.badNamespace) { try read([0x30, 0x2f, 0xc3, 0x2c, 0xa9]) }
        #expect(try read("0/é,").namespace == "/é")
    }

    @Test("Limits stand where they say")
    func limits() throws {
        let limits = PacketLimits(attachmentsMax: 1, namespaceBytesMax: 4)
        #expect(try read("0/abc,", limits: limits).namespace == "/abc")
        #expect(throws: PacketError.namespaceTooLong) { try read("0/abcd,", limits: limits) }
        #expect(try read(#"51-["a",\#(zero)]"#, limits: limits).attachments == 1)
        #expect(throws: PacketError.tooManyAttachments) { try read(#"52-["a",\#(zero),\#(one)]"#, limits: limits) }
        #expect(throws: PacketError.tooManyAttachments) { try read("51-", limits: PacketLimits(attachmentsMax: 0)) }
    }

    @Test("Depth is the index's limit")
    func depth() {
        let text = #"51-["a","# + String(repeating: "[", count: 200) + zero + String(repeating: "]", count: 201)
        #expect(throws: PacketError.notJSON(JSONError(.tooDeep, at: 132))) { try read(text) }
    }

    @Test("The index afterwards is the payload's, and knows the event's name")
    func index() throws {
        var index = JSONIndex()
        let bytes = Array(#"2/a,5["na\u006de",[2]]"#.utf8)
        let packet = try PacketReader.read(bytes.span, index: &index, limits: PacketLimits())
        let payload = try #require(packet.payload)
        let name = try #require(packet.eventName(in: index))
        let isNamed = index.equals(name, "name", in: bytes.span.extracting(payload))
        #expect(isNamed)
        let bare = try PacketReader.read([UInt8(ascii: "0")].span, index: &index, limits: PacketLimits())
        #expect(index.isEmpty)
        #expect(bare.eventName(in: index) == nil)
    }

    @Test("Every prefix of a packet, and every packet with one byte changed, is read or refused", arguments: examples.indices)
    func damaged(place: Int) {
        let bytes = Array(PacketReaderTests.examples[place].0.utf8)
        for end in bytes.indices { _ = try? read(Array(bytes[..<end])) }
        var random = Seeded(seed: UInt64(place))
        for at in bytes.indices {
            for byte in Array("-/,9\0".utf8) + [UInt8.random(in: 0...255, using: &random)] {
                var changed = bytes
                changed[at] = byte
                _ = try? read(changed)
            }
        }
    }

    @Test("Chance is read or refused", arguments: 1...4 as ClosedRange<UInt64>)
    func chance(seed: UInt64) {
        var random = Seeded(seed: seed)
        let alphabet = Array(#"0123456-/?,[]{}"atrue:_num. "#.utf8) + [0, 0xff]
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...24, using: &random)
            _ = try? read((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] })
        }
    }

    @Test("What is written at random reads the same", arguments: 1...4 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = Seeded(seed: seed)
        for _ in 0..<300 {
            let packet = PlainPacket.random(using: &random)
            #expect(try read(packet.written) == packet)
        }
    }
}

extension PlainPacket {
    static func random(using random: inout Seeded) -> PlainPacket {
        let kind = PacketKind.allCases[Int.random(in: 0..<PacketKind.allCases.count, using: &random)]
        var packet = PlainPacket(kind)
        if Bool.random(using: &random) {
            let letters = Array("abc09-_/[é.")
            let count = Int.random(in: 1...9, using: &random)
            packet.namespace = "/" + String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count, using: &random)] })
        }
        let isAck = kind == .ack || kind == .binaryAck
        if isAck || (kind.takesAckID && Bool.random(using: &random)) {
            packet.ackID = UInt64.random(in: 0...Packet.ackIDMax >> UInt64.random(in: 0...52, using: &random), using: &random)
        }
        if kind.isBinary { packet.attachments = Int.random(in: 1...16, using: &random) }
        let marks = (0..<packet.attachments).shuffled(using: &random).map { ($0, #"{"_placeholder":true,"num":\#($0)}"#) }
        packet.placeholders = marks.map { "\($0.0) \($0.1)" }
        let values = marks.map { Bool.random(using: &random) ? $0.1 : #"{"v":[0,\#($0.1)]}"# }
        switch kind {
        case .connect: packet.payload = Bool.random(using: &random) ? nil : #"{"token":"a,b-1/"}"#
        case .disconnect: packet.payload = nil
        case .connectError: packet.payload = #"{"message":"no"}"#
        case .ack, .binaryAck: packet.payload = "[" + values.joined(separator: ",") + "]"
        case .event, .binaryEvent: packet.payload = "[" + ([#""na,me""#] + values).joined(separator: ",") + "]"
        }
        return packet
    }
}
