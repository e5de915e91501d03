"""The soak itself, for some seconds: that it runs and finds nothing, and that it would find something."""
import re
import subprocess
import sys

from servers import BINARY, ROOT

# What must be found where a part of the soak lies; `leak` needs minutes, and `descriptor` a patience of its own.
FOUND = {
    "wrong-result": "wrong result", "lost-result": "a confirmed result is lost|two results", "old-lease": "a lease given twice",
    "lost-event": "lost event", "changed-result": "two results", "ghost-task": "lost", "ghost-report": "a lost report",
    "ghost-note": "a lost note", "counter": "counters"}


def soak(*arguments):
    """Runs it; it ends by itself. Returns its exit code and what it said."""
    ran = subprocess.run([sys.executable, "-B", str(ROOT / "Benchmarks/soak.py"), "--server", BINARY, *arguments],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return ran.returncode, ran.stdout


def test_some_seconds_of_trouble(tmp_path):
    """Workers are killed, connections cut, the server is ended more than once: nothing is lost."""
    code, said = soak("--seconds", "12", "--faults", "1.5", "--seed", "5", "--folder", str(tmp_path))
    assert code == 0 and said.endswith("OK\n"), said
    counts = dict(re.findall(r"^  (\S.*?)  +([\d,]+)$", said, re.M))
    for name in ("ended: completed", "sync answers 200", "watchers cut by themselves", "reports confirmed", "notes heard", "workers killed"):
        assert counts.get(name, "0") != "0", (name, said)
    assert sum(int(count) for name, count in counts.items() if name.startswith("server ended by")) >= 2, said


def test_what_is_wrong_is_found(tmp_path):
    code, said = soak("--seconds", "12", "--seed", "6", "--folder", str(tmp_path), "--lies", *FOUND)
    assert code == 1, said
    for lie, kind in FOUND.items():
        assert re.search(rf" s  ({kind}): ", said), (lie, said)
