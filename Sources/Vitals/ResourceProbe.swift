// ResourceProbe: looks at the machine: its processors, memory, disk, network and GPUs, as document E's `system_resources` tells them.
// Judges nothing (Domain's Monitor does), and has no clock. The calls block for some milliseconds: not for the reactor's thread.
public import Base
public import Domain
import Synchronization

/// The machine's own counters, read when asked.
///
/// Any thread may ask; two that ask at once wait for each other. What cannot be read is 0, and never an error.
public final class ResourceProbe: Sendable {
    /// Where the figures lie.
    public struct Sources: Sendable {
        /// The kernel's figures: processors, memory, network.
        public var procPath = "/proc"
        /// The kernel's devices: the processors' frequency.
        public var sysPath = "/sys"
        /// A path in the file system that `disk` is about: the data directory.
        public var diskPath: String
        /// NVIDIA's management library, as dlopen(3) takes it: a name that the loader looks for, or a path. Empty: no GPU is looked for.
        public var nvmlLibrary = "libnvidia-ml.so.1"

        public init(diskPath: String) { self.diskPath = diskPath }

        /// This machine, and the file system that it starts from.
        public static let system = Sources(diskPath: "/")
    }

    private struct State: ~Copyable {
        var file = ProcFile()
        /// The last reading: usage is what happened since.
        var times: ProcessorTimes?
        var gpus = GPUSource.closed(retry: nil)
    }

    private let sources: Sources
    private let state: Mutex<State>

    /// Takes the processors' first reading. The GPUs' library is not touched before the first sample: to open it may take seconds.
    public init(_ sources: Sources = .system) {
        self.sources = sources
        var first = State()
        if first.file.read(sources.procPath + "/stat") { first.times = ProcessorTimes(first.file.text) }
        state = Mutex(first)
    }

    /// Looks at the machine. Usage of the processors is that since the last sample, and at first since the probe was made.
    ///
    /// - Parameter now: from one clock, and not before that of the last call: a GPU library that failed is tried again a minute later.
    public func sample(at now: Instant) -> ResourceSample {
        state.withLock { state in
            let processor = processor(&state)
            let memory = state.file.read(sources.procPath + "/meminfo")
            let space = memory ? MemoryInfo.space(state.file.text) : ResourceSample.Space(total: 0, available: 0)
            _ = state.file.read(sources.procPath + "/net/dev")
            let network = NetworkCounters.totals(state.file.text)
            return ResourceSample(
                processor: processor, memory: space, disk: FileSystemSpace.space(at: sources.diskPath),
                gpus: state.gpus.gpus(by: sources.nvmlLibrary, at: now), network: network)
        }
    }

    private func processor(_ state: inout State) -> ResourceSample.Processor {
        var processor = ResourceSample.Processor(usage: 0, cores: 0, frequency: 0)
        if state.file.read(sources.procPath + "/stat"), let times = ProcessorTimes(state.file.text) {
            processor.usage = state.times.map(times.usage) ?? 0
            processor.cores = ProcessorTimes.cores(state.file.text)
            state.times = times
        }
        processor.frequency = ProcessorFrequency.megahertz(of: processor.cores, under: sources, &state.file)
        return processor
    }
}
