// Peer: the client's side for tests: masked frames, raw zlib, and a run of the connection that notes what it said.
import Base
import CZlib
import TestSupport

@testable import WebSockets

/// A client's frame as bytes; every rule can be broken by an argument.
func clientFrame(
    _ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, reserved: UInt8 = 0, isMasked: Bool = true,
    lengthForm: Int? = nil, key: [UInt8] = [0x37, 0xfa, 0x21, 0x3d]
) -> [UInt8] {
    var frame: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
    let form = lengthForm ?? (payload.count <= 125 ? 7 : payload.count <= 0xffff ? 16 : 64)
    let maskBit: UInt8 = isMasked ? 0x80 : 0
    switch form {
    case 7: frame.append(maskBit | UInt8(payload.count))
    case 16: frame += [maskBit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    default:
        frame.append(maskBit | 127)
        for shift in stride(from: 56, through: 0, by: -8) { frame.append(UInt8(payload.count >> shift & 255)) }
    }
    guard isMasked else { return frame + payload }
    frame += key
    for (index, byte) in payload.enumerated() { frame.append(byte ^ key[index & 3]) }
    return frame
}

func clientText(_ text: String, isFinal: Bool = true) -> [UInt8] { clientFrame(1, Array(text.utf8), isFinal: isFinal) }

/// What a connection said, payloads copied.
enum Seen: Equatable, CustomStringConvertible {
    case text([UInt8]), binary([UInt8]), ping([UInt8]), pong([UInt8])
    case close(UInt16?, [UInt8])
    case failed(FrameError)

    static func text(_ string: String) -> Seen { .text(Array(string.utf8)) }

    var description: String {
        switch self {
        case .text(let bytes): "text(\(bytes.count): \(String(decoding: bytes.prefix(40), as: UTF8.self)))"
        case .binary(let bytes): "binary(\(bytes.count): \(bytes.prefix(20)))"
        case .ping(let bytes): "ping(\(bytes))"
        case .pong(let bytes): "pong(\(bytes))"
        case .close(let code, let reason): "close(\(code.map(String.init) ?? "none"), \(String(decoding: reason, as: UTF8.self)))"
        case .failed(let error): "failed(\(error))"
        }
    }
}

let testLimits = WebSocketLimits(messageBytesMax: 1 << 20)

/// Feeds one read to the connection and notes its events.
func feed(
    _ bytes: [UInt8], to connection: inout WebSocketConnection, _ workspace: WebSocketWorkspace, _ limits: WebSocketLimits = testLimits
) -> [Seen] {
    var buffer = bytes
    var span = buffer.mutableSpan
    var position = 0
    var seen: [Seen] = []
    while true {
        let event = connection.next(&span, &position, limits, workspace)
        func copy(_ payload: Payload, _ span: borrowing MutableSpan<UInt8>) -> [UInt8] {
            connection.withPayload(payload, span) { piece in piece.indices.map { piece[$0] } }
        }
        switch event {
        case .needMore:
            precondition(position == bytes.count, "the connection left \(bytes.count - position) bytes")
            return seen
        case .text(let payload): seen.append(.text(copy(payload, span)))
        case .binary(let payload): seen.append(.binary(copy(payload, span)))
        case .ping(let payload): seen.append(.ping(copy(payload, span)))
        case .pong(let payload): seen.append(.pong(copy(payload, span)))
        case .close(let code, let reason): seen.append(.close(code?.rawValue, copy(reason, span)))
        case .failed(let error): seen.append(.failed(error))
        }
    }
}

/// Feeds a whole conversation to a new connection, cut as told.
func run(
    _ bytes: [UInt8], _ chunking: Chunking, deflate: DeflateParameters? = nil, limits: WebSocketLimits = testLimits
) -> [Seen] {
    var connection = WebSocketConnection(deflate: deflate)
    let workspace = WebSocketWorkspace()
    return chunking.split(bytes).flatMap { feed($0, to: &connection, workspace, limits) }
}

/// What `body` appends to a writer.
func written(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    body(&writer)
    return writer.span.indices.map { writer.span[$0] }
}

func agreed(
    serverContext: Bool = false, clientContext: Bool = false, serverBits: UInt8 = 15, clientBits: UInt8 = 15
) -> DeflateParameters {
    DeflateParameters(
        keepsServerContext: serverContext, keepsClientContext: clientContext, serverWindowBits: serverBits,
        clientWindowBits: clientBits, level: 6, memoryLevel: 8, namesServerWindow: false, namesClientWindow: false)
}

/// zlib's own deflate as the client uses it; the context stays from call to call.
// @safe: the z_stream is this object's own and ended in deinit.
@safe
final class RawDeflate {
    private let stream: UnsafeMutablePointer<z_stream>

    init(windowBits: Int32 = 15) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        precondition(unsafe signalbox_deflateInit2(stream, 6, -windowBits, 8) == Z_OK)
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    func run(_ input: [UInt8], flush: Int32) -> [UInt8] {
        var input = input
        var output = [UInt8](repeating: 0, count: input.count + input.count / 2 + 1024)
        let capacity = output.count
        let left = unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe output.withUnsafeMutableBufferPointer { target in
                unsafe stream.pointee.next_in = source.baseAddress
                unsafe stream.pointee.avail_in = uInt(source.count)
                unsafe stream.pointee.next_out = target.baseAddress
                unsafe stream.pointee.avail_out = uInt(capacity)
                unsafe deflate(stream, flush)
                return unsafe Int(stream.pointee.avail_out)
            }
        }
        return Array(output.prefix(capacity - left))
    }

    /// A message's payload as RFC 7692 §7.2.1 makes it.
    func message(_ input: [UInt8]) -> [UInt8] {
        input.isEmpty ? [0x00] : Array(run(input, flush: Z_SYNC_FLUSH).dropLast(4))
    }
}

/// zlib's own inflate as the client uses it.
// @safe: as RawDeflate.
@safe
final class RawInflate {
    private let stream: UnsafeMutablePointer<z_stream>

    init(windowBits: Int32 = 15) {
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        precondition(unsafe signalbox_inflateInit2(stream, -windowBits) == Z_OK)
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    func reset() { unsafe inflateReset(stream) }

    /// The message whose payload is `input`; nil where zlib finds it invalid.
    ///
    /// The output is taken in small pieces: zlib then looks back into its window and nowhere else, as a client with little memory does.
    func message(_ input: [UInt8]) -> [UInt8]? {
        var input = input + [0x00, 0x00, 0xff, 0xff]
        var piece = [UInt8](repeating: 0, count: 200)
        var message: [UInt8] = []
        let isValid = unsafe input.withUnsafeMutableBufferPointer { source in
            unsafe stream.pointee.next_in = source.baseAddress
            unsafe stream.pointee.avail_in = uInt(source.count)
            while true {
                let (result, left) = unsafe piece.withUnsafeMutableBufferPointer { target in
                    unsafe stream.pointee.next_out = target.baseAddress
                    unsafe stream.pointee.avail_out = uInt(target.count)
                    let result = unsafe inflate(stream, Z_SYNC_FLUSH)
                    return unsafe (result, Int(stream.pointee.avail_out))
                }
                message += piece[..<(piece.count - left)]
                guard result == Z_OK || result == Z_BUF_ERROR else { return false }
                if left > 0 { return true }
            }
        }
        return isValid ? message : nil
    }
}

/// A server's frame taken apart: its first byte and its payload.
func serverFrame(_ bytes: [UInt8]) -> (first: UInt8, payload: [UInt8])? {
    guard bytes.count >= 2 else { return nil }
    var start = 2
    var length = Int(bytes[1])
    if length == 126 { (length, start) = (Int(bytes[2]) << 8 | Int(bytes[3]), 4) }
    if length == 127 { (length, start) = (bytes[2..<10].reduce(0) { $0 << 8 | Int($1) }, 10) }
    guard bytes.count == start + length else { return nil }
    return (bytes[0], Array(bytes[start...]))
}

/// Bytes that compress only by looking back `distance` bytes.
func farRepeats(_ distance: Int, times: Int, seed: UInt64) -> [UInt8] {
    var random = Seeded(seed: seed)
    let block = (0..<distance).map { _ in UInt8.random(in: 0...255, using: &random) }
    return Array(repeating: block, count: times).flatMap { $0 }
}

/// Text that compresses somewhat, reproducibly.
func sampleText(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = Seeded(seed: seed)
    let words = ["progress ", "task ", "worker ", "{\"id\":", "0123 ", "é€𝄞 ", "done, "]
    var bytes: [UInt8] = []
    while bytes.count < count { bytes += Array((words.randomElement(using: &random) ?? "").utf8) }
    while bytes.count > count || String(validating: bytes, as: UTF8.self) == nil { bytes.removeLast() }
    return bytes
}
