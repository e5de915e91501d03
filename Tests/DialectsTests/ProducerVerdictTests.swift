// ProducerVerdictTests: what outside programs are answered: alone, in batches, and where they asked for it.
import Base
import Domain
import Testing

@testable import Dialects

struct ProducerVerdictTests {
    @Test(
        "one event over HTTP: the task and its number, or the error, with the status",
        arguments: [
            (ProducerRefusal.unreadable(.missing(member: "logs")), 400, "Invalid request: logs required"),
            (.unknownTask, 404, "Task not found"), (.alreadyRegistered, 409, "Task already registered"),
            (.dispatched, 409, "Task is run by a worker of this server"), (.ended(.completed), 409, "Task already completed"),
            (.ended(.cancelled), 409, "Task already cancelled"), (.full, 503, "Too many tasks"), (.closing, 503, "Server is shutting down"),
        ])
    func answers(_ refusal: ProducerRefusal, _ expected: Int, _ sentence: String) throws {
        var status = 0
        #expect(
            try written { status = ProducerDialect.write(.accepted(Happenings.id, sequence: 7), to: &$0) }
                == #"{"success":true,"data":{"task_id":"interview_123","seq":7}}"#)
        #expect(status == 200)
        #expect(
            try written { status = ProducerDialect.write(.refused(refusal), to: &$0) } == #"{"success":false,"error":"\#(sentence)"}"#)
        #expect(status == expected)
    }

    @Test("a batch is answered by one verdict an event, in its order")
    func verdicts() throws {
        let verdicts: [ProducerVerdict] = [
            .accepted(Happenings.id, sequence: 7), .refused(.unknownTask), .refused(.unreadable(.unknownType("x\""))),
            .accepted(SharedBytes("b").task, sequence: 1),
        ]
        #expect(
            try written { ProducerDialect.write(verdicts, to: &$0) }
                == #"{"success":true,"data":{"verdicts":[{"ok":true,"task_id":"interview_123","seq":7},"#
                + #"{"ok":false,"error":"Task not found","status":404},"#
                + #"{"ok":false,"error":"Unknown message type: x\"","status":400},{"ok":true,"task_id":"b","seq":1}]}}"#)
        #expect(try written { ProducerDialect.write([ProducerVerdict](), to: &$0) } == #"{"success":true,"data":{"verdicts":[]}}"#)
    }

    @Test("an acknowledgement has the event's mark, and ok or the error")
    func acknowledgements() throws {
        let mark = SharedBytes("1.50")
        #expect(
            try written { ProducerDialect.writeAcknowledgement(mark, .accepted(Happenings.id, sequence: 7), to: &$0) }
                == #"{"type":"ack","ack":1.50,"ok":true}"#)
        #expect(
            try written { ProducerDialect.writeAcknowledgement(mark, .refused(.ended(.failed)), to: &$0) }
                == #"{"type":"ack","ack":1.50,"ok":false,"error":"Task already failed"}"#)
        #expect(
            try written { ProducerDialect.writeProblem("Invalid \"JSON\"", to: &$0) } == #"{"type":"error","error":"Invalid \"JSON\""}"#)
    }
}
