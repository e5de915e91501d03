// OptionsTests: command lines that are read, and why others are refused.

import LoadSupport
import Testing

@Suite struct OptionsTests {
    private func parse(_ line: String) throws(OptionError) -> Options {
        try Options.parse(line.split(separator: " ").map(String.init))
    }

    @Test("an echo with everything")
    func echo() throws {
        let options = try parse(
            "echo --url ws://127.0.0.1:9/e --connections 7 --size 99 --depth 3 --seconds 0.5 --warmup 0 --pid 12,13 --text --json"
                + " --deflate")
        #expect(options.command == .echo)
        #expect(options.connections == 7)
        #expect(options.size == 99)
        #expect(options.depth == 3)
        #expect(options.seconds == 0.5)
        #expect(options.warmup == 0)
        #expect(options.pids == [12, 13])
        #expect(options.compression == .deflate)
        #expect(options.opcode == .text)
        #expect(options.format == .json)
    }

    @Test("a dispatch, an idle, an http")
    func others() throws {
        let dispatch = try parse(
            "dispatch --url http://127.0.0.1:9 --clients 2 --workers 3 --concurrency 4 --group g --async --poll 0 --path /v1/x")
        #expect(dispatch.clients == 2)
        #expect(dispatch.workers == 3)
        #expect(dispatch.concurrency == 4)
        #expect(dispatch.group == "g")
        #expect(dispatch.wish == .resultLater)
        #expect(dispatch.rate == nil)
        #expect(dispatch.pollMilliseconds == 0)
        #expect(dispatch.path == "/v1/x")
        let idle = try parse("idle --url ws://127.0.0.1:9/e --connections 20000 --hold 2.5 --sample 10 --in-flight 4")
        #expect(idle.connections == 20_000)
        #expect(idle.hold == 2.5)
        #expect(idle.sample == 10)
        #expect(idle.inFlight == 4)
        let http = try parse("http --url http://127.0.0.1:9/h --depth 16 --body {} --status 201")
        #expect(http.body == "{}")
        #expect(http.status == 201)
        #expect(http.depth == 16)
    }

    @Test("a submit and a fanout")
    func publishing() throws {
        let submit = try parse("submit --url http://127.0.0.1:9 --clients 32 --workers 2 --group g --path /v1/x --seconds 1")
        #expect(submit.command == .submit)
        #expect(submit.clients == 32)
        #expect(submit.wish == .receipt)
        #expect(submit.workers == 2)
        let plain = try parse("fanout --url http://127.0.0.1:9")
        #expect(plain.subscribers == 1000)
        #expect(plain.tasks == 1)
        #expect(plain.publications == 100)
        #expect(plain.size == 300)
        #expect(plain.depth == 1)
        #expect(plain.publisher == .worker)
        let fanout = try parse(
            "fanout --url http://127.0.0.1:9 --subscribers 10000 --tasks 500 --publications 9 --in-flight 16 --bytes 1000"
                + " --publisher raw --watch /w/% --publish /p --rate 50 --gate")
        #expect(fanout.subscribers == 10_000)
        #expect(fanout.tasks == 500)
        #expect(fanout.publications == 9)
        #expect(fanout.depth == 16)
        #expect(fanout.inFlight == 256)
        #expect(fanout.size == 1000)
        #expect(fanout.publisher == .raw)
        #expect(fanout.watchPath == "/w/%")
        #expect(fanout.publishPath == "/p")
        #expect(fanout.rate == 50)
        #expect(fanout.beginning == .whenTold)
    }

    @Test("a queue and a handshake")
    func peers() throws {
        let queue = try parse("queue --url tcp://127.0.0.1:9 --queue redis --clients 2 --async --rate 1000")
        #expect(queue.queue == .redis)
        #expect(queue.clients == 2)
        #expect(queue.wish == .receipt)
        #expect(queue.rate == 1000)
        #expect(try parse("queue --url tcp://127.0.0.1:9").wish == .result)
        #expect(try parse("handshake --url wss://127.0.0.1:9").inFlight == 64)
        #expect(try parse("handshake --url ws://127.0.0.1:9 --in-flight 8").inFlight == 8)
    }

    @Test("a monitor, of WebSockets, of polling clients, and of both")
    func monitor() throws {
        let plain = try parse("monitor --url http://127.0.0.1:9")
        #expect(plain.command == .monitor)
        #expect(plain.subscribers == 1000)
        #expect(plain.polling == 0)
        #expect(plain.publications == 100)
        #expect(plain.size == 350)
        #expect(plain.depth == 1)
        let polling = try parse("monitor --url http://127.0.0.1:9 --subscribers 0 --polling 1000 --in-flight 16 --bytes 400")
        #expect(polling.subscribers == 0)
        #expect(polling.polling == 1000)
        #expect(polling.depth == 16)
        #expect(polling.inFlight == 256)
        #expect(polling.size == 400)
    }

    @Test("what is wrong is refused", arguments: [
        "", "gallop --url ws://127.0.0.1:9/", "echo", "echo --url", "echo --url ws://10.0.0.1/", "echo --url ws://127.0.0.1:9/ --hold 1",
        "echo --url ws://127.0.0.1:9/ --size 0", "echo --url ws://127.0.0.1:9/ --size x", "echo --url ws://127.0.0.1:9/ --seconds -1",
        "echo --url ws://127.0.0.1:9/ --seconds nan", "echo --url ws://127.0.0.1:9/ --size 16777216 --depth 4096",
        "dispatch --url http://127.0.0.1:9 --group a\"b",
        "http --url http://127.0.0.1:9 --what", "idle --url ws://127.0.0.1:9/ --seconds 1",
        "fanout --url http://127.0.0.1:9 --subscribers 10 --tasks 11", "fanout --url http://127.0.0.1:9 --bytes 0",
        "fanout --url http://127.0.0.1:9 --in-flight 4097", "submit --url http://127.0.0.1:9 --async",
        "echo --url ws://127.0.0.1:9/ --pid 1,", "echo --url ws://127.0.0.1:9/ --rate 5", "queue --url tcp://127.0.0.1:9 --queue kafka",
        "fanout --url http://127.0.0.1:9 --publisher nobody", "fanout --url http://127.0.0.1:9 --rate 0",
        "monitor --url http://127.0.0.1:9 --subscribers 0", "monitor --url http://127.0.0.1:9 --tasks 2",
        "fanout --url http://127.0.0.1:9 --subscribers 0", "fanout --url http://127.0.0.1:9 --polling 1",
    ])
    func refused(_ line: String) { #expect(throws: OptionError.self) { try parse(line) } }
}
