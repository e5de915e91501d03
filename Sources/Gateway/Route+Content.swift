// Route+Content: in which form a route takes its content: JSON, and not compressed. Reads the head alone, and none of the content.
internal import Base
internal import HTTP1

extension Route {
    /// RFC 9110 §15.5.16: what a refused client may send instead.
    static let acceptedCodings: StaticString = "Accept-Encoding: identity\r\n"

    /// Why the content of a request will not be read; nil where it will, or where none is wanted.
    func contentProblem(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> StaticString? {
        switch self {
        case .submit, .report, .reports, .createDeployment, .updateDeployment, .postActivity, .replayLetters, .revocations(.revoke): break
        case .task, .cancel, .letters, .letter, .removeLetter, .replayLetter, .models, .model, .gpuTask, .gpuConnections, .gpuStatistics,
            .userTask, .userTasks, .removeTask, .progress, .history, .storedHistory, .clearHistory, .subscribe, .unsubscribe,
            .progressStatistics, .activeClients, .hubStatistics, .workerSocket, .taskSocket, .userSocket, .producerSocket, .hubSocket,
            .echoSocket, .eventStream, .engine, .deployments, .deployment, .removeDeployment, .actOnDeployment, .activities, .alerts,
            .fleet, .dashboard, .revocations(.list), .revocations(.forget), .revocations(.logOut), .health, .readiness, .metrics, .asset,
            .options, .methodNotAllowed, .notFound, .unknownTask:
            return nil
        }
        guard Route.isJSON(head, bytes) else { return "Content-Type must be application/json" }
        // Nothing is ever inflated here: a small body cannot become a large one.
        if let coding = head.value(.contentEncoding), !bytes.equals("identity", ignoringASCIICaseAt: coding) {
            return "Content-Encoding must be identity, or left out"
        }
        return nil
    }

    /// Whether the content may be read as JSON. One without a type is taken as it is: only browsers are bound by types, and they always
    /// tell their origin as well.
    private static func isJSON(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
        guard let type = head.value(.contentType) else { return true }
        var end = type.lowerBound
        while end < type.upperBound, bytes[end] != UInt8(ascii: ";"), bytes[end] > UInt8(ascii: " ") { end += 1 }
        return bytes.equals("application/json", ignoringASCIICaseAt: type.lowerBound..<end)
    }
}
