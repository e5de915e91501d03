// Excerpt: the beginning of what somebody gave, for a person to look at: a text, cut between two characters, or nothing where it is none.
internal import Base
internal import JSON

extension JSONObjectWriter {
    /// The first bytes of a value, as a text.
    mutating func member(_ key: StaticString, excerptOf value: SharedBytes, bytesMax: Int) {
        let cut = Excerpt.end(of: value.span, bytesMax: bytesMax)
        guard UTF8Validator.isValid(value.span.extracting(0..<cut)) else { return nullMember(key) }
        member(key, string: value.span.extracting(0..<cut))
    }
}

public enum Excerpt {
    /// Where the excerpt of a text ends: no later than after so many bytes, and not within a character.
    public static func end(of text: Span<UInt8>, bytesMax: Int) -> Int {
        guard text.count > bytesMax else { return text.count }
        var end = bytesMax
        while end > 0, text[end] & 0b1100_0000 == 0b1000_0000 { end -= 1 }
        return end
    }
}
