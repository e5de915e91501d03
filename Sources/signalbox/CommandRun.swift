// CommandRun: one task in the hands of a command: its process, what it has said so far, and how it is ended. Knows no server; WorkerHost
// tells what becomes of it.
import Base
import Domain
import Glibc
import Reactor

final class CommandRun {
    enum Ending {
        case none
        /// SIGTERM was sent; SIGKILL is next, then.
        case asked(killAt: Instant)
        case forced
    }

    let task: TaskID
    let lease: UInt64?
    let process: ChildProcess
    let began: Instant
    private(set) var ending = Ending.none
    /// Nobody wants its result.
    var isUnwanted = false
    private(set) var output = ByteQueue()
    private var words = ByteQueue()
    /// The last lines that it said and that were no progress, for a failure.
    private(set) var lastLines: [SharedBytes] = []
    /// Its output became larger than any result may be.
    private(set) var isTooLarge = false
    /// Which of its pipes the loop attends to.
    var attendsOutput = false
    var attendsWords = false

    /// What the server takes as a message, and the frame around a result within it.
    static let outputBytesMax = (16 << 20) - 1_024
    /// A longer line is told in pieces.
    static let lineBytesMax = 64 << 10
    private static let lastLinesMax = 10
    /// Pieces that are read in a row: one that writes without end is not to stop the others.
    static let readsMax = 2_048

    init(_ task: TaskID, lease: UInt64?, _ process: ChildProcess, at now: Instant) {
        self.task = task
        self.lease = lease
        self.process = process
        began = now
    }

    // MARK: What it says

    /// Reads what is there of its output.
    ///
    /// - Returns: whether more may come.
    func readOutput() -> Bool {
        for _ in 0..<CommandRun.readsMax {
            switch ChildProcess.read(process.output, into: &output) {
            case .nothing: return true
            case .ended: return false
            case .some:
                guard output.count > CommandRun.outputBytesMax else { continue }
                isTooLarge = true
                output.removeAll()
            }
        }
        return true
    }

    /// Reads one piece of its words, and shows each line that is whole.
    func readWords(_ body: (SharedBytes) -> Void) -> ChildProcess.Reading {
        let reading = ChildProcess.read(process.words, into: &words)
        var start = 0
        words.withSpan { bytes in
            while let end = bytes.find(UInt8(ascii: "\n"), from: start) {
                body(SharedBytes(copying: bytes.extracting(start..<end)))
                start = end + 1
            }
            while bytes.count - start > CommandRun.lineBytesMax {
                body(SharedBytes(copying: bytes.extracting(start..<start + CommandRun.lineBytesMax)))
                start += CommandRun.lineBytesMax
            }
            // A last line needs no end.
            if reading == .ended, start < bytes.count {
                body(SharedBytes(copying: bytes.extracting(start..<bytes.count)))
                start = bytes.count
            }
        }
        words.consume(start)
        return reading
    }

    func remember(_ line: SharedBytes) {
        if lastLines.count == CommandRun.lastLinesMax { lastLines.removeFirst() }
        lastLines.append(line)
    }

    // MARK: Its end

    /// Asks it to end, and has it ended when its grace is over.
    func end(grace: TimeSpan, at now: Instant) {
        guard case .none = ending else { return }
        process.signal(SIGTERM)
        ending = .asked(killAt: now + grace)
    }

    func force() {
        if case .forced = ending { return }
        process.signal(SIGKILL)
        ending = .forced
    }

    var killAt: Instant? { if case .asked(let instant) = ending { instant } else { nil } }
}
