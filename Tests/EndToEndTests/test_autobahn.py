"""The Autobahn conformance suite against the echo endpoint, in its quick form. Nothing may fail.

It runs by the project's scripts where they are found (AUTOBAHN_DIR, or beside the repository), else by `wstest`, else by docker. Where
there is none of these, conftest.py leaves this file out and says so in the head of the report. AB_HOME keeps what the scripts install.
"""
import json
import os
import subprocess

import pytest

from conftest import autobahn_runner, autobahn_scripts
from servers import ROOT

LIMIT = 900  # seconds for the whole suite
IMAGE = "crossbario/autobahn-testsuite:25.10.1"


@pytest.mark.autobahn
def test_conformance(deflating_echo, tmp_path):
    url = deflating_echo.url("/echo", "ws")
    if autobahn_runner() == "scripts":
        scripts = autobahn_scripts()
        home = os.environ.get("AB_HOME") or str(ROOT / ".build/autobahn")
        if not os.path.isdir(os.path.join(home, "lib")):
            subprocess.run([str(scripts / "setup.sh"), home], check=True, timeout=LIMIT)
        variables = os.environ | {"AB_HOME": home, "AB_MESSAGES": os.environ.get("AB_MESSAGES", "20")}
        command = [str(scripts / "run.sh"), url, str(tmp_path)]
    else:
        cases = {"outdir": str(tmp_path), "servers": [{"agent": "server", "url": url}], "cases": ["*"], "exclude-agent-cases": {},
                 "exclude-cases": ["9.*", "12.*", "13.*"]}
        (tmp_path / "spec.json").write_text(json.dumps(cases))
        variables = dict(os.environ)
        command = ["wstest", "-m", "fuzzingclient", "-s", str(tmp_path / "spec.json")]
        if autobahn_runner() == "docker":
            command = ["docker", "run", "--rm", "--network", "host", "-v", f"{tmp_path}:{tmp_path}", IMAGE, *command]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=LIMIT)
    print(result.stdout[-5000:])
    cases = json.loads((tmp_path / "index.json").read_text())["server"]
    verdicts = {name: (case["behavior"], case["behaviorClose"]) for name, case in cases.items()}
    assert len(verdicts) >= 247
    good = ("OK", "NON-STRICT", "INFORMATIONAL")
    assert {name: verdict for name, verdict in verdicts.items() if not set(verdict) <= set(good)} == {}
