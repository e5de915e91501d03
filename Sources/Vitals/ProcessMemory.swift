// ProcessMemory: how much memory this process holds, by /proc/self/statm (proc_pid_statm(5)), and how much it may hold, by its control
// groups and the machine. What counts is what the kernel counts when it runs out: pages that are there. What the allocator has in use
// would miss what it keeps for later, and costs a walk over all that is free.
//
// Cost: a look is one pread into a buffer that is used again, 1 to 3 µs.
import CLinux
import Domain
import Glibc

/// The process's own memory.
public struct ProcessMemory: ~Copyable {
    private let descriptor: Int32
    private let pageBytes: Int
    private var buffer = [UInt8](repeating: 0, count: 128)

    /// - Returns: nil where the kernel does not tell.
    public init?(procPath: String = "/proc") {
        descriptor = unsafe open(procPath + "/self/statm", O_RDONLY | O_CLOEXEC)
        pageBytes = sysconf(Int32(_SC_PAGESIZE))
        guard descriptor >= 0, pageBytes > 0 else { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Bytes that only this process's end, or its own giving back, would free; nil where the kernel does not tell.
    public mutating func inUse() -> Int? {
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0, let pages = ProcessMemory.pages(buffer.span.extracting(0..<count)) else { return nil }
        let (bytes, overflow) = pages.multipliedReportingOverflow(by: pageBytes)
        return overflow ? nil : bytes
    }

    /// Resident pages that are no file's: what files have in memory, the kernel takes back when it wants to.
    static func pages(_ text: Span<UInt8>) -> Int? {
        guard var line = ProcText.line(of: text, from: 0), ProcText.number(of: text, in: &line) != nil,
            let resident = ProcText.number(of: text, in: &line), let shared = ProcText.number(of: text, in: &line)
        else { return nil }
        return Int(exactly: resident >= shared ? resident - shared : 0)
    }

    /// Has the allocator give back what is free within its pages: else what was freed would go on counting as in use.
    public static func giveBack() { _ = malloc_trim(0) }

    // MARK: What there is

    /// What the process may hold: the smallest bound of its control groups and theirs above them, or what the machine has; nil where none
    /// of them can be read.
    public static func bound(procPath: String = "/proc", sysPath: String = "/sys") -> Int? {
        var file = ProcFile()
        var least: UInt64?
        func consider(_ bytes: UInt64?) {
            if let bytes, bytes > 0 { least = min(least ?? bytes, bytes) }
        }
        if file.read(procPath + "/meminfo") { consider(MemoryInfo.space(file.text).total) }
        guard file.read(procPath + "/self/cgroup") else { return least.flatMap { Int(exactly: $0) } }
        for group in groups(file.text) {
            var path = group.path
            while true {
                let folder = sysPath + "/fs/cgroup" + group.controller + path
                if file.read(folder + group.file) { consider(figure(file.text)) }
                guard let slash = path.lastIndex(of: "/"), path != "" else { break }
                path = String(path[..<slash])
            }
        }
        return least.flatMap { Int(exactly: $0) }
    }

    /// Where a process's memory is bounded, by cgroups(7): `0::/path` in version 2, `4:memory:/path` in version 1.
    static func groups(_ text: Span<UInt8>) -> [(controller: String, path: String, file: String)] {
        var found: [(controller: String, path: String, file: String)] = []
        var start = 0
        while let line = ProcText.line(of: text, from: start) {
            start = line.upperBound + 1
            let words = String(decoding: line.map { text[$0] }, as: UTF8.self).split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard words.count == 3 else { continue }
            let path = words[2] == "/" ? "" : String(words[2])
            if words[0] == "0", words[1].isEmpty {
                found.append(("", path, "/memory.max"))
            } else if words[1].split(separator: ",").contains("memory") {
                found.append(("/memory", path, "/memory.limit_in_bytes"))
            }
        }
        return found
    }

    /// A number, or `max`.
    private static func figure(_ text: Span<UInt8>) -> UInt64? {
        guard var line = ProcText.line(of: text, from: 0) else { return nil }
        return ProcText.number(of: text, in: &line)
    }
}
