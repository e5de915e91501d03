// WorkerService: what a worker says, done. From the text of a message to a call of the broker, and back to what the worker is answered.
// Knows no frames and no connection.
internal import Base
internal import Dialects
internal import Domain
internal import JSON

final class WorkerService {
    /// What the worker is answered at once; tasks and acknowledgements come as the broker's effects.
    enum Reply {
        case none
        case pong
        /// It has brought a newer token.
        case renewal(SharedBytes)
        case problem(RequestProblem)
        case refusal(ReportRefusal, TaskID)
    }

    private let context: Context

    init(_ context: Context) { self.context = context }

    /// Reads a message and acts upon it.
    func hear(_ text: Span<UInt8>, from worker: Worker, at now: Moment) -> Reply {
        do throws(JSONError) {
            try context.index.build(from: text)
        } catch {
            return .problem(.malformed(error))
        }
        do throws(RequestProblem) {
            let message = try WorkerDialect.read(text, context.index, limits: context.limits, scratch: &context.scratch)
            return act(upon: message, from: worker, at: now)
        } catch {
            return .problem(error)
        }
    }

    func act(upon message: WorkerMessage, from worker: Worker, at now: Moment) -> Reply {
        let broker = context.broker
        switch message {
        case .ready(let concurrency, let models, let rate, let held):
            broker.workerReady(worker, concurrency: concurrency, models: models, rate: rate, held: held, at: now)
            context.monitor.workerDeclared(worker.models, by: worker.id, in: worker.group.name, at: now)
            return .none
        case .drain:
            broker.workerDraining(worker, at: now)
            return .none
        case .ping:
            return .pong
        case .refresh(let token):
            return .renewal(token)
        case .status(let vitals):
            context.metrics.workerStatuses += 1
            context.monitor.workerReported(WorkerStatus(
                worker: worker.id, group: worker.group.name, gpus: vitals.gpus, memory: vitals.memory, load: vitals.load,
                reportedAt: now.wall))
            return .none
        case .complete(let about, let completion):
            return reply(about.task) { () throws(ReportRefusal) in
                try broker.complete(about.task, by: worker, lease: about.lease, completion, at: now)
            }
        case .failed(let about, let fault):
            return reply(about.task) { () throws(ReportRefusal) in
                try broker.fail(about.task, by: worker, lease: about.lease, fault, at: now)
            }
        case .progress(let about, let report):
            return reply(about.task) { () throws(ReportRefusal) in
                try broker.progress(about.task, by: worker, lease: about.lease, report, at: now)
            }
        case .logs(let about, let log):
            return reply(about.task) { () throws(ReportRefusal) in
                try broker.logged(about.task, by: worker, lease: about.lease, log, at: now)
            }
        case .chunk(let about, let piece):
            return reply(about.task) { () throws(ReportRefusal) in
                try broker.chunk(about.task, by: worker, lease: about.lease, piece, at: now)
            }
        }
    }

    private func reply(_ id: TaskID, _ report: () throws(ReportRefusal) -> Void) -> Reply {
        do throws(ReportRefusal) {
            try report()
            return .none
        } catch {
            return .refusal(error, id)
        }
    }
}
