// SocketActivation: listening sockets that whoever started the process made for it (sd_listen_fds(3)): how many there are, and what they
// are called. Reads the variables; looks at no descriptor. Obeys the protocol: descriptors from 3 on, for the process that is named.

/// Sockets that were passed at the start.
struct SocketActivation: Equatable {
    struct Passed: Equatable {
        let descriptor: Int32
        /// As the socket's unit names it; for people.
        let name: String?
    }

    let passed: [Passed]

    static let variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]
    private static let first: Int32 = 3
    /// As many as a process can be handed at a time.
    static let countMax = 253

    /// - Throws: a sentence, where the variables are there and make no sense.
    init(environment: (String) -> String?, process: Int32) throws(Mistake) {
        // What was meant for another process is none of ours: a shell between may have left it.
        guard let named = environment("LISTEN_PID"), let number = environment("LISTEN_FDS") else {
            passed = []
            return
        }
        guard let meant = Int32(named), meant > 0 else { throw Mistake(sentence: "LISTEN_PID: '\(named)' is no process") }
        guard meant == process else {
            passed = []
            return
        }
        guard let count = Int(number), (0...SocketActivation.countMax).contains(count) else {
            throw Mistake(sentence: "LISTEN_FDS: '\(number)' is no whole number from 0 to \(SocketActivation.countMax)")
        }
        let names = environment("LISTEN_FDNAMES")?.split(separator: ":", omittingEmptySubsequences: false) ?? []
        passed = (0..<count).map { index in
            Passed(
                descriptor: SocketActivation.first + Int32(index),
                name: names.count == count && !names[index].isEmpty ? String(names[index]) : nil)
        }
    }
}
