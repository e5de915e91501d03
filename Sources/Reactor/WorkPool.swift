// WorkPool: where work that is too long for a turn is done: a Dispatch queue with a width. Work carries values in and posts values to a
// mailbox; the loop's own objects cannot cross, because they are not Sendable.
import Dispatch
import Glibc
import Synchronization

public final class WorkPool: Sendable {
    public typealias Work = @Sendable () -> Void

    private struct Line {
        var waiting: [Work?] = []
        /// How many of `waiting` have been taken.
        var head = 0
        var running = 0
    }

    private let line = Mutex(Line())
    private let queue: DispatchQueue
    private let width: Int
    private let waitingMax: Int

    /// - Parameters:
    ///   - width: how many pieces run at a time; the machine's cores, unless told.
    ///   - waitingMax: how many more may wait. Jobs are made by requests, which have limits of their own; this one is the last.
    public init(width: Int = WorkPool.cores, waitingMax: Int = 65_536) {
        precondition(width > 0 && waitingMax >= 0, "a pool of width \(width) with \(waitingMax) waiting does nothing")
        self.width = width
        self.waitingMax = waitingMax
        queue = DispatchQueue(label: "work", attributes: .concurrent)
    }

    /// The cores that are online.
    public static var cores: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Runs `work` on another thread, in order of asking as far as the width allows.
    ///
    /// - Returns: false if the line is full; then `work` is not run.
    public func run(_ work: @escaping Work) -> Bool {
        let (accepted, starts) = line.withLock { line in
            guard line.running == width else {
                line.running += 1
                return (true, true)
            }
            guard line.waiting.count - line.head < waitingMax else { return (false, false) }
            line.waiting.append(work)
            return (true, false)
        }
        if starts { queue.async { self.run(from: work) } }
        return accepted
    }

    /// How many pieces run, or are about to, and how many wait.
    public var load: (running: Int, waiting: Int) {
        line.withLock { ($0.running, $0.waiting.count - $0.head) }
    }

    /// One of at most `width` runners: it takes work until there is none, so that a busy pool pays for no hop.
    private func run(from first: Work) {
        first()
        while let work = next() { work() }
    }

    private func next() -> Work? {
        line.withLock { line in
            guard line.head < line.waiting.count else {
                line.waiting.removeAll(keepingCapacity: line.waiting.capacity <= 1_024)
                line.head = 0
                line.running -= 1
                return nil
            }
            let work = line.waiting[line.head]
            // What the work holds is let go when it is done, not when the line is tidied.
            line.waiting[line.head] = nil
            line.head += 1
            if line.head > 64, line.head * 2 > line.waiting.count {
                line.waiting.removeFirst(line.head)
                line.head = 0
            }
            return work
        }
    }
}
