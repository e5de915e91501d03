// ServerProcess: what a server that runs beside us costs: CPU time and resident memory, by its process id (proc(5)). Looks at that
// process alone, not at children of it.

import Glibc
import LoadSupport

struct ServerProcess {
    let identifier: Int32

    /// Resident memory in bytes.
    struct Memory {
        /// Everything that is resident, the program's own pages included.
        let resident: Int
        /// What the process allocated: the part that connections can make grow.
        let anonymous: Int
    }

    func memory() -> Memory? {
        guard let text = Self.contents(of: "/proc/\(identifier)/status") else { return nil }
        guard let resident = Self.kilobytes("VmRSS:", in: text), let anonymous = Self.kilobytes("RssAnon:", in: text) else { return nil }
        return Memory(resident: resident * 1024, anonymous: anonymous * 1024)
    }

    private static func kilobytes(_ name: String, in text: [UInt8]) -> Int? {
        guard var place = text.span.firstIndex(of: Array(name.utf8)) else { return nil }
        place += name.utf8.count
        while place < text.count, text[place] == 0x20 || text[place] == 0x09 { place += 1 }
        return text.span.decimal(at: place)
    }

    private static func contents(of path: String) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { _ = close(file) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
        return count > 0 ? Array(bytes[..<count]) : nil
    }
}
