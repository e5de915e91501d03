// RequestProblemTests: the sentences that peers get. Those that the document prints are printed as it does.
import Base
import JSON
import Testing

@testable import Dialects

struct RequestProblemTests {
    @Test(
        "each problem has its sentence",
        arguments: [
            (.notAnObject, "Invalid request: a JSON object is expected"),
            (.nothingToDo, "Invalid request: data or messages required"),
            (.wrongType(member: "group", expected: "a text"), "Invalid request: group must be a text"),
            (.outOfRange(member: "retries", expected: "small"), "Invalid request: retries must be small"),
            (.missing(member: "taskId"), "Invalid request: taskId required"),
            (.unknownType("x"), "Unknown message type: x"),
        ] as [(RequestProblem, String)])
    func sentences(_ problem: RequestProblem, _ sentence: String) {
        #expect(problem.sentence == sentence)
    }

    @Test("a text that is no JSON is answered with what is wrong, and where")
    func malformed() throws {
        let error = try #require(throws: JSONError.self) { try JSONIndex(of: SharedBytes("{")) }
        #expect(RequestProblem.malformed(error).sentence == "Invalid JSON: \(error.description)")
    }
}
