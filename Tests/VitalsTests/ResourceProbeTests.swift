// ResourceProbeTests: a machine of files, one whose files are missing, and the machine that the tests run on.
import Base
import Domain
import Glibc
import Testing

@testable import Vitals

@Suite("ResourceProbe")
struct ResourceProbeTests {
    private let now = Instant(nanoseconds: 0)

    /// A machine of two processors.
    private func machine(stat: String = Machine.stat) throws -> (Scratch, ResourceProbe.Sources) {
        let scratch = try Scratch()
        try scratch.write("proc/stat", stat)
        try scratch.write("proc/meminfo", Machine.meminfo)
        try scratch.write("proc/net/dev", Machine.netDev)
        try scratch.write("proc/cpuinfo", Machine.cpuinfo)
        var sources = ResourceProbe.Sources(diskPath: scratch.path)
        sources.procPath = scratch.path + "/proc"
        sources.sysPath = scratch.path + "/sys"
        sources.nvmlLibrary = ""
        return (scratch, sources)
    }

    @Test("A sample holds each source's figures")
    func sample() throws {
        var (scratch, sources) = try machine()
        let standIn = try StandIn(nil as String?)
        sources.nvmlLibrary = standIn.path
        let sample = ResourceProbe(sources).sample(at: now)
        #expect(sample.processor == .init(usage: 0, cores: 2, frequency: 2500))
        #expect(sample.memory == .init(total: 24_684_084 * 1_024, available: 24_258_388 * 1_024))
        #expect(sample.network == .init(bytesSent: 694_474, bytesReceived: 162_164_888, packetsSent: 4_751, packetsReceived: 5_776))
        #expect(sample.disk.total > 0)
        #expect(sample.gpus?.map(\.name) == [SharedBytes("Stand-in GPU A"), SharedBytes("Stand-in GPU B")])
        withExtendedLifetime(scratch) {}
    }

    @Test("Usage is that since the last sample, and at first since the probe was made")
    func usage() throws {
        let (scratch, sources) = try machine(stat: "cpu 100 0 0 100 0 0 0 0 0 0\n")
        let probe = ResourceProbe(sources)
        try scratch.write("proc/stat", "cpu 175 0 0 125 0 0 0 0 0 0\n")
        #expect(probe.sample(at: now).processor.usage == 75)
        try scratch.write("proc/stat", "cpu 185 0 0 215 0 0 0 0 0 0\n")
        #expect(probe.sample(at: now).processor.usage == 10)
        #expect(probe.sample(at: now).processor.usage == 0)
        // What cannot be read now is made up for by the next reading.
        try scratch.write("proc/stat", "")
        #expect(probe.sample(at: now).processor.usage == 0)
        try scratch.write("proc/stat", "cpu 235 0 0 265 0 0 0 0 0 0\n")
        #expect(probe.sample(at: now).processor.usage == 50)
    }

    @Test("A probe that was made without a first reading measures from its first sample on")
    func late() throws {
        let (scratch, sources) = try machine(stat: "")
        let probe = ResourceProbe(sources)
        try scratch.write("proc/stat", "cpu 100 0 0 100 0 0 0 0 0 0\n")
        #expect(probe.sample(at: now).processor.usage == 0)
        try scratch.write("proc/stat", "cpu 200 0 0 100 0 0 0 0 0 0\n")
        #expect(probe.sample(at: now).processor.usage == 100)
    }

    @Test("A machine that tells nothing is all zeros, and each file that is missing takes only its own figures away")
    func missing() throws {
        let empty = try Scratch()
        var sources = ResourceProbe.Sources(diskPath: empty.path + "/none")
        sources.procPath = empty.path
        sources.sysPath = empty.path
        sources.nvmlLibrary = "libnvidia-ml-that-is-not-there.so.1"
        let nothing = ResourceProbe(sources).sample(at: now)
        #expect(nothing.processor == .init(usage: 0, cores: 0, frequency: 0))
        #expect(nothing.memory == .init(total: 0, available: 0))
        #expect(nothing.disk == .init(total: 0, available: 0))
        #expect(nothing.network == .init(bytesSent: 0, bytesReceived: 0, packetsSent: 0, packetsReceived: 0))
        #expect(nothing.gpus == nil)

        let (scratch, whole) = try machine()
        scratch.remove("proc/meminfo")
        let sample = ResourceProbe(whole).sample(at: now)
        #expect(sample.memory == .init(total: 0, available: 0))
        #expect(sample.processor.cores == 2)
        #expect(sample.network.packetsSent == 4_751)
    }

    @Test("Of this machine it tells what the system's library tells")
    func thisMachine() {
        var file = ProcFile()
        #expect(file.read("/proc/net/dev") == true)
        let before = NetworkCounters.totals(file.text)

        var sources = ResourceProbe.Sources.system
        sources.nvmlLibrary = ""
        let sample = ResourceProbe(sources).sample(at: now)
        #expect(sample.memory.total == UInt64(sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))))
        #expect(sample.memory.available > 0)
        #expect(sample.memory.available < sample.memory.total)
        #expect(sample.processor.cores == sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        #expect((0...100).contains(sample.processor.usage))
        #expect(sample.processor.frequency >= 0)
        #expect(sample.disk.total > 0)
        #expect(sample.network.bytesReceived >= before.bytesReceived)
        #expect(sample.network.bytesSent >= before.bytesSent)
        #expect(sample.network.packetsReceived >= before.packetsReceived)
        #expect(sample.network.packetsSent >= before.packetsSent)
    }
}
