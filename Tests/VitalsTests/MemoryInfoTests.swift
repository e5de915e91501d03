// MemoryInfoTests: /proc/meminfo, its parts missing, and files that are none.
import Domain
import Testing

@testable import Vitals

@Suite("MemoryInfo")
struct MemoryInfoTests {
    private func space(_ text: String) -> ResourceSample.Space {
        let bytes = Array(text.utf8)
        return MemoryInfo.space(bytes.span)
    }

    @Test("Kilobytes are 1,024 bytes")
    func figures() {
        #expect(space(Machine.meminfo) == .init(total: 24_684_084 * 1_024, available: 24_258_388 * 1_024))
        #expect(space("MemAvailable: 1 kB\nMemTotal: 2 kB\n") == .init(total: 2_048, available: 1_024))
    }

    @Test("More is not available than there is")
    func bound() {
        #expect(space("MemTotal: 1 kB\nMemAvailable: 2 kB\n") == .init(total: 1_024, available: 1_024))
    }

    @Test(
        "Half of it is nothing: it would read as a full memory",
        arguments: [
            "", "MemTotal: 1 kB\n", "MemAvailable: 1 kB\n", "MemTotal: 2 kB\nMemAvailable: 1\n", "MemTotal: 2 kB\nMemAvailable: -1 kB\n",
            "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n", "MemTotal: 2 MB\nMemAvailable: 1 kB\n",
            "MemTotalX: 2 kB\nMemAvailable: 1 kB\n", "MemTotal: 2 kB\nMemAvailable: 1 kB",
        ])
    func incomplete(text: String) {
        #expect(space(text) == .init(total: 0, available: 0))
    }

    @Test("A file that is cut off counts as its whole lines, and garbage stays within bounds")
    func garbage() {
        for (cut, whole) in cuts(Machine.meminfo) { #expect(MemoryInfo.space(cut.span) == MemoryInfo.space(whole.span)) }
        for bytes in garbled(Machine.meminfo) { #expect((0...100).contains(MemoryInfo.space(bytes.span).usage)) }
    }
}
