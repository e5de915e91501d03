// ProcessorTimes: what the processors did since the machine started, by the first line of /proc/stat (proc_stat(5)), and which part of the
// time between two readings was work. Reads no file.

struct ProcessorTimes: Equatable {
    /// The kinds of time, in the file's order. Guests' time, which follows, is already within `user` and `nice`.
    private enum Kind: Int, CaseIterable { case user, nice, system, idle, waiting, interrupt, softInterrupt, stolen }

    /// In the kernel's ticks, by kind.
    private let ticks: [UInt64]

    /// Nil where the text does not begin with the line of all processors together. Old kernels tell fewer kinds, but the first four.
    init?(_ text: Span<UInt8>) {
        guard var rest = ProcText.line(of: text, from: 0), let name = ProcText.word(of: text, in: &rest),
            ProcText.equal(text, name, "cpu")
        else { return nil }
        var ticks: [UInt64] = []
        while ticks.count < Kind.allCases.count, let word = ProcText.word(of: text, in: &rest) {
            guard let number = ProcText.number(of: text, word) else { return nil }
            ticks.append(number)
        }
        guard ticks.count > Kind.idle.rawValue else { return nil }
        ticks.append(contentsOf: repeatElement(0, count: Kind.allCases.count - ticks.count))
        self.ticks = ticks
    }

    /// The part of the time since `earlier` that was work, in percent; 0 where no time has passed. Waiting for a disk is idleness, and what
    /// the hypervisor took away is work. A counter that went back, as `iowait` may, stands still.
    func usage(since earlier: ProcessorTimes) -> Double {
        var busy = 0.0
        var idle = 0.0
        for kind in Kind.allCases {
            let (now, before) = (ticks[kind.rawValue], earlier.ticks[kind.rawValue])
            let passed = now > before ? Double(now - before) : 0
            switch kind {
            case .idle, .waiting: idle += passed
            case .user, .nice, .system, .interrupt, .softInterrupt, .stolen: busy += passed
            }
        }
        return busy + idle == 0 ? 0 : busy / (busy + idle) * 100
    }

    /// The processors that are online: each has a line of its own.
    static func cores(_ text: Span<UInt8>) -> Int {
        var cores = 0
        var start = 0
        while var rest = ProcText.line(of: text, from: start) {
            start = rest.upperBound + 1
            guard let name = ProcText.word(of: text, in: &rest), ProcText.starts(text, name, with: "cpu"),
                ProcText.number(of: text, name.lowerBound + 3..<name.upperBound) != nil
            else { continue }
            cores += 1
        }
        return cores
    }
}
