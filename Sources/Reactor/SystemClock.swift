// SystemClock: the only caller of clock_gettime. The loop samples it, and everybody else is told.
public import Base
import CLinux
import Glibc

public enum SystemClock {
    /// Monotonic time now.
    public static func now() -> Instant {
        Instant(nanoseconds: nanoseconds(CLOCK_MONOTONIC))
    }

    /// Wall time now, in milliseconds since 1970-01-01T00:00:00Z; it may jump.
    public static func wallMilliseconds() -> Int64 {
        nanoseconds(CLOCK_REALTIME) / 1_000_000
    }

    private static func nanoseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "the kernel has no clock \(clock)")
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
