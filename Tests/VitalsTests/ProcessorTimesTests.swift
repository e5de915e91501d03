// ProcessorTimesTests: /proc/stat of several kernels, what two readings say, and files that are none.
import Testing

@testable import Vitals

@Suite("ProcessorTimes")
struct ProcessorTimesTests {
    private func times(_ text: String) -> ProcessorTimes? {
        let bytes = Array(text.utf8)
        return ProcessorTimes(bytes.span)
    }

    private func cores(_ text: String) -> Int {
        let bytes = Array(text.utf8)
        return ProcessorTimes.cores(bytes.span)
    }

    @Test(
        "Usage is the part that was work: a wait for the disk is none, stolen time is, guests count once",
        arguments: [
            // user nice system idle iowait irq softirq steal guest guest_nice
            ("0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0", 0),
            ("0 0 0 0 0 0 0 0 0 0", "25 0 0 75 0 0 0 0 0 0", 25),
            ("1000 0 0 9000 0 0 0 0 0 0", "1050 0 0 9050 0 0 0 0 0 0", 50),
            ("0 0 0 0 0 0 0 0 0 0", "10 10 10 0 50 10 10 0 0 0", 50),
            ("0 0 0 0 0 0 0 0 0 0", "0 0 0 60 0 0 0 40 0 0", 40),
            ("0 0 0 0 0 0 0 0 0 0", "50 0 0 50 0 0 0 0 50 0", 50),
            ("0 0 0 0 0 0 0 0 0 0", "100 0 0 0 0 0 0 0 0 0", 100),
            ("0 0 0 0 500 0 0 0 0 0", "50 0 0 50 400 0 0 0 0 0", 50),
            ("100 0 0 100 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0", 0),
            ("0 0 0 0", "30 0 0 70", 30),
            ("0 0 0 0 0 0 0", "30 0 0 20 50 0 0", 30),
            ("0 0 0 0 0 0 0 0", "18446744073709551615 0 0 18446744073709551615 0 0 0 0", 50),
        ])
    func usage(before: String, after: String, usage: Double) throws {
        let first = try #require(times("cpu  \(before)\n"))
        let second = try #require(times("cpu  \(after)\n"))
        #expect(second.usage(since: first) == usage)
    }

    @Test(
        "What is not the line of all processors is no reading",
        arguments: [
            "", "\n", "cpu", "cpu\n", "cpu 1 2 3\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu 1 2 x 4\n", "cpu 1 2 3 18446744073709551616\n",
            "intr 1 2 3 4\ncpu 1 2 3 4\n", "cpu 1 2 3 4 5 6 7 8",
        ])
    func noReading(text: String) {
        #expect(times(text) == nil)
    }

    @Test("A core is a line of its own, whatever its number")
    func cores() {
        #expect(cores(Machine.stat) == 2)
        #expect(cores("cpu 1 2 3 4\ncpu0 1 2 3 4\ncpu2 1 2 3 4\ncpu255 1 2 3 4\ncpufreq 3\ncpux 2\n") == 3)
        #expect(cores("") == 0)
    }

    @Test("A file that is cut off counts as its whole lines")
    func cutOff() {
        for (cut, whole) in cuts(Machine.stat) {
            #expect(ProcessorTimes(cut.span) == ProcessorTimes(whole.span))
            #expect(ProcessorTimes.cores(cut.span) == ProcessorTimes.cores(whole.span))
        }
    }

    @Test("Of garbage, usage is still a percentage")
    func garbage() throws {
        let before = try #require(times(Machine.stat))
        for bytes in garbled(Machine.stat) {
            #expect(ProcessorTimes.cores(bytes.span) <= 10)
            guard let after = ProcessorTimes(bytes.span) else { continue }
            #expect((0...100).contains(after.usage(since: before)))
            #expect((0...100).contains(before.usage(since: after)))
        }
    }
}
