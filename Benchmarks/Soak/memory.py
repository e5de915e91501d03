"""Whether memory is flat: samples of one server life after the other, and the bounds that they must keep.

The server holds what it remembers for its time (results, histories, sessions), so a life's memory rises until the first of that is
forgotten, and has to stay there. A bound has to be above what an allocator's pages and a load that draws its chances move (2 to 4 MiB here)
and below what a leak that matters adds: 200 bytes for each of 15 tasks a second are 10 MiB an hour. So: over a window of ten minutes or
more the line of best fit must rise by less than `max(8 MiB, 5 %)` an hour; over a shorter one, which tells less, by less than that from
its first third to its last. The same from each life to the next, at the quiet points, where nothing is open and nothing in hand.
"""
import statistics

BOUND_BYTES = 8 << 20
BOUND_SHARE = 0.05
WINDOW_SECONDS = 20
LONG_SECONDS = 600
MIB = 1 << 20


def slope(samples):
    """Bytes a second of the line of best fit; `samples` are pairs of seconds and bytes."""
    return statistics.linear_regression([at for at, _ in samples], [size for _, size in samples]).slope


class Memory:
    def __init__(self, warm_up_seconds):
        self.warm_up = warm_up_seconds
        # Of each life: pairs of its age and anonymous bytes; all resident ones beside.
        self.lives, self.resident, self.quiet = [], [], []

    def begin(self):
        self.lives.append([])

    def add(self, age, resident, anonymous):
        self.lives[-1].append((age, anonymous))
        self.resident.append(resident)

    def add_quiet(self, at, age, anonymous):
        self.quiet.append((at, age, anonymous, len(self.lives)))

    @staticmethod
    def bound(level):
        return max(BOUND_BYTES, BOUND_SHARE * level)

    def judge(self):
        """Sentences about each window, and those of them that are violations."""
        told, violations = [], []
        for number, life in enumerate(self.lives, 1):
            window = [sample for sample in life if sample[0] >= self.warm_up]
            if len(window) < 12 or (length := window[-1][0] - window[0][0]) < WINDOW_SECONDS:
                continue
            third = len(window) // 3
            first, last = (statistics.median(size for _, size in part) for part in (window[:third], window[-third:]))
            rate = slope(window)
            words = (f"life {number}: {first / MIB:.1f} MiB, then {last / MIB:.1f} MiB over {length:.0f} s, "
                     f"{rate * 3600 / MIB:+.1f} MiB an hour by fit")
            told.append(words)
            if length >= LONG_SECONDS and rate * 3600 > self.bound(first) or last - first > self.bound(first):
                violations.append(f"{words}; {self.bound(first) / MIB:.1f} MiB are allowed")
        settled = [(at, size) for at, age, size, _ in self.quiet if age >= self.warm_up]
        if len(settled) >= 4 and len({life for _, age, _, life in self.quiet if age >= self.warm_up}) > 1:
            half = len(settled) // 2
            first, last = (statistics.median(size for _, size in part) for part in (settled[:half], settled[-half:]))
            words = f"quiet points of all lives: {first / MIB:.1f} MiB in the first half, {last / MIB:.1f} MiB in the second"
            told.append(words)
            if last - first > self.bound(first):
                violations.append(f"{words}; {self.bound(first) / MIB:.1f} MiB are allowed")
        return told, violations
