// MonitorMessageTests: an activity's stamp comes through a server unchanged, and every packet is taken for what it is.

import Base
import LoadSupport
import Testing

@Suite struct MonitorMessageTests {
    private func read(_ text: String) -> MonitorMessage.FromServer {
        let bytes = Array(text.utf8)
        return MonitorMessage.read(bytes.span)
    }

    private func packets(_ payload: String) -> [String] {
        let bytes = Array(payload.utf8)
        var found: [String] = []
        MonitorMessage.forEachPacket(in: bytes.span) { packet in
            found.append(String(decoding: (0..<packet.count).map { packet[$0] }, as: UTF8.self))
        }
        return found
    }

    private func activity(_ extra: String, tail: String = #","17""#, words: String = "x") -> String {
        #"42["activity_stream",{"event_type":"activity_stream","timestamp":"2026-01-01T00:00:00.000Z","data":{"id":"act_1","#
            + #""activity_type":"user_operation","message":"\#(words)","severity":"info","resource_type":null,"resource_id":null,"#
            + #""created_at":"2026-01-01T00:00:00.000Z","extra_data":\#(extra)}}\#(tail)]"#
    }

    @Test("what is posted")
    func posted() {
        let words = Array("some words".utf8)
        var output = ByteWriter()
        MonitorMessage.appendActivity(MonitorMessage.Stamp(number: 7, sentAt: 123_456_789), words: words.span, to: &output)
        let text = String(decoding: (0..<output.count).map { output.span[$0] }, as: UTF8.self)
        let start = #"{"activity_type":"user_operation","message":"some words","#
        #expect(text == start + #""extra_data":{"n":7,"t":123456789}}"#)
    }

    @Test("what comes of it, with an offset behind the event and without", arguments: ["", #","17""#, #","18446744073709551615""#])
    func heard(_ tail: String) {
        let stamp = MonitorMessage.Stamp(number: 1_000_000_007, sentAt: 9_123_456_789_012_345)
        let extra = #"{"n":1000000007,"t":9123456789012345}"#
        #expect(read(activity(extra, tail: tail)) == .activity(stamp))
        #expect(read(activity(extra, tail: tail, words: String(repeating: "x", count: 2_000))) == .activity(stamp))
    }

    @Test(
        "an activity that no run posted is an event like others",
        arguments: ["{}", #"{"n":1}"#, #"{"t":1,"n":2}"#, #"{"n":"1","t":2}"#, #"{"n":1,"t":-2}"#, #"{"n":1,"t":99999999999999999999}"#])
    func foreign(_ extra: String) { #expect(read(activity(extra)) == .event) }

    @Test("a session's name")
    func opened() {
        let text = #"0{"sid":"0123abcd","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        #expect(read(text) == .opened(session: 9..<17))
        #expect(read(#"0{"upgrades":[]}"#) == .refused)
        #expect(read(#"0{"sid":""}"#) == .refused)
        #expect(read(#"0{"sid":"abc"#) == .refused)
    }

    @Test("the other packets")
    func others() {
        #expect(read(#"40{"sid":"abc","pid":"def"}"#) == .connected)
        #expect(read(#"42["subscribed",{"topic":"all"},"3"]"#) == .subscribed)
        #expect(read(#"42["system_resources_update",{"event_type":"system_resources_update"},"4"]"#) == .event)
        #expect(read(#"42["error",{"message":"Too many subscribers"},"4"]"#) == .refused)
        #expect(read(#"44{"message":"Authentication failed"}"#) == .refused)
        #expect(read("1") == .refused)
        #expect(read("2") == .ping)
        for text in ["", "6", "3probe", "43", "451-", "ok", "b4"] { #expect(read(text) == .other, "\(text)") }
    }

    @Test("the packets of one answer")
    func separated() {
        #expect(packets("2") == ["2"])
        #expect(packets("2\u{1e}42[\"a\"]\u{1e}6") == ["2", "42[\"a\"]", "6"])
        #expect(packets("") == [])
        #expect(packets("2\u{1e}") == ["2"])
    }

    @Test("a counter is found by its whole name, and not in a comment")
    func counters() {
        let page = Array("# HELP a_total What a_total 7 is.\n# TYPE a_total counter\nb_a_total 5\na_total_more 6\na_total 42\n".utf8)
        #expect(MonitorMessage.counter("a_total", in: page.span) == 42)
        #expect(MonitorMessage.counter("b_a_total", in: page.span) == 5)
        #expect(MonitorMessage.counter("total", in: page.span) == nil)
    }
}
