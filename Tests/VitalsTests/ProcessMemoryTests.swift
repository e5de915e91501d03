// Goal: what the process holds, and the smallest of the bounds on it, from files as the kernel writes them and files that are none.
import Testing

@testable import Vitals

@Suite("ProcessMemory")
struct ProcessMemoryTests {
    private func pages(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        return ProcessMemory.pages(bytes.span)
    }

    @Test("resident pages without those of files")
    func statm() {
        #expect(pages("1000 700 200 10 0 600 0\n") == 500)
        #expect(pages("1000 200 700 10 0 600 0\n") == 0)
        for text in ["", "1\n", "1 2\n", "a b c\n", "1 2 3", "1 -2 3\n", "1 18446744073709551615 0\n"] { #expect(pages(text) == nil) }
    }

    @Test("this process holds something, and more once it holds more")
    func grows() {
        guard var memory = ProcessMemory() else {
            Issue.record("the kernel tells nothing")
            return
        }
        let before = memory.inUse() ?? 0
        var block = [UInt8](repeating: 1, count: 64 << 20)
        for index in stride(from: 0, to: block.count, by: 4_096) { block[index] = UInt8(truncatingIfNeeded: index) }
        let after = memory.inUse() ?? 0
        #expect(before > 1 << 20 && after > before + (32 << 20), "\(before) and \(after)")
        #expect(block.count == 64 << 20)
        ProcessMemory.giveBack()
    }

    @Test("the smallest bound holds: the machine's, the group's, or that of a group above it", arguments: [
        ("0::/a/b\n", ["/a/b/memory.max": "max\n", "/a/memory.max": "5000\n", "/memory.max": "9000\n"], 5_000),
        ("0::/a/b\n", ["/a/b/memory.max": "4000\n", "/a/memory.max": "5000\n"], 4_000),
        ("0::/\n", ["/memory.max": "7000\n"], 7_000),
        ("0::/../x\n", ["/memory.max": "7000\n"], 7_000),
        ("5:cpu,memory:/docker/x\n1:name=systemd:/\n", ["/memory/docker/x/memory.limit_in_bytes": "3000\n"], 3_000),
        ("0::/a\n", ["/a/memory.max": "99999999999999999999\n"], 2_097_152),
        ("0::/a\n", ["/a/memory.max": "0\n"], 2_097_152),
        ("rubbish\n::\n", [:], 2_097_152),
    ])
    func bounds(_ groups: String, _ files: [String: String], _ expected: Int) throws {
        let scratch = try Scratch()
        try scratch.write("proc/meminfo", "MemTotal: 2048 kB\nMemAvailable: 1 kB\n")
        try scratch.write("proc/self/cgroup", groups)
        for (name, text) in files { try scratch.write("sys/fs/cgroup" + name, text) }
        #expect(ProcessMemory.bound(procPath: scratch.path + "/proc", sysPath: scratch.path + "/sys") == expected)
    }

    @Test("where nothing can be read there is no bound")
    func nothing() throws {
        let scratch = try Scratch()
        #expect(ProcessMemory.bound(procPath: scratch.path + "/proc", sysPath: scratch.path + "/sys") == nil)
        if ProcessMemory(procPath: scratch.path + "/proc") != nil { Issue.record("there is no such file") }
        let own = try #require(ProcessMemory.bound())
        #expect(own > 1 << 20)
    }
}
