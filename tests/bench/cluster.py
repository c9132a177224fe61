"""Three units, as clients of the primary see them: latency beside backups, and the time until writes go on after a failure."""

import json
import os
import pathlib
import subprocess
import threading
import time

from model import wait_for

APP = "postgresql"
# Transactions a second, well below what the machine can do: a full machine measures its queue only.
RATE = 200
CLIENTS = 4


class Cluster:
    """Three units of a model of their own; every unit's processes are kept on cores that stand for its machine."""

    def __init__(self, model, home):
        self.juju, self.charms, self.scratch = model.juju, model.charms, home / "clients"
        self.home = home
        self.scratch.mkdir(exist_ok=True)

    def deploy(self):
        self.juju("add-model", "benchc")
        self.juju("model-config", "update-status-hook-interval=5s")
        self.juju("deploy", self.charms / "object-storage", "object-storage", "--config", "bucket=backups")
        self.juju("deploy", self.charms / "certificates", "certificates")
        self.juju("deploy", self.charms / APP, APP, "-n", "3")
        self.juju("integrate", f"{APP}:s3-parameters", "object-storage:s3-credentials")
        self.until("the cluster is up", self.settled)

    def units(self):
        return json.loads(self.juju("status", "--format=json"))["applications"][APP]["units"]

    def settled(self):
        units = self.units().values()
        state = [(unit["workload-status"]["current"], unit["juju-status"]["current"]) for unit in units]
        return len(state) == 3 and all(one == ("active", "idle") for one in state)

    def until(self, what, condition):
        wait_for(what, 300, condition, lambda: self.juju("status"))

    def primary(self):
        found = [name for name, unit in self.units().items() if unit["workload-status"].get("message") == "Primary"]
        return found[0] if len(found) == 1 else None

    def replica(self):
        return next(name for name in self.units() if name != self.primary())

    def address(self, unit):
        return self.units()[unit]["public-address"]

    def storage(self, unit):
        ask = 'storage-get -s "$(storage-list pgdata)" location'
        return pathlib.Path(self.juju("exec", "--unit", unit, "--", "sh", "-c", ask).strip())

    def turn_tls_on(self):
        self.juju("integrate", f"{APP}:certificates", "certificates:certificates")
        stage = lambda unit: json.loads((self.storage(unit) / "state/unit.json").read_text())["reached"]
        self.until("TLS is on", lambda: all(stage(unit) == "only" for unit in self.units()) and self.settled())

    # --- clients ---

    def psql(self, unit, text):
        session = ["psql", "-h", self.storage(unit) / "run", "-U", "operator", "-d", "postgres", "-Atqc", text]
        done = subprocess.run(session, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    def fill(self, scale):
        self.pgbench("-i", "-s", str(scale), "-q")
        # Half of a backup is what does not compress.
        self.psql(
            self.primary(),
            "CREATE TABLE documents AS SELECT d AS id, (SELECT string_agg(sha256((d * 1000 + part)::text::bytea), '')"
            " FROM generate_series(1, 60) part) AS body FROM generate_series(1, 100000) d; CHECKPOINT",
        )

    def pgbench(self, *options):
        """As `operator` through the primary's socket: no client's TLS is measured beside the backup."""
        socket = self.storage(self.primary()) / "run"
        command = ["pgbench", "-h", socket, "-U", "operator", *options, "postgres"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.scratch)
        if done.returncode:
            raise SystemExit(f"pgbench: {done.stderr}")

    def latencies(self, seconds):
        """Milliseconds of each transaction of a run at a fixed rate, the wait for its turn included."""
        for old in self.scratch.glob("pgbench_log.*"):
            old.unlink()
        self.pgbench("-c", str(CLIENTS), "-T", str(seconds), "-R", str(RATE), "-n", "-l")
        lines = [line.split() for file in self.scratch.glob("pgbench_log.*") for line in file.read_text().splitlines()]
        return sorted(int(line[2]) / 1000 for line in lines if line[2].isdigit())

    def beside_backup(self, unit, seconds):
        """The same while `unit` backs up, over and over, so that all of the run is beside one."""
        done = {"backups": 0, "stop": False}
        def back_up():
            while not done["stop"]:
                out = self.juju("run", unit, "create-backup", "--wait=10m")
                if "backup created" not in out:
                    raise SystemExit(out)
                done["backups"] += 1

        thread = threading.Thread(target=back_up)
        thread.start()
        values = self.latencies(seconds)
        done["stop"] = True
        thread.join()
        return values

    # --- failures ---

    def failover(self):
        """Seconds without writes when the primary's machine is gone: from the loss to the first row on another unit."""
        lost = self.primary()
        others = [unit for unit in self.units() if unit != lost]
        sockets = [self.storage(unit) / "run" for unit in others]
        write = "INSERT INTO failovers VALUES (now())"
        self.psql(lost, "CREATE TABLE IF NOT EXISTS failovers (at timestamptz)")
        begun = time.monotonic()
        self.juju("power-off", lost)

        def written():
            for socket in sockets:
                session = ["psql", "-h", socket, "-U", "operator", "-d", "postgres", "-Atqc", write]
                if subprocess.run(session, capture_output=True).returncode == 0:
                    return True
            return False

        wait_for("another unit takes writes", 120, written)
        took = time.monotonic() - begun
        self.juju("power-on", lost)
        self.until("the lost unit is back", self.settled)
        return took


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


def pin(cluster):
    """On two cores or more a unit that backs up has a machine of its own: the primary and its clients keep to one half of the
    cores, everything else to the other. Without it the ratio would only tell that all units share one machine."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return
    mine, theirs = cores[: len(cores) // 2], cores[len(cores) // 2 :]
    primary = cluster.storage(cluster.primary())
    os.sched_setaffinity(0, mine)
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
            place = os.readlink(process / "cwd")
        except OSError:
            continue
        told = str(cluster.home) in line + place
        if not told or "localjuju" in line.split("\0")[0]:
            continue
        wanted = mine if str(primary) in line + place else theirs
        for task in process.glob("task/*"):
            try:
                os.sched_setaffinity(int(task.name), wanted)
            except OSError:
                pass


def clients(model, report, home, title, rounds, seconds):
    cluster = Cluster(model, home)
    title("Three units: what clients of the primary notice")
    cluster.deploy()
    cluster.fill(scale=20)
    pin(cluster)
    measure(cluster, report, "primary", cluster.primary, rounds, seconds)
    cluster.turn_tls_on()
    pin(cluster)
    measure(cluster, report, "replica", cluster.replica, rounds, seconds)
    title("The primary's machine is gone: until another unit takes writes")
    report.add("failover_s", [cluster.failover() for _ in range(rounds)], "s", digits=1)


def measure(cluster, report, name, unit, rounds, seconds):
    """By turns without and with a backup; ratios are those of one round."""
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(cluster.latencies(seconds))
        beside.append(cluster.beside_backup(unit(), seconds))
    for kind, runs in (("none", alone), ("backup", beside)):
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            report.add(f"client_{label}_ms_{kind}_{name}", [percentile(run, share) for run in runs], "ms")
    aim = 1.1 if name == "replica" else None
    ratios = [percentile(with_, 0.99) / percentile(without, 0.99) for without, with_ in zip(alone, beside)]
    report.add(f"client_p99_ratio_backup_on_{name}", ratios, "x", aim)
