// CompletionAPITests: OpenAI's bodies in, errors, models and events out.
import Base
import JSON
import Testing

@testable import Dialects
@testable import Domain

struct CompletionAPITests {
    private func read(
        _ endpoint: CompletionEndpoint, _ body: String, key: String? = nil, group: String? = nil
    ) throws -> Order {
        let bytes = SharedBytes(body)
        let index = try JSONIndex(of: bytes)
        var scratch = ByteWriter()
        scratch.append("before")
        defer { #expect(scratch.count == 6, "the scratch is left as it was") }
        return try CompletionAPI.readOrder(
            endpoint, bytes.span, index, key: key.map { SharedBytes($0) }, group: group.map { SharedBytes($0) }, limits: Limits(),
            scratch: &scratch)
    }

    private func text(_ write: (inout ByteWriter) -> Void) -> String {
        var writer = ByteWriter()
        write(&writer)
        return writer.seal().description
    }

    private func whole(_ result: String, _ endpoint: CompletionEndpoint) -> String {
        var index = JSONIndex()
        return text { CompletionStream.writeWhole(SharedBytes(result), of: endpoint, &index, to: &$0) }
    }

    // MARK: Requests

    @Test("a chat with everything: the worker has the body byte for byte, and ours is read out of it")
    func chat() throws {
        let body =
            #"{"model": "g\u0070t", "messages": [ {"role":"user"} ], "temperature":0.70, "stream":true, "group":"g", "#
            + #""timeout":9000, "priority":"high","retries":2,"idempotencyKey":"k"}"#
        let order = try read(.chat, " \(body)\n", key: "header", group: "field")
        #expect(order.isStreamed && !order.isAsync)
        let submission = order.submission
        #expect(
            submission.payload.description
                == #"{"model":"g\u0070t","messages":[ {"role":"user"} ],"endpoint":"/v1/chat/completions","request":\#(body)}"#)
        #expect(submission.model == SharedBytes("gpt") && submission.group == SharedBytes("g") && submission.priority == .high)
        #expect(submission.timeout == .seconds(9) && submission.idempotencyKey == SharedBytes("k"))
        #expect(submission.retries == 0, "what was sent in pieces cannot be sent anew")
        #expect(try read(.chat, #"{"model":"m","messages":[],"retries":2}"#).submission.retries == 2)
    }

    @Test("what the request's fields say, where the body says nothing; a priority of another kind is the worker's")
    func fields() throws {
        let order = try read(.text, #"{"model":"m","prompt":["a"],"priority":5}"#, key: "k", group: "g")
        #expect(order.submission.group == SharedBytes("g") && order.submission.idempotencyKey == SharedBytes("k"))
        #expect(order.submission.priority == .normal && !order.isStreamed)
        #expect(order.submission.payload.description.contains(#""endpoint":"/v1/completions""#))
        #expect(try read(.embeddings, #"{"model":"m","input":"a","stream":true}"#, group: "").submission.group == nil)
        #expect(try !read(.embeddings, #"{"model":"m","input":"a","stream":true}"#).isStreamed)
    }

    @Test(
        "what cannot be served is named",
        arguments: [
            (.chat, "[]", "Invalid request: a JSON object is expected"), (.chat, #"{"messages":[]}"#, "Invalid request: model required"),
            (.chat, #"{"model":"","messages":[]}"#, "Invalid request: model required"),
            (.chat, #"{"model":5,"messages":[]}"#, "Invalid request: model must be a text"),
            (.chat, #"{"model":"m"}"#, "Invalid request: messages required"),
            (.chat, #"{"model":"m","messages":"x"}"#, "Invalid request: messages must be an array"),
            (.chat, #"{"model":"m","messages":[],"stream":1}"#, "Invalid request: stream must be true or false"),
            (.text, #"{"model":"m"}"#, "Invalid request: prompt required"),
            (.text, #"{"model":"m","prompt":{}}"#, "Invalid request: prompt must be a text or an array"),
            (.embeddings, #"{"model":"m","input":null}"#, "Invalid request: input required"),
            (.embeddings, #"{"model":"m","input":"x","priority":"urgent"}"#, "Invalid request: priority must be one of low, normal, high"),
        ] as [(CompletionEndpoint, String, String)])
    func refused(_ endpoint: CompletionEndpoint, _ body: String, _ sentence: String) {
        #expect(problem { try read(endpoint, body) } == sentence)
    }

    @Test("a group field that is too long is refused as a member is")
    func longField() {
        let sentence = "Invalid request: X-Group must be at most 200 bytes long"
        #expect(problem { try read(.text, #"{"model":"m","prompt":""}"#, group: String(repeating: "x", count: 201)) } == sentence)
    }

    // MARK: Answers

    @Test(
        "an error has a type that goes with its status",
        arguments: [
            (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"), (404, "invalid_request_error"),
            (429, "rate_limit_error"), (500, "server_error"), (504, "server_error"),
        ])
    func types(_ status: Int, _ type: String) {
        let error = text { CompletionAPI.writeError(status, "Words", to: &$0) }
        #expect(error == #"{"error":{"message":"Words","type":"\#(type)","param":null,"code":null}}"#)
    }

    @Test("a model's name is escaped")
    func unknown() {
        let error = text { CompletionAPI.writeUnknownModel(SharedBytes(#"a"b"#), to: &$0) }
        #expect(error.hasPrefix(#"{"error":{"message":"The model 'a\"b' does not exist","type":"invalid_request_error","param":"model","#))
    }

    // MARK: Pieces

    @Test("a piece is one line, whatever white space is in it")
    func pieces() {
        #expect(text { CompletionStream.writePiece(SharedBytes("{\r\n\"a\": \"\\n\"}"), to: &$0) } == "data: {  \"a\": \"\\n\"}\n\n")
        #expect(text { CompletionStream.writeDone(to: &$0) } == "data: [DONE]\n\n")
    }

    @Test("a chat that came whole becomes a piece: message is delta, and all else is as it was")
    func wholes() {
        let chat = #"{"object":"chat.completion", "choices":[{"message":{"content":"x","n":1.0},"index":0}, 5],"usage":{"a":1.50}}"#
        #expect(
            whole(chat, .chat)
                == #"data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"x","n":1.0},"index":0},5],"usage":{"a":1.50}}"#
                + "\n\n")
        #expect(whole(#"{"choices":"none"}"#, .chat) == "data: {\"choices\":\"none\"}\n\n")
        #expect(whole("[1]", .chat) == "data: [1]\n\n")
        #expect(whole(#"{"object":"text_completion"}"#, .text) == "data: {\"object\":\"text_completion\"}\n\n")
        #expect(whole("", .text) == "data: null\n\n")
    }
}
