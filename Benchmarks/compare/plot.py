"""A family as a drawing: for each case a group of bars, one for each server, with the spread of the rounds. Where there is a limit the bars
are shares of it and a line stands at 1, otherwise shares of the longest. Plain SVG that follows the reader's light or dark."""

import statistics
from html import escape

from peers import NAMES

WIDTH = 760
LEFT = 190
RIGHT = 120
BAR = 16
GAP = 5
GROUP = 34
TOP = 64

# One colour a server, in all drawings; others take theirs in turn. Every bar has its name, for those who see fewer colours.
COLOURS = {
    NAMES["signalbox"]: "#d9480f", NAMES["raw"]: "#6c757d", NAMES["join"]: "#adb5bd", NAMES["lws"]: "#1971c2", NAMES["nio"]: "#7048e8",
    NAMES["node"]: "#2f9e44", NAMES["python"]: "#e8a500", NAMES["nchan"]: "#0c8599",
    NAMES["gearmand"]: "#1971c2", NAMES["redis"]: "#c2255c",
}
OTHERS = ["#d9480f", "#f08c00", "#e8590c", "#a61e4d"]

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .about, .value { fill: #57606a; font-size: 11px; }
  .case { font-weight: 600; }
  .limit { stroke: #57606a; stroke-dasharray: 3 3; }
  .spread { stroke: #24292f; }
  .axis { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .about, .value { fill: #9198a1; }
    .limit { stroke: #9198a1; }
    .spread { stroke: #e6edf3; }
    .axis { stroke: #3d444d; }
  }
"""


def draw(findings):
    family = findings.family
    has_limit = any(findings.limit(case) for case in findings.cases)
    groups = [(case, bars(findings, case)) for case in findings.cases]
    groups = [(case, found) for case, found in groups if found]
    longest = max((high for _, found in groups for _, _, _, high, _ in found), default=1)
    if has_limit:
        longest = max(longest, 1)
    scale = (WIDTH - LEFT - RIGHT) / longest
    body, y = [], TOP
    for case, found in groups:
        y += GROUP
        bottom = y + len(found) * (BAR + GAP)
        body.append(f'<path class="axis" d="M{LEFT} {y - 4}V{bottom}"/>')
        if findings.limit(case):
            body.append(f'<path class="limit" d="M{LEFT + scale:.1f} {y - 4}V{bottom}"/>')
        body.append(f'<text class="case" x="16" y="{y - 10}">{escape(case.name)}</text>')
        for label, share, low, high, value in found:
            middle = y + BAR / 2
            body.append(f'<text x="{LEFT - 10}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>')
            body.append(
                f'<rect x="{LEFT}" y="{y}" width="{max(share * scale, 1):.1f}" height="{BAR}" rx="2" fill="{colour(label, found)}"/>')
            if high > low:
                body.append(
                    f'<path class="spread" fill="none" d="M{LEFT + low * scale:.1f} {middle}H{LEFT + high * scale:.1f}'
                    f'M{LEFT + low * scale:.1f} {middle - 3}v6M{LEFT + high * scale:.1f} {middle - 3}v6"/>')
            end = LEFT + max(high, share) * scale + 8
            body.append(f'<text class="value" x="{end:.1f}" y="{middle + 4:.1f}">{value}</text>')
            y += BAR + GAP
    height = y + 24
    lines = []
    if has_limit:
        lines.append(f'<text class="about" x="{LEFT + scale:.1f}" y="{TOP - 4}" text-anchor="middle">the limit: 1</text>')
    about = f"{family.noun} {family.unit}" if family.figure is None else family.unit
    if family.lower_is_better:
        about += ", fewer are better"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img">\n'
        f"<style>{STYLE}</style>\n"
        f'<text class="title" x="16" y="26">{escape(family.title)}</text>\n'
        f'<text class="about" x="16" y="44">{escape(about)}; the thin line is the spread of the rounds</text>\n'
        + "\n".join(lines + body)
        + "\n</svg>\n"
    )


def bars(findings, case):
    """Label, length, lowest, highest and text of a case's bars."""
    name = findings.family.compared
    values = {entry.label: findings.figures(case, entry.label, name) for entry in case.entries}
    values = {label: found for label, found in values.items() if found}
    if not values:
        return []
    limit = findings.limit(case)
    whole = statistics.median(values[limit]) if limit in values else max(statistics.median(found) for found in values.values())
    out = []
    for label, found in values.items():
        ratios = findings.ratios(case, label) if limit else [one / whole for one in found]
        middle = statistics.median(found)
        shown = f"{middle:,.0f}"
        if limit and label != limit and ratios:
            # Ratios of runs that followed each other, as in the tables.
            out.append((label, statistics.median(ratios), min(ratios), max(ratios), f"{shown} · {statistics.median(ratios):.2f}"))
        else:
            shares = [one / whole for one in found]
            out.append((label, middle / whole, min(shares), max(shares), shown))
    return out


def colour(label, found):
    if label in COLOURS:
        return COLOURS[label]
    unknown = [one[0] for one in found if one[0] not in COLOURS]
    return OTHERS[unknown.index(label) % len(OTHERS)]
