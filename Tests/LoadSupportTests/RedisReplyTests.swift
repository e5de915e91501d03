// RedisReplyTests: the replies that a queue made of lists gets, and what it does not expect.

import Base
import LoadSupport
import Testing

@Suite struct RedisReplyTests {
    private func read(_ text: String, from start: Int = 0) -> RedisReply {
        let bytes = Array(text.utf8)
        return RedisReply.read(bytes.span, from: start)
    }

    @Test("numbers, words, strings and pairs")
    func replies() {
        #expect(read(":12\r\n") == .done(end: 5))
        #expect(read("+OK\r\n:1\r\n", from: 5) == .done(end: 9))
        #expect(read("$3\r\nabc\r\n") == .text(4..<7, end: 9))
        #expect(read("$0\r\n\r\n") == .text(4..<4, end: 6))
        #expect(read("*2\r\n$1\r\nr\r\n$2\r\nxy\r\n") == .pair(name: 8..<9, text: 15..<17, end: 19))
    }

    @Test("what is not whole is waited for", arguments: [":12\r\n", "$3\r\nabc\r\n", "*2\r\n$1\r\nr\r\n$2\r\nxy\r\n"])
    func incomplete(_ reply: String) {
        for count in 0..<reply.utf8.count {
            let bytes = Array(reply.utf8.prefix(count))
            #expect(RedisReply.read(bytes.span, from: 0) == .incomplete)
        }
    }

    @Test(
        "errors, nulls and other lists are refused", arguments: ["-ERR no\r\n", "$-1\r\n", "*-1\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n", "x\r\n"])
    func refused(_ reply: String) { #expect(read(reply) == .refused) }

    @Test("a command is an array of strings")
    func command() {
        var output = ByteWriter()
        RedisReply.append(command: [Array("LPUSH".utf8), Array("q".utf8), Array("ab".utf8)], to: &output)
        let text = String(decoding: (0..<output.count).map { output.span[$0] }, as: UTF8.self)
        #expect(text == "*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n$2\r\nab\r\n")
    }
}
