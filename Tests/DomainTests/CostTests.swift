// CostTests: what a task cost: as its worker says, else the worker's rate for the time it took, else unknown.
import Base
import Testing

@testable import Domain

struct CostTests {
    private static let euros = Rate(perHour: 3.6, currency: SharedBytes("EUR"))

    private static func cost(_ task: TaskRecord) -> Cost? {
        switch task.ending {
        case .completed(let end): end.cost
        case .failed(let end): end.cost
        case .queued, .started, .progress, .log, .chunk, .cancelled, nil: nil
        }
    }

    /// A task of three seconds, ended by `end`.
    private func ended(rate: Rate?, _ end: (Rig, TaskRecord, Worker) throws -> Void) throws -> Cost? {
        let rig = Rig()
        let worker = rig.connect(isExplicit: true)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, rate: rate, at: rig.now)
        let task = try rig.submit()
        rig.pass(.seconds(3))
        try end(rig, task, worker)
        return Self.cost(task)
    }

    @Test("a worker's own figure comes first, whole and untouched")
    func told() throws {
        let raw = Cost.raw(SharedBytes(#"{"total_cost": 2.450}"#))
        let completion = TaskEvent.Completion(result: .empty, cost: raw)
        let fault = TaskEvent.Fault(error: .raw(.empty), cost: raw)
        for rate in [nil, Self.euros] {
            #expect(try ended(rate: rate) { try $0.broker.complete($1.id, by: $2, completion, at: $0.now) } == raw)
            #expect(try ended(rate: rate) { try $0.broker.fail($1.id, by: $2, fault, at: $0.now) } == raw)
        }
    }

    @Test("else its rate for the time the task took, by the worker's clock where it told")
    func metered() throws {
        #expect(try ended(rate: Self.euros) { try $0.complete($1, by: $2) } == .metered(Self.euros, .seconds(3)))
        #expect(try ended(rate: Self.euros) { try $0.fail($1, by: $2) } == .metered(Self.euros, .seconds(3)))
        let completion = TaskEvent.Completion(result: .empty, executionTime: .seconds(2))
        let fault = TaskEvent.Fault(error: .raw(.empty), step: SharedBytes("s"), executionTime: .seconds(2))
        #expect(
            try ended(rate: Self.euros) { try $0.broker.complete($1.id, by: $2, completion, at: $0.now) }
                == .metered(Self.euros, .seconds(2)))
        #expect(
            try ended(rate: Self.euros) { try $0.broker.fail($1.id, by: $2, fault, at: $0.now) } == .metered(Self.euros, .seconds(2)))
    }

    @Test("else nobody knows it: without a rate, and where the task did not end by its worker's word")
    func unknown() throws {
        #expect(try ended(rate: nil) { try $0.complete($1, by: $2) } == nil)
        #expect(try ended(rate: nil) { try $0.fail($1, by: $2) } == nil)
        #expect(try ended(rate: Self.euros) { rig, _, worker in rig.gone(worker) } == nil)
        #expect(try ended(rate: Self.euros) { rig, _, _ in rig.pass(.seconds(600)) } == nil)
    }

    @Test("a worker that says ready again without a rate keeps its rate, and with another one changes it")
    func again() throws {
        let rig = Rig()
        let worker = rig.ready()
        #expect(worker.rate == nil)
        rig.broker.workerReady(worker, concurrency: nil, models: nil, rate: Self.euros, at: rig.now)
        rig.broker.workerReady(worker, concurrency: 2, models: nil, rate: nil, at: rig.now)
        #expect(worker.rate == Self.euros)
        let dollars = Rate(perHour: 1, currency: SharedBytes("USD"))
        rig.broker.workerReady(worker, concurrency: nil, models: nil, rate: dollars, at: rig.now)
        #expect(worker.rate == dollars)
    }
}
