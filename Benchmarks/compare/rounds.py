"""Runs the cases of a family round by round, everybody in turn, because a shared machine has moods: what counts is the ratio of two runs
that follow each other, and the median of those."""

import statistics
import sys


class Findings:
    """What the runs of a family found: for each case and label a list with one dictionary a round, None where a run went wrong."""

    def __init__(self, family, cases):
        self.family = family
        self.cases = cases
        self.samples = {case.name: {entry.label: [] for entry in case.entries} for case in cases}
        self.missing = {}

    def figures(self, case, label, name):
        """One figure of all good runs."""
        return [sample[name] for sample in self.samples[case.name][label] if sample and name in sample]

    def median(self, case, label, name):
        found = self.figures(case, label, name)
        return statistics.median(found) if found else None

    def ratios(self, case, label):
        """To the limit's run of the same round; none where there is no limit, or this is it."""
        limit = self.limit(case)
        if limit is None or label == limit:
            return []
        name = self.family.compared
        pairs = zip(self.samples[case.name][label], self.samples[case.name][limit])
        return [one[name] / other[name] for one, other in pairs if one and other and other.get(name) and one.get(name)]

    def limit(self, case):
        limit = case.limit or self.family.limit
        return limit if limit in self.samples[case.name] else None


def run(family, cases, peers, load, settings):
    findings = Findings(family, cases)
    for turn in range(settings.rounds):
        for case in cases:
            # Who comes first changes from round to round, so that a mood that sets in favours nobody.
            shift = turn % len(case.entries)
            for entry in case.entries[shift:] + case.entries[:shift]:
                sample = measure(findings, case, entry, peers, load, settings)
                findings.samples[case.name][entry.label].append(sample)
                tell(turn, family, case, entry, sample)
    peers.end()
    return findings


def measure(findings, case, entry, peers, load, settings):
    server = peers.get(entry.peer, entry.part, entry.fresh)
    if server is None:
        findings.missing[entry.label] = peers.missing[entry.peer, entry.part]
        return None
    options = list(entry.options)
    if case.half_of:
        # Of this round's run, for what was possible then.
        name, deliveries = case.half_of
        before = findings.samples[name][entry.label][-1]
        if not before:
            return None
        options += ["--rate", max(1, round(before[findings.family.rated] / deliveries / 2))]
    seconds = settings.seconds + settings.warmup
    sample = load.run(server, entry.command, server.url(entry.scheme, entry.path), seconds, options)
    if server.is_over:
        print(f"! {server.name} ended by itself", file=sys.stderr)
        peers.end(entry.peer, entry.part)
    return sample


def tell(turn, family, case, entry, sample):
    value = sample.get(family.compared) if sample else None
    shown = "no good run" if value is None else f"{value:,.0f}"
    print(f"round {turn + 1}: {family.name}: {case.name}: {entry.label}: {shown}", file=sys.stderr, flush=True)
