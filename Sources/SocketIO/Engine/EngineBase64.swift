// EngineBase64: binary messages as letters, for polling payloads: RFC 4648 §4 with padding, by Crypto's Base64. Here is only how long a
// text will be as bytes, which is asked before it is worth decoding, and the error in this protocol's words.
internal import Base
internal import Crypto

enum EngineBase64 {
    /// How many letters `count` bytes become.
    static func encodedCount(of count: Int) -> Int { Base64.encodedCount(of: count) }

    /// How many bytes the text of `range` stands for, if it is base64 at all; nil where no bytes have so many letters.
    static func decodedCount(_ text: Span<UInt8>, _ range: Range<Int>) -> Int? {
        guard range.count % 4 == 0 else { return nil }
        guard range.count >= 4, text[range.upperBound - 1] == UInt8(ascii: "=") else { return range.count / 4 * 3 }
        return range.count / 4 * 3 - (text[range.upperBound - 2] == UInt8(ascii: "=") ? 2 : 1)
    }

    /// Appends the letters of `bytes`.
    static func encode(_ bytes: Span<UInt8>, into writer: inout ByteWriter) { Base64.encode(bytes, into: &writer) }

    /// Appends the bytes that the text of `range` stands for: exactly `decodedCount` of them.
    ///
    /// - Throws: `invalidBase64`; the writer is then as it was.
    static func decode(_ text: Span<UInt8>, _ range: Range<Int>, into writer: inout ByteWriter) throws(EngineError) {
        do throws(Base64Error) {
            try Base64.decode(text.extracting(range), into: &writer)
        } catch {
            throw .invalidBase64
        }
    }
}
