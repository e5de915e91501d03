// OrderForm: in which document's words a task is submitted, and so in which the answer is given.
internal import Base
internal import Dialects
internal import Domain
internal import JSON

enum OrderForm: Sendable {
    /// POST /api/openai
    case dispatch
    /// POST /api/gpu/tasks
    case gpu
    /// POST /v1/chat/completions and its like; the group that a field of the request names.
    case completion(CompletionEndpoint, group: SharedBytes?)

    func read(
        _ body: Span<UInt8>, _ index: JSONIndex, key: SharedBytes?, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Order {
        switch self {
        case .dispatch: try DispatchAPI.readOrder(body, index, key: key, limits: limits, scratch: &scratch)
        case .gpu: try GPUTaskAPI.readOrder(body, index, key: key, limits: limits, scratch: &scratch)
        case .completion(let endpoint, let group):
            try CompletionAPI.readOrder(endpoint, body, index, key: key, group: group, limits: limits, scratch: &scratch)
        }
    }

    /// The answer to one that does not wait.
    ///
    /// - Parameter task: as it stood when it was taken in.
    func writeAccepted(_ task: TaskSnapshot, to writer: inout ByteWriter) {
        switch self {
        case .dispatch: DispatchAPI.writeAccepted(task.id, task.state, to: &writer)
        case .gpu: GPUTaskAPI.writeAccepted(task, to: &writer)
        case .completion: preconditionFailure("a request in OpenAI's words waits for its end")
        }
    }

    /// The answer to a cancellation.
    ///
    /// - Returns: the status.
    func writeCancellation(_ cancellation: Cancellation, to writer: inout ByteWriter) -> Int {
        switch self {
        case .dispatch: DispatchAPI.writeCancellation(cancellation, to: &writer)
        case .gpu: GPUTaskAPI.writeCancellation(cancellation, to: &writer)
        case .completion: preconditionFailure("nothing is cancelled in OpenAI's words")
        }
    }
}
