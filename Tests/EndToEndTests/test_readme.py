"""The README: every example of it is run as it stands there, and the list of options is the program's own.

    python3 test_readme.py      writes that list into the README
"""
import json
import os
import re
import subprocess
import sys

import pytest

from servers import BINARY, ROOT

README = ROOT / "README.md"
EXAMPLE = re.compile(r"<!-- example: (?P<name>[^>]*) -->\n```bash\n(?P<script>.*?)```\n```(?P<kind>\w*)\n(?P<output>.*?)```", re.S)
OPTIONS = re.compile(r"(<!-- options: begin -->\n)(.*?)(<!-- options: end -->)", re.S)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def option_table():
    """The options as `--help` lists them, as a table."""
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    rows = re.findall(r"^  (--\S+(?: \S+)?(?: \.\.\.)?)  +(.*) \((\w+), default (.*)\)$", text, re.M)
    assert rows
    lines = ["| flag | variable | default | |", "|---|---|---|---|"]
    lines += [f"| `{flag}` | `{variable}` | {default} | {what} |" for flag, what, variable, default in rows]
    return "\n".join(lines) + "\n"


def examples():
    found = [pytest.param(match, id=match["name"]) for match in EXAMPLE.finditer(README.read_text())]
    assert len(found) == README.read_text().count("<!-- example:"), "an example without its script or its output"
    return found


@pytest.mark.parametrize("example", examples())
def test_example(server, tmp_path, example):
    from documents import python
    with python(ROOT / "Sources/Clients/examples/worker-python.py", server.url("/ws", "ws")) as worker:
        worker.says("connected as W")
        script = example["script"].replace("http://localhost:8000", server.url(""))
        # `signalbox` is the program, and finds the secret where the server keeps it.
        path = ":".join([os.path.dirname(BINARY), os.path.dirname(sys.executable), os.environ["PATH"]])
        variables = os.environ | {"PATH": path, "DATA": server.folder.name + "/data"}
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=30, cwd=tmp_path, env=variables)
    assert ran.returncode == 0, ran.stderr
    assert UUID.sub("ID", ran.stdout).strip() == UUID.sub("ID", example["output"]).strip()
    if example["kind"] == "json":
        json.loads(ran.stdout)


def test_options_are_listed():
    assert OPTIONS.search(README.read_text())[2] == option_table()


def test_local_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target


if __name__ == "__main__":
    README.write_text(OPTIONS.sub(lambda match: match[1] + option_table() + match[3], README.read_text()))
