// Route+Pages: what web pages have to do with a route: whether it matters whose page asks, whether the page can read a refusal only as a
// close code, and whether the dashboard's log has it. Not which pages there are: that is ClientAsset's.
internal import HTTP1

extension Route {
    /// Whether a page must be one that may speak: it would change something, or hold a conversation. Whatever else it asks for, its browser
    /// shows it no answer of another origin's that has not named it.
    func asksWhosePage(_ head: borrowing RequestHead) -> Bool {
        if case .eventStream = self { return true }
        return head.method != .get && head.method != .head || head.first(.upgrade) != nil
    }

    /// Whether it is a socket for pages: a browser can read a close code, but not the status of a refused handshake. Documents G and N ask
    /// for 4003.
    var isPageSocket: Bool {
        switch self {
        case .taskSocket, .userSocket, .hubSocket, .dashboard(.socket): true
        case .workerSocket, .producerSocket, .echoSocket, .engine: false
        case .submit, .task, .cancel, .letters, .replayLetters, .letter, .removeLetter, .replayLetter, .models, .model, .gpuTask,
            .gpuConnections, .gpuStatistics, .userTask, .userTasks, .removeTask, .report, .reports, .progress, .history, .storedHistory,
            .clearHistory, .subscribe, .unsubscribe, .progressStatistics, .activeClients, .hubStatistics, .eventStream, .deployments,
            .createDeployment, .deployment, .updateDeployment, .removeDeployment, .actOnDeployment, .activities, .postActivity, .alerts,
            .fleet, .dashboard(.drain), .revocations, .health, .readiness, .metrics, .asset, .options, .methodNotAllowed, .notFound,
            .unknownTask:
            false
        }
    }

    /// Whether the dashboard is told of such requests: what goes on and on by itself says nothing.
    var isNoted: Bool {
        switch self {
        case .asset, .health, .readiness, .metrics, .engine, .dashboard(.socket): false
        case .submit, .task, .cancel, .letters, .replayLetters, .letter, .removeLetter, .replayLetter, .models, .model, .gpuTask,
            .gpuConnections, .gpuStatistics, .userTask, .userTasks, .removeTask, .report, .reports, .progress, .history, .storedHistory,
            .clearHistory, .subscribe, .unsubscribe, .progressStatistics, .activeClients, .hubStatistics, .eventStream, .deployments,
            .createDeployment, .deployment, .updateDeployment, .removeDeployment, .actOnDeployment, .activities, .postActivity, .alerts,
            .fleet, .dashboard(.drain), .revocations, .options, .methodNotAllowed, .notFound, .unknownTask, .workerSocket, .taskSocket,
            .userSocket, .producerSocket, .hubSocket, .echoSocket:
            true
        }
    }
}
