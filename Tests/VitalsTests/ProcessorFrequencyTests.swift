// ProcessorFrequencyTests: a governor's files, /proc/cpuinfo of several machines, and neither.
import Testing

@testable import Vitals

@Suite("ProcessorFrequency")
struct ProcessorFrequencyTests {
    private func sources(_ scratch: Scratch) -> ResourceProbe.Sources {
        var sources = ResourceProbe.Sources(diskPath: "/")
        sources.procPath = scratch.path + "/proc"
        sources.sysPath = scratch.path + "/sys"
        return sources
    }

    private func governor(_ number: Int) -> String { "sys/devices/system/cpu/cpu\(number)/cpufreq/scaling_cur_freq" }

    private func megahertz(of cores: Int, _ scratch: Scratch) -> Double {
        var file = ProcFile()
        return ProcessorFrequency.megahertz(of: cores, under: sources(scratch), &file)
    }

    @Test(
        "cpuinfo: the average of the lines that tell it",
        arguments: [
            (Machine.cpuinfo, 2500), ("", 0), ("cpu MHz : 1000\n", 1000), ("cpu MHz : 1000\ncpu MHz : fast\n", 1000),
            ("cpu MHz 1000\n", 0), ("cpu MHz :\n", 0), ("cpu GHz : 1\n", 0), ("BogoMIPS : 100.00\nCPU implementer : 0x41\n", 0),
        ])
    func information(text: String, megahertz: Double) {
        let bytes = Array(text.utf8)
        #expect(ProcessorFrequency.information(bytes.span) == megahertz)
    }

    @Test(
        "A governor's file is one number in kilohertz",
        arguments: [("3400000\n", 3400), ("2596132\n", 2596.132), ("0\n", nil), ("<unknown>\n", nil), ("", nil)] as [(String, Double?)])
    func scaling(text: String, megahertz: Double?) {
        let bytes = Array(text.utf8)
        #expect(ProcessorFrequency.scaling(bytes.span) == megahertz)
    }

    @Test("Governors come before cpuinfo, over the gaps that processors leave which are switched off")
    func governors() throws {
        let scratch = try Scratch()
        try scratch.write("proc/cpuinfo", Machine.cpuinfo)
        #expect(megahertz(of: 3, scratch) == 2500)
        try scratch.write(governor(0), "1000000\n")
        try scratch.write(governor(2), "2000000\n")
        try scratch.write(governor(7), "3000000\n")
        try scratch.write(governor(8), "9000000\n")
        #expect(megahertz(of: 3, scratch) == 2000)
    }

    @Test("A machine that does not tell has the frequency 0")
    func unknown() throws {
        #expect(megahertz(of: 4, try Scratch()) == 0)
    }

    @Test("cpuinfo that is cut off counts as its whole lines, and garbage does not stop the reading")
    func garbage() {
        for (cut, whole) in cuts(Machine.cpuinfo) {
            #expect(ProcessorFrequency.information(cut.span) == ProcessorFrequency.information(whole.span))
        }
        for bytes in garbled(Machine.cpuinfo) {
            #expect(ProcessorFrequency.information(bytes.span).isFinite)
            #expect(ProcessorFrequency.scaling(bytes.span)?.isFinite ?? true)
        }
    }
}
