// What a refusal says: one sentence, with the byte, and no word of the text.
import JSON
import Testing

struct JSONErrorTests {
    @Test("a refusal is a sentence that names the byte")
    func sentence() {
        #expect(JSONError(.expectedValue, at: 17).description == "expected a value at byte 17")
        #expect(JSONError(.tooDeep, at: 0).description == "nested too deeply at byte 0")
    }

    @Test("no two reasons share a sentence")
    func distinct() {
        let reasons: [JSONError.Reason] = [
            .expectedValue, .expectedKey, .expectedColon, .expectedCommaOrBrace, .expectedCommaOrBracket, .expectedEnd, .expectedDigit,
            .unterminatedString, .controlCharacter, .badEscape, .badUTF8, .tooDeep, .tooLong,
        ]
        #expect(Set(reasons.map { JSONError($0, at: 0).description }).count == reasons.count)
    }
}
