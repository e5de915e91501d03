"""Whether memory is flat: samples of one server life after the other, and the bounds that they must keep.

The server holds what it remembers for its time (results, histories, sessions): after that time memory has come to its level, but for two
stores with bounds of their own that fill more slowly, the pages of the database (16 MiB) and the last 4,096 activities (8 MiB at most):
with 15 clients a second that takes a quarter of an hour. So there are two bounds. A life that is younger may grow by as much as those
stores may, and `max(8 MiB, 5 %)`. An older one, seen for ten minutes or more, may not grow by more than `max(8 MiB, 5 %)` an hour, by the
line of best fit: that is above what an allocator's pages and a load that draws its chances move, and below what a leak that matters adds,
as 200 bytes for each of 15 tasks a second. The same from life to life: each at its first quiet point behind its first minutes, where
nothing is open and nothing in hand; lives that are still filling their stores there may differ by those.
"""
import statistics

MIB = 1 << 20
BOUND_BYTES = 8 * MIB
BOUND_SHARE = 0.05
STORES_BYTES = 24 * MIB
# Seconds until the stores are full with one client a second: some 4,600 activities, of which each client makes 0.3.
FULL_SECONDS = 15_000
WINDOW_SECONDS = 20
LONG_SECONDS = 600


def slope(samples):
    """Bytes a second of the line of best fit; `samples` are pairs of seconds and bytes."""
    return statistics.linear_regression([at for at, _ in samples], [size for _, size in samples]).slope


def ends(sizes, share):
    """The median of the first part and of the last."""
    count = max(len(sizes) // share, 1)
    return statistics.median(sizes[:count]), statistics.median(sizes[-count:])


class Memory:
    def __init__(self, warm_up_seconds, rate):
        self.warm_up, self.full = warm_up_seconds, max(warm_up_seconds, FULL_SECONDS / rate)
        # Of each life: pairs of its age and anonymous bytes; all resident ones beside.
        self.lives, self.resident, self.quiet = [], [], []

    def begin(self):
        self.lives.append([])

    def add(self, age, resident, anonymous):
        self.lives[-1].append((age, anonymous))
        self.resident.append(resident)

    def add_quiet(self, age, anonymous):
        if age >= self.warm_up:
            self.quiet.append((len(self.lives), age, anonymous))

    @staticmethod
    def bound(level):
        return max(BOUND_BYTES, BOUND_SHARE * level)

    def judge(self):
        """Sentences about each life, and those of them that are violations."""
        told, violations = [], []

        def judge(words, grown, allowed):
            told.append(words)
            if grown > allowed:
                violations.append(f"{words}; {allowed / MIB:.1f} MiB are allowed")

        for number, life in enumerate(self.lives, 1):
            window = [sample for sample in life if sample[0] >= self.warm_up]
            if len(window) >= 12 and (length := window[-1][0] - window[0][0]) >= WINDOW_SECONDS:
                first, last = ends([size for _, size in window], 3)
                judge(f"life {number}: {first / MIB:.1f} MiB, then {last / MIB:.1f} MiB in {length:.0f} s", last - first,
                      self.bound(first) + STORES_BYTES)
            window = [sample for sample in life if sample[0] >= self.full]
            if len(window) >= 12 and (length := window[-1][0] - window[0][0]) >= LONG_SECONDS:
                hour = slope(window) * 3600
                judge(f"life {number}, at its level: {window[0][1] / MIB:.1f} MiB, {hour / MIB:+.1f} MiB an hour over {length:.0f} s", hour,
                      self.bound(window[0][1]))
        # The first of each life.
        points = {life: (age, size) for life, age, size in reversed(self.quiet)}
        levels = [points[life][1] for life in sorted(points)]
        if len(levels) >= 2:
            first, last = ends(levels, 2)
            is_young = any(age < self.full for age, _ in points.values())
            judge(f"lives one after the other, when nothing is in hand: {first / MIB:.1f} MiB, then {last / MIB:.1f} MiB", last - first,
                  self.bound(first) + (STORES_BYTES if is_young else 0))
        return told, violations
