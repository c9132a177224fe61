#!/usr/bin/env python3
"""Deploys, measures, prints a table and writes it as JSON. Decides nothing: figures only. See docs/measurements.md."""

import argparse
import json
import os
import pathlib
import random
import re
import sys
import time
from typing import NamedTuple

from catalog import thousand_backups
from cluster import clients
from model import Model
from restore import restores

HERE = pathlib.Path(__file__).resolve().parent
RECORDER = HERE / "recorder.py"


BEGUN = time.monotonic()


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


class Report:
    """Figures in the order in which they were found."""

    def __init__(self):
        self.rows = []

    def add(self, name, values, unit, aim=None, digits=2):
        """`values`: one for each run; the median counts, the others show how steady it is."""
        row = {"name": name, "value": round(median(values), digits), "unit": unit, "aim": aim}
        self.rows.append(row)
        spread = f"{round(min(values), digits)} .. {round(max(values), digits)}, {len(values)} runs"
        verdict = "" if aim is None else f"aim <= {aim}: " + ("met" if row["value"] <= aim else "MISSED")
        print(f"  {name:<34} {row['value']:>10} {unit:<5} {spread:<34} {verdict}", flush=True)
        return row["value"]

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.rows, indent=2) + "\n", encoding="utf-8")


class Setting(NamedTuple):
    """Of the engine; the defaults are what the charm ships on two to five cores."""

    kind: str = "zst"
    level: int = 1
    processes: int = 2
    bundle: bool = True

    def __str__(self):
        return f"{self.kind}{self.level}_p{self.processes}" + ("" if self.bundle else "_nobundle")


def rounds_until(most, seconds):
    """Whole rounds, at least one, until the bench has run that long: a slow machine gets fewer, not a longer bench."""
    for number in range(most):
        if number and time.monotonic() - BEGUN > seconds:
            return
        yield number


def title(text):
    print(f"\n{text} [{time.monotonic() - BEGUN:.0f} s]", flush=True)


# --- the agent's own costs -------------------------------------------------------------------------------------------


def no_op_hook(model, report, runs):
    """update-status on a settled unit: Juju is asked everything, nothing has changed, the status is set."""
    title("A hook that finds nothing to do (update-status)")
    watched, plain = model.scratch / "hook.watched", model.scratch / "hook.plain"
    model.hook("update-status", watched, watch=True)
    watched.unlink()
    for _ in range(runs):
        model.hook("update-status", watched, watch=True)
        model.hook("update-status", plain, watch=False)
    own_costs(report, "hook", model.records(plain), model.records(watched), own_aim=10, rss_aim=12)


def own_costs(report, name, plain, watched, own_aim, rss_aim=None):
    """The agent's own time, and what the hook or action takes beside it."""
    report.add(f"{name}_own_ms", [run["cpu_ms"] for run in plain], "ms", own_aim)
    report.add(f"{name}_rss_mb", [run["rss_kb"] / 1024 for run in watched], "MiB", rss_aim)
    report.add(f"{name}_wall_ms", [run["wall_ms"] for run in plain], "ms")
    report.add(f"{name}_tools_ms", [run["children_ms"] for run in watched], "ms")
    report.add(f"{name}_tools", [len(run["children"]) for run in watched], "", digits=0)
    report.add(f"{name}_beside_tools_ms", [run["beside_ms"] for run in watched], "ms")
    report.add(f"{name}_queued_ms", [run["queued_ms"] for run in plain], "ms")
    if any(run["threads"] > 1 for run in watched):
        # Own time is that of the first thread.
        sys.exit(f"{name}: the agent had threads; count them")


def list_thousand(model, report, runs):
    """list-backups; only the answer of `pgbackrest info` is made up, from a real one."""
    title("list-backups with 1,000 backups in the catalog")
    info = json.loads(model.pgbackrest("--output=json", "info"))
    model.fake_info(thousand_backups(info))
    for form in ("table", "json"):
        watched, plain = model.scratch / f"list.{form}.watched", model.scratch / f"list.{form}.plain"
        for run in range(runs + 1):
            for file, watch in ((watched, True), (plain, False)):
                model.wrap_dispatch(file, watch, model.scratch / "fakes")
                out = model.juju("run", "postgresql/0", "list-backups", f"format={form}", "--format=json")
                labels = len(set(re.findall(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", out)))
                if labels < 1000:
                    sys.exit(f"list-backups shows {labels} backups, not 1,000:\n{out[:2000]}")
                if run == 0:
                    file.unlink()
        name = "list_1000" if form == "table" else "list_1000_json"
        own_costs(report, name, model.records(plain), model.records(watched), own_aim=20)
    model.unwrap_dispatch()


def create_overhead(model, report, pairs):
    """create-backup and a bare backup by turns; the difference in each pair counts."""
    title("create-backup on top of a bare `pgbackrest backup`")
    file, bare, through_juju = model.scratch / "create", [], []
    model.wrap_dispatch(file, watch=False)

    def by_agent():
        begun = time.monotonic()
        model.juju("run", "postgresql/0", "create-backup")
        through_juju.append(time.monotonic() - begun)

    def by_hand():
        begun = time.monotonic()
        model.backup("--type=full", "--annotation=request=bench")
        bare.append(time.monotonic() - begun)

    for pair in range(pairs + 1):
        # By turns, and the first of a pair by turns too: what a run leaves to the next one hits both alike.
        for step in (by_agent, by_hand) if pair % 2 else (by_hand, by_agent):
            model.settled()
            step()
        if pair == 0:
            file.unlink()
            bare.clear()
            through_juju.clear()
        model.expire_all_but_last()
    created = [run["wall_ms"] / 1000 for run in model.records(file)]
    model.unwrap_dispatch()
    report.add("create_overhead_s", [ours - theirs for ours, theirs in zip(created, bare)], "s", 0.5)
    report.add("create_s", created, "s")
    report.add("create_bare_s", bare, "s")
    report.add("create_juju_run_s", through_juju, "s")


# --- the engine's settings -------------------------------------------------------------------------------------------


def engine_settings(model, report, rounds, until):
    """Full backups and restores of the same data; every round runs all settings, in another order."""
    cores = os.cpu_count() or 1
    title(f"Engine settings: full backup and restore of {model.database_mib():.0f} MiB, {cores} cores")
    shipped = Setting(processes=max(2, cores // 2))
    settings = [shipped]
    settings += [shipped._replace(processes=count) for count in sorted({1, cores} - {shipped.processes})]
    settings += [shipped._replace(kind=kind, level=level) for kind, level in (("zst", 3), ("lz4", 1), ("gz", 6))]
    settings += [shipped._replace(bundle=False), Setting("zst", 3, 1)]
    backup, restore, stored = ({one: [] for one in settings} for _ in range(3))
    for _ in rounds_until(rounds, until):
        for one in random.sample(settings, len(settings)):
            model.settled()
            begun = time.monotonic()
            label, size = model.backup_with(*one)
            backup[one].append(time.monotonic() - begun)
            stored[one].append(size)
            begun = time.monotonic()
            model.restore_aside(label, one[2])
            restore[one].append(time.monotonic() - begun)
            model.expire(label)
    for one in settings:
        report.add(f"backup_{one}_s", backup[one], "s")
        report.add(f"restore_{one}_s", restore[one], "s")
        report.add(f"stored_{one}_mib", stored[one], "MiB", digits=0)
    ratios(report, "backup", backup, shipped)
    ratios(report, "restore", restore, shipped)


def ratios(report, what, times, shipped):
    """Within each round: how often as long as with the shipped settings."""
    title(f"{what.capitalize()}s: times the shipped settings ({shipped})")
    for one, values in times.items():
        if one != shipped:
            report.add(f"{what}_ratio_{one}", [a / b for a, b in zip(values, times[shipped])], "x")


def distance(model, report, rounds, until, milliseconds):
    """Bundling and archiving in batches pay where the store is far: every round trip takes longer."""
    title(f"The store {milliseconds} ms away: bundling")
    model.settled()
    with model.delayed(milliseconds) as far:
        times = {True: [], False: []}
        for number in rounds_until(rounds, until):
            for bundle in (True, False) if number % 2 else (False, True):
                begun = time.monotonic()
                label, _ = model.backup_with(*Setting(bundle=bundle), *far)
                times[bundle].append(time.monotonic() - begun)
                model.expire(label)
    report.add(f"backup_{milliseconds}ms_bundle_s", times[True], "s")
    report.add(f"backup_{milliseconds}ms_nobundle_s", times[False], "s")
    report.add(f"bundle_ratio_{milliseconds}ms", [b / a for a, b in zip(times[True], times[False])], "x")


def archiving(model, report, rounds, until, segments, milliseconds):
    """PostgreSQL archives segments that wait: how fast they go away."""
    title(f"WAL archiving, {segments} segments of 16 MiB that wait")
    for delay in (0, milliseconds):
        with model.delayed(delay) as far:
            rates = {}
            for number in rounds_until(rounds, until):
                modes = [(True, 2), (True, 1), (False, 1)]
                for mode in modes if number % 2 else reversed(modes):
                    rates.setdefault(mode, []).append(model.archive(segments, *mode, far))
        where = f"_{delay}ms" if delay else ""
        for (on, count), values in sorted(rates.items()):
            report.add(f"wal{where}_{f'async_p{count}' if on else 'sync'}", values, "MiB/s", digits=1)
        pairs = zip(rates[True, 2], rates[False, 1])
        report.add(f"wal{where}_async_ratio", [fast / slow for fast, slow in pairs], "x")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bin", type=pathlib.Path, required=True)
    options.add_argument("--charms", type=pathlib.Path, required=True)
    options.add_argument("--only", choices=["all", "agent", "engine", "clients", "restore"], default="all")
    options.add_argument("--json", type=pathlib.Path, required=True)
    given = options.parse_args()
    report = Report()
    model = Model(given.bin, given.charms, RECORDER)
    if given.only in ("all", "clients"):
        clients(model, report, model.home, title, 3, seconds=15)
        model.juju("destroy-model", "--no-prompt", "--force", "benchc")
    if given.only in ("all", "restore"):
        begun = time.monotonic() - BEGUN
        sizes = [("_small", 1, rounds_until(3, begun + 120)), ("", 7, rounds_until(4, begun + 330))]
        restores(model, report, model.home, title, sizes)
        model.juju("destroy-model", "--no-prompt", "--force", "benchr")
    if given.only not in ("clients", "restore"):
        title("Deploying, relating, filling")
        model.deploy()
        model.fill()
        model.backup("--type=full")
    if given.only in ("all", "agent"):
        no_op_hook(model, report, 21)
        list_thousand(model, report, 11)
        create_overhead(model, report, 5)
    if given.only in ("all", "engine"):
        engine_settings(model, report, 5, until=300)
        archiving(model, report, 3, until=390, segments=12, milliseconds=10)
        distance(model, report, 3, until=430, milliseconds=10)
    report.write(given.json)
    print(f"\n{time.monotonic() - BEGUN:.0f} s; {os.path.relpath(given.json)} has the medians", flush=True)


if __name__ == "__main__":
    main()
