// ChildProcess: a command that is run beside the loop: its standard input is a file in memory with all that it is to read, its output and
// its words come by pipes that the loop attends to. Knows no task; waits for nothing. posix_spawn(3), memfd_create(2), waitpid(2).
public import Base
import CLinux
import Glibc

public final class ChildProcess {
    /// How it ended.
    public enum End: Equatable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    /// What a pipe had.
    public enum Reading: Equatable, Sendable {
        /// Something was read, and more may be there.
        case some
        /// Nothing is there now.
        case nothing
        /// Nothing will come any more.
        case ended
    }

    public let identity: Int32
    private let outputPipe: FileDescriptor
    private let wordsPipe: FileDescriptor
    /// What the loop is to attend to: standard output and standard error.
    public var output: Int32 { outputPipe.raw }
    public var words: Int32 { wordsPipe.raw }

    /// Starts a command in a process group of its own, with the signals of a fresh process.
    ///
    /// - Parameters:
    ///   - command: the program, looked for in PATH, and its arguments.
    ///   - input: all of its standard input.
    ///   - environment: `NAME=value`, all of it.
    public init(_ command: [String], input: SharedBytes, environment: [String]) throws(Errno) {
        // The command's ends are closed here once it has them.
        let file = try Syscall.value("memfd_create") { signalbox_memory_file() }
        defer { FileDescriptor.close(file) }
        try ChildProcess.fill(file, with: input)
        let (outputRead, outputWrite) = try ChildProcess.pipe()
        outputPipe = FileDescriptor(owning: outputRead)
        defer { FileDescriptor.close(outputWrite) }
        let (wordsRead, wordsWrite) = try ChildProcess.pipe()
        wordsPipe = FileDescriptor(owning: wordsRead)
        defer { FileDescriptor.close(wordsWrite) }

        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, outputWrite, STDOUT_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, wordsWrite, STDERR_FILENO)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // What we block and ignore for ourselves is not its business; a group of its own is ended with all that it started.
        var none = sigset_t()
        unsafe sigemptyset(&none)
        var all = sigset_t()
        unsafe sigemptyset(&all)
        for signal in [SIGPIPE, SIGXFSZ, SIGTERM, SIGINT, SIGHUP, SIGCHLD] { unsafe sigaddset(&all, signal) }
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var process: pid_t = 0
        let code = unsafe ChildProcess.withList(command) { arguments in
            unsafe ChildProcess.withList(environment) { variables in
                guard let program = unsafe arguments.pointee else { return ENOENT }
                return unsafe posix_spawnp(&process, program, &actions, &attributes, arguments, variables)
            }
        }
        guard code == 0 else { throw Errno(code, in: "posix_spawnp") }
        identity = process
    }

    private static func pipe() throws(Errno) -> (read: Int32, write: Int32) {
        var ends: (Int32, Int32) = (0, 0)
        _ = try Syscall.value("pipe") {
            unsafe withUnsafeMutableBytes(of: &ends) { unsafe signalbox_pipe($0.bindMemory(to: Int32.self).baseAddress) }
        }
        return (ends.0, ends.1)
    }

    private static func fill(_ raw: Int32, with input: SharedBytes) throws(Errno) {
        var start = 0
        while start < input.count {
            start += try Syscall.value("write") {
                unsafe input.span.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return 0 }
                    return unsafe write(raw, base + start, bytes.count - start)
                }
            }
        }
        _ = try Syscall.value("lseek") { lseek(raw, 0, SEEK_SET) }
    }

    /// Shows texts as the kernel wants lists of them.
    private static func withList<Result>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var list = unsafe texts.map { unsafe strdup($0) }
        unsafe list.append(nil)
        defer { for index in unsafe list.indices { unsafe free(list[index]) } }
        return unsafe list.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a list ends with nil, and so is never empty") }
            return unsafe body(base)
        }
    }

    /// The environment of this process, `NAME=value` each.
    public static var environment: [String] {
        var list: [String] = []
        guard var next = unsafe signalbox_environment() else { return list }
        while let entry = unsafe next.pointee {
            unsafe list.append(String(cString: entry))
            unsafe next += 1
        }
        return list
    }

    // MARK: What it says

    /// Reads once from one of its pipes, and appends what was there.
    public static func read(_ raw: Int32, into queue: inout ByteQueue) -> Reading {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let transfer = unsafe buffer.withUnsafeMutableBytes { room in
            Syscall.transfer("read") { unsafe Glibc.read(raw, room.baseAddress, room.count) }
        }
        switch transfer {
        case .bytes(let count):
            guard count > 0 else { return .ended }
            queue.append(buffer.span.extracting(0..<count))
            return .some
        case .wouldBlock: return .nothing
        case .failed: return .ended
        }
    }

    // MARK: Its end

    /// Sends a signal to it and to all that it started.
    public func signal(_ signal: Int32) { _ = kill(-identity, signal) }

    /// How it ended; nil while it runs. To be asked until it says so, and no more then.
    public func takeEnd() -> End? {
        var status: Int32 = 0
        guard unsafe waitpid(identity, &status, WNOHANG) == identity else { return nil }
        let number = status & 0x7f
        return number == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: number)
    }
}
