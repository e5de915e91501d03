// ProcFile: one file of the kernel's at a time, read whole into a buffer that is used again. Such a file has no size to ask for: it is read
// until it ends. What it says is the parsers'.
import CLinux
import Glibc

struct ProcFile {
    /// Of a longer file the beginning is read. A machine of 512 processors tells of itself in 800 KiB.
    static let bytesMax = 1 << 20

    private var bytes = [UInt8](repeating: 0, count: 16 << 10)
    private var count = 0

    /// What was read last.
    var text: Span<UInt8> {
        @_lifetime(borrow self)
        get { bytes.span.extracting(0..<count) }
    }

    /// Reads a file.
    ///
    /// - Returns: whether it could be read; where it could not, there is no text.
    mutating func read(_ path: String) -> Bool {
        count = 0
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        while true {
            if count == bytes.count {
                if count >= ProcFile.bytesMax { return true }
                bytes += [UInt8](repeating: 0, count: min(count, ProcFile.bytesMax - count))
            }
            let got = unsafe bytes.withUnsafeMutableBytes { buffer in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
                return unsafe Glibc.read(descriptor, room.baseAddress, room.count)
            }
            if got == 0 { return true }
            if got > 0 {
                count += got
            } else if errno != EINTR {
                count = 0
                return false
            }
        }
    }
}
