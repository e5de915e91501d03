"""The load generator: one run of it, and the figures that it prints."""

import json
import subprocess
import sys

# What a run may take beyond its own seconds: opening the connections, the drain, a slow machine.
SPARE_SECONDS = 90


class Load:
    """Runs the load generator and keeps count of what went wrong."""

    def __init__(self, binary):
        self.binary = binary
        self.faults = 0

    def run(self, server, command, url, seconds, options):
        """The figures of a run that went well, None otherwise."""
        line = [self.binary, command, "--url", url, "--pid", ",".join(map(str, server.pids)), "--json", *map(str, options)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            return self.fail(server, command, "did not end")
        if done.returncode != 0:
            return self.fail(server, command, f"{done.stderr.strip()} {done.stdout.strip()}")
        return json.loads(done.stdout)

    def fail(self, server, command, words):
        self.faults += 1
        print(f"! {server.name}: {command}: {words}", file=sys.stderr)
        return None
