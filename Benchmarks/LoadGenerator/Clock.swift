// Clock: the points of time and the CPU time that a run is measured by. The only caller of `clock_gettime` in the load generator.

import Glibc

enum Clock {
    /// Monotonic time in nanoseconds.
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) ?? 0 }

    /// CPU time of this process in nanoseconds.
    static func ownCPU() -> UInt64 { read(CLOCK_PROCESS_CPUTIME_ID) ?? 0 }

    /// CPU time of another process in nanoseconds: all its threads, the ended ones too, exact to the moment even while it runs.
    /// `/proc/PID/stat` counts the same in steps of 10 ms, `/proc/PID/task/*/schedstat` forgets ended threads.
    static func cpu(of process: Int32) -> UInt64? {
        var clock: clockid_t = 0
        guard unsafe clock_getcpuclockid(process, &clock) == 0 else { return nil }
        return read(clock)
    }

    private static func read(_ clock: clockid_t) -> UInt64? {
        var time = timespec()
        guard unsafe clock_gettime(clock, &time) == 0 else { return nil }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
