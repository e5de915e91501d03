"""The soak itself, for some seconds: that it would find what is wrong. Whether anything is, minutes of `make soak` tell."""
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


def test_what_is_wrong_is_found(tmp_path):
    code, said = soak("--seconds", "12", "--seed", "6", "--folder", str(tmp_path), "--lies", *FOUND)
    assert code == 1, said
    for lie, kind in FOUND.items():
        assert re.search(rf" s  ({kind}): ", said), (lie, said)
