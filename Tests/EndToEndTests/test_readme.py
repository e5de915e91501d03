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
UNIT = re.compile(r"```ini\n# (?P<name>\S+)\n(?P<text>.*?)```", re.S)
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
    # The worker that the text before the example has started.
    words = ["worker-openai.py", "openai"] if example["name"] == "OpenAI clients" else ["worker-python.py"]
    with python(ROOT / "Sources/Clients/examples" / words[0], server.url("/ws", "ws"), *words[1:]) as worker:
        worker.says("connected as W")
        script = example["script"].replace("localhost:8000", server.address)
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


@pytest.mark.parametrize("command", ["worker", "top"])
def test_options_of_commands_are_listed(command):
    text = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    options = re.findall(r"^  (--\S+(?: [A-Z]\S*)?) {2,}(.*?)(?: \((?:([A-Z_]+), )?default (.*)\))?$", text, re.M)
    assert options
    section = README.read_text().split(f"`signalbox {command}`", 1)[1]
    for flag, what, variable, default in options:
        variable = f"`{variable}` " if variable else ""
        row = re.search(rf"^\| `{re.escape(flag)}` \| {re.escape(variable)}\| (.*?) \| .*\|$", section, re.M)
        assert row and row[1] == (default or "off"), flag


def units():
    """The units of systemd, each as a list of sections, names and values; a name may stand several times."""
    found = {}
    for match in UNIT.finditer(README.read_text()):
        section, lines = None, []
        for line in match["text"].splitlines():
            if heading := re.fullmatch(r"\[(Unit|Service|Socket|Install)\]", line):
                section = heading[1]
            elif line:
                name, value = re.fullmatch(r"([A-Z][A-Za-z]+)=(.*)", line).groups()
                lines.append((section, name, value))
        found[match["name"]] = lines
    return found


def test_units_name_what_there_is():
    service, sockets = units()["signalbox.service"], units()["signalbox.socket"]
    settings = {name: value for section, name, value in service if section == "Service"}
    program, *words = settings["ExecStart"].split()
    assert os.path.basename(program) == "signalbox" and words.pop(0) == "serve"
    flags = [word for word in words if word.startswith("--")]
    assert flags and all(f"| `{flag}" in option_table() for flag in flags)
    # What the server does, and waits for.
    assert settings["Type"] == "notify" and settings["ExecReload"] == "/bin/kill -HUP $MAINPID" and int(settings["WatchdogSec"]) > 0
    standard = {name: int(value) for name, value in re.findall(r"`--(drain-\S+) MS` \| `\w+` \| (\d+)", option_table())}
    assert int(settings["TimeoutStopSec"]) * 1000 > sum(standard.values()) + 5000 and len(standard) == 2
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(settings["RestrictAddressFamilies"].split())
    assert ("Unit", "Requires", "signalbox.socket") in service
    assert [value for section, name, value in sockets if name == "ListenStream"] == ["127.0.0.1:8000"]


def test_local_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target


if __name__ == "__main__":
    README.write_text(OPTIONS.sub(lambda match: match[1] + option_table() + match[3], README.read_text()))
