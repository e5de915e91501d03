"""The README: every example of it is run as it stands there, its options are the program's own, its figures those of RESULTS.md, its units
such as systemd takes, and its links lead somewhere. What it says of operations is in test_readme_operations and test_readme_proxy.

    python3 test_readme.py      writes the tables of options and figures into the README
"""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from servers import BINARY, ROOT

sys.path.append(str(ROOT / "Benchmarks/compare"))
import figures  # noqa: E402

README = ROOT / "README.md"
RESULTS = ROOT / "Benchmarks/RESULTS.md"
EXAMPLE = re.compile(r"<!-- example: (?P<name>[^>]*) -->\n```bash\n(?P<script>.*?)```\n```(?P<kind>\w*)\n(?P<output>.*?)```", re.S)
UNIT = re.compile(r"```ini\n# (?P<name>\S+)\n(?P<text>.*?)```", re.S)
OPTIONS = re.compile(r"(<!-- options: begin -->\n)(.*?)(<!-- options: end -->)", re.S)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def option_table():
    """The options, as the program prints them for documents."""
    return subprocess.run([BINARY, "serve", "--help=markdown"], capture_output=True, text=True, timeout=30, check=True).stdout


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
    assert OPTIONS.search(README.read_text())[2] == option_table(), "make readme writes the table anew"


def test_both_lists_of_options_are_one():
    """What `--help` tells people is what the table has."""
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    rows = re.findall(r"^  (--\S+(?: \S+)?(?: \.\.\.)?)  +(.*) \((\w+), default (.*)\)$", text, re.M)
    table = [f"| `{flag}` | `{variable}` | {default} | {what} |" for flag, what, variable, default in rows]
    assert table and option_table().splitlines() == ["| flag | variable | default | |", "|---|---|---|---|", *table]


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
            if heading := re.fullmatch(r"\[(Unit|Service|Socket|Timer|Install)\]", line):
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


def test_systemd_takes_the_units(tmp_path):
    """systemd's own verdict, where it is installed; the program is the one that is tested, for the units' place is empty here."""
    for match in UNIT.finditer(README.read_text()):
        path = tmp_path / match["name"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(match["text"].replace("/usr/local/bin/signalbox", BINARY))
    assert {path.name for path in tmp_path.iterdir()} == {"signalbox.socket", "signalbox.service", "signalbox.socket.d"}
    if shutil.which("systemd-analyze"):
        command = ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("signalbox.s*[te]"))]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
        # It also looks at units of the system, which are no concern of ours.
        assert [line for line in told.stderr.splitlines() if "signalbox" in line] == [], told.stderr


def test_figures_are_those_of_the_results():
    results, text = RESULTS.read_text(), README.read_text()
    for name, table in (("performance", figures.performance(results)), ("capacity", figures.capacity(results))):
        assert f"<!-- {name}: begin -->\n{table}\n<!-- {name}: end -->" in text, f"{name}: make readme writes it anew"
        assert table.count("\n") > 5, f"RESULTS.md has hardly a figure for {name}"
    # Whatever makes the tables: a figure under the heading stands in the results, as it is.
    section = text[text.index("\n## Performance\n"):text.index("\n## Architecture\n")]
    found = re.findall(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+\.\d+)(?![\w,])", section)
    assert len(found) > 20
    assert [figure for figure in found if figure not in results] == []


def test_a_figure_is_of_its_own_case():
    """One case's name may begin as another's does."""
    text = "| | | tasks |\n|---|---|---|\n| a | **Signalbox** | 1 (1–1) |\n|  | Redis | 2 |\n| a, b | **Signalbox** | 3 |\n"
    assert figures.figures(text, "a", "tasks")[0] == [("Signalbox", "1"), ("Redis", "2")]


def test_figures_of_other_results(tmp_path):
    """What was not measured is left out, and what was measured anew is taken over with the rest of the page as it was."""
    results = tmp_path / "RESULTS.md"
    results.write_text(RESULTS.read_text().replace("<!-- echo: begin -->", "<!-- echoes: begin -->"))
    assert "--parts echo`" not in figures.performance(results.read_text()) and "--parts tls`" in figures.performance(results.read_text())
    ours = re.search(r"\| \*\*Signalbox\*\* \| ([\d,]+) ", figures.section(RESULTS.read_text(), "handshakes")[1])[1]
    results.write_text(RESULTS.read_text().replace(ours, "77,777,777"))
    page = tmp_path / "README.md"
    page.write_text(README.read_text())
    figures.write(str(page), str(results))
    old, new = README.read_text().splitlines(), page.read_text().splitlines()
    changed = [line for line, other in zip(new, old, strict=True) if line != other]
    assert len(changed) == 1 and "77,777,777" in changed[0]


def test_local_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target


def anchors(path):
    """What the headings of a page can be reached by."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.S), re.M)
    return {figures.link(heading).split("#")[1] for heading in headings}


def test_anchors_are_headings():
    for path, anchor in re.findall(r"\]\(((?!http)[^)#]*)#([^)]+)\)", README.read_text()):
        assert anchor in anchors(ROOT / path if path else README), f"{path}#{anchor}"


def test_commands_are_there():
    """Targets of make, commands of the program, scripts, and every flag that is named anywhere."""
    text = README.read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`make ([a-z][\w-]*)|^make ([a-z][\w-]*)", text, re.M))
    assert len(targets) > 10
    for target in {first or second for first, second in targets}:
        assert re.search(rf"^(?:[\w-]+ )*{target}(?: [\w-]+)*:", makefile, re.M), target
    for script in re.findall(r"^\.build/venv/bin/python (\S+)", text, re.M) + re.findall(r"`(Benchmarks/\w+\.py)`", text):
        assert (ROOT / script).exists(), script
    helps = [subprocess.run([BINARY, *words, "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
             for words in ([], ["token"], ["worker"], ["top"], ["backup"])]
    for command in set(re.findall(r"(?:^|`|\()signalbox ([a-z]+)\b", text, re.M)):
        assert f"signalbox {command}" in helps[0] or command == "serve", command
    told = "\n".join([*helps, makefile, *(path.read_text() for path in (ROOT / "Benchmarks").rglob("*.py"))])
    others = {"--unix-socket", "--now"}  # curl's, systemctl's
    assert [flag for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) - others if flag not in told] == []


def test_the_architecture_is_the_one_there_is():
    """The floors of the table, in the order of the plan that every import is held against, and names that stand in the sources."""
    section = README.read_text().split("\n## Architecture\n", 1)[1].split("\n## ", 1)[0]
    plan = re.findall(r'^        Floor\(\s*"(\w+)"', (ROOT / "Tests/TidyTests/LayeringTests.swift").read_text(), re.M)
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.M)
    floors = [name for row in rows for name in re.findall(r"\w+", row)]
    assert set(floors) == {name for name in plan if not re.match("C[A-Z]", name)} and len(floors) == len(set(floors))
    for name in floors:
        assert (ROOT / "Sources" / name).is_dir(), name
    sources = "\n".join(path.read_text() for path in (ROOT / "Sources").rglob("*.swift"))
    broker = "\n".join(path.read_text() for path in (ROOT / "Sources/Domain/Broker").glob("*.swift"))
    names = set(re.findall(r"`([\w.]+)(?:\(\w+:\))?`", section)) - set(floors)
    assert len(names) > 15
    missing = []
    for name in names:
        if owner := re.fullmatch(r"Broker\.(\w+)", name):
            found = f"func {owner[1]}(" in broker
        elif name.startswith("."):
            found = re.search(rf"\bcase {name[1:]}\b", sources)
        elif name[0].isupper():
            found = re.search(rf"\b(?:class|struct|enum|protocol) {name}\b", sources)
        else:
            found = name in sources
        missing += [] if found else [name]
    assert missing == []


def test_the_first_screens():
    """What somebody sees who stays for a minute."""
    first = "\n".join(README.read_text().splitlines()[:100])
    for part in ("make run", "make test", "<!-- example: first task -->", "dashboard.png", "| **Signalbox** |"):
        assert part in first, part


if __name__ == "__main__":
    README.write_text(OPTIONS.sub(lambda match: match[1] + option_table() + match[3], README.read_text()))
    figures.write()
