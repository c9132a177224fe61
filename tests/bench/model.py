"""The deployment that is measured: a cluster of one unit and an object storage, under localjuju."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

UNIT = "postgresql/0"
USER = "postgres"


def wait_for(what, seconds, condition, show=lambda: ""):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"not within {seconds} s: {what}\n{show()}")
        time.sleep(0.02)
    return found


class Model:
    def __init__(self, bin_dir, charms, recorder):
        self.program, self.charms, self.recorder = bin_dir / "localjuju", charms, recorder
        self.home = pathlib.Path(os.environ["LOCALJUJU_HOME"])
        self.scratch = self.home / "bench"
        self.scratch.mkdir()
        self.scratch.chmod(0o755)

    # --- Juju ---

    def juju(self, *args):
        done = subprocess.run([self.program, *args], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"juju {' '.join(map(str, args))}: {done.stdout}{done.stderr}")
        return done.stdout

    def status(self):
        return json.loads(self.juju("status", "--format=json"))

    def unit(self):
        return self.status()["applications"]["postgresql"]["units"][UNIT]

    def is_settled(self):
        unit = self.unit()
        return unit["workload-status"]["current"] == "active" and unit["juju-status"]["current"] == "idle"

    def deploy(self):
        self.juju("add-model", "bench")
        # No hook but ours while something is measured.
        self.juju("model-config", "update-status-hook-interval=24h")
        storage = self.charms / "object-storage"
        self.juju("deploy", storage, "object-storage", "--config", "bucket=backups")
        self.juju("deploy", self.charms / "postgresql", "postgresql", "--config", "backup-after-restore=false")
        self.until("the cluster is up", self.is_settled)
        self.juju("integrate", "postgresql:s3-parameters", "object-storage:s3-credentials")
        ask = 'storage-get -s "$(storage-list pgdata)" location'
        location = self.juju("exec", "--unit", UNIT, "--", "sh", "-c", ask)
        self.storage = pathlib.Path(location.strip())
        conf = self.storage / "etc" / "pgbackrest.conf"
        self.until("WAL goes to the repository", lambda: conf.exists() and self.archives() and self.is_settled())
        self.conf = conf
        text = conf.read_text(encoding="utf-8")
        self.stanza = re.findall(r"^\[([^\]:]+)\]$", text, re.M)[-1]
        self.pg_path = pathlib.Path(re.search(r"^pg1-path=(.*)$", text, re.M)[1])
        self.endpoint = re.search(r"^repo1-s3-endpoint=(.*)$", text, re.M)[1]
        self.port = int(re.search(r"^repo1-storage-port=(.*)$", text, re.M)[1])
        self.charm = next(self.home.glob("models/bench/agents/unit-postgresql-0/charm"))
        self.dispatch = self.charm / "dispatch"

    def until(self, what, condition):
        wait_for(what, 240, condition, lambda: self.juju("status"))

    def archives(self):
        return "archive-push" in self.sql("SHOW archive_command")

    # --- the database ---

    def sql(self, text):
        session = ["psql", "-h", self.storage / "run", "-U", "operator", "-d", "postgres"]
        done = subprocess.run([*session, "-Atq", "-v", "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{text}: {done.stderr}")
        return done.stdout.strip()

    def fill(self):
        """Half of it rows as pgbench has them with words in them, half bytes that do not compress."""
        self.sql(
            "CREATE TABLE accounts AS SELECT i AS aid, i % 10 AS bid, (i % 100000 * 7919) % 100000 AS abalance,"
            " md5(i::text) || ' account of customer ' || i AS filler FROM generate_series(1, 1200000) i"
        )
        self.sql("ALTER TABLE accounts ADD PRIMARY KEY (aid)")
        self.sql(
            "CREATE TABLE documents AS SELECT d AS id, (SELECT string_agg(sha256((d * 1000 + part)::text::bytea), '')"
            " FROM generate_series(1, 60) part) AS body FROM generate_series(1, 80000) d"
        )
        # What fills a segment of WAL, made of the same halves.
        self.sql(
            "CREATE TABLE segment AS SELECT string_agg(body, '') || (SELECT convert_to(string_agg(filler, ' '), 'UTF8')"
            " FROM accounts WHERE aid < 150000) AS body FROM (SELECT body FROM documents LIMIT 3700) AS part"
        )
        self.sql("CHECKPOINT")
        self.settled()

    def database_mib(self):
        return int(self.sql("SELECT sum(pg_database_size(oid)) FROM pg_database")) / (1 << 20)

    def waiting_segments(self):
        return len(list((self.pg_path / "pg_wal" / "archive_status").glob("*.ready")))

    def settled(self):
        """What earlier work left to do is done."""
        self.sql("SELECT pg_switch_wal()")
        wait_for("all WAL is archived", 120, lambda: self.waiting_segments() == 0)

    def archive(self, segments, on, processes, options):
        """MiB/s of archiving `segments` segments that wait, by PostgreSQL's own archiver."""
        self.settled()
        self.archive_by("/bin/false")
        for _ in range(segments):
            self.sql("SELECT pg_logical_emit_message(false, 'bench', body) FROM segment")
            self.sql("SELECT pg_switch_wal()")
        wait_for("segments wait", 30, lambda: self.waiting_segments() >= segments)
        waiting = self.waiting_segments()
        command = [
            "pgbackrest", f"--config={self.conf}", f"--stanza={self.stanza}", *options,
            "--archive-async" if on else "--no-archive-async", f"--process-max={processes}", "archive-push", "%p",
        ]  # fmt: skip
        begun = time.monotonic()
        self.archive_by(" ".join(command))
        wait_for("the segments are archived", 240, lambda: self.waiting_segments() == 0)
        took = time.monotonic() - begun
        self.archive_by(None)
        return waiting * 16 / took

    def archive_by(self, command):
        """`None`: as the charm has it."""
        change = "RESET archive_command" if command is None else f"SET archive_command = '{command}'"
        self.sql(f"ALTER SYSTEM {change}")
        self.sql("SELECT pg_reload_conf()")
        want = "pgbackrest" if command is None else command
        wait_for("the archive command is taken over", 10, lambda: want in self.sql("SHOW archive_command"))

    # --- the engine, run as the agent runs it ---

    def pgbackrest(self, *args):
        home = self.storage / "pg"
        command = [
            "setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups",
            "pgbackrest", f"--config={self.conf}", f"--stanza={self.stanza}",
            "--log-level-console=" + ("off" if "info" in args else "info"), "--log-level-stderr=warn", *args,
        ]  # fmt: skip
        env = {"PATH": os.environ["PATH"], "TZ": "UTC", "HOME": str(home)}
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=home)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout

    def backup(self, *args):
        return self.pgbackrest(*args, "--no-backup-standby", "backup")

    def backups(self):
        return json.loads(self.pgbackrest("--output=json", "info"))[0]["backup"]

    def backup_with(self, kind, level, processes, bundle, *options):
        """The new backup's label, and MiB in the repository."""
        settings = [f"--compress-type={kind}", f"--compress-level={level}", f"--process-max={processes}"]
        settings.append("--repo1-bundle" if bundle else "--no-repo1-bundle")
        out = self.backup("--type=full", *settings, *options)
        label = re.search(r"new backup label = (\S+)", out)[1]
        size = next(one for one in self.backups() if one["label"] == label)["info"]["repository"]["delta"]
        return label, size / (1 << 20)

    def restore_aside(self, label, processes):
        target, locks = self.scratch / "restored", self.scratch / "locks"
        for folder in (target, locks):
            folder.mkdir(mode=0o700, exist_ok=True)
            shutil.chown(folder, USER, USER)
        # A restore empties the spool: that of the running cluster must be another one.
        own = [f"--pg1-path={target}", f"--lock-path={locks}", f"--spool-path={locks}"]
        self.pgbackrest(*own, f"--process-max={processes}", f"--set={label}", "--type=immediate", "restore")
        shutil.rmtree(target)

    def expire(self, label):
        self.pgbackrest(f"--set={label}", "expire")

    def expire_all_but_last(self):
        for one in self.backups()[:-1]:
            self.expire(one["label"])

    @contextlib.contextmanager
    def delayed(self, milliseconds):
        """Options by which pgBackRest reaches the store over a longer way."""
        if not milliseconds:
            yield []
            return
        delay = pathlib.Path(__file__).with_name("delay.py")
        command = [sys.executable, delay, self.endpoint, str(self.port), str(milliseconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as proxy:
            try:
                yield [f"--repo1-storage-port={int(proxy.stdout.readline())}"]
            finally:
                proxy.terminate()

    # --- the agent, watched ---

    def hook(self, name, file, watch):
        recorder = [sys.executable, self.recorder, *(["--watch"] if watch else []), file, self.dispatch]
        self.juju("exec", "--unit", UNIT, "--", "env", f"JUJU_DISPATCH_PATH=hooks/{name}", *recorder)

    def wrap_dispatch(self, file, watch, path=None):
        """Actions need Juju's own start: the charm's `dispatch` is put behind the recorder."""
        real = self.charm / "dispatch.real"
        if not real.exists():
            self.dispatch.rename(real)
        front = f"PATH={path}:$PATH " if path else ""
        flag = "--watch " if watch else ""
        script = f"#!/bin/sh\n{front}exec {sys.executable} {self.recorder} {flag}{file} {real}\n"
        new = self.charm / "dispatch.new"
        new.write_text(script, encoding="utf-8")
        new.chmod(0o755)
        new.rename(self.dispatch)

    def unwrap_dispatch(self):
        (self.charm / "dispatch.real").rename(self.dispatch)

    def fake_info(self, answer):
        """A pgbackrest that knows another catalog; all else is asked of the real one."""
        folder = self.scratch / "fakes"
        folder.mkdir(exist_ok=True)
        text, program = folder / "info.json", folder / "pgbackrest"
        text.write_text(json.dumps(answer, separators=(",", ":")), encoding="utf-8")
        last = f'for word; do :; done\n[ "$word" = info ] && exec cat {text}'
        program.write_text(f'#!/bin/sh\n{last}\nexec {shutil.which("pgbackrest")} "$@"\n', encoding="utf-8")
        program.chmod(0o755)

    def records(self, file):
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        failed = [run for run in found if run["exit"]]
        if failed:
            sys.exit(f"the agent failed: {failed[0]}")
        return found
