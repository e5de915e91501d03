"""Compares Signalbox with its peers, and all of them with the limit of the machine, on this machine's loopback.

All servers of a case are loaded in turn, in several rounds, by the same load generator. The figure is work per CPU-second of the server,
which does not depend on who was the bottleneck, and the wall rate beside it. Not a test: nothing here fails because a figure is low, only
because an answer was wrong.
"""

import argparse
import os
import sys
import tempfile

import crowd
import figures
import inprocess
import machine
import report
import rounds
from families import families
from figures import RESULTS
from load import Load
from peers import Peers
from process import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# Parts that are no comparisons of servers.
OTHERS = {"inprocess": False, "million": True, "crowd": True}


def arguments():
    parser = argparse.ArgumentParser(prog="compare", description=__doc__.split("\n")[0])
    built = os.path.join(ROOT, ".build", "release")
    parser.add_argument("--signalbox", default=os.path.join(built, "signalbox"), help="the server's binary")
    parser.add_argument("--raw-echo", default=os.path.join(built, "raw-echo"), help="the C loop's binary")
    parser.add_argument("--load", default=os.path.join(built, "load-generator"), help="the load generator's binary")
    parser.add_argument("--in-process", default=os.path.join(built, "in-process"), help="the binary of what needs no sockets")
    parser.add_argument("--built", default=os.path.join(ROOT, ".build", "peers"), help="where setup.sh put the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="measured, of each run")
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections")
    parser.add_argument("--clients", type=int, default=1_000_000, help="connections in process")
    parser.add_argument("--sockets", type=int, default=2_000_000, help="sockets of the crowd, at most")
    parser.add_argument("--publications", type=int, default=10, help="that the crowd is told")
    parser.add_argument("--parts", help="families, with commas between them")
    parser.add_argument("--peers", help="only these servers, with commas between them")
    parser.add_argument("--all", action="store_true", help="every case, not only the quick ones")
    parser.add_argument("--big", action="store_true", help="the families that take a whole machine")
    parser.add_argument("--record", action="store_true", help="write what was found into RESULTS.md, and from there into the README")
    parser.add_argument("--results", default=RESULTS, help="another file than RESULTS.md")
    parser.add_argument("--list", action="store_true", help="say what there is")
    return parser


def chosen(settings, found):
    """The names of what is to be run, in their order."""
    names = [family.name for family in found] + list(OTHERS)
    big = {family.name: family.big for family in found} | OTHERS
    if settings.parts is None:
        return [name for name in names if big[name] == settings.big]
    wanted = settings.parts.split(",")
    unknown = set(wanted) - set(names)
    if unknown:
        raise Failure(f"there is no {', '.join(sorted(unknown))}: --parts names some of {', '.join(names)}")
    return [name for name in names if name in wanted]


def cases(family, settings):
    """The cases that are to be run, with the entries that are."""
    found = [case for case in family.cases if settings.all or family.big or case.quick]
    if not found and settings.parts is not None:
        found = family.cases
    if settings.peers is not None:
        wanted = settings.peers.split(",")
        for case in found:
            case.entries = [entry for entry in case.entries if entry.peer in wanted]
    return [case for case in found if case.entries]


def perform(names, found, settings, folder):
    """Runs the parts; how many runs went wrong."""
    load = Load(os.path.abspath(settings.load))
    peers = Peers(settings.signalbox, settings.raw_echo, settings.built, folder)
    busy = machine.load_average()
    try:
        for family in found:
            wanted = cases(family, settings)
            if family.name not in names or not wanted:
                continue
            findings = rounds.run(family, wanted, peers, load, settings)
            print(report.text(findings) + "\n", flush=True)
            if settings.record:
                report.record_family(settings.results, findings, settings)
        for name in names:
            if name in OTHERS:
                part = crowd.run(peers, load, settings) if name == "crowd" else inprocess.run(name, settings)
                print(part.text + "\n", flush=True)
                load.faults += part.faults
                if settings.record:
                    report.record(settings.results, name, part.markdown, part.title)
    finally:
        peers.end()
    for (peer, part), why in sorted(peers.missing.items()):
        print(f"skipped: {peer} ({part}): {why}")
    if settings.record:
        words = (
            f"{machine.describe(ROOT)} Client and server share the processors. Load average {busy} before the last call that wrote here,"
            f" {machine.load_average()} after it."
        )
        report.record(settings.results, "machine", words, "The machine")
        if os.path.abspath(settings.results) == RESULTS:
            figures.write()
    return load.faults


def main():
    parser = arguments()
    settings = parser.parse_args()
    if settings.rounds < 1:
        parser.error("--rounds is at least 1")
    try:
        found = families(settings)
        names = chosen(settings, found)
        if settings.list:
            for family in found:
                print(f"{family.name:18}{family.title}: " + "; ".join(case.name for case in family.cases))
            print("\n".join(OTHERS))
            return 0
        with tempfile.TemporaryDirectory() as folder:
            return 1 if perform(names, found, settings, folder) else 0
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
