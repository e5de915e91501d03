"""As many real sockets as the machine gives, both ends here: pairs of a server and a load generator, as many sockets each as a process may
have, are added until something stops them; then a worker tells all watchers of every server at once, again and again.

What one process may hold is no limit of the machine's: behind SO_REUSEPORT, or a balancer, many make one service.
"""

import collections
import json
import os
import resource
import subprocess
import sys
import threading

import machine
from inprocess import Part
from process import Failure

# Descriptors of a process that are no watchers': a worker, a client, epoll, files.
RESERVED = 200
# The kernel's memory for both ends of a socket, and ours: below this much that is left nothing more is opened.
BYTES_LEFT = 1 << 30
OPEN_SECONDS = 240
RUN_SECONDS = 600


class Pair:
    """A server, and the watchers that a load generator holds on it."""

    def __init__(self, server, binary, watchers, options):
        self.server = server
        command = [binary, "fanout", "--url", server.url("http"), "--pid", str(server.pids[0]), "--json", "--gate"]
        command += ["--subscribers", str(watchers), *map(str, options)]
        self.watchers = watchers
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def opened(self):
        """None when all watchers are there, otherwise what stopped them."""
        timer = threading.Timer(OPEN_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if line.strip() == "ready":
            return None
        return self.process.stderr.read().strip() or "the load generator ended"

    def start(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self):
        try:
            out, words = self.process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()
            return None, "it did not end"
        try:
            return json.loads(out), words.strip() if self.process.returncode else ""
        except ValueError:
            return None, words.strip()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.server.end()


def memory():
    """What the kernel keeps of its own: sockets, their files, what waits in them."""
    return {name: int(machine.first("/proc/meminfo", name, "0 kB").split()[0]) * 1024 for name in ("MemAvailable", "Slab")}


def tracked():
    """Connections that are tracked, and how many may be; nothing where nothing is."""
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_count") as now, open("/proc/sys/net/netfilter/nf_conntrack_max") as most:
            return f"; {int(now.read()):,} connections tracked of {int(most.read()):,}"
    except (OSError, ValueError):
        return ""


def run(peers, load, settings):
    watchers = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] - RESERVED, settings.sockets)
    pairs, before, why = [], memory(), None
    options = ["--in-flight", 1, "--publications", settings.publications]
    try:
        while why is None:
            opened = sum(pair.watchers for pair in pairs)
            if opened >= settings.sockets:
                why = f"{settings.sockets:,} were asked for"
            elif memory()["MemAvailable"] < BYTES_LEFT:
                why = "less than 1 GiB of memory was left"
            else:
                why = add(pairs, peers, load, min(watchers, settings.sockets - opened), options)
                print(f"crowd: {sum(pair.watchers for pair in pairs):,} watchers", file=sys.stderr, flush=True)
        return tell(pairs, before, why)
    finally:
        for pair in pairs:
            pair.end()


def add(pairs, peers, load, watchers, options):
    """One pair more; what stopped it, None for nothing."""
    try:
        pair = Pair(peers.signalbox("crowd"), os.path.abspath(load.binary), watchers, options)
    except (Failure, OSError) as failure:
        return str(failure)
    why = pair.opened()
    if why is None:
        pairs.append(pair)
        return None
    pair.end()
    return why


def tell(pairs, before, why):
    sockets = sum(pair.watchers for pair in pairs)
    if not sockets:
        return Part("As many sockets as there are", f"crowd: none: {why}", f"None: {why}.", 1)
    after = memory()
    about = tracked()
    kernel = (after["Slab"] - before["Slab"]) / sockets
    for pair in pairs:
        pair.start()
    results = [pair.result() for pair in pairs]
    good = [figures for figures, words in results if figures and not words]
    faults = len(results) - len(good)
    text = (
        f"{sockets:,} watchers, each on a socket of its own and its other end here too, on {len(pairs)} servers. What stopped it:"
        f" {why}{about}. The kernel's slabs grew by {kernel:,.0f} bytes a watcher, both ends together. Nobody is pinged meanwhile."
    )
    if good:
        deliveries = sum(one["deliveries"] for one in good)
        seconds = max(one["measured_s"] for one in good)
        spent = sum(one["server_cpu_s"] for one in good)
        tails = [one["latency_p99_us"] / 1000 for one in good]
        text += (
            f" Told one publication after the other, all servers at once: {deliveries / seconds:,.0f} deliveries a second on this"
            f" machine, {deliveries / spent:,.0f} per CPU-second of the servers; p99 of the time from a publication to a delivery"
            f" {sorted(tails)[len(tails) // 2]:,.0f} ms, in the worst server {max(tails):,.0f} ms."
        )
    troubles = collections.Counter(words.splitlines()[0] for _, words in results if words)
    for words, count in troubles.most_common():
        text += f" On {count} of the servers something went wrong: {words}."
    return Part("As many sockets as there are", text, text, faults)
