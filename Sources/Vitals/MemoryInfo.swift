// MemoryInfo: the machine's memory by /proc/meminfo (proc_meminfo(5)). It is the machine's, also within a container: a control group's
// limit is not looked at, so that every server of a machine tells the same. Reads no file.
import Domain

enum MemoryInfo {
    /// What is installed, and what a new program could have without swapping. Both or nothing: half of it would read as a full memory.
    static func space(_ text: Span<UInt8>) -> ResourceSample.Space {
        var total: UInt64?
        var available: UInt64?
        var start = 0
        while total == nil || available == nil, var line = ProcText.line(of: text, from: start) {
            start = line.upperBound + 1
            guard let name = ProcText.word(of: text, in: &line) else { continue }
            if ProcText.equal(text, name, "MemTotal:") {
                total = bytes(text, line)
            } else if ProcText.equal(text, name, "MemAvailable:") {
                available = bytes(text, line)
            }
        }
        guard let total, let available else { return ResourceSample.Space(total: 0, available: 0) }
        return ResourceSample.Space(total: total, available: min(available, total))
    }

    /// `24684084 kB`, which means 1,024 bytes each.
    private static func bytes(_ text: Span<UInt8>, _ line: Range<Int>) -> UInt64? {
        var rest = line
        guard let number = ProcText.number(of: text, in: &rest), let unit = ProcText.word(of: text, in: &rest),
            ProcText.equal(text, unit, "kB")
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1_024)
        return overflow ? nil : bytes
    }
}
