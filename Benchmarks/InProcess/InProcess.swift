// InProcess: the program that measures what needs no sockets: single operations of every floor, and connections by the million through
// `Server`. The kernel's share is in none of its figures.
//
//     in-process operations [--json] [--seconds 0.2] [--only WORD]
//     in-process connections [--connections 1000000] [--role echo|worker|http|watcher|crowd|hub|socketio|monitor]
//         [--tokens yes|no] [--publications 20]
import Glibc

@main
enum InProcess {
    static func main() {
        var arguments = Array(CommandLine.arguments.dropFirst())
        guard let command = arguments.first else { fail(usage) }
        arguments.removeFirst()
        switch command {
        case "operations": OperationBench.run(arguments)
        case "connections": ConnectionBench.run(arguments)
        default: fail(usage)
        }
    }

    private static let usage = """
        usage: in-process operations [--json] [--seconds S] [--only WORD]
               in-process connections [--connections N] [--role ROLE] [--tokens yes|no] [--publications N]
        """
}

/// What time it is.
func nanoseconds() -> Int { read(CLOCK_MONOTONIC) }

/// What this process has computed so far: on a busy machine others' work is not in it.
func computedNanoseconds() -> Int { read(CLOCK_PROCESS_CPUTIME_ID) }

private func read(_ clock: clockid_t) -> Int {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

func fail(_ words: String) -> Never {
    print("in-process: \(words)")
    exit(1)
}
