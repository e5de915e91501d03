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


def compare_echo(options, load, server, limit):
    figures = {case: {server: [], limit: []} for case in CASES}
    ratios = {case: [] for case in CASES}
    for turn in range(options.rounds):
        for case in CASES:
            _, size, depth = case
            pair = {}
            # Who comes first changes from round to round, so that a mood that sets in favours neither.
            for one in (server, limit) if turn % 2 == 0 else (limit, server):
                found = load.run(
                    one, "echo", one.url("ws", "/echo"), options.seconds + options.warmup,
                    "--connections", options.connections, "--size", size, "--depth", depth,
                    "--seconds", options.seconds, "--warmup", options.warmup,
                )
                if found and found.get("messages_per_server_cpu_s"):
                    pair[one] = found["messages_per_server_cpu_s"]
                    figures[case][one].append(pair[one])
            if len(pair) == 2:
                ratios[case].append(pair[server] / pair[limit])
                print(f"round {turn + 1}: {case[0]}: {pair[server]:,} against {pair[limit]:,}", file=sys.stderr)
    print(f"echo, {options.connections} connections: messages per CPU-second of the server, medians of {options.rounds} rounds")
    print(f"  {'':22}{server.name:>14}{limit.name:>14}  ratio (lowest to highest)")
    for case in CASES:
        if ratios[case]:
            medians = [statistics.median(figures[case][one]) for one in (server, limit)]
            print(f"  {case[0]:22}{medians[0]:>14,.0f}{medians[1]:>14,.0f}  {spread(ratios[case])}")
        else:
            print(f"  {case[0]:22} no pair of good runs")


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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="measured, of each run")
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections")
    parser.add_argument("--hold", type=float, default=3, help="seconds that they are held")
    parser.add_argument("--parts", default="echo,dispatch,idle", help="which parts to run")
    parser.add_argument("--serve", default="serve --listen 127.0.0.1:0 --echo-path /echo", help="the server's arguments")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if options.rounds < 1 or not set(parts) <= {"echo", "dispatch", "idle"}:
        parser.error("--rounds is at least 1, and --parts names some of echo, dispatch, idle")
    load = Load(os.path.abspath(options.load))
    servers = []
    with tempfile.TemporaryDirectory() as folder:  # where the server may keep what it keeps
        try:
            server = Server("signalbox", [os.path.abspath(options.signalbox), *shlex.split(options.serve)], folder)
            servers.append(server)
            limit = Server("raw C", [os.path.abspath(options.raw_echo), "ws", "0"], folder)
            servers.append(limit)
            if "echo" in parts:
                compare_echo(options, load, server, limit)
            if "dispatch" in parts:
                measure_dispatch(options, load, server)
            if "idle" in parts:
                measure_idle(options, load, servers)
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
