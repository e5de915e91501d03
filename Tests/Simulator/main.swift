// The simulator's command: `Simulator SEED`, `Simulator FROM..TO` or `Simulator --runs N`, and `--trace` to read what happened. Runs the
// seeds one after the other, says which one found something, and what all of them met with on the way.
import Glibc

/// Hashing that is another in every process would make one seed many runs.
if unsafe getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    unsafe setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    unsafe execv("/proc/self/exe", CommandLine.unsafeArgv)
    print("the simulator cannot begin again with its own hashing: errno \(errno)")
    exit(2)
}

let command = Command(CommandLine.arguments.dropFirst())
exit(command.run())
