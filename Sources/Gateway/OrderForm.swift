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

    func read(
        _ body: Span<UInt8>, _ index: JSONIndex, key: SharedBytes?, limits: Limits, scratch: inout ByteWriter
    ) throws(RequestProblem) -> Order {
        switch self {
        case .dispatch: try DispatchAPI.readOrder(body, index, key: key, limits: limits, scratch: &scratch)
        case .gpu: try GPUTaskAPI.readOrder(body, index, key: key, limits: limits, scratch: &scratch)
        }
    }

    /// The answer to one that does not wait.
    ///
    /// - Parameter task: as it stood when it was taken in.
    func writeAccepted(_ task: TaskSnapshot, to writer: inout ByteWriter) {
        switch self {
        case .dispatch: DispatchAPI.writeAccepted(task.id, task.state, to: &writer)
        case .gpu: GPUTaskAPI.writeAccepted(task, to: &writer)
        }
    }

    /// The answer to a cancellation.
    ///
    /// - Returns: the status.
    func writeCancellation(_ cancellation: Cancellation, to writer: inout ByteWriter) -> Int {
        switch self {
        case .dispatch: DispatchAPI.writeCancellation(cancellation, to: &writer)
        case .gpu: GPUTaskAPI.writeCancellation(cancellation, to: &writer)
        }
    }
}
