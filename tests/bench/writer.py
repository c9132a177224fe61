"""A client of a cluster that never stops writing, and remembers when a row was accepted and on which timeline."""

import os
import selectors
import subprocess
import threading
import time

PACE = 0.025
# Of one row, and of one attempt to connect.
PATIENCE = 2

TIMELINE = "('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int"
ROW = f"INSERT INTO written VALUES (%d) RETURNING {TIMELINE};\n"


class Writer(threading.Thread):
    """One session over TCP to the member that takes writes, found by asking all of them."""

    def __init__(self, addresses, password):
        super().__init__(daemon=True)
        place = f"host={','.join(addresses)} user=operator dbname=postgres target_session_attrs=read-write"
        self.command = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", place]
        self.env = os.environ | {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": str(PATIENCE)}
        self.accepted = []  # (when, timeline, row)
        self.stopped = threading.Event()

    def run(self):
        session, row = None, 0
        while not self.stopped.wait(PACE):
            session = session or self.connect()
            # A number is tried once: what became of one that was not acknowledged is not known.
            row += 1
            answer = self.ask(session, ROW % row)
            if answer:
                self.accepted.append((time.monotonic(), int(answer), row))
            else:
                self.end(session)
                session = None
        if session:
            self.end(session)

    def connect(self):
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=none, text=True, env=self.env)

    def ask(self, session, statement):
        try:
            session.stdin.write(statement)
            session.stdin.flush()
        except OSError:
            return ""
        with selectors.DefaultSelector() as selector:
            selector.register(session.stdout, selectors.EVENT_READ)
            return session.stdout.readline().strip() if selector.select(PATIENCE) else ""

    def end(self, session):
        session.kill()
        try:
            session.communicate()
        except OSError:
            pass  # what it had not read

    # --- what came of it ---

    def timeline(self):
        return self.accepted[-1][1]

    def rows(self):
        return {row for _, _, row in self.accepted}

    def forget(self):
        """Rows that were taken back, as asked."""
        self.accepted.clear()

    def first(self, since, beyond=0):
        """When the first row after this moment was accepted, on a timeline beyond this one."""
        found = (at for at, timeline, _ in list(self.accepted) if at > since and timeline > beyond)
        return next(found, None)

    def longest(self, since):
        """The longest time without a row, in seconds; the one that goes on counts."""
        times = [at for at, _, _ in list(self.accepted)]
        before = [at for at in times if at <= since][-1:] or [since]
        times = before + [at for at in times if at > since] + [time.monotonic()]
        return max(after - at for at, after in zip(times, times[1:]))
