#!/usr/bin/env python3
"""Runs every test program of the workspace, two at a time, and says at the end why what failed has failed.

    suites.py [--lanes N]

Each program writes into target/tests/NAME.log, and what it said is printed when it has ended. The long ones, which
wait more than they compute, begin first. Documentation tests come last. Exits with 1 when anything has failed.
"""

import argparse
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

# Minutes each, the first two side by side: what is bound by time runs beside what is light. Others take seconds.
LONG = ["tls", "scenarios", "cluster", "restore", "matrix"]
# Of the reason of one failure: the end of the output is what people see first.
REASON_LINES, REASON_WIDTH = 14, 400

root = Path(__file__).resolve().parents[2]
logs = root / "target" / "tests"
printing = threading.Lock()


def programs():
    """(name, executable, folder it runs in) of every test program, the long ones first."""
    command = ["cargo", "test", "--workspace", "--locked", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True, text=True)
    found = []
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message.get("executable"):
            continue
        if not message["profile"]["test"]:
            continue
        folder = Path(message["manifest_path"]).parent
        kind, name = message["target"]["kind"][0], message["target"]["name"]
        package = folder.name if folder != root else ""
        label = name if kind == "test" and not package else "-".join(filter(None, [package, name, kind]))
        found.append((label, message["executable"], folder))
    rank = lambda label: LONG.index(label) if label in LONG else len(LONG)
    return sorted(found, key=lambda program: rank(program[0]))


def tell(text):
    with printing:
        print(text, flush=True)


def run(label, command, folder):
    """One program to its end; gives its log and whether all was well."""
    begun, log = time.monotonic(), logs / f"{label}.log"
    tell(f"begins: {label}")
    with open(log, "wb") as out:
        environment = {**os.environ, "CARGO_MANIFEST_DIR": str(folder)}
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    said = log.read_text(errors="replace").strip()
    took = time.monotonic() - begun
    tell(f"\n=== {label}: exit {done.returncode} after {took:.0f} s\n{said}\n")
    return label, said, done.returncode == 0


def lane(waiting, ended):
    while True:
        try:
            label, executable, folder = waiting.get_nowait()
        except queue.Empty:
            return
        ended.append(run(label, [executable], folder))


def counted(said):
    counts = [0, 0, 0]
    for match in re.finditer(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored", said, re.M):
        counts = [sum(pair) for pair in zip(counts, map(int, match.groups()))]
    return counts


def reasons(said):
    """The names and first lines of what failed, from the part that libtest prints at the end."""
    for match in re.finditer(r"^---- (.+?) ----$\n(.*?)(?=^---- |^failures:$|\Z)", said, re.M | re.S):
        lines = [line[:REASON_WIDTH] for line in match[2].strip().splitlines() if line.strip()]
        yield match[1], lines[:REASON_LINES]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lanes", type=int, default=2)
    lanes = arguments.parse_args().lanes
    logs.mkdir(parents=True, exist_ok=True)
    begun, waiting, ended = time.monotonic(), queue.SimpleQueue(), []
    for program in programs():
        waiting.put(program)
    threads = [threading.Thread(target=lane, args=(waiting, ended)) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended.append(run("doc", ["cargo", "test", "--workspace", "--locked", "--doc"], root))

    bad = [(label, said) for label, said, good in ended if not good]
    for label, said in bad:
        tell(f"\n=== failed: {label}")
        for name, lines in reasons(said):
            tell("\n".join([f"{name}:"] + [f"    {line}" for line in lines]))
    passed, failed, skipped = [sum(column) for column in zip(*(counted(said) for _, said, _ in ended))]
    tell(f"\ntotal: {passed} passed, {failed} failed, {skipped} skipped, in {time.monotonic() - begun:.0f} s")
    if bad:
        tell("failed: " + ", ".join(label for label, _ in bad))
    sys.exit(1 if bad else 0)


main()
