// AlertAPITests: what may be asked about alerts, and how a page of them is answered.
import Base
import Domain
import Testing

@testable import Dialects

struct AlertAPITests {
    private func question(limit: String? = nil, cursor: String? = nil, active: String? = nil) throws -> AlertQuestion {
        func text(_ text: String?) -> SharedBytes? { text.map { SharedBytes($0) } }
        return try AlertAPI.readQuestion(limit: text(limit), cursor: text(cursor), active: text(active))
    }

    @Test("a question without parameters asks for the newest; each parameter narrows it")
    func questions() throws {
        #expect(try question() == AlertQuestion(limit: 50))
        #expect(try question(limit: "", cursor: "", active: "") == AlertQuestion(limit: 50))
        #expect(try question(limit: "7", cursor: "alert_1", active: "true") == AlertQuestion(
            before: SharedBytes("alert_1"), isActive: true, limit: 7))
        #expect(try question(active: "false").isActive == false)
        #expect(problem { try question(active: "yes") } == "Invalid request: active must be true or false")
        #expect(problem { try question(limit: "x") } == "Invalid request: limit must be a whole number from 1 to 1000")
    }

    @Test("a page tells when each alert was raised and resolved, and how many last")
    func answers() throws {
        func one(_ resolved: String, _ at: String) -> String {
            #"{"alert_id":"alert_1640995200","type":"memory_threshold","category":"resource_threshold","severity":"warning","#
                + #""title":"High Memory Usage","message":"Memory usage reached 85.2%","resource":{"type":"memory","current_value":85.2,"#
                + #""threshold":80.0,"unit":"%"},"actions":["check_processes","restart_services"],"auto_resolve":true,"#
                + #""resolved":\#(resolved),"raised_at":"2025-01-01T12:00:00.000Z","resolved_at":\#(at)}"#
        }
        let (lasting, over) = (FleetExamples.alert(), FleetExamples.alert(resolvedAt: FleetExamples.noon(1)))
        #expect(
            try text { AlertAPI.write([lasting, over], active: 3, hasMore: true, to: &$0) }
                == #"{"alerts":[\#(one("false", "null")),\#(one("true", #""2025-01-01T12:00:01.000Z""#))],"#
                + #""count":2,"active":3,"next_cursor":"alert_1640995200"}"#)
        #expect(
            try text { AlertAPI.write([], active: 0, hasMore: false, to: &$0) }
                == #"{"alerts":[],"count":0,"active":0,"next_cursor":null}"#)
    }
}
