"""The server under the soak: its process from one life to the next on the same port and folder, what it says of itself on /metrics, and
what the kernel says of it. Also the programs beside it that are told what to do by lines.
"""
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import processes

HERE = Path(__file__).resolve().parent
START_SECONDS = 30
STOP_SECONDS = 25
SAMPLE = re.compile(r"^signalbox_(\S+?)(\{[^}]*\})? (\S+)$", re.M)
HISTOGRAMS = ["task_wait_seconds", "task_duration_seconds", "turn_duration_seconds"]
# How long results are remembered bounds what memory must plateau at; the other times bound how long a quiet point takes.
SETTINGS = {
    "LEASE_MS": 3000, "RECOVERY_GRACE_MS": 4000, "ABANDONED_GRACE_MS": 3000, "RETRY_DELAY_MS": 200, "MAX_RETRY_DELAY_MS": 2000,
    "REQUEST_TIMEOUT_MS": 4000, "KEEP_ALIVE_TIMEOUT_MS": 10_000, "PING_INTERVAL_MS": 5000, "DRAIN_TIMEOUT_MS": 3000,
    "SESSION_RESUME_MS": 60_000, "SOCKETIO_RECOVERY_MS": 60_000, "SOCKETIO_PING_INTERVAL_MS": 2000, "SOCKETIO_PING_TIMEOUT_MS": 2000,
    "NVML_LIBRARY": "none", "MAX_QUEUED_BYTES": 32 << 20}


class Failure(Exception):
    """The soak itself cannot go on."""


def new_process():
    """Between fork and exec: ends with us, and does not hear the Ctrl-C that is ours."""
    processes.end_with_parent()
    os.setpgid(0, 0)


def reserve_port():
    """A port that stays the server's between two of its lives: while it is bound here, nobody is given it for a connection that he makes.
    It is not listened to, so the server may bind it as well."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


class Server:
    def __init__(self, binary, folder, secret, result_seconds, options):
        self.binary, self.folder, self.options = binary, folder, options
        self.holder = reserve_port()
        self.port = self.holder.getsockname()[1]
        self.settings = {name: str(value) for name, value in SETTINGS.items()} | {
            "JWT_SECRET": secret, "TASK_RESULT_TTL_MS": str(result_seconds * 1000), "HISTORY_TTL_MS": str(result_seconds * 2000)}
        self.process, self.lives, self.began = None, 0, 0.0

    @property
    def log(self):
        return self.folder / f"server-{self.lives}.log"

    @property
    def database(self):
        return sum(file.stat().st_size for file in (self.folder / "data").glob("signalbox.db*"))

    def start(self):
        self.lives += 1
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "MALLOC_ARENA_MAX")
                if name in os.environ}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.folder / "data"), *self.options],
                env=kept | self.settings, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                preexec_fn=new_process)
        self.began = time.monotonic()

    def is_listening(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended with {self.process.returncode}:\n" + self.tail())
        if time.monotonic() - self.began > START_SECONDS:
            raise Failure(f"the server does not listen after {START_SECONDS} s:\n" + self.tail())
        return "listening" in self.log.read_text(errors="replace")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def end(self, how):
        """Sends the signal and does not wait."""
        if self.process.poll() is None:
            self.process.send_signal(how)

    # What the kernel says

    def memory(self):
        """Resident bytes, and those of them that no file stands behind."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            text = status.read()
        return tuple(int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)[1]) << 10 for name in ("VmRSS", "RssAnon"))

    def descriptors(self):
        """All open descriptors, and those of them that are sockets."""
        kinds = []
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                kinds.append(os.readlink(f"/proc/{self.process.pid}/fd/{name}"))
            except FileNotFoundError:
                pass
        return len(kinds), sum(kind.startswith("socket:") for kind in kinds)

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def let_files_grow(self, may):
        """Whether its files may become larger than they are now."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        size = hard if may else max(file.stat().st_size for file in (self.folder / "data").iterdir())
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))


class Tool:
    """A program of this folder that is told what to do by lines and answers each by one."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-B", str(HERE / "vandal.py"), *(str(argument) for argument in arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1, preexec_fn=new_process)
        self.first = int(self.process.stdout.readline())

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()


class Crew:
    """The workers: processes that are killed, stopped, and started anew."""

    def __init__(self, count, groups, ports, folder, secret, random, lies):
        self.groups, self.ports, self.folder, self.secret, self.random, self.lies = groups, ports, folder, secret, random, lies
        self.journals, self.places = [], [None] * count
        self.stopped_until = {}
        self.started = self.died = 0

    def keep(self, now):
        """Starts those anew that are gone, lets those go on whose time has come."""
        for place, process in enumerate(self.places):
            if process is None or process.poll() is not None:
                self.died += process is not None
                self.places[place] = self.start(place)
        for pid, until in list(self.stopped_until.items()):
            if until <= now:
                self.go_on(pid)

    def start(self, place):
        self.started += 1
        journal = self.folder / f"worker-{self.started}.journal"
        self.journals.append(processes.Reading(journal))
        command = [sys.executable, "-B", str(HERE / "worker.py"), "--ports", *map(str, self.ports), "--group",
                   self.groups[place % len(self.groups)], "--journal", str(journal), "--secret", self.secret, "--seed",
                   str(self.random.randrange(1 << 32))]
        # Should one be killed before it has told them, another one does.
        command += ["--lies", *(self.lies if self.started <= 2 else [])]
        with open(self.folder / "workers.log", "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, preexec_fn=new_process)

    def living(self):
        return [process for process in self.places if process and process.poll() is None]

    def kill_one(self):
        if living := self.living():
            self.random.choice(living).kill()

    def stop_one(self, until):
        if waiting := [process for process in self.living() if process.pid not in self.stopped_until]:
            process = self.random.choice(waiting)
            process.send_signal(signal.SIGSTOP)
            self.stopped_until[process.pid] = until

    def go_on(self, pid):
        del self.stopped_until[pid]
        for process in self.living():
            if process.pid == pid:
                process.send_signal(signal.SIGCONT)

    def close(self):
        for process in self.living():
            process.kill()
        for process in self.places:
            if process:
                process.wait()


def parse(page):
    """The samples of a metrics page, by name and labels."""
    return {name + (labels or ""): float(value) for name, labels, value in SAMPLE.findall(page.decode())}


def ended(page):
    return {state: page[f'tasks_ended_total{{state="{state}"}}'] for state in ("completed", "failed", "cancelled")}


def disagreements(page):
    """What of one page does not agree with the rest of it: a page is written in one turn, so this holds at any time."""
    found = []

    def require(left, relation, right, words):
        if not (left == right if relation == "=" else left <= right):
            found.append(f"{words}: {left:.0f} {relation} {right:.0f} does not hold")

    over = ended(page)
    here = page['tasks{state="queued"}'] + page['tasks{state="executing"}'] + page["tasks_reported"]
    require(page["tasks_submitted_total"] + page["tasks_registered_total"] + page["tasks_restored_total"], "=",
            sum(over.values()) + here, "submitted + registered + restored = ended + queued + executing + reported")
    require(page["task_duration_seconds_count"], "<=", sum(over.values()), "durations <= ended")
    require(sum(over.values()) - page["task_duration_seconds_count"], "<=", page["tasks_registered_total"] + page["tasks_restored_total"],
            "ended without a duration <= reported ones")
    require(page["tasks_reported"], "<=", page["tasks_registered_total"] + page["tasks_restored_total"], "reported <= registered")
    require(page["connections"], "<=", page["connections_opened_total"], "open connections <= opened ones")
    require(page["websockets"], "<=", page["connections"], "WebSockets <= connections")
    require(page["hub_clients"] + page["workers"], "<=", page["websockets"], "hub clients + workers <= WebSockets")
    responses = sum(value for name, value in page.items() if name.startswith("http_responses_total"))
    require(responses + page["websockets_opened_total"], "<=",
            page["http_requests_total"] + page["http_requests_malformed_total"] + page["http_requests_timed_out_total"],
            "responses + upgrades <= requests")
    require(page["dead_letters_replayed_total"], "<=", page["tasks_submitted_total"], "replays <= submitted")
    for name in HISTOGRAMS:
        buckets = [value for label, value in page.items() if label.startswith(name + "_bucket")]
        require(buckets[-1], "=", page[name + "_count"], f"last bucket of {name} = its count")
        if buckets != sorted(buckets):
            found.append(f"buckets of {name} that fall")
    if negative := [name for name, value in page.items() if value < 0 or value > 1 << 62]:
        found.append(f"negative figures: {negative}")
    if page["records_lost_total"]:
        found.append(f"{page['records_lost_total']:.0f} records lost")
    return found


def fallen(before, after):
    """Counters that fell within one life."""
    return [f"{name} fell from {before[name]:.0f} to {after[name]:.0f}" for name in before
            if name.partition("{")[0].endswith(("_total", "_count", "_bucket")) and after.get(name, 0) < before[name]]
