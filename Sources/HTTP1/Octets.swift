// Octets: the classes of characters that HTTP's grammar is made of. Knows no message. RFC 9110 §5.5 and §5.6.

extension UInt8 {
    static var tab: UInt8 { 0x09 }
    static var lineFeed: UInt8 { 0x0a }
    static var carriageReturn: UInt8 { 0x0d }
    static var space: UInt8 { 0x20 }

    /// tchar of RFC 9110 §5.6.2, as two masks of 64 bits.
    @inline(__always)
    var isToken: Bool {
        let mask: UInt64 = self < 64 ? 0x03ff_6cfa_0000_0000 : 0x57ff_ffff_c7ff_fffe
        return self < 128 && (mask &>> UInt64(self & 63)) & 1 == 1
    }

    /// A byte that a field value may hold (RFC 9110 §5.5): HTAB, SP, VCHAR and obs-text.
    @inline(__always)
    var isFieldContent: Bool { (self >= 0x20 && self != 0x7f) || self == .tab }

    @inline(__always)
    var isBlank: Bool { self == .space || self == .tab }
}

extension Span<UInt8> {
    /// `range` without the spaces and tabs at its ends (OWS of RFC 9110 §5.6.3).
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, self[start].isBlank { start &+= 1 }
        while end > start, self[end &- 1].isBlank { end &-= 1 }
        return start..<end
    }
}
