// WorkerStatus: what a worker told of itself (`worker_status`): its GPUs, and whatever else it said of its memory and its load, which stays
// as it came.
public import Base

/// How one worker does, by its own word.
public struct WorkerStatus: Sendable {
    public var worker: WorkerID
    public var group: SharedBytes
    public var gpus: [GPU]
    /// JSON as the worker wrote it; nil where it said nothing. As `load`.
    public var memory: SharedBytes?
    public var load: SharedBytes?
    public var reportedAt: WallTime

    public init(worker: WorkerID, group: SharedBytes, gpus: [GPU], memory: SharedBytes?, load: SharedBytes?, reportedAt: WallTime) {
        self.worker = worker
        self.group = group
        self.gpus = gpus
        self.memory = memory
        self.load = load
        self.reportedAt = reportedAt
    }
}
