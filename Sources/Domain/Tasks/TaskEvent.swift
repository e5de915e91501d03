// TaskEvent: what can happen to a task, with every value that some format needs to write its message later, without the record: a
// history is replayed long after the record moved on. Knows no message shape; what users gave stays opaque bytes. How far the task is
// as a whole, and in which state, stands in the Publication beside the event.
//
// Cost: an event is 16 bytes and a mark; what is larger stands in one counted object that everybody shares.
public import Base

/// Something that happened to a task.
public enum TaskEvent: Sendable {
    /// Taken in, and waiting; or put back into the line because its worker vanished.
    case queued
    /// Given to whoever does it.
    case started(Start)
    case progress(Progress)
    case log(Log)
    /// A piece of a streamed result: the JSON as the worker sent it.
    case chunk(SharedBytes)
    case failed(Fault)
    case completed(Completion)
    /// By whom or why, as plain text; nil where nobody said.
    case cancelled(reason: SharedBytes?)

    /// Words for a person: as a value of the reporter's JSON, or as plain text.
    public enum Words: Sendable {
        /// A JSON value, byte for byte.
        case raw(SharedBytes)
        /// UTF-8, not escaped.
        case plain(SharedBytes)

        public var bytes: SharedBytes {
            switch self {
            case .raw(let bytes), .plain(let bytes): bytes
            }
        }
    }

    /// Whether it is gone once it was said: it has no sequence number of its own and no place in the history, and a watcher that never
    /// saw it has missed nothing that the task's end does not repeat.
    public var isTransient: Bool {
        switch self {
        case .chunk: true
        case .queued, .started, .progress, .log, .failed, .completed, .cancelled: false
        }
    }

    /// Whether nothing can follow it.
    public var isTerminal: Bool {
        switch self {
        case .failed, .completed, .cancelled: true
        case .queued, .started, .progress, .log, .chunk: false
        }
    }

    /// Bytes that the event holds besides its own 17: what users gave, and the object that carries it.
    public var byteCount: Int {
        switch self {
        case .queued: 0
        case .started: Start.ownBytes
        case .progress(let progress): Progress.ownBytes + progress.byteCount
        case .log(let log): Log.ownBytes + log.logs.count + (log.source?.count ?? 0) + (log.level?.count ?? 0)
        case .chunk(let bytes): TaskEvent.blockBytes + bytes.count
        case .failed(let fault): Fault.ownBytes + fault.byteCount
        case .completed(let completion): Completion.ownBytes + completion.result.count + (completion.cost?.byteCount ?? 0)
        case .cancelled(let reason): reason.map { TaskEvent.blockBytes + $0.count } ?? 0
        }
    }

    /// What a block of bytes costs besides its bytes: its object and the allocator's rounding.
    static let blockBytes = 48
}

extension TaskEvent {
    /// The beginning of the work.
    public final class Start: Sendable {
        public let startedAt: WallTime
        /// Which attempt it is: 1 for the first.
        public let attempt: Int

        public init(startedAt: WallTime, attempt: Int = 1) {
            self.startedAt = startedAt
            self.attempt = attempt
        }

        static let ownBytes = 32
    }

    /// How far the work is, as its reporter tells it.
    public final class Progress: Sendable {
        /// The reporter's own 0 to 100; nil where only a stage was passed. The task's own figure stands in the publication.
        public let reported: Double?
        /// Plain text.
        public let message: SharedBytes?
        /// Plain text: the step's name.
        public let step: SharedBytes?
        /// What the reporter knows of the step: a JSON value, byte for byte.
        public let stepInfo: SharedBytes?
        /// What is being done, plain text or a number as text.
        public let currentStep: SharedBytes?
        public let totalSteps: Int?
        public let completedSteps: Int?

        public init(
            reported: Double? = nil, message: SharedBytes? = nil, step: SharedBytes? = nil, stepInfo: SharedBytes? = nil,
            currentStep: SharedBytes? = nil, totalSteps: Int? = nil, completedSteps: Int? = nil
        ) {
            self.reported = reported
            self.message = message
            self.step = step
            self.stepInfo = stepInfo
            self.currentStep = currentStep
            self.totalSteps = totalSteps
            self.completedSteps = completedSteps
        }

        /// This report, with what it leaves out taken from the one before it.
        func merged(with before: Progress) -> Progress {
            Progress(
                reported: reported ?? before.reported, message: message ?? before.message, step: step ?? before.step, stepInfo: stepInfo,
                currentStep: currentStep ?? before.currentStep, totalSteps: totalSteps ?? before.totalSteps,
                completedSteps: completedSteps ?? before.completedSteps)
        }

        static let ownBytes = 144

        var byteCount: Int {
            let texts = (message?.count ?? 0) + (step?.count ?? 0) + (stepInfo?.count ?? 0) + (currentStep?.count ?? 0)
            let blocks = (message == nil ? 0 : 1) + (step == nil ? 0 : 1) + (stepInfo == nil ? 0 : 1) + (currentStep == nil ? 0 : 1)
            return texts + blocks * TaskEvent.blockBytes
        }
    }

    /// Lines of the task's log.
    public final class Log: Sendable {
        /// Plain text.
        public let logs: SharedBytes
        /// As the reporter wrote it; nil for `INFO`.
        public let level: SharedBytes?
        /// As the reporter wrote it; nil for `worker`.
        public let source: SharedBytes?

        public init(logs: SharedBytes, level: SharedBytes? = nil, source: SharedBytes? = nil) {
            self.logs = logs
            self.level = level
            self.source = source
        }

        static let ownBytes = 64 + TaskEvent.blockBytes
    }

    /// The end that nobody wanted.
    public final class Fault: Sendable {
        public let error: Words
        /// Plain text.
        public let code: SharedBytes?
        /// Plain text.
        public let type: SharedBytes?
        /// A JSON value, byte for byte.
        public let details: SharedBytes?
        /// The last step that was reported, plain text.
        public let step: SharedBytes?
        /// From its start, or from its submission where it never started.
        public let executionTime: TimeSpan?
        /// Nil where the cost is not known.
        public let cost: Cost?

        public init(
            error: Words, code: SharedBytes? = nil, type: SharedBytes? = nil, details: SharedBytes? = nil, step: SharedBytes? = nil,
            executionTime: TimeSpan? = nil, cost: Cost? = nil
        ) {
            self.error = error
            self.code = code
            self.type = type
            self.details = details
            self.step = step
            self.executionTime = executionTime
            self.cost = cost
        }

        /// This fault, with the server's time and the worker's rate where the reporter told none, and the last step that was reported.
        func timed(_ elapsed: TimeSpan, step: SharedBytes?, rate: Rate? = nil) -> Fault {
            guard executionTime == nil || (self.step == nil && step != nil) || (cost == nil && rate != nil) else { return self }
            let time = executionTime ?? elapsed
            return Fault(
                error: error, code: code, type: type, details: details, step: self.step ?? step, executionTime: time,
                cost: cost ?? rate.map { .metered($0, time) })
        }

        static let ownBytes = 160 + TaskEvent.blockBytes

        var byteCount: Int {
            let words = error.bytes.count + (code?.count ?? 0) + (type?.count ?? 0)
            return words + (details?.count ?? 0) + (step?.count ?? 0) + (cost?.byteCount ?? 0)
        }
    }

    /// The end that was wanted.
    public final class Completion: Sendable {
        /// A JSON value, byte for byte.
        public let result: SharedBytes
        /// By the worker's clock where it told, else by the server's.
        public let executionTime: TimeSpan?
        /// Nil where the cost is not known.
        public let cost: Cost?

        public init(result: SharedBytes, executionTime: TimeSpan? = nil, cost: Cost? = nil) {
            self.result = result
            self.executionTime = executionTime
            self.cost = cost
        }

        /// This end, with the server's time and the worker's rate where the worker told none.
        func timed(_ elapsed: TimeSpan, rate: Rate? = nil) -> Completion {
            guard executionTime == nil || (cost == nil && rate != nil) else { return self }
            let time = executionTime ?? elapsed
            return Completion(result: result, executionTime: time, cost: cost ?? rate.map { .metered($0, time) })
        }

        static let ownBytes = 96 + TaskEvent.blockBytes
    }
}
