"""Tables of what was found, for people at a terminal and for RESULTS.md, where each has its place between two marks."""

import os
import re
import statistics

import plot


def number(value, places=0):
    return f"{value:,.{places}f}"


def brief(value):
    """Three digits of a small number, all of a large one."""
    return number(value, 2 if value < 10 else 1 if value < 100 else 0)


def spread(values, show=number):
    """The median, and behind it the lowest and the highest where there are several."""
    if not values:
        return ""
    middle = show(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({show(min(values))}–{show(max(values))})"


def rows(findings):
    """The lines of a family's table: a case, a label, and the texts of the columns."""
    family = findings.family
    for case in findings.cases:
        for entry in case.entries:
            label = entry.label
            values = findings.figures(case, label, family.compared)
            if not values:
                yield case, label, ["skipped: " + findings.missing[label] if label in findings.missing else "no good run"]
                continue
            ratio = spread(findings.ratios(case, label), lambda one: f"{one:.2f}")
            if label == findings.limit(case):
                ratio = "1"
            cells = [spread(values), ratio, number(findings.median(case, label, family.rated) or 0)]
            for name, divisor, _ in family.more:
                found = findings.median(case, label, name)
                cells.append("" if found is None else brief(found / divisor))
            yield case, label, cells


def head(findings):
    family = findings.family
    compared = f"{family.noun} {family.unit}" if family.figure is None else family.unit
    return [compared, "of the limit", f"{family.rated.replace('_per_s', '')} a second"] + [unit for _, _, unit in family.more]


def kept(findings):
    """The columns that say something: without a limit there is no ratio."""
    return [place for place in range(len(head(findings))) if place != 1 or any(findings.limit(case) for case in findings.cases)]


def text(findings):
    """A table for a terminal."""
    columns, places = head(findings), kept(findings)
    lines = [["", *(columns[place] for place in places)]]
    titles = []
    for case, label, cells in rows(findings):
        if not titles or titles[-1] != case.name:
            titles.append(case.name)
            lines.append([case.name])
        lines.append(["  " + label, *([cells[place] for place in places] if len(cells) > 1 else cells)])
    whole = [line for line in lines if len(line) > 2]
    widths = [max(len(line[place]) for line in whole) for place in range(len(places) + 1)]
    widths[0] = max(widths[0], *(len(line[0]) for line in lines if len(line) != 1))
    out = [f"{findings.family.title}"]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) if len(line) > 2 else cell for cell, width in zip(line[1:], widths[1:])]
        out.append("  " + "  ".join(cells).rstrip())
    return "\n".join(out)


def markdown(findings, settings):
    """The section of RESULTS.md."""
    family, columns, places = findings.family, head(findings), kept(findings)
    out = [
        f"{family.about} Medians of {settings.rounds} rounds; in brackets the lowest and the highest.",
        "",
        f"![{family.title}](Plots/{family.name}.svg)",
        "",
        "| | | " + " | ".join(columns[place] for place in places) + " |",
        "|---|---|" + "---|" * len(places),
    ]
    before = None
    for case, label, cells in rows(findings):
        shown = [cells[place] for place in places] if len(cells) > 1 else cells + [""] * (len(places) - 1)
        name = f"**{label}**" if label.startswith("Signalbox") else label
        out.append(f"| {'' if case.name == before else case.name} | {name} | " + " | ".join(shown) + " |")
        before = case.name
    return "\n".join(out)


def record(path, name, section, heading=None):
    """Puts a section between its marks, or behind the others with a heading of its own."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(path, encoding="utf-8") as file:
        old = file.read()
    block = f"{begin}\n{section}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(old):
        new = pattern.sub(lambda _: block, old)
    else:
        new = old.rstrip("\n") + f"\n\n## {heading}\n\n{block}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)


def record_family(path, findings, settings):
    record(path, findings.family.name, markdown(findings, settings), findings.family.title)
    folder = os.path.join(os.path.dirname(path), "Plots")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{findings.family.name}.svg"), "w", encoding="utf-8") as file:
        file.write(plot.draw(findings))
