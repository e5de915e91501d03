// Handshake: the server's side of the opening handshake, from header values to the 101. Parses no HTTP: whoever does hands the values
// in. Obeys RFC 6455 §4.2 and §1.9's registry: version 13 alone.
public import Base
internal import Crypto

/// Why a request does not open a WebSocket.
public enum HandshakeError: UInt8, Error, Hashable, Sendable {
    /// The Upgrade header does not name `websocket`: a request for something else.
    case notWebSocket
    /// The Connection header does not name `upgrade`.
    case notUpgrade
    /// Sec-WebSocket-Version is not 13.
    case unsupportedVersion
    /// Sec-WebSocket-Key is not the base64 of 16 bytes.
    case badKey
    /// Sec-WebSocket-Protocol is not a list of tokens.
    case badSubprotocol

    /// The HTTP status that answers it (RFC 6455 §4.2.2).
    public var status: Int {
        switch self {
        case .notWebSocket, .notUpgrade, .badKey, .badSubprotocol: 400
        case .unsupportedVersion: 426
        }
    }
}

/// The value of Sec-WebSocket-Accept.
public struct AcceptKey: Sendable {
    fileprivate let letters: InlineArray<28, UInt8>

    /// Appends the 28 letters.
    public func write(to writer: inout ByteWriter) { writer.append(letters.span) }
}

public enum Handshake {
    /// Judges the request by its header values, each without white space around it and empty where the header is absent.
    ///
    /// That the method is GET and the protocol at least HTTP/1.1 is for the caller to see to (§4.2.1).
    public static func accept(
        upgrade: Span<UInt8>, connection: Span<UInt8>, version: Span<UInt8>, key: Span<UInt8>
    ) throws(HandshakeError) -> AcceptKey {
        guard names("websocket", upgrade) else { throw .notWebSocket }
        guard names("upgrade", connection) else { throw .notUpgrade }
        guard version.equalsIgnoringCase("13") else { throw .unsupportedVersion }
        guard isKey(key) else { throw .badKey }
        return acceptKey(key)
    }

    /// Whether a comma-separated header value names `token`, which is in lower case; several header lines are asked one by one.
    ///
    /// - Complexity: linear in the bytes of the value.
    public static func names(_ token: StaticString, _ value: Span<UInt8>) -> Bool {
        // Mostly it is named alone.
        if value.equalsIgnoringCase(token) { return true }
        var list = HeaderList(value)
        while let element = list.next(value, separator: UInt8(ascii: ",")) {
            if value.extracting(element).equalsIgnoringCase(token) { return true }
        }
        return false
    }

    /// §4.2.1: 16 bytes in base64, which is 22 letters and two signs of padding. What the last letter says beyond them is not looked at:
    /// nothing is done with the bytes, and clients with fixed keys exist.
    private static func isKey(_ key: Span<UInt8>) -> Bool {
        guard key.count == 24, key[22] == UInt8(ascii: "="), key[23] == UInt8(ascii: "=") else { return false }
        return Base64.isLetters(key.extracting(0..<22))
    }

    /// §4.2.2: SHA-1 over the key and the protocol's own GUID, in base64.
    private static func acceptKey(_ key: Span<UInt8>) -> AcceptKey {
        var text = ByteWriter(capacity: 64)
        text.append(key)
        text.append("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        let digest = Digest.sha1(text.span)
        text.removeAll()
        Base64.encode(digest.span, into: &text)
        let encoded = text.span
        return AcceptKey(letters: InlineArray { index in encoded[index] })
    }

    // MARK: The client's side

    /// §4.1: 16 bytes by chance, in base64.
    static func makeKey(_ high: UInt64, _ low: UInt64) -> SharedBytes {
        let bytes = InlineArray<16, UInt8> { index in
            UInt8(truncatingIfNeeded: (index < 8 ? high : low) >> UInt64(index % 8 * 8))
        }
        var key = ByteWriter(capacity: 24)
        Base64.encode(bytes.span, into: &key)
        return key.take()
    }

    /// What a server must answer to that key.
    static func accepted(_ key: Span<UInt8>) -> SharedBytes {
        var answer = ByteWriter(capacity: 32)
        acceptKey(key).write(to: &answer)
        return answer.take()
    }

    // MARK: Subprotocols

    /// Calls `body` with each subprotocol the client offers, in its order of preference, until it answers false.
    ///
    /// - Throws: `badSubprotocol` at the first one that is not a token (§4.1).
    /// - Complexity: linear in the bytes of the value.
    public static func forEachSubprotocol(
        _ value: Span<UInt8>, _ body: (Range<Int>) -> Bool
    ) throws(HandshakeError) {
        var list = HeaderList(value)
        while let element = list.next(value, separator: UInt8(ascii: ",")) {
            guard value.extracting(element).isToken else { throw .badSubprotocol }
            guard body(element) else { return }
        }
    }

    // MARK: Answers

    /// Appends the whole response that opens the WebSocket.
    ///
    /// - Parameters:
    ///   - subprotocol: one of those the client offered; empty for none.
    ///   - deflate: what was agreed; nil for no compression.
    /// - Throws: `badSubprotocol`, and appends nothing, where that is not a token: nothing of a client's goes into a header unseen.
    public static func writeResponse(
        _ accept: AcceptKey, subprotocol: Span<UInt8>, deflate: DeflateParameters?, to writer: inout ByteWriter
    ) throws(HandshakeError) {
        guard subprotocol.isEmpty || subprotocol.isToken else { throw .badSubprotocol }
        writer.append("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
        accept.write(to: &writer)
        writer.append("\r\n")
        if !subprotocol.isEmpty {
            writer.append("Sec-WebSocket-Protocol: ")
            writer.append(subprotocol)
            writer.append("\r\n")
        }
        if let deflate {
            writer.append("Sec-WebSocket-Extensions: ")
            deflate.writeResponse(to: &writer)
            writer.append("\r\n")
        }
        writer.append("\r\n")
    }
}
