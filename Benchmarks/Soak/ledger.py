"""The ledger of the soak: what the server has promised, what came of it, and what the workers saw. Each entry was told by the server in so
many words before it counts as promised. What does not agree is a violation, with all that is known of it; nothing here repairs anything.
"""
import collections
import json

import processes

# Of one kind of violation, so many are told in full.
TOLD_MAX = 20


class Entry:
    """One submission: what was asked for, and what is known of it."""

    __slots__ = ("number", "plan", "text", "word", "timeout", "retries", "life", "task_id", "is_promised", "given_at", "wants_cancel",
                 "is_cancelled", "end", "result", "ended_at", "is_replayed", "tries")

    def __init__(self, number, plan, text, timeout, retries, life, word=None):
        self.number, self.plan, self.text, self.timeout, self.retries, self.life = number, plan, text, timeout, retries, life
        # The token that its owner sees it with; when it was asked for first.
        self.word, self.given_at = word, None
        self.task_id, self.is_promised = None, False
        # One, and one for each time that its dead letter was tried again.
        self.tries = 1
        self.wants_cancel = self.is_cancelled = self.is_replayed = False
        # The answer that told its end, byte for byte, and the result in it.
        self.end, self.result, self.ended_at = None, None, None

    def __str__(self):
        return f"task {self.task_id} (number {self.number}, {self.plan['end']}, life {self.life})"


class Ledger:
    def __init__(self, secret, clock):
        self.secret, self.clock = secret, clock
        # How long the server remembers what has ended.
        self.result_seconds = 0
        self.entries, self.number = {}, 0
        self.counts = collections.Counter()
        self.violations = []
        self.kinds = collections.Counter()
        # What workers saw, by task.
        self.assignments, self.confirmed, self.runs = {}, {}, {}
        # Reported tasks: user's token, result and time of those whose end was confirmed.
        self.reports = {}
        # Notes that were confirmed, and those of which nobody knows.
        self.notes, self.unsure_notes, self.note = set(), set(), 0
        self.latencies = collections.deque(maxlen=200_000)

    # Violations

    def violation(self, kind, words):
        self.kinds[kind] += 1
        if self.kinds[kind] <= TOLD_MAX:
            self.violations.append(f"{self.clock():8.1f} s  {kind}: {words}")
            print(self.violations[-1], flush=True)

    def require(self, condition, kind, words):
        if not condition:
            self.violation(kind, words)
        return condition

    # Submissions

    def begin(self, *arguments, **members):
        self.number += 1
        return Entry(self.number, *arguments, **members)

    def promise(self, entry, task_id):
        """The server said that it has the task."""
        entry.task_id, entry.is_promised = task_id, True
        self.entries[task_id] = entry
        self.counts["promised"] += 1

    def check_result(self, entry, result, where):
        """Whether it is what the payload demands. It is told by whom and under which assignment, so that two results differ."""
        right = processes.digest(self.secret, entry.number, entry.text)
        if not self.require(isinstance(result, dict) and result.get("n") == entry.number and result.get("digest") == right,
                            "wrong result", f"{entry}, {where}: {str(result)[:300]}"):
            return
        self.require(len(result["pad"]) == entry.plan["size"], "wrong result", f"{entry}, {where}: {len(result['pad'])} bytes of padding")
        self.require(entry.plan["end"] in ("done", "once"), "wrong result", f"{entry}, {where}: it was to fail")
        if entry.result is None:
            entry.result = result
        else:
            self.require(entry.result == result, "two results", f"{entry}, {where}: {str(entry.result)[:200]} and {str(result)[:200]}")

    def check_failure(self, entry, words, where):
        """Whether this is one of the reasons for which the task may fail."""
        if words == "Task timeout":
            elapsed = None if entry.given_at is None else self.clock() - entry.given_at
            self.require(elapsed is None or elapsed >= entry.timeout - 0.5, "too early",
                         f"{entry}, {where}: timed out after {elapsed:.2f} s")
            reason = "timeout"
        elif words == "Worker disconnected":
            reason = "worker gone"
        else:
            planned = words == f"Planned error {entry.number}" and entry.plan["end"] in ("error", "once")
            self.require(planned, "unknown failure", f"{entry}, {where}: {words!r}")
            reason = "planned error"
        self.counts[f"failed: {reason}"] += 1

    def ended(self, entry, said, raw, where="poll"):
        """The first that is told of its end."""
        entry.ended_at, entry.end = self.clock(), raw
        self.counts[f"ended: {said['status']}"] += 1
        match said["status"]:
            case "completed":
                self.check_result(entry, said["result"], where)
                self.require(not entry.is_cancelled, "cancelled in vain", f"{entry}: {raw[:200]!r}")
            case "failed":
                self.check_failure(entry, said["error"], where)
                self.require(not entry.is_cancelled, "cancelled in vain", f"{entry}: {raw[:200]!r}")
                self.require(entry.result is None, "two results",
                             f"{entry}: {str(entry.result)[:200]} was told, and now {raw[:200]!r}")
            case "cancelled":
                self.require(entry.wants_cancel, "cancelled by nobody", f"{entry}")
                self.require(entry.result is None, "two results",
                             f"{entry}: {str(entry.result)[:200]} was told, and now {raw[:200]!r}")

    def check_again(self, entry, status, raw):
        """Nothing changes afterwards."""
        if status == 404 and self.is_forgotten(entry.ended_at):
            return
        if self.require(status == 200, "lost", f"{entry} was promised, and now: {status} {raw[:200]!r}"):
            self.require(raw == entry.end, "an end that changed", f"{entry}: {entry.end[:300]!r}, and now {raw[:300]!r}")

    def is_forgotten(self, ended_at):
        """Whether the server need not know it any more: a quiet point came late, because somebody was waited for."""
        is_late = self.clock() - ended_at > self.result_seconds - 2
        self.counts["looked at too late"] += is_late
        return is_late

    # What workers saw

    def read(self, journals):
        for journal in journals:
            for word, task_id, lease, *rest in journal.lines():
                lease = int(lease)
                match word:
                    case "T":
                        known = self.assignments.setdefault(task_id, set())
                        self.require(lease not in known, "a lease given twice", f"task {task_id}, lease {lease}")
                        known.add(lease)
                        self.runs.setdefault(int(rest[0]), set()).add(task_id)
                        self.counts["assignments"] += 1
                    case "A":
                        end = (lease, rest[0])
                        self.require(self.confirmed.setdefault(task_id, end) == end, "two results",
                                     f"task {task_id}: {self.confirmed[task_id]} and {end} were confirmed")
                        self.counts["results confirmed"] += 1
                    case "R":
                        self.counts["late words refused"] += 1

    def check_workers(self):
        """What workers were told agrees with what clients were told. To be called when everything has ended, with all journals read."""
        for task_id, entry in self.entries.items():
            leases = self.assignments.get(task_id, set())
            said = json.loads(entry.end) if entry.end else {}
            self.require(len(leases) <= entry.retries + 1, "too many tries", f"{entry}: {sorted(leases)}, {entry.retries} retries")
            lease, state = self.confirmed.get(task_id, (None, None))
            self.require(state is None or said.get("status") == state, "a confirmed result is lost",
                         f"{entry}: {state} by lease {lease} was confirmed, and it is {said}")
            if said.get("status") == "completed":
                told = said["result"]["lease"]
                self.require(told in leases and told == max(leases), "a result of an assignment that was over",
                             f"{entry}: lease {told} of {sorted(leases)}")
                self.require(lease is None or lease == told, "two results", f"{entry}: lease {lease} was confirmed, {told} is told")

    def forget(self):
        """What was checked at a quiet point is counted, and no more."""
        self.counts["checked"] += len(self.entries)
        self.entries, self.assignments, self.confirmed, self.runs, self.reports = {}, {}, {}, {}, {}
        self.notes = {number for number in self.notes if number > self.note - 500}
        self.unsure_notes = {number for number in self.unsure_notes if number > self.note - 500}

    # Notes

    def check_notes(self, name, heard):
        """What one client heard without being told that something is missing: each confirmed note between the first and the last."""
        for before, after in zip(heard, heard[1:]):
            if not self.require(before < after or after in self.unsure_notes, "a note out of order", f"{name}: {before}, then {after}"):
                continue
            missing = [number for number in range(before + 1, after) if number in self.notes]
            self.require(not missing, "a lost note", f"{name}: {missing} between {before} and {after}")
