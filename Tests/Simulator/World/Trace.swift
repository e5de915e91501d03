// Trace: what happened, as lines for a person, and as one number by which two runs are compared. The lines are made only where somebody
// reads them; the number always stands for every byte that was delivered, and when.
import Base
import Glibc

struct Trace {
    /// Whether lines are made.
    let isRead: Bool
    /// FNV-1a over times, connections and bytes.
    private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325

    init(isRead: Bool) { self.isRead = isRead }

    func note(_ now: Instant, _ who: String, _ what: () -> String) {
        guard isRead else { return }
        let microseconds = (now - Simulation.start).nanoseconds / 1_000
        let (seconds, fraction) = (String(microseconds / 1_000_000), String(microseconds % 1_000_000 + 1_000_000).dropFirst())
        print("\(String(repeating: " ", count: max(0, 4 - seconds.count)))\(seconds).\(fraction)  \(who)  \(what())")
        // A run that traps is read to its last line.
        fflush(nil)
    }

    mutating func fold(_ now: Instant, _ connection: Int, _ bytes: [UInt8]) {
        fold(UInt64(bitPattern: now.nanoseconds))
        fold(UInt64(bitPattern: Int64(connection)))
        for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    private mutating func fold(_ number: UInt64) { digest = (digest ^ number) &* 0x100_0000_01b3 }
}
