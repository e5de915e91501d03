// ProcessorFrequency: how fast the processors run now, by /sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq where a governor sets it,
// else by /proc/cpuinfo. Virtual machines often have only the second, and machines other than x86 neither.

enum ProcessorFrequency {
    /// The highest number of a processor that is asked for: processors that are switched off leave gaps.
    static let processorsMax = 4_096

    /// The average of the processors in megahertz; 0 where the machine does not tell.
    static func megahertz(of cores: Int, under sources: ResourceProbe.Sources, _ file: inout ProcFile) -> Double {
        var sum = 0.0
        var found = 0
        for number in 0..<processorsMax where found < cores {
            if file.read("\(sources.sysPath)/devices/system/cpu/cpu\(number)/cpufreq/scaling_cur_freq"), let speed = scaling(file.text) {
                sum += speed
                found += 1
            } else if found == 0 {
                break
            }
        }
        if found > 0 { return sum / Double(found) }
        return file.read(sources.procPath + "/cpuinfo") ? information(file.text) : 0
    }

    /// A governor's file: kilohertz.
    static func scaling(_ text: Span<UInt8>) -> Double? {
        guard var line = ProcText.line(of: text, from: 0), let speed = ProcText.number(of: text, in: &line), speed > 0 else { return nil }
        return Double(speed) / 1_000
    }

    /// The average of the lines `cpu MHz : 2596.132`; 0 without any.
    static func information(_ text: Span<UInt8>) -> Double {
        var sum = 0.0
        var found = 0
        var start = 0
        while var line = ProcText.line(of: text, from: start) {
            start = line.upperBound + 1
            guard let first = ProcText.word(of: text, in: &line), ProcText.equal(text, first, "cpu"),
                let second = ProcText.word(of: text, in: &line), ProcText.equal(text, second, "MHz"),
                let colon = ProcText.word(of: text, in: &line), ProcText.equal(text, colon, ":"),
                let figure = ProcText.word(of: text, in: &line), let speed = ProcText.decimal(of: text, figure)
            else { continue }
            sum += speed
            found += 1
        }
        return found == 0 ? 0 : sum / Double(found)
    }
}
