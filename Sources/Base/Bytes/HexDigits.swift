// HexDigits: eight hexadecimal digits at a time, in one register: how random names (UUIDs, client ids) become text and are read again.
// Lower case only, both ways. Not the digits of protocols, which come in any number and either case: ByteScanner reads those.
//
// Cost: some ten instructions for eight digits, without a branch; digit by digit a UUID cost 400, several times a task.

public enum HexDigits {
    /// The digits of a number as text; the first one is the highest byte.
    @inlinable
    public static func text(of number: UInt32) -> UInt64 {
        // Each digit's four bits into a byte of their own: halves apart, then quarters, then eighths.
        var nibbles = UInt64(number)
        nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff
        nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff
        nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f
        // 1 where the digit is a letter: 10 and above carry into the next four bits when 6 is added.
        let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        // "0" is 0x30; "a" stands 0x27 further on than a tenth digit would.
        return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }

    /// The number that eight digits of text write; nil where one of them is no digit.
    @inlinable
    public static func number(of text: UInt64) -> UInt32? {
        let letters = text >> 6 & 0x0101_0101_0101_0101
        var nibbles = ((text & 0x0f0f_0f0f_0f0f_0f0f) &+ letters &* 9) & 0x0f0f_0f0f_0f0f_0f0f
        nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff
        nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff
        let number = UInt32(truncatingIfNeeded: nibbles | nibbles >> 16)
        // What is no digit becomes one above, but not the one that it was.
        return HexDigits.text(of: number) == text ? number : nil
    }
}

extension Span<UInt8> {
    /// Eight bytes of the text, the first one highest.
    @inlinable
    public func word(at offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset <= count &- 8, "eight bytes at \(offset) of \(count)")
        // Safe: the bounds were looked at.
        return unsafe UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }
}
