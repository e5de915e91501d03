#!/usr/bin/env python3
"""Compares Signalbox with RawEcho, the limit of the machine, on this machine's loopback.

Both servers run all the time and are loaded in turn, in several rounds, because a shared machine has moods: what counts is the
ratio of two runs that follow each other, and the median of those. The figure is messages per CPU-second of the server, which does
not depend on who was the bottleneck. Not a test: nothing here fails because a figure is low, only because an answer was wrong.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading

CASES = [("64 B, 1 in flight", 64, 1), ("64 B, 16 in flight", 64, 16), ("16 KiB, 1 in flight", 16384, 1)]
# Watchers, the tasks that they are spread over, publications in flight, and how many publications: some seconds of the slower of the two.
FANS = [
    ("1,000 on one task, 1 in flight", 1_000, 1, 1, 300),
    ("1,000 on one task, 16 in flight", 1_000, 1, 16, 480),
    ("10,000 on one task, 1 in flight", 10_000, 1, 1, 30),
    ("10,000 on one task, 16 in flight", 10_000, 1, 16, 48),
    ("10,000 on as many, 256 in flight", 10_000, 10_000, 256, 100_000),
]
# Socket.IO's WebSocket clients, polling ones, events in flight, and how many events. The bytes are those of an event, and of a publication.
MONITORS = [
    ("10,000 by WebSocket, 1 in flight", 10_000, 0, 1, 30),
    ("10,000 by WebSocket, 16 in flight", 10_000, 0, 16, 480),
    ("10,000 and 1,000 by polling, 1", 10_000, 1_000, 1, 30),
    ("10,000 and 1,000 by polling, 16", 10_000, 1_000, 16, 240),
    ("1,000 by polling, 1 in flight", 0, 1_000, 1, 200),
    ("1,000 by polling, 16 in flight", 0, 1_000, 16, 960),
]
MONITOR_BYTES = 350
# Clients that IdleBench opens in process, in each role.
IDLE_CLIENTS = [100_000, 1_000_000]
IDLE_ROLES = ["socketio", "monitor"]
PARTS = ["echo", "dispatch", "fanout", "submit", "monitor", "idle", "clients"]
PORT = re.compile(r"listening.*127\.0\.0\.1:(\d+)")
START_SECONDS = 20
END_SECONDS = 10
# What a run may take beyond its own seconds: opening the connections, the drain, a slow machine.
SPARE_SECONDS = 60


class Failure(Exception):
    pass


class Server:
    """A server process of ours, from its start to its end."""

    def __init__(self, name, command, folder):
        self.name = name
        self.lines = []
        self.port = None
        self.listening = threading.Event()
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        # Reads to the end, so that a server that logs is never held up by a full pipe.
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.listening.wait(START_SECONDS)
        if self.port is None:
            self.end()
            raise Failure(f"{name} did not say where it listens:\n" + "".join(self.lines))

    def read(self):
        for line in self.process.stdout:
            if self.port is None:
                self.lines = self.lines[-20:] + [line]
                found = PORT.search(line)
                if found:
                    self.port = int(found.group(1))
                    self.listening.set()
        self.listening.set()

    def url(self, scheme, path=""):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def end(self):
        """Ends this process and no other."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Load:
    """Runs the load generator and keeps count of what went wrong."""

    def __init__(self, path):
        self.path = path
        self.faults = 0

    def run(self, server, command, url, seconds, *options):
        line = [self.path, command, "--url", url, "--pid", str(server.process.pid), "--json", *map(str, options)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            self.faults += 1
            print(f"! {server.name}: {command} did not end", file=sys.stderr)
            return None
        if done.returncode != 0:
            self.faults += 1
            print(f"! {server.name}: {command}: {done.stderr.strip()} {done.stdout.strip()}", file=sys.stderr)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None


def spread(values):
    return f"{statistics.median(values):.3f}  ({min(values):.3f} to {max(values):.3f})"


def order(turn, pair):
    """Who comes first changes from round to round, so that a mood that sets in favours neither."""
    return pair if turn % 2 == 0 else pair[::-1]


class Comparison:
    """Pairs of runs, one figure each, case by case."""

    def __init__(self, cases, first, second):
        self.pair = (first, second)
        self.found = {case: [] for case in cases}

    def add(self, case, turn, measured):
        if len(measured) < 2:
            return
        values = [measured[one] for one in self.pair]
        self.found[case].append(values)
        print(f"round {turn + 1}: {case}: {values[0]:,} against {values[1]:,}", file=sys.stderr)

    def show(self, title):
        width = max(map(len, self.found)) + 2
        print(title)
        print(f"  {'':{width}}{self.pair[0].name:>14}{self.pair[1].name:>14}  ratio (lowest to highest)")
        for case, found in self.found.items():
            if found:
                medians = [statistics.median(column) for column in zip(*found)]
                ratios = [first / second for first, second in found]
                print(f"  {case:{width}}{medians[0]:>14,.0f}{medians[1]:>14,.0f}  {spread(ratios)}")
            else:
                print(f"  {case:{width}} no pair of good runs")


def compare_echo(options, load, server, limit):
    comparison = Comparison([case[0] for case in CASES], server, limit)
    for turn in range(options.rounds):
        for case, size, depth in CASES:
            measured = {}
            for one in order(turn, (server, limit)):
                found = load.run(
                    one, "echo", one.url("ws", "/echo"), options.seconds + options.warmup,
                    "--connections", options.connections, "--size", size, "--depth", depth,
                    "--seconds", options.seconds, "--warmup", options.warmup,
                )
                if found and found.get("messages_per_server_cpu_s"):
                    measured[one] = found["messages_per_server_cpu_s"]
            comparison.add(case, turn, measured)
    comparison.show(
        f"echo, {options.connections} connections: messages per CPU-second of the server, medians of {options.rounds} rounds")


def compare_fanout(options, load, server, limit):
    """The C loop writes each publication to each socket at once; the server may put several into one write."""
    comparison = Comparison([case[0] for case in FANS], server, limit)
    tails = {case[0]: {server: [], limit: []} for case in FANS}
    for turn in range(options.rounds):
        for case, watchers, tasks, flight, publications in FANS:
            measured = {}
            for one in order(turn, (server, limit)):
                found = load.run(
                    one, "fanout", one.url("http"), 0, "--subscribers", watchers, "--tasks", tasks, "--in-flight", flight,
                    "--publications", max(1, round(publications * options.seconds / 2)), *(["--raw"] if one is limit else []),
                )
                if found and found.get("deliveries_per_server_cpu_s"):
                    measured[one] = found["deliveries_per_server_cpu_s"]
                    tails[case][one].append((found["latency_p50_us"], found["latency_p99_us"]))
            comparison.add(case, turn, measured)
    comparison.show(
        f"fan-out, 300 B a publication: deliveries per CPU-second of the server, medians of {options.rounds} rounds")
    print("  p50 and p99 of the time from a publication to a delivery, in milliseconds")
    for case, found in tails.items():
        times = [
            "  ".join(f"{statistics.median(column) / 1000:8,.1f}" for column in zip(*found[one])) if found[one] else "none"
            for one in (server, limit)
        ]
        print(f"  {case:34}{server.name}: {times[0]}    {limit.name}: {times[1]}")


def compare_monitor(options, load, server):
    """Events to Socket.IO clients against publications to plain WebSockets that watch one task, on the same server."""
    rows = {case[0]: [] for case in MONITORS}
    ratios = {case[0]: [] for case in MONITORS}

    def events(watchers, polling, flight, count):
        return load.run(
            server, "monitor", server.url("http"), 0, "--subscribers", watchers, "--polling", polling, "--in-flight", flight,
            "--publications", count, "--bytes", MONITOR_BYTES,
        )

    def publications(watchers, flight, count):
        return load.run(
            server, "fanout", server.url("http"), 0, "--subscribers", watchers, "--in-flight", flight, "--publications", count,
            "--bytes", MONITOR_BYTES,
        )

    for turn in range(options.rounds):
        for case, watchers, polling, flight, count in MONITORS:
            count = max(1, round(count * options.seconds / 2))
            runs = [lambda: events(watchers, polling, flight, count)]
            if watchers and not polling:
                runs.append(lambda: publications(watchers, flight, count))
            found = {}
            for run in order(turn, runs):
                one = run()
                if one and one.get("deliveries_per_server_cpu_s"):
                    found[one["command"]] = one
            if "monitor" in found:
                rows[case].append(found["monitor"])
            if len(found) == 2:
                rate, plain = (found[name]["deliveries_per_server_cpu_s"] for name in ("monitor", "fanout"))
                ratios[case].append((rate, plain))
                print(f"round {turn + 1}: {case}: {rate:,} against {plain:,}", file=sys.stderr)

    def middle(case, name):
        return statistics.median(row[name] for row in rows[case])

    print(f"monitor, {MONITOR_BYTES} B an event: medians of {options.rounds} rounds, figures per CPU-second of the server")
    for case in rows:
        if not rows[case]:
            print(f"  {case:36} no good run")
            continue
        print(
            f"  {case:36}{middle(case, 'deliveries_per_server_cpu_s'):>12,.0f} deliveries,"
            f" p50 {middle(case, 'latency_p50_us') / 1000:,.1f} ms, p99 {middle(case, 'latency_p99_us') / 1000:,.1f} ms,"
            f" {max(row['encodings_per_event'] for row in rows[case]):.2f} encodings an event"
        )
        if "requests_per_server_cpu_s" in rows[case][0]:
            print(f"  {'':36}{middle(case, 'requests_per_server_cpu_s'):>12,.0f} requests")
        if ratios[case]:
            plain = statistics.median(pair[1] for pair in ratios[case])
            print(f"  {'':36}{plain:>12,.0f} deliveries to plain WebSockets; ratio {spread([a / b for a, b in ratios[case]])}")


def measure_clients(binary):
    for role in IDLE_ROLES:
        for count in IDLE_CLIENTS:
            done = subprocess.run(
                [binary, "--connections", str(count), "--role", role], capture_output=True, text=True)
            print(done.stdout.strip() if done.returncode == 0 else f"clients, {role}: no good run")


def measure_dispatch(options, load, server):
    for name, flags in (("result in the response", []), ("submitted, then asked for", ["--async"])):
        rates, medians, tails = [], [], []
        for _ in range(options.rounds):
            found = load.run(
                server, "dispatch", server.url("http"), options.seconds + options.warmup,
                "--seconds", options.seconds, "--warmup", options.warmup, *flags,
            )
            if found and found.get("tasks"):
                rates.append(found["tasks_per_server_cpu_s"])
                medians.append(found["latency_p50_us"])
                tails.append(found["latency_p99_us"])
        if rates:
            print(
                f"dispatch, 64 clients, 16 workers, {name}: {statistics.median(rates):,.0f} tasks per CPU-second of the server"
                f" ({min(rates):,.0f} to {max(rates):,.0f}); p50 {statistics.median(medians):,.0f} µs,"
                f" p99 {statistics.median(tails):,.0f} µs"
            )
        else:
            print(f"dispatch, {name}: no good run")


def compare_submit(options, load, without, stored):
    case = "tasks acknowledged"
    comparison = Comparison([case], stored, without)
    rates = {without: [], stored: []}
    for turn in range(options.rounds):
        measured = {}
        for one in order(turn, (stored, without)):
            found = load.run(
                one, "submit", one.url("http"), options.seconds + options.warmup, "--connections", 64,
                "--seconds", options.seconds, "--warmup", options.warmup,
            )
            if found and found.get("submits_per_server_cpu_s"):
                measured[one] = found["submits_per_server_cpu_s"]
                rates[one].append([found[name] for name in ("submits_per_s", "latency_p50_us", "latency_p99_us")])
        comparison.add(case, turn, measured)
    comparison.show(f"submit, 64 connections: tasks per CPU-second of the server, medians of {options.rounds} rounds")
    for one in (stored, without):
        if rates[one]:
            rate, middle, tail = (statistics.median(column) for column in zip(*rates[one]))
            print(f"  {one.name}: {rate:,.0f} per second, p50 {middle:,.0f} µs, p99 {tail:,.0f} µs")


def measure_idle(options, load, servers):
    for server in servers:
        found = load.run(
            server, "idle", server.url("ws", "/echo"), options.hold, "--connections", options.idle, "--hold", options.hold,
        )
        if found and "rss_bytes_per_connection" in found:
            print(
                f"idle, {found['connections']:,} connections, {server.name}: {found['rss_bytes_per_connection']:,} bytes each resident,"
                f" {found['anonymous_bytes_per_connection']:,} of them anonymous; {found['handshakes_per_s']:,} handshakes per second"
            )
        else:
            print(f"idle, {server.name}: no good run")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--signalbox", required=True, help="the server's binary")
    parser.add_argument("--raw-echo", required=True, help="RawEcho's binary")
    parser.add_argument("--load", required=True, help="the load generator's binary")
    parser.add_argument("--idle-bench", help="IdleBench's binary, for the part clients; otherwise the one beside --load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="measured, of each run")
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections")
    parser.add_argument("--hold", type=float, default=3, help="seconds that they are held")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to run")
    parser.add_argument("--folder", help="where the servers keep what they keep; a temporary folder below it, which is removed")
    parser.add_argument(
        "--serve", default="serve --listen 127.0.0.1:0 --echo-path /echo --auth off", help="the server's arguments, without --data")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if options.rounds < 1 or not set(parts) <= set(PARTS):
        parser.error("--rounds is at least 1, and --parts names some of " + ", ".join(PARTS))
    load = Load(os.path.abspath(options.load))
    idle_bench = os.path.abspath(options.idle_bench or os.path.join(os.path.dirname(load.path), "idle-bench"))
    if "clients" in parts and not os.path.exists(idle_bench):
        print(f"clients: left out, there is no {idle_bench}", file=sys.stderr)
        parts.remove("clients")
    servers = []

    def start(name, binary, *arguments):
        servers.append(Server(name, [os.path.abspath(binary), *arguments], folder))
        return servers[-1]

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:  # where the server may keep what it keeps
        serve = shlex.split(options.serve)
        try:
            server = start("signalbox", options.signalbox, *serve, "--data", ":memory:")
            limit = start("raw C", options.raw_echo, "ws", "0") if {"echo", "idle"} & set(parts) else None
            if "echo" in parts:
                compare_echo(options, load, server, limit)
            if "dispatch" in parts:
                measure_dispatch(options, load, server)
            if "fanout" in parts:
                compare_fanout(options, load, server, start("raw C", options.raw_echo, "fan", "0"))
            if "submit" in parts:
                stored = start("with --data", options.signalbox, *serve, "--data", os.path.join(folder, "data"))
                server.name = "in memory"
                compare_submit(options, load, server, stored)
                server.name = "signalbox"
            if "monitor" in parts:
                compare_monitor(options, load, server)
            if "clients" in parts:
                measure_clients(idle_bench)
            if "idle" in parts:
                measure_idle(options, load, (server, limit))
        except Failure as failure:
            print(failure, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            for one in servers:
                one.end()
    return 1 if load.faults else 0


if __name__ == "__main__":
    sys.exit(main())
