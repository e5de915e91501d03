// Every error has a status that refuses and a sentence that may stand in JSON as it is.
import HTTP1
import Testing

@Suite struct HTTPErrorTests {
    @Test("statuses refuse, sentences are sentences", arguments: HTTPError.allCases)
    func complete(_ error: HTTPError) {
        #expect((400..<600).contains(error.status.code))
        let sentence = error.sentence.description
        #expect(sentence.hasSuffix("."))
        #expect(sentence.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
    }

    @Test("no two errors say the same")
    func distinct() {
        #expect(Set(HTTPError.allCases.map(\.sentence.description)).count == HTTPError.allCases.count)
    }

    @Test("the statuses that clients act on", arguments: [
        (HTTPError.requestTimeout, 408), (.contentTooLarge, 413), (.targetTooLong, 414), (.unknownExpectation, 417), (.headTooLarge, 431),
        (.tooManyFields, 431), (.unsupportedEncoding, 501), (.unsupportedVersion, 505), (.lengthAndEncoding, 400),
    ])
    func statuses(_ error: HTTPError, _ code: Int) {
        #expect(error.status.code == code)
    }
}
