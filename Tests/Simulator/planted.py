#!/usr/bin/env python3
"""Bugs that are planted on purpose, one by one, into a copy of the server below .build, to see that the simulator finds each.

    python3 Tests/Simulator/planted.py            all of them
    python3 Tests/Simulator/planted.py NAME...    those

A bug is a piece of a source file's text, what stands there instead, and what that breaks. The run fails where a bug is not found, or where
its text is no longer in its file: then the list here is to be brought up to date.
"""
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".build" / "planted"
SEEDS_MAX = 400
SECONDS_MAX = 240

# name, file, text, planted text, what breaks
BUGS = [
    (
        "ack-before-commit", "Sources/Gateway/Recorder.swift",
        "guard lastNumber > settledNumber else { return true }\n        pledges",
        "guard lastNumber > settledNumber + 3 else { return true }\n        pledges",
        "what was confirmed is lost with a crash",
    ),
    (
        "numbers-given-twice", "Sources/signalbox/Archive.swift",
        "        collect(from: server, at: now)\n        journal.flush()\n", "",
        "two processes tell different events under one number",
    ),
    (
        "requeue-loses-task", "Sources/Domain/Broker/Broker+Retries.swift",
        "        endPause(of: task)\n        group.line.prepend(task)\n", "        endPause(of: task)\n",
        "a task that paused before its next try is in no line",
    ),
    (
        "stale-lease", "Sources/Domain/Broker/Broker+Workers.swift",
        "let isPresent = lease.map { $0 == task.lease } ?? true", "let isPresent = lease != 0",
        "the late result of an earlier assignment counts",
    ),
    (
        "replay-twice", "Sources/Domain/Hub/History.swift",
        "let start = Int(sequence - (firstHeld - 1))", "let start = max(Int(sequence - (firstHeld - 1)) - 1, 0)",
        "who comes back is told again what it has",
    ),
    (
        "replay-skips", "Sources/Domain/Hub/History.swift",
        "let start = Int(sequence - (firstHeld - 1))", "let start = min(Int(sequence - (firstHeld - 1)) + 1, row.ring.count)",
        "who comes back misses an event",
    ),
    (
        "consume-off-by-one", "Sources/Base/Connections/WriteQueue.swift",
        "front.start += UInt32(left)", "front.start += UInt32(left > 7 ? left - 1 : left)",
        "a write that was taken in part goes on at the wrong byte",
    ),
    (
        "key-forgotten", "Sources/Domain/Tasks/TaskRecord.swift",
        "idempotencyKey = image.state == .cancelled && !image.isDetached ? nil : image.idempotencyKey",
        "idempotencyKey = image.state.isTerminal ? nil : image.idempotencyKey",
        "after a restart a key names another task",
    ),
    (
        "room-leaked", "Sources/Domain/Broker/Broker+Workers.swift",
        "if let index = worker.hands.firstIndex(where: { $0 === task }) { worker.hands.remove(at: index) }",
        "if let index = worker.hands.firstIndex(where: { $0 === task }), task.attempts < 2 { worker.hands.remove(at: index) }",
        "a task that was tried twice keeps its worker's room for ever",
    ),
    (
        "room-too-large", "Sources/Domain/Broker/WorkerPool.swift",
        "max(concurrency - hands.count - abandoned.count, 0)", "max(concurrency + 1 - hands.count - abandoned.count, 0)",
        "a worker is given one task too many",
    ),
    (
        "recovery-skips", "Sources/Gateway/SocketIO/MonitorService.swift",
        "missed += editions.filter { watcher.hears($0.bulletin) && watcher.was(there: $0.bulletin, since: offset) }",
        "missed += editions.filter { watcher.hears($0.bulletin) && watcher.was(there: $0.bulletin, since: offset) }.dropFirst()",
        "a recovered client of Socket.IO misses an event",
    ),
    (
        "full-disk-loses-end", "Sources/Gateway/Recorder.swift",
        "case .ended, .removed, .resumed, .letterKept,", "case .ended: lost += 1\n            case .removed, .resumed, .letterKept,",
        "the end of a task that the disk refused is not tried again",
    ),
    (
        "return-to-wrong-place", "Sources/Gateway/HubService+Return.swift",
        "if let seen = client.request.seen[parked.task], parked.epoch != 0 {",
        "if let seen = client.request.seen[parked.task], parked.epoch == .max {",
        "a client of the hub that says what it has is told what the server believes it to have",
    ),
    (
        "watcher-left-behind", "Sources/Gateway/TaskWatchService.swift",
        "        context.broker.hub.leave(subscriber)\n        watcher.subscriber = nil\n", "        watcher.subscriber = nil\n",
        "who has gone listens for ever",
    ),
    (
        "fold-loses-end", "Sources/Storage/FoldedGroup.swift",
        "if case .submitted = lives[life].origin { return draw(life, ending.sequence) { $0.ending = place } }",
        "if case .submitted = lives[life].origin { return }",
        "a task that begins and ends within one transaction is written as one that lives",
    ),
    (
        "gap-too-small", "Sources/Gateway/Backlog.swift",
        "        gap.last = next.last\n", "",
        "logs that were left out are missing without a word",
    ),
    (
        "unanswered-on-full-disk", "Sources/Gateway/EffectPerformer.swift",
        "guard task.isRecorded, !context.recorder.isFailing else { return answer(exchange, task, at: now) }",
        "guard task.isRecorded, !context.recorder.isFailing else { return task.isRecorded ? () : answer(exchange, task, at: now) }",
        "who waits for a result while the disk fails is never answered",
    ),
    (
        "orphan-in-nobodys-hands", "Sources/Domain/Broker/Broker+Recovery.swift",
        "            orphans[task.lastWorker, default: []].append(task)\n", "",
        "after a restart nobody waits for the worker of a task that runs",
    ),
    (
        "completion-in-vain", "Sources/Gateway/CompletionService.swift",
        "        context.broker.abandon(exchange.task, by: conversation.exchangeID, at: context.moment(now))\n", "",
        "a completion whose client has gone is worked on",
    ),
    (
        "pieces-and-whole", "Sources/Gateway/CompletionService.swift",
        "whole: hasPieces ? nil : result", "whole: result",
        "who had the pieces is given the whole as well",
    ),
    (
        "completion-listens-on", "Sources/Gateway/CompletionService.swift",
        "if let subscriber = exchange.subscriber { context.broker.hub.leave(subscriber) }", "",
        "a stream of pieces that has ended listens for ever",
    ),
]


def plant(bug):
    name, file, text, planted, _ = bug
    path = COPY / file
    original = path.read_text()
    if original.count(text) != 1:
        return None, f"its text is {original.count(text)} times in {file}"
    path.write_text(original.replace(text, planted))
    return original, None


def build():
    command = ["swift", "build", "--product", "Simulator"]
    return subprocess.run(command, cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def hunt():
    """The first seed that finds something, as it says it; or nothing."""
    command = [".build/debug/Simulator", f"1..{SEEDS_MAX}", "--terse"]
    try:
        run = subprocess.run(command, cwd=COPY, capture_output=True, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return None
    if run.returncode == 0:
        return None
    if run.returncode == 1:
        return run.stdout.strip().splitlines()[-1]
    fatal = [line for line in run.stderr.splitlines() if "Fatal error" in line or "Precondition" in line]
    return "[trap] " + (fatal[0] if fatal else f"exit code {run.returncode}")


def main(names):
    COPY.mkdir(parents=True, exist_ok=True)
    for folder in ["Sources", "Tests", "Benchmarks"]:
        shutil.rmtree(COPY / folder, ignore_errors=True)
        shutil.copytree(ROOT / folder, COPY / folder, symlinks=True)
    shutil.copy2(ROOT / "Package.swift", COPY / "Package.swift")
    clean = build()
    if clean.returncode != 0:
        sys.exit(clean.stdout)
    if not names and (found := hunt()):
        sys.exit(f"without any bug the simulator finds something: {found}")
    failures = 0
    for bug in BUGS:
        name, file, _, _, breaks = bug
        if names and name not in names:
            continue
        begun = time.monotonic()
        original, mistake = plant(bug)
        if mistake:
            failures += 1
            print(f"{name:24} STALE: {mistake}", flush=True)
            continue
        try:
            result = build()
            if result.returncode != 0:
                found, verdict = None, "DOES NOT BUILD: " + result.stdout[-400:]
            else:
                found = hunt()
                verdict = found[:150] if found else "NOT FOUND"
        finally:
            (COPY / file).write_text(original)
        failures += found is None
        print(f"{name:24} {breaks}\n{'':24} {verdict}  ({time.monotonic() - begun:.0f} s)", flush=True)
    sys.exit(failures > 0)


main(sys.argv[1:])
