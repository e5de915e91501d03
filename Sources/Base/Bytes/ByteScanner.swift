// ByteScanner: small questions about bytes that text formats ask: where, the same as, which number. Cursor-free functions on a span;
// ranges in and out. Knows ASCII and no format.
internal import Glibc

extension Span<UInt8> {
    /// The first index from `start` on that holds `byte`.
    public func find(_ byte: UInt8, from start: Int = 0) -> Int? {
        precondition(start >= 0 && start <= count, "looked from \(start) in \(count) bytes")
        return unsafe withUnsafeBufferPointer { buffer -> Int? in
            guard let base = buffer.baseAddress, start < buffer.count else { return nil }
            guard let found = unsafe memchr(base + start, Int32(byte), buffer.count - start) else { return nil }
            return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
        }
    }

    /// Whether the bytes from `start` on begin with the literal.
    public func hasPrefix(_ text: StaticString, at start: Int = 0) -> Bool {
        precondition(start >= 0 && start <= count, "looked at \(start) in \(count) bytes")
        let length = text.utf8CodeUnitCount
        return length <= count - start && equals(text, at: start..<start + length)
    }

    /// Whether the bytes of `range` are the literal.
    ///
    /// - Precondition: `range` lies within the bytes; the literal has more than one scalar or none.
    public func equals(_ text: StaticString, at range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "looked at \(range) in \(count) bytes")
        guard range.count == text.utf8CodeUnitCount else { return false }
        return unsafe withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return true }
            return unsafe memcmp(base + range.lowerBound, text.utf8Start, range.count) == 0
        }
    }

    /// Whether the bytes of `range` are the literal, capitals and small letters of ASCII being the same.
    ///
    /// - Precondition: `range` lies within the bytes; the literal has more than one scalar or none.
    public func equals(_ text: StaticString, ignoringASCIICaseAt range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "looked at \(range) in \(count) bytes")
        guard range.count == text.utf8CodeUnitCount else { return false }
        let wanted = unsafe text.utf8Start
        for offset in 0..<range.count {
            let mine = self[range.lowerBound + offset]
            let theirs = unsafe wanted[offset]
            guard mine == theirs || (mine.isASCIILetter && mine ^ theirs == 0x20) else { return false }
        }
        return true
    }

    /// The decimal number that the whole of `range` writes, digits only; `nil` where it is none or does not fit.
    public func decimal(at range: Range<Int>) -> Int? {
        guard !range.isEmpty else { return nil }
        var value = 0
        for index in range {
            let digit = self[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (tens, tensOverflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(Int(digit))
            guard !tensOverflow, !sumOverflow else { return nil }
            value = sum
        }
        return value
    }

    /// The hexadecimal number that the whole of `range` writes, digits of either case only; `nil` where it is none or does not fit.
    public func hex(at range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var value: UInt64 = 0
        for index in range {
            guard let digit = self[index].hexDigit, value >> 60 == 0 else { return nil }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}

extension UInt8 {
    /// Whether this is a letter of ASCII.
    @inlinable public var isASCIILetter: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 }

    /// Whether this is a decimal digit of ASCII.
    @inlinable public var isASCIIDigit: Bool { self &- UInt8(ascii: "0") < 10 }

    /// The value of a hexadecimal digit of ASCII.
    @inlinable public var hexDigit: UInt8? {
        if isASCIIDigit { return self &- UInt8(ascii: "0") }
        let letter = (self | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter &+ 10 : nil
    }
}
