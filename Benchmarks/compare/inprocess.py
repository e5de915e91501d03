"""What needs no sockets: single operations of every floor, and connections by the million through `Server`."""

import json
import subprocess
from dataclasses import dataclass

ROLES = [
    ("echo", "WebSocket, echo"), ("worker", "WebSocket, worker"), ("watcher", "WebSocket, watcher of a task of its own"),
    ("watcher --tokens yes", "the same, with a token of its own"),
    ("hub", "WebSocket, user of the hub with a session and a subscription"), ("hub --tokens yes", "the same, with a token of its own"),
    ("http", "HTTP, kept alive"), ("socketio", "Socket.IO by WebSocket, connected"),
    ("monitor", "Socket.IO by WebSocket, subscribed to everything"),
]
OPERATIONS = (
    "One thread, its own CPU time, the median of fifteen batches; in brackets the lowest and the highest. Allocations are calls of"
    " malloc and its kin, counted by taking their place."
)
MILLION = (
    "`Server` needs no sockets: the program opens the connections through it, upgrades each, exchanges one message on each, closes"
    " none, and reads its own resident anonymous memory before and after. This counts the outbox's row, the timer and all of the"
    " server's state; the reactor adds 36 bytes a connection, the kernel its sockets."
)


@dataclass
class Part:
    """What a part of the suite has to say."""

    title: str
    text: str
    markdown: str
    faults: int = 0


def run(name, settings):
    return operations(settings) if name == "inprocess" else million(settings)


def call(settings, *arguments):
    """The program's lines, and whether it went well."""
    done = subprocess.run([settings.in_process, *map(str, arguments)], capture_output=True, text=True)
    return done.stdout.splitlines(), done.returncode == 0


def operations(settings):
    lines, is_good = call(settings, "operations", "--json", "--seconds", max(0.05, settings.seconds / 5))
    found = [json.loads(line) for line in lines if line.startswith("{")]
    rows = [
        (one["floor"], one["name"], f"{one['ns']:,.1f} ({one['ns_min']:,.1f}–{one['ns_max']:,.1f})", f"{one['allocations']:.1f}")
        for one in found
    ]
    width = max((len(floor) + len(name) for floor, name, _, _ in rows), default=0) + 4
    text = ["In process: nanoseconds and allocations"]
    text += [f"  {floor + ': ' + name:{width}}{time:>34}{allocations:>8}" for floor, name, time, allocations in rows]
    if not is_good:
        text += ["  no good run: " + " ".join(line for line in lines if not line.startswith("{"))]
    table = ["| | | nanoseconds | allocations |", "|---|---|---|---|"]
    before = None
    for floor, name, time, allocations in rows:
        table.append(f"| {'' if floor == before else floor} | {name} | {time} | {allocations} |")
        before = floor
    return Part("In process, operation by operation", "\n".join(text), OPERATIONS + "\n\n" + "\n".join(table), 0 if is_good else 1)


def figures(line):
    return dict(pair.split("=", 1) for pair in line.split() if "=" in pair)


def million(settings):
    count, faults = settings.clients, 0
    text = [f"{count:,} connections in process"]
    table = ["| role | bytes each | nanoseconds each, for all of it |", "|---|---|---|"]
    for role, name in ROLES:
        lines, is_good = call(settings, "connections", "--connections", count, "--role", *role.split())
        faults += not is_good
        for line in lines:
            one = figures(line)
            if "ns_per_task" in one and "--tokens" in role:
                continue
            elif "ns_per_task" in one:
                label, size, time = "a waiting task", one["bytes_per_task"], one["ns_per_task"]
            elif "ns_per_connection" in one:
                label, size, time = name, one["bytes_per_connection"], one["ns_per_connection"]
            else:
                text.append(f"  {name}: {line}")
                continue
            text.append(f"  {label:52}{int(size):>8,} B{int(time):>10,} ns")
            table.append(f"| {label} | {int(size):,} | {int(time):,} |")
    lines, is_good = call(settings, "connections", "--connections", count, "--role", "crowd", "--publications", 20)
    faults += not is_good
    one = figures(lines[-1]) if is_good and lines else {}
    crowd = "no good run: " + " ".join(lines)
    if one:
        crowd = (
            f"Publishing to {count:,} watchers of one task ({int(one['bytes_per_connection']):,} bytes each):"
            f" {int(one['ns_per_delivery']):,} ns a delivery, from the worker's message to the bytes being taken away for every socket;"
            f" a publishing turn takes {float(one['publishing_turn_p50_us']) / 1000:,.1f} ms, p99"
            f" {float(one['publishing_turn_p99_us']) / 1000:,.1f} ms; the turns in between, in each of which a watcher's ping is"
            f" answered, {one['other_turn_p50_us']} µs, p99 {one['other_turn_p99_us']} µs. Behind sockets the reactor sends for 2 ms at"
            " most before it looks at what came."
        )
    text.append("  " + crowd)
    return Part("A million connections in process", "\n".join(text), MILLION + "\n\n" + "\n".join(table) + "\n\n" + crowd, faults)
