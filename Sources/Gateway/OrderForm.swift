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
    func writeAccepted(_ task: TaskRecord, to writer: inout ByteWriter) {
        switch self {
        case .dispatch: DispatchAPI.writeAccepted(task, to: &writer)
        case .gpu: GPUTaskAPI.writeAccepted(TaskSnapshot(of: task), to: &writer)
        }
    }
}
