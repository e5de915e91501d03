// FanoutMessageTests: a publication's stamp comes through a server unchanged, whichever protocol it is told in, and what is no publication
// is not taken for one.

import Base
import LoadSupport
import Testing

@Suite struct FanoutMessageTests {
    private func read(_ text: String) -> FanoutMessage.FromServer {
        let bytes = Array(text.utf8)
        return FanoutMessage.read(bytes.span)
    }

    private func text(_ write: (inout ByteWriter) -> Void) -> String {
        var output = ByteWriter()
        write(&output)
        return String(decoding: (0..<output.count).map { output.span[$0] }, as: UTF8.self)
    }

    @Test("what a worker and a producer report")
    func report() {
        let (task, words) = (Array("t1".utf8), Array("some words".utf8))
        let report = text { FanoutMessage.appendReport(of: task.span, number: 7, sentAt: 123_456_789, words: words.span, to: &$0) }
        #expect(report == #"{"type":"task_progress","taskId":"t1","progress":50,"message":"some words@7@123456789"}"#)
        let event = text { FanoutMessage.appendEvent(of: task.span, number: 7, sentAt: 123_456_789, words: words.span, to: &$0) }
        #expect(event == #"{"event":"progress","task_id":"t1","progress":50,"message":"some words@7@123456789"}"#)
    }

    private static let words = String(repeating: "x", count: 200) + "@1000000007@9123456789012345"

    @Test(
        "what a watcher is sent of it, in each protocol",
        arguments: [
            #"{"type":"task_progress","task_id":"1e9651fd","progress":60,"message":"\#(words)","#
                + #""timestamp":"2026-01-01T00:00:00.000Z","seq":10000000012,"step_info":{"worker_progress":50}}"#,
            #"{"type":"task_status","task_id":"fan_1","status":"progress","progress":50,"message":"\#(words)","step":null,"#
                + #""timestamp":"2026-01-01T00:00:00","step_info":null,"error":null,"seq":10000000012}"#,
            #"{"type":"progress","task_id":"1e9651fd","payload":{"task_id":"1e9651fd","progress":60,"current_step":"","total_steps":0,"#
                + #""completed_steps":0,"message":"\#(words)","status":"running","timestamp":"2026-01-01T00:00:00Z","seq":10000000012}}"#,
        ])
    func publication(_ message: String) {
        let stamp = FanoutMessage.Stamp(number: 1_000_000_007, sentAt: 9_123_456_789_012_345, sequence: 10_000_000_012)
        #expect(read(message) == .publication(stamp))
    }

    @Test("what a server without tasks passes on says the same", arguments: [0, 1, 250, 60_000])
    func passedOn(_ length: Int) {
        let words = [UInt8](repeating: UInt8(ascii: "x"), count: length)
        let stamp = FanoutMessage.Stamp(number: 12, sentAt: 99, sequence: 3)
        #expect(read(text { FanoutMessage.appendPublication(stamp, words: words.span, to: &$0) }) == .publication(stamp))
    }

    @Test("the other messages to a watcher")
    func others() {
        #expect(read(#"{"type":"current_status","task_id":"t1","seq":1}"#) == .standing)
        #expect(read(#"{"type":"active_tasks","tasks":[],"count":0}"#) == .standing)
        #expect(read(#"{"type":"subscribed","task_id":"","payload":{"topics":["t1"]}}"#) == .standing)
        #expect(read(#"{"type":"progress","task_id":"t1","payload":{"task_id":"t1","progress":20,"message":"","seq":1}}"#) == .other)
        #expect(read(#"{"type":"heartbeat","task_id":"t1"}"#) == .other)
        #expect(read(#"{"type":"task_completed","seq":4,"result_data":"@1@2"}"#) == .other)
        #expect(read("") == .other)
    }

    @Test(
        "a publication without all of its stamp is unreadable",
        arguments: [
            #""message":"@1@2""#, #""message":"@1","seq":1"#, #""message":"@@2","seq":1"#, #""seq":1,"message":"@1@2""#,
            #""message":"@1@2","seq":null"#, #""message":"@1@-2","seq":1"#,
        ])
    func unreadable(_ members: String) { #expect(read(#"{"type":"task_progress","task_id":"t1",\#(members)}"#) == .unreadable) }
}
