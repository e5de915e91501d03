"""What the README tells who operates a server: every query is about figures that there are, and Prometheus gets them as it is told to."""
import re
import urllib.parse

import pytest
import yaml

from servers import Server, run
from streams import SECRET, bearer
from test_readme import README

YAML = re.compile(r"```yaml\n# (?P<name>\S+)\n(?P<text>.*?)```", re.S)
# Grafana's names of units.
UNITS = {"short", "ops", "reqps", "s", "bytes", "Bps", "percentunit"}
FUNCTIONS = {"rate", "increase", "sum", "histogram_quantile"}
WORDS = {"by", "and", "or"}
NAME = re.compile(r"\b(?:signalbox_\w+|up)\b(?:\{([^}]*)\})?")


def files():
    return {match["name"]: yaml.safe_load(match["text"]) for match in YAML.finditer(README.read_text())}


def panels():
    """Title, queries and unit of each panel."""
    rows = re.search(r"^\| panel \| PromQL \| unit \|\n\|---\|---\|---\|\n((?:\|.*\n)+)", README.read_text(), re.M)[1]
    found = []
    for row in rows.splitlines():
        title, queries, unit = re.fullmatch(r"\| (.*?) \| (`.*`) \| (\w+) \|", row).groups()
        found.append((title, re.findall(r"`([^`]*)`", queries), unit))
    return found


def rules():
    return [rule for group in files()["signalbox.rules.yml"]["groups"] for rule in group["rules"]]


QUERIES = [pytest.param(query, id=title) for title, queries, _ in panels() for query in queries]
QUERIES += [pytest.param(rule["expr"], id=rule["alert"]) for rule in rules()]


@pytest.fixture(scope="module")
def page():
    """The metrics as `name -> (kind, samples' labels)`, of a server that asks everybody for a token; fetched as Prometheus is told to."""
    server = Server(["--auth", "all"], {"JWT_SECRET": SECRET})
    job = files()["prometheus.yml"]["scrape_configs"][0]
    assert job["job_name"] == "signalbox" and job["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
    assert job["authorization"].keys() == {"credentials_file"}
    words = re.search(r"^(signalbox token .*) \| install .* (\S+)$", README.read_text(), re.M)
    assert words[2] == job["authorization"]["credentials_file"]
    token = run(*words[1].split()[1:], JWT_SECRET=SECRET).stdout.strip()
    path = urllib.parse.urljoin("/", job.get("metrics_path", "/metrics"))
    assert server.get(path).status == 401
    answer = server.request("GET", path, headers=bearer(token))
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    yield parse(answer.body.decode())
    assert server.stop() == 0


def parse(text):
    kinds, samples = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)), {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*?)\})? \S+$", text, re.M):
        family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        kind = "counter" if name != family else kinds[family]
        samples.setdefault(name, (kind, []))[1].append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return samples | {"up": ("gauge", [{"job": "signalbox"}])}


@pytest.mark.parametrize("query", QUERIES)
def test_query(page, query):
    names = [match for match in NAME.finditer(query)]
    assert names
    for match in names:
        name = re.match(r"\w+", match[0])[0]
        assert name in page, name
        kind, samples = page[name]
        # Only what grows is a rate, and what is at a moment is none.
        window = query[match.end():match.end() + 1] == "["
        assert window == (kind == "counter"), f"{name} is a {kind}"
        for label, operator, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', match[1] or ""):
            assert any(label in sample for sample in samples), f"{name} has no label {label}"
            assert operator != "=~" and any(sample[label] == value for sample in samples), f"{name} is never {label}={value}"
        for labels in re.findall(r"\bsum by \((\w+)\)", query):
            assert all(labels in sample for sample in samples), f"{name} has no label {labels}"
    if "histogram_quantile" in query:
        assert re.fullmatch(r"histogram_quantile\(0\.\d+, sum by \(le\) \(rate\(signalbox_\w+_bucket\[5m\]\)\)\)", query)
    rest = re.sub(r'"[^"]*"|\[\d+[mh]\]|\{[^}]*\}', "", query)
    assert rest.count("(") == rest.count(")") and rest.isascii()
    unknown = set(re.findall(r"[a-z_]+", NAME.sub("", rest))) - FUNCTIONS - WORDS
    assert unknown <= {"state", "reason", "class", "limit", "le"}, unknown


def test_panels():
    titles = [title for title, _, _ in panels()]
    assert len(titles) > 15 and len(titles) == len(set(titles))
    for title, queries, unit in panels():
        assert unit in UNITS and queries, title
        whole = " ".join(queries)
        assert (unit == "s") == ("histogram_quantile" in whole), title
        if unit == "bytes":
            assert all(query.endswith("_bytes") for query in queries), title


def test_rules():
    assert files()["prometheus.yml"]["rule_files"] == ["signalbox.rules.yml"]
    names = [rule["alert"] for rule in rules()]
    assert len(names) > 3 and len(names) == len(set(names))
    for rule in rules():
        assert rule.keys() <= {"alert", "expr", "for"} and re.search(r"[<>=] ?\d", rule["expr"] + " ") or " > " in rule["expr"], rule


def test_limits_of_the_page_are_those_of_the_table(page):
    """Each value of the label `limit` stands in the README's table of limits."""
    table = README.read_text().split("\n### Limits\n", 1)[1].split("\n## ", 1)[0]
    for sample in page["signalbox_limits_reached_total"][1]:
        assert f"`{sample['limit']}`" in table, sample
