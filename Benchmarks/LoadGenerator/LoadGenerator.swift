// LoadGenerator: the program. Reads its options, runs one subcommand, prints one report, and ends with 0 only when nothing went
// wrong: 1 says that something was lost, wrong or broken, 2 that the command line was.

import Glibc
import LoadSupport

@main
enum LoadGenerator {
    static func main() {
        let options: Options
        do {
            options = try Options.parse(Array(CommandLine.arguments.dropFirst()))
        } catch {
            Notes.say(error.reason)
            Notes.say(Options.usage)
            exit(2)
        }
        let outcome: Outcome
        do {
            Descriptors.raise()
            switch options.command {
            case .echo: outcome = try EchoRun.perform(options)
            case .handshake: outcome = try HandshakeRun.perform(options)
            case .http: outcome = try RequestRun.perform(options)
            case .dispatch, .submit: outcome = try DispatchRun.perform(options)
            case .queue: outcome = try QueueRun.perform(options)
            case .fanout: outcome = try FanoutRun.perform(options)
            case .monitor: outcome = try MonitorRun.perform(options)
            case .idle: outcome = try IdleRun.perform(options)
            }
        } catch {
            Notes.say(error.reason)
            exit(1)
        }
        print(outcome.report.text(options.format))
        exit(outcome.faults == 0 ? 0 : 1)
    }
}

/// What a run found.
struct Outcome {
    let report: Report
    /// Everything that went wrong; the exit code is made of it.
    let faults: Int
}

/// Why a run could not be carried out.
struct RunError: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    /// The last system call's failure.
    static func system(_ call: String) -> RunError { RunError("\(call): \(unsafe String(cString: strerror(errno)))") }
}

/// Words for people, on standard error.
enum Notes {
    static func say(_ text: String) {
        var line = text + "\n"
        line.withUTF8 { bytes in _ = unsafe write(2, bytes.baseAddress, bytes.count) }
    }
}
