// Goal: what two processes say to each other is read as it was written, and anything else is none of it.
import Testing

@testable import signalbox

struct TakeoverWordsTests {
    @Test(
        "each word comes back as itself",
        arguments: [
            .hello(version: "0.1.0"), .go, .yours, .refused("it does not please us"), .offer(version: "1.2", []),
            .offer(version: "1", [
                .init(wanted: "127.0.0.1:0", ownsFile: false), .init(wanted: "[::1]:80", ownsFile: false),
                .init(wanted: "unix:/run/with a space/s.sock", ownsFile: true),
            ]),
        ] as [TakeoverWords])
    func roundTrip(_ words: TakeoverWords) {
        #expect(TakeoverWords(words.text) == words)
    }

    @Test(
        "anything else is none of it",
        arguments: [
            "", "go", "signalbox-takeover-1", "signalbox-takeover-1\n", "signalbox-takeover-2\ngo", "signalbox-takeover-1\ngo on",
            "signalbox-takeover-1\ngo\n", "signalbox-takeover-1\nyours\nmine", "signalbox-takeover-1\noffer 1\nsold 127.0.0.1:1",
            "signalbox-takeover-1\noffer 1\nown", "signalbox-takeover-1\noffer 1\nown ", "signalbox-takeover-1\noffer 1\n",
            "signalbox-takeover-1\nhello 1\nhello 2", "GET / HTTP/1.1\r\n\r\n", "\u{0}\u{0}\u{0}",
        ])
    func nonsense(_ text: String) {
        #expect(TakeoverWords(text) == nil)
    }
}
