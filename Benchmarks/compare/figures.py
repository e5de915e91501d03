"""The tables of figures in the README, made of those of RESULTS.md: nothing stands in them that does not stand there.

    python3 -B Benchmarks/compare/figures.py       writes them into the README
"""

import os
import re

import report

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
README = os.path.join(ROOT, "README.md")
RESULTS = os.path.join(ROOT, "Benchmarks", "RESULTS.md")

OURS, LIMIT = "Signalbox", "C loop"
# A section of RESULTS.md, a case there, the beginning of the column, and the words for it. What was not measured is left out.
PERFORMANCE = [
    ("echo", "64 B, 1 in flight", "messages", "WebSocket echo, 100 connections, 64 B, one message in flight"),
    ("echo", "64 B, 16 in flight", "messages", "the same, sixteen in flight"),
    ("tls", "64 B, 1 in flight", "messages", "one in flight, over TLS 1.3"),
    ("handshakes", "WebSocket", "handshakes", "connections accepted and upgraded"),
    ("fanout", "1,000 watchers, 1 in flight", "deliveries", "one event to 1,000 watchers, one at a time"),
    ("fanout", "1,000 watchers, 16 in flight", "deliveries", "the same, sixteen at a time"),
    ("fanout-18000", "18,000 watchers, 1 in flight", "deliveries", "one event to 18,000 watchers"),
    ("latency", "1,000 watchers, half of that", "p50 ms", "how late an event is at half of each server's most, median"),
    ("latency", "1,000 watchers, half of that", "p99 ms", "and for one in a hundred"),
    ("dispatch", "result in the response", "tasks per", "tasks whose client waits for the result"),
    ("dispatch", "result in the response, 4 workers of 16 tasks each", "tasks per", "the same, four workers that take 16 tasks at once"),
    ("dispatch", "receipt only, kept on disk", "tasks per", "tasks whose receipt comes once they are on disk (fsync)"),
    ("dispatch-latency", "half of that", "p50 ms", "what a task takes beside its work, at half of each server's most"),
    ("polling", "1,000 by polling, 16 in flight", "deliveries", "Socket.IO without a WebSocket, 1,000 clients"),
]


def section(results, name):
    """What stands between a section's marks, and the heading above it."""
    begin, end = (re.escape(f"<!-- {name}: {word} -->") for word in ("begin", "end"))
    found = re.search(rf"^## (?P<title>[^\n]*)\n+{begin}\n(?P<text>.*?){end}", results, re.M | re.S)
    return (found["title"], found["text"]) if found else ("", "")


def link(title):
    """Where GitHub has the heading."""
    return "Benchmarks/RESULTS.md#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def table(text):
    """The rows of the first table: names of columns, and cells."""
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return (lines[0], lines[2:]) if len(lines) > 2 else ([], [])


def figures(text, case, column):
    """Name and figure of each server, medians as they are written, and the column's whole name."""
    names, rows = table(text)
    place = next((place for place, name in enumerate(names) if name.startswith(column)), None)
    found, current = [], ""
    for row in rows:
        current = row[0] or current
        if place is None or place >= len(row) or current != case:
            continue
        figure = re.match(r"[\d,.]+", row[place])
        if figure:
            found.append((row[1].strip("*"), figure[0]))
    return found, names[place] if place is not None else ""


def performance(results):
    """Ours, the machine's limit, and the two others that come nearest or are ahead."""
    out = ["| | Signalbox | the limit, in C | others | | measured by |", "|---|---|---|---|---|---|"]
    for name, case, column, words in PERFORMANCE:
        title, text = section(results, name)
        found, unit = figures(text, case, column)
        ours = dict(found).get(OURS)
        if ours is None:
            continue
        limits = [figure for label, figure in found if label.startswith(LIMIT)]
        others = [(label, figure) for label, figure in found if label != OURS and not label.startswith(LIMIT)]
        others.sort(key=lambda other: float(other[1].replace(",", "")), reverse=not unit.endswith("ms"))
        beside = " · ".join(f"{label} {figure}" for label, figure in others[:2])
        unit = unit.replace(" of the server", "").replace("p50 ms", "ms").replace("p99 ms", "ms")
        # Of two limits the second is the one that does as we do.
        out.append(f"| [{words}]({link(title)}) | **{ours}** | {limits[-1] if limits else ''} | {beside} | {unit} | `--parts {name}` |")
    return "\n".join(out)


def capacity(results):
    """What a connection weighs."""
    out = ["| | bytes |", "|---|---|"]
    title, text = section(results, "idle")
    for label, figure in figures(text, "10,000 WebSockets, plain", "bytes")[0]:
        if label == OURS:
            out.append(f"| [an idle WebSocket behind a real socket, of 10,000]({link(title)}) | {figure} |")
    title, text = section(results, "million")
    _, rows = table(text)
    whose = ""
    for role, weight, *_ in rows:
        # In its own table it stands below what it is the same as.
        if role.startswith("the same"):
            role = whose + role.removeprefix("the same")
        else:
            whose = role
        out.append(f"| [{role}, of a million]({link(title)}) | {weight} |")
    return "\n".join(out)


def write(readme=README, results=RESULTS):
    """Puts the tables between their marks."""
    with open(results, encoding="utf-8") as file:
        text = file.read()
    report.record(readme, "performance", performance(text))
    report.record(readme, "capacity", capacity(text))


if __name__ == "__main__":
    write()
