// JSONWriter: JSON straight into a ByteWriter. Objects and arrays are written by a closure that is given the open container, so that
// commas and brackets take care of themselves and a member cannot stand where only an element may.
// Compact (no spaces); strings are given as UTF-8 and keys as literals that need no escape; raw values are spliced verbatim.
//
// Cost: a member is some 10 ns and its bytes copied; closures inline to nothing, nothing allocates but a long fraction.
public import Base

extension ByteWriter {
    /// Appends a JSON object whose members `body` writes.
    ///
    ///     writer.object {
    ///         $0.member("type", string: "task_complete")
    ///         $0.member("result", raw: bytes)
    ///     }
    @inlinable @inline(__always)
    public mutating func object(_ body: (inout JSONObjectWriter) -> Void) {
        append(UInt8(ascii: "{"))
        var container = JSONObjectWriter(output: self)
        body(&container)
        self = container.finish()
        append(UInt8(ascii: "}"))
    }

    /// Appends a JSON array whose elements `body` writes.
    @inlinable @inline(__always)
    public mutating func array(_ body: (inout JSONArrayWriter) -> Void) {
        append(UInt8(ascii: "["))
        var container = JSONArrayWriter(output: self)
        body(&container)
        self = container.finish()
        append(UInt8(ascii: "]"))
    }

    /// Appends a JSON string that stands for the UTF-8 `text`: quoted, and escaped where RFC 8259 §7 says it must be.
    @inlinable
    public mutating func jsonString(_ text: Span<UInt8>) { JSONString.append(text, to: &self) }

    /// As above; for people's words, not for the byte path.
    public mutating func jsonString(_ text: String) {
        var text = text
        text.withUTF8 { unsafe JSONString.append($0.span, to: &self) }
    }

    /// As above, of a literal.
    @inlinable
    public mutating func jsonString(_ text: StaticString) { JSONString.append(text, to: &self) }

    @inlinable @inline(__always)
    mutating func jsonBool(_ value: Bool) {
        if value { append("true" as StaticString) } else { append("false" as StaticString) }
    }

    @inlinable @inline(__always)
    mutating func jsonRaw(_ value: Span<UInt8>) {
        precondition(value.count > 0, "no bytes are no JSON value")
        append(value)
    }
}

/// An open JSON object: takes members and sees to the commas.
///
/// Keys are literals that need no escape. Raw values are one valid JSON value each and are not looked at.
public struct JSONObjectWriter: ~Copyable {
    @usableFromInline var output: ByteWriter
    @usableFromInline var isEmpty = true

    @inlinable @inline(__always)
    init(output: consuming ByteWriter) { self.output = output }

    @inlinable @inline(__always)
    consuming func finish() -> ByteWriter { output }

    @inlinable @inline(__always)
    mutating func separate() {
        if isEmpty { isEmpty = false } else { output.append(UInt8(ascii: ",")) }
    }

    @inlinable @inline(__always)
    mutating func open(_ key: StaticString) {
        separate()
        output.append(UInt8(ascii: "\""))
        output.append(key)
        output.append("\":" as StaticString)
    }

    @inlinable
    public mutating func member(_ key: StaticString, string: Span<UInt8>) {
        open(key)
        output.jsonString(string)
    }

    @inlinable
    public mutating func member(_ key: StaticString, string: SharedBytes) {
        open(key)
        output.jsonString(string.span)
    }

    @inlinable
    public mutating func member(_ key: StaticString, string: StaticString) {
        open(key)
        output.jsonString(string)
    }

    /// A word that needs no escape.
    @inlinable
    public mutating func member(_ key: StaticString, word: StaticString) {
        open(key)
        output.append(UInt8(ascii: "\""))
        output.append(word)
        output.append(UInt8(ascii: "\""))
    }

    /// For people's words, not for the byte path.
    public mutating func member(_ key: StaticString, string: String) {
        open(key)
        output.jsonString(string)
    }

    @inlinable
    public mutating func member(_ key: StaticString, int: Int) {
        open(key)
        output.append(decimal: int)
    }

    @inlinable
    public mutating func member(_ key: StaticString, int: Int64) {
        open(key)
        output.append(decimal: Int(int))
    }

    /// The shortest text that reads back the same; null for infinities and NaN.
    public mutating func member(_ key: StaticString, double: Double) {
        open(key)
        JSONNumber.append(double, to: &output)
    }

    @inlinable
    public mutating func member(_ key: StaticString, bool: Bool) {
        open(key)
        output.jsonBool(bool)
    }

    @inlinable
    public mutating func nullMember(_ key: StaticString) {
        open(key)
        output.append("null" as StaticString)
    }

    /// A value that is JSON already.
    @inlinable
    public mutating func member(_ key: StaticString, raw: Span<UInt8>) {
        open(key)
        output.jsonRaw(raw)
    }

    /// A value that is JSON already.
    @inlinable
    public mutating func member(_ key: StaticString, raw: SharedBytes) {
        open(key)
        output.jsonRaw(raw.span)
    }

    @inlinable @inline(__always)
    public mutating func member(_ key: StaticString, object body: (inout JSONObjectWriter) -> Void) {
        open(key)
        output.object(body)
    }

    @inlinable @inline(__always)
    public mutating func member(_ key: StaticString, array body: (inout JSONArrayWriter) -> Void) {
        open(key)
        output.array(body)
    }

    /// A value that `body` writes as it likes: exactly one.
    @inlinable @inline(__always)
    public mutating func member(_ key: StaticString, value body: (inout ByteWriter) -> Void) {
        open(key)
        body(&output)
    }

    /// A member whose name is known only now, as UTF-8; `body` writes exactly one value.
    @inlinable @inline(__always)
    public mutating func member(named name: Span<UInt8>, value body: (inout ByteWriter) -> Void) {
        separate()
        output.jsonString(name)
        output.append(UInt8(ascii: ":"))
        body(&output)
    }
}

/// An open JSON array: takes elements and sees to the commas.
public struct JSONArrayWriter: ~Copyable {
    @usableFromInline var output: ByteWriter
    @usableFromInline var isEmpty = true

    @inlinable @inline(__always)
    init(output: consuming ByteWriter) { self.output = output }

    @inlinable @inline(__always)
    consuming func finish() -> ByteWriter { output }

    @inlinable @inline(__always)
    mutating func separate() {
        if isEmpty { isEmpty = false } else { output.append(UInt8(ascii: ",")) }
    }

    @inlinable
    public mutating func element(string: Span<UInt8>) {
        separate()
        output.jsonString(string)
    }

    @inlinable
    public mutating func element(string: SharedBytes) {
        separate()
        output.jsonString(string.span)
    }

    @inlinable
    public mutating func element(string: StaticString) {
        separate()
        output.jsonString(string)
    }

    /// For people's words, not for the byte path.
    public mutating func element(string: String) {
        separate()
        output.jsonString(string)
    }

    @inlinable
    public mutating func element(int: Int) {
        separate()
        output.append(decimal: int)
    }

    @inlinable
    public mutating func element(int: Int64) {
        separate()
        output.append(decimal: Int(int))
    }

    /// The shortest text that reads back the same; null for infinities and NaN.
    public mutating func element(double: Double) {
        separate()
        JSONNumber.append(double, to: &output)
    }

    @inlinable
    public mutating func element(bool: Bool) {
        separate()
        output.jsonBool(bool)
    }

    @inlinable
    public mutating func nullElement() {
        separate()
        output.append("null" as StaticString)
    }

    /// A value that is JSON already.
    @inlinable
    public mutating func element(raw: Span<UInt8>) {
        separate()
        output.jsonRaw(raw)
    }

    /// A value that is JSON already.
    @inlinable
    public mutating func element(raw: SharedBytes) {
        separate()
        output.jsonRaw(raw.span)
    }

    @inlinable @inline(__always)
    public mutating func element(object body: (inout JSONObjectWriter) -> Void) {
        separate()
        output.object(body)
    }

    @inlinable @inline(__always)
    public mutating func element(array body: (inout JSONArrayWriter) -> Void) {
        separate()
        output.array(body)
    }

    /// A value that `body` writes as it likes: exactly one.
    @inlinable @inline(__always)
    public mutating func element(value body: (inout ByteWriter) -> Void) {
        separate()
        body(&output)
    }
}
