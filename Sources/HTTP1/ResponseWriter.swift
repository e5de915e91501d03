// ResponseWriter: the head of a response, and the frame around chunks, written straight into a ByteWriter. Not the content, which the
// caller queues by reference; no clock: the date comes rendered. RFC 9112 §4 to §7, RFC 9110 §6.4, §6.6.1, §8.6.
//
// Cost: a JSON head is seven copies of constants, some 140 bytes, 70 ns; no allocation with a reused writer.
public import Base

/// The form that a response must have because of the request it answers; two requests later the head is gone, this is not.
public struct ResponseShape: Hashable, Sendable {
    public var version: HTTPVersion
    /// Whether the connection persists behind the response; may be lowered before writing, never raised.
    public var keepsAlive: Bool
    /// Whether the request was HEAD, so that no content follows (RFC 9110 §9.3.2).
    public var isHead: Bool

    public init(version: HTTPVersion = .http11, keepsAlive: Bool = true, isHead: Bool = false) {
        self.version = version
        self.keepsAlive = keepsAlive
        self.isHead = isHead
    }
}

/// Writes responses. A head is ``begin(_:_:_:date:into:)``, any fields, ``end(into:)``; or ``json(_:_:date:bodyLength:into:)`` at once.
public enum ResponseWriter {
    /// How the content is framed.
    public enum Body: Hashable, Sendable {
        /// So many bytes follow.
        case length(Int)
        /// Content of unknown length: in chunks, or to a client of HTTP/1.0 until the connection closes.
        case streamed
    }

    /// Writes the status line and the fields that every response has: Date, Connection where it says something, the framing, and
    /// `X-Content-Type-Options: nosniff`.
    ///
    /// - Parameters:
    ///   - shape: of the request that is answered; `keepsAlive` is lowered where only closing can end the content.
    ///   - date: the present as IMF-fixdate, 29 bytes.
    /// - Returns: whether the content is to follow: not to HEAD, nor with 101, 204 and 304.
    @discardableResult
    public static func begin(
        _ status: HTTPStatus, _ shape: inout ResponseShape, _ body: Body, date: Span<UInt8>, into writer: inout ByteWriter
    ) -> Bool {
        if body == .streamed, shape.version == .http10 { shape.keepsAlive = false }
        begin(status, shape, date: date, into: &writer)
        frame(status, shape, body, into: &writer)
        return hasBody(status, shape)
    }

    private static func begin(_ status: HTTPStatus, _ shape: ResponseShape, date: Span<UInt8>, into writer: inout ByteWriter) {
        precondition(date.count == 29, "a date of \(date.count) bytes is no IMF-fixdate")
        writer.reserve(320)
        writer.append(status.line)
        // RFC 9110 §6.6.1: a server with a clock sends Date.
        writer.append("Date: ")
        writer.append(date)
        writer.append("\r\nX-Content-Type-Options: nosniff\r\n")
        switch (shape.version, shape.keepsAlive, status) {
        case (_, _, .switchingProtocols): break
        case (_, false, _): writer.append("Connection: close\r\n")
        case (.http10, true, _): writer.append("Connection: keep-alive\r\n")
        case (.http11, true, _): break
        }
    }

    private static func frame(_ status: HTTPStatus, _ shape: ResponseShape, _ body: Body, into writer: inout ByteWriter) {
        // RFC 9110 §8.6: no Content-Length with 1xx and 204; with 304 and HEAD it would say what GET brings, and may be left out.
        if status.forbidsBody { return }
        switch (body, shape.version) {
        case (.length(let length), _):
            precondition(length >= 0, "a length of \(length)")
            writer.append("Content-Length: ")
            writer.append(decimal: length)
            writer.append("\r\n")
        case (.streamed, .http11):
            writer.append("Transfer-Encoding: chunked\r\n")
        case (.streamed, .http10):
            break
        }
    }

    /// Whether content follows the head of such a response.
    public static func hasBody(_ status: HTTPStatus, _ shape: ResponseShape) -> Bool {
        !shape.isHead && !status.forbidsBody
    }

    /// Writes a field of constants.
    public static func field(_ name: StaticString, _ value: StaticString, into writer: inout ByteWriter) {
        writer.append(name)
        writer.append(": ")
        writer.append(value)
        writer.append("\r\n")
    }

    /// Writes a field with a decimal value.
    public static func field(_ name: StaticString, decimal value: Int, into writer: inout ByteWriter) {
        writer.append(name)
        writer.append(": ")
        writer.append(decimal: value)
        writer.append("\r\n")
    }

    /// Writes a field whose value comes from elsewhere.
    ///
    /// - Throws: ``HTTPError/unwritableFieldValue`` where it holds a control character, with nothing written: CR and LF in it would end the
    ///   field and begin another (RFC 9110 §5.5).
    public static func field(_ name: StaticString, _ value: Span<UInt8>, into writer: inout ByteWriter) throws(HTTPError) {
        for index in value.indices where !value[index].isFieldContent { throw .unwritableFieldValue }
        writer.append(name)
        writer.append(": ")
        writer.append(value)
        writer.append("\r\n")
    }

    /// Ends the head.
    public static func end(into writer: inout ByteWriter) { writer.append("\r\n") }

    // MARK: At once

    /// Writes the whole head of a response whose content is `bodyLength` bytes of JSON.
    ///
    /// - Parameter fields: writes further fields.
    /// - Returns: whether the content is to follow.
    @discardableResult
    public static func json(
        _ status: HTTPStatus, _ shape: ResponseShape, date: Span<UInt8>, bodyLength: Int, into writer: inout ByteWriter,
        fields: (inout ByteWriter) -> Void = { _ in }
    ) -> Bool {
        begin(status, shape, date: date, into: &writer)
        if !status.forbidsBody {
            precondition(bodyLength >= 0, "a length of \(bodyLength)")
            writer.append("Content-Type: application/json\r\nContent-Length: ")
            writer.append(decimal: bodyLength)
            writer.append("\r\n")
        }
        fields(&writer)
        writer.append("\r\n")
        return hasBody(status, shape)
    }

    /// Writes the whole response to a request that was refused: `{"error":"…"}` with the sentence of the error.
    ///
    /// - Parameter fields: writes further fields.
    public static func refuse(
        _ error: HTTPError, _ shape: ResponseShape, date: Span<UInt8>, into writer: inout ByteWriter,
        fields: (inout ByteWriter) -> Void = { _ in }
    ) {
        let sentence = error.sentence
        let length = sentence.utf8CodeUnitCount + 12
        guard json(error.status, shape, date: date, bodyLength: length, into: &writer, fields: fields) else { return }
        writer.append("{\"error\":\"")
        writer.append(sentence)
        writer.append("\"}")
    }

    /// The interim response that asks for the content (RFC 9110 §15.2.1).
    public static func continued(into writer: inout ByteWriter) { writer.append("HTTP/1.1 100 Continue\r\n\r\n") }

    // MARK: Chunks

    /// Writes what stands before a piece of streamed content of `count` bytes; nothing in HTTP/1.0, which ends by closing.
    public static func beginChunk(_ count: Int, _ shape: ResponseShape, into writer: inout ByteWriter) {
        // RFC 9112 §7.1: a chunk of no bytes would be the last.
        precondition(count > 0, "a chunk of \(count) bytes")
        guard shape.version == .http11 else { return }
        writer.append(hex: UInt64(count), digits: (Int.bitWidth - count.leadingZeroBitCount + 3) / 4)
        writer.append("\r\n")
    }

    /// Writes what stands behind a piece of streamed content.
    public static func endChunk(_ shape: ResponseShape, into writer: inout ByteWriter) {
        if shape.version == .http11 { writer.append("\r\n") }
    }

    /// Ends streamed content.
    public static func endBody(_ shape: ResponseShape, into writer: inout ByteWriter) {
        if shape.version == .http11 { writer.append("0\r\n\r\n") }
    }
}
