"""Restores of three units while a client writes, beside what the engine and PostgreSQL alone take for the same set."""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

from cluster import APP, Cluster
from model import USER, wait_for
from writer import Writer

MODEL = "benchr"
# What the action says when a phase begins.
PHASES = {
    "fetch": "restores: postgresql/",
    "recover": "recovering and verifying",
    "switch": "the copy is proven",
    "join": "takes writes again",
}


class Restored(Cluster):
    """Its leader is the primary, so the same unit restores each time. No hook runs but those that we ask for."""

    def deploy(self):
        self.juju("add-model", MODEL)
        self.juju("model-config", "update-status-hook-interval=5s")
        self.juju("deploy", self.charms / "object-storage", "object-storage", "--config", "bucket=backups")
        # Old data goes with the next hook, which is ours; until then an undo finds it. No backup begins by itself.
        options = ["--config", "keep-old-data=0", "--config", "backup-after-restore=false"]
        self.juju("deploy", self.charms / APP, APP, "-n", "3", *options)
        self.juju("integrate", f"{APP}:s3-parameters", "object-storage:s3-credentials")
        ready = lambda: all(self.knows(unit)["repository_ready"] for unit in self.units())
        self.until("the cluster is up", lambda: self.settled() and ready())
        self.driver = self.primary()
        self.juju("set-leader", self.driver)
        self.juju("model-config", "update-status-hook-interval=24h")
        self.until("the cluster is settled", self.settled)
        self.psql(self.driver, "CREATE TABLE written (n bigint PRIMARY KEY)")
        password = self.knows(self.driver)["users"]["operator-password"]
        self.writer = Writer([self.address(unit) for unit in self.units()], password)
        self.writer.start()

    @functools.cache
    def storage(self, unit):
        return super().storage(unit)

    def knows(self, unit):
        try:
            return json.loads((self.storage(unit) / "state/unit.json").read_text())
        except FileNotFoundError:
            return {"repository_ready": False}

    # --- the database ---

    def grow(self, parts):
        """Each part has some 190 MiB; half of it hardly compresses."""
        # What is filled in is in the backup that follows: its WAL need not be in the repository.
        self.archive_by("/bin/true")
        for part in range(self.parts(), parts):
            accounts, documents = f"accounts_{part}", f"documents_{part}"
            if part:
                self.do(f"CREATE TABLE {accounts} AS TABLE accounts_0; CREATE TABLE {documents} AS TABLE documents_0")
            else:
                self.do(
                    f"CREATE TABLE {accounts} AS SELECT i AS aid, (i % 100000 * 7919) % 100000 AS abalance,"
                    " md5(i::text) || ' account of customer ' || i AS filler FROM generate_series(1, 800000) i;"
                    f"CREATE TABLE {documents} AS SELECT d AS id, (SELECT string_agg(sha256((d * 1000 + part)::text"
                    "::bytea), '') FROM generate_series(1, 60) part) AS body FROM generate_series(1, 50000) d"
                )
            self.do(f"ALTER TABLE {accounts} ADD PRIMARY KEY (aid)")
        self.do("CHECKPOINT")
        self.archived()
        self.archive_by(None)

    def archive_by(self, command):
        """`None`: as the charm has it."""
        change = "RESET archive_command" if command is None else f"SET archive_command = '{command}'"
        self.do(f"ALTER SYSTEM {change}")
        self.do("SELECT pg_reload_conf()")
        want = command or "pgbackrest"
        wait_for("the archive command is taken over", 10, lambda: want in self.do("SHOW archive_command"))

    def archived(self):
        self.do("SELECT pg_switch_wal()")
        waits = self.storage(self.driver) / "pg/data/pg_wal/archive_status"
        wait_for("all WAL is archived", 120, lambda: not list(waits.glob("*.ready")))

    def parts(self):
        return int(self.do("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'documents%'"))

    def do(self, text):
        found = self.psql(self.driver, text)
        if found is None:
            raise SystemExit(f"failed: {text}")
        return found

    def mib(self):
        return int(self.do("SELECT sum(pg_database_size(oid)) FROM pg_database")) / (1 << 20)

    def streaming(self):
        state = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name LIKE '%-%'"
        return self.psql(self.driver, state) == "2"

    def quiet(self):
        """What the last run left to do is done, and what it left behind is gone."""
        wait_for("all members stream", 120, self.streaming)
        home = self.home / "models" / MODEL / "agents"
        for unit in self.units():
            dispatch = home / f"unit-{unit.replace('/', '-')}" / "charm" / "dispatch"
            self.juju("exec", "--unit", unit, "--", "env", "JUJU_DISPATCH_PATH=hooks/update-status", dispatch)
        self.do("CHECKPOINT")
        self.archived()
        os.sync()

    # --- one backup, restored both ways ---

    def back_up(self):
        self.quiet()
        out = self.juju("run", self.driver, "create-backup", "--wait=10m")
        found = re.search(r'backup-id: "?([0-9TZ:-]+)', out)
        if not found:
            raise SystemExit(out)
        self.backup_id = found[1]
        stamp = re.sub(r"[-:Z]", "", self.backup_id).replace("T", "-")
        self.label = f"{stamp}F"

    def restore(self):
        """Figures of one restore by the agent, in seconds."""
        self.quiet()
        before, begun, streaming = self.writer.timeline(), time.monotonic(), None
        first = lambda: self.writer.first(begun, before)
        with self.action("restore", f"backup-id={self.backup_id}") as (run, said):
            # The action may end before all members stream.
            while run.poll() is None or not streaming:
                # Before the first row on the new timeline it is the old cluster's members that stream.
                if not streaming and first() and self.streaming():
                    streaming = time.monotonic()
                if run.poll():
                    raise SystemExit("".join(line for _, line in said))
                if time.monotonic() > begun + 600:
                    raise SystemExit("not all members stream: " + "".join(line for _, line in said))
                time.sleep(0.05)
        phases = [(name, at) for at, line in said for name, words in PHASES.items() if words in line]
        names = ["plan", *(name for name, _ in phases)]
        times = [begun, *(at for _, at in phases), streaming]
        return {
            "first_write": first() - begun,
            "outage": self.writer.longest(begun),
            "all_members": streaming - begun,
            "phases": {name: after - at for name, at, after in zip(names, times, times[1:])},
        }

    @contextlib.contextmanager
    def action(self, *words):
        """While it runs: the process, and what it has said so far, with the time of each line."""
        command, said = [self.juju.__self__.program, "run", self.driver, *words, "--wait=30m"], []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
            listen = lambda: said.extend((time.monotonic(), line) for line in run.stdout)
            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            yield run, said
            run.wait()
            listener.join()

    def bare(self):
        """Seconds of `pgbackrest restore`, and until what it made takes a row. Nothing is proven, nobody is stopped."""
        self.quiet()
        storage, place = self.storage(self.driver), self.scratch / "bare"
        data, own = place / "data", place / "own"
        for folder in (place, data, own):
            folder.mkdir(mode=0o700)
            shutil.chown(folder, USER, USER)
        (own / "hba.conf").write_text("local all all trust\n")
        shutil.chown(own / "hba.conf", USER, USER)
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        path = f"{postgres_programs()}:{os.environ['PATH']}"
        env = {"PATH": path, "TZ": "UTC", "HOME": str(place), "LC_ALL": "C.UTF-8"}
        fetch = [
            "pgbackrest", f"--config={storage}/etc/pgbackrest.conf", f"--stanza={self.stanza()}", f"--pg1-path={data}",
            # A restore empties the spool; the agent uses as many processes.
            f"--lock-path={own}", f"--spool-path={own}", f"--process-max={os.cpu_count()}", f"--set={self.label}",
            "--type=immediate", "--target-action=promote", "--recovery-option=recovery_target_timeline=current",
            "restore",
        ]  # fmt: skip
        server = ["postgres", "-D", data, "-p", "5432"]
        for setting in (
            "listen_addresses=", f"unix_socket_directories={own}", f"hba_file={own}/hba.conf", "external_pid_file=",
            "ssl=off", "archive_mode=off", "primary_conninfo=", "primary_slot_name=", "logging_collector=off",
        ):  # fmt: skip
            server += ["-c", setting]
        begun = time.monotonic()
        done = subprocess.run([*as_user, *fetch], env=env, cwd=place, capture_output=True, text=True)
        fetched = time.monotonic()
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        insert = ["psql", "-h", own, "-U", "operator", "-d", "postgres", "-Xqc", "INSERT INTO written VALUES (-1)"]
        with open(self.scratch / "bare.log", "wb") as log:
            with subprocess.Popen([*as_user, *server], env=env, cwd=place, stdout=log, stderr=log) as running:
                accepted = lambda: subprocess.run(insert, env=env, capture_output=True).returncode == 0
                wait_for("the bare restore takes a row", 300, accepted, (self.scratch / "bare.log").read_text)
                ended = time.monotonic()
                running.send_signal(signal.SIGINT)
        shutil.rmtree(place)
        return {"fetch": fetched - begun, "recover": ended - fetched, "first_write": ended - begun}

    @functools.cache
    def stanza(self):
        text = (self.storage(self.driver) / "etc/pgbackrest.conf").read_text()
        return re.findall(r"^\[([^\]:]+)\]$", text, re.M)[-1]

    # --- ways back ---

    def undo(self):
        """Of the restore that has just ended."""
        before, begun = self.writer.timeline(), time.monotonic()
        with self.action("undo-restore") as (run, said):
            pass
        if run.returncode:
            raise SystemExit("".join(line for _, line in said))
        first = wait_for("the old data takes a row", 60, lambda: self.writer.first(begun, before))
        return {"first_write": first - begun, "outage": self.writer.longest(begun)}

    def broken_off(self):
        """From the agent's death in the middle of the switch until the old data takes a row; all of it is there."""
        self.quiet()
        self.writer.forget()
        wait_for("a row", 10, lambda: self.writer.accepted)
        with self.action("restore", f"backup-id={self.backup_id}") as (run, said):
            wait_for("the cluster stops", 300, lambda: self.state() == "stopping" or run.poll() is not None)
            agent = self.agent()
            # No pause between looks: it may last for milliseconds.
            while self.state() != "switching":
                if run.poll() is not None:
                    raise SystemExit("it was not broken off: " + "".join(line for _, line in said))
            os.kill(agent, signal.SIGKILL)
            killed = time.monotonic()
        acknowledged = self.writer.rows()
        first = wait_for("the old data takes a row", 300, lambda: self.writer.first(killed))
        there = {int(row) for row in self.do("SELECT n FROM written").split()}
        if lost := acknowledged - there:
            raise SystemExit(f"rows are lost: {sorted(lost)[:10]}")
        wait_for("all members stream", 300, self.streaming)
        return first - killed

    def state(self):
        """Of the newest restore, as the driver's journal has it."""
        journals = sorted((self.storage(self.driver) / "state").glob("restore-*.json"))
        try:
            return json.loads(journals[-1].read_text())["state"] if journals else None
        except (OSError, ValueError):
            return None

    def agent(self):
        """The process that runs the action."""
        wanted = f"unit-{self.driver.replace('/', '-')}/charm/dispatch"
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0")
            except OSError:
                continue
            if line.startswith(str(self.home)) and line.endswith(wanted):
                return int(process.name)
        raise SystemExit("the agent is not there")


def postgres_programs():
    return sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]


def restores(model, report, home, title, sizes):
    """`sizes`: name, parts and rounds of each size of the database."""
    cluster = Restored(model, home)
    title("Restores of three units, a client writes all the time")
    cluster.deploy()
    for name, parts, rounds in sizes:
        title(f"Filling, {parts} parts, and a full backup")
        cluster.grow(parts)
        cluster.back_up()
        title(f"{cluster.mib():.0f} MiB: restore by the agent, and `pgbackrest restore` with recovery alone, by turns")
        by_turns(cluster, report, name, rounds)
        title("Its agent killed when the cluster was stopped")
        report.add(f"rollback_s{name}", [cluster.broken_off()], "s", digits=1)
    cluster.writer.stopped.set()
    cluster.writer.join()


def by_turns(cluster, report, name, rounds):
    """Ratios are those of one round. What the first round restored is undone."""
    ours, bare = [], []
    for number in rounds:
        steps = [lambda: ours.append(cluster.restore()), lambda: bare.append(cluster.bare())]
        for step in steps if number % 2 else reversed(steps):
            step()
            if step is steps[0] and number == 0:
                undone = cluster.undo()
    pairs = [(run["first_write"], by_hand["first_write"]) for run, by_hand in zip(ours, bare)]
    report.add(f"restore_first_write_ratio{name}", [a / b for a, b in pairs], "x", None if name else 1.15)
    report.add(f"restore_beyond_bare_s{name}", [a - b for a, b in pairs], "s", digits=1)
    report.add(f"restore_outage_s{name}", [run["outage"] for run in ours], "s", 15, digits=1)
    report.add(f"restore_first_write_s{name}", [a for a, _ in pairs], "s", digits=1)
    report.add(f"restore_all_members_s{name}", [run["all_members"] for run in ours], "s", digits=1)
    for phase in ours[0]["phases"]:
        report.add(f"restore_{phase}_s{name}", [run["phases"][phase] for run in ours], "s", digits=1)
    for phase in ("fetch", "recover", "first_write"):
        report.add(f"restore_bare_{phase}_s{name}", [run[phase] for run in bare], "s", digits=1)
    report.add(f"undo_s{name}", [undone["first_write"]], "s", digits=1)
    report.add(f"undo_outage_s{name}", [undone["outage"]], "s", 15, digits=1)
