#!/usr/bin/env bash
# The main job, end to end, on real software: a cluster of three units, backups
# without and with TLS while a client writes, list, a restore of the running
# cluster, its undo. Nothing is simulated but Juju itself. Prints each command with
# its outcome; exits 0 only if every step did what it says.
#
#   make demo            from nothing to a summary, then everything is removed
#   make demo KEEP=1     leaves it up, with the commands to play on
#
# BIN_DIR and CHARMS_DIR say where the built programs and charms are.
set -uo pipefail

: "${BIN_DIR:?run make demo}" "${CHARMS_DIR:?run make demo}"
KEEP=${KEEP:-}
HOME_DIR=$(mktemp -d /tmp/pgdemo.XXXXXX)
chmod 755 "$HOME_DIR"
export LOCALJUJU_HOME=$HOME_DIR
STEPS=0
FAILED=0
SUMMARY=()
OUT=
PRIMARY=
SESSION_PID=
LOOP_PID=
OLD_DATA=
WAIT=

juju() { "$BIN_DIR/localjuju" "$@"; }
cd "$CHARMS_DIR" || exit 1

finish() {
    local code=$?
    stop_client
    if [ -n "$KEEP" ]; then
        printf '\nLeft running. To play on:\n  export LOCALJUJU_HOME=%s\n  alias juju=%s\n  juju status\n' "$HOME_DIR" "$BIN_DIR/localjuju"
        printf 'To end it:\n  juju destroy-model --no-prompt demo && rm -rf %s\n' "$HOME_DIR"
    else
        juju destroy-model --no-prompt --force demo >/dev/null 2>&1
        rm -rf "$HOME_DIR"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }

# run: shows a command as a user would type it, runs it, keeps its output.
run() {
    printf '$ %s\n' "$*"
    OUT=$("$@" 2>&1)
    local code=$?
    [ -z "$OUT" ] || printf '%s\n' "$OUT" | sed 's/^/  /'
    return $code
}

# step TITLE CONDITION...: counts a step as done when its condition holds.
step() {
    local title=$1
    shift
    STEPS=$((STEPS + 1))
    if "$@"; then
        SUMMARY+=("ok      $title")
    else
        SUMMARY+=("FAILED  $title")
        FAILED=$((FAILED + 1))
        printf '  ^^ not as expected: %s\n' "$title"
    fi
}

# An action that failed says so in its text: Juju's exit code is that of the command line.
works() { run "$@" && ! grep -q '^Action id .* failed:' <<<"$OUT"; }
refused() { run "$@"; grep -Eq '^Action id .* failed:|failed to schedule' <<<"$OUT"; }
says() { grep -qF -- "$1" <<<"$OUT"; }
value() { sed -n "s/^ *$1: *//p" <<<"$OUT" | head -n 1 | tr -d "\"'"; }
# The command that a refusal names.
named() { grep -oE 'juju run [a-z0-9-]+/[0-9]+ create-backup( type=[a-z]+)?' <<<"$OUT" | head -n 1; }

# Runs a command, and when it is refused the one that the refusal names: Juju's
# leader need not be the unit that may back up.
as_told() {
    local command
    works "$@" && return
    command=$(named)
    # shellcheck disable=SC2086
    [ -n "$command" ] && works $command
}

# What juju status tells of the units.
units() { juju status 2>/dev/null | awk '$1 ~ /^postgresql\/[0-9]+\*?$/ { sub(/\*/, "", $1); print }'; }
at_rest() { [ "$(units | awk '$2 == "active" && $3 == "idle"' | wc -l)" = "$1" ] && [ "$(units | wc -l)" = "$1" ]; }
primary() { units | awk '$NF == "Primary" { print $1 }'; }
leader() { juju status 2>/dev/null | awk '$1 ~ /^postgresql\/[0-9]+\*$/ { sub(/\*/, "", $1); print $1 }'; }
replicas() { units | awk -v primary="$PRIMARY" '$1 != primary { print $1 }'; }
address() { units | awk -v unit="$1" '$1 == unit { print $5 }'; }
addresses() { units | awk '{ print $5 }'; }

# until_so SECONDS COMMAND...: waits until it succeeds.
until_so() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || {
            juju status
            juju debug-log --replay --no-tail 2>/dev/null | tail -n 40
            return 1
        }
        sleep 0.3
    done
}

# From now on this unit is the primary.
primary_is() {
    PRIMARY=$1
    SOCKET=$(juju exec --unit "$PRIMARY" -- sh -c 'storage-get -s "$(storage-list pgdata)" location')/run
}
# On the primary, as the machine's own root.
sql() { juju exec --unit "$PRIMARY" -- psql -h "$SOCKET" -U operator -d postgres -Atqc "$1"; }
CHECKSUM="SELECT count(*) || ' rows, ' || md5(string_agg(id || ':' || v, ',' ORDER BY id)) FROM demo"
checksum() { sql "$CHECKSUM"; }

# Over TCP with the password of the day: to each unit.
lets_in() {
    local address
    for address in $(addresses); do
        PGPASSWORD=$OPERATOR psql -h "$address" -U operator -d postgres -Atqc 'SELECT 1' >/dev/null 2>&1 || return 1
    done
}
# A finished full backup that was begun later.
full_backup_after() {
    juju run postgresql/leader list-backups 2>/dev/null |
        awk -v since="$1" '$3 ~ /^full/ && $0 ~ /finished/ && $1 > since { found = 1 } END { exit !found }'
}
# Every unit has these rows.
all_have() {
    local address
    for address in $(addresses); do
        [ "$(PGPASSWORD=$OPERATOR psql -h "$address" -U operator -d postgres -Atqc "$CHECKSUM" 2>&1)" = "$1" ] || return 1
    done
}
# The certificate of each unit is one of the authority's, for its address.
shows_certificates() {
    local address
    for address in $(addresses); do
        PGPASSWORD=$OPERATOR psql "host=$address user=operator dbname=postgres sslmode=verify-full sslrootcert=$HOME_DIR/ca.pem" \
            -Atqc "SELECT '  $address: ' || version || ', verified' FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl" 2>&1 |
            grep verified || return 1
    done
}
# The plain ports of the cluster store are closed.
nothing_is_plain() {
    local address port
    for address in $(addresses); do
        for port in 2379 2380; do
            (: <"/dev/tcp/$address/$port") 2>/dev/null && return 1
        done
    done
    return 0
}
tls_is_on() { at_rest "$1" && nothing_is_plain; }

# A client of the primary, over TCP: one session that stays, and a new one for
# each write. It writes until it is stopped, whatever happens to the cluster.
start_client() {
    local to="host=$(address "$PRIMARY") user=app password=app dbname=postgres connect_timeout=5"
    mkdir "$HOME_DIR/client"
    printf "INSERT INTO writes (how) VALUES ('session');\n\\\\watch 0.2\n" > "$HOME_DIR/client/session.sql"
    psql "$to" -q -v ON_ERROR_STOP=1 -f "$HOME_DIR/client/session.sql" >/dev/null 2>"$HOME_DIR/client/session.err" &
    SESSION_PID=$!
    while :; do
        if psql "$to" -qc "INSERT INTO writes (how) VALUES ('new')" 2>>"$HOME_DIR/client/failed"; then
            echo >> "$HOME_DIR/client/done"
        fi
        [ ! -e "$HOME_DIR/client/stop" ] || break
        sleep 0.2
    done &
    LOOP_PID=$!
}
session_lives() { kill -0 "$SESSION_PID" 2>/dev/null; }
stop_client() {
    [ -n "$LOOP_PID" ] || return 0
    touch "$HOME_DIR/client/stop"
    [ -z "$SESSION_PID" ] || kill "$SESSION_PID" 2>/dev/null
    wait ${SESSION_PID:+"$SESSION_PID"} "$LOOP_PID" 2>/dev/null
    SESSION_PID=
    LOOP_PID=
}
no_write_failed() { [ ! -s "$HOME_DIR/client/failed" ] || { head -n 5 "$HOME_DIR/client/failed"; return 1; }; }
all_writes_are_there() { [ "$(sql "SELECT count(*) FROM writes WHERE how = 'new'")" = "$(wc -l < "$HOME_DIR/client/done")" ]; }
# Of both sessions, from one write to the next; 0.2 s of it are the client's own.
longest_pause() {
    sql "SELECT round(max(extract(epoch FROM gap)), 1) FROM (SELECT at - lag(at) OVER (PARTITION BY how ORDER BY at) AS gap FROM writes) gaps"
}

# A client that knows all units and writes to the one that takes writes: after a
# restore that may be another. It notes when each write was acknowledged.
start_client_of_all() {
    local to
    to="host=$(addresses | paste -sd ,) user=app password=app dbname=postgres connect_timeout=2 target_session_attrs=read-write"
    rm -f "$HOME_DIR/client/stop"
    : > "$HOME_DIR/client/acknowledged"
    while [ ! -e "$HOME_DIR/client/stop" ]; do
        if psql "$to" -qc "INSERT INTO writes (how) VALUES ('all')" 2>/dev/null; then
            date +%s.%N >> "$HOME_DIR/client/acknowledged"
        fi
        sleep 0.2
    done &
    LOOP_PID=$!
}
acknowledged() { wc -l < "$HOME_DIR/client/acknowledged"; }
is_served() { [ "$(acknowledged)" -gt "$1" ]; }
# From one acknowledged write to the next, since write number $1.
longest_wait() {
    tail -n "+$1" "$HOME_DIR/client/acknowledged" |
        awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%.1f", most }'
}

# replaced TITLE ACTION...: an action that replaces the data of the running cluster,
# under the client. The unit that it runs on, the leader, is the primary afterwards.
replaced() {
    local title=$1 from
    shift
    until_so 30 is_served 1
    from=$(acknowledged)
    step "$title" works juju run --wait=15m postgresql/leader "$@"
    OLD_DATA=$(value old-data)
    primary_is "$(leader)"
    step "clients write again" until_so 60 is_served $(($(acknowledged) + 5))
    WAIT=$(longest_wait "$from")
    echo "  the client waited $WAIT s"
    step "it waited less than 30 s" awk -v wait="$WAIT" 'BEGIN { exit !(wait != "" && wait < 30) }'
}

say "A model, an object storage with TLS, a PostgreSQL cluster of three units"
run juju add-model demo
run juju deploy ./object-storage --config bucket=backups
step "deploy the charm" run juju deploy ./postgresql -n 3
step "relate the object storage" run juju integrate postgresql:s3-parameters object-storage:s3-credentials
step "three units are active and idle" until_so 240 at_rest 3
run juju status
PRIMARY=$(primary)
step "one of them is the primary" test -n "$PRIMARY"
primary_is "$PRIMARY"

say "A client, which writes to $PRIMARY over TCP from now on, five times a second"
sql "CREATE ROLE app LOGIN PASSWORD 'app'; CREATE TABLE writes (how text, at timestamptz DEFAULT clock_timestamp()); GRANT INSERT ON writes TO app" >/dev/null
start_client
echo "  one session that stays, and a new one for each write"

say "Passwords of our own for the system users, in the running cluster"
OPERATOR=$(head -c 18 /dev/urandom | base64)
other() { head -c 18 /dev/urandom | base64; }
echo '$ juju add-secret pg-users operator-password=<not shown here> monitoring-password=... replication-password=... rewind-password=...'
URI=$(juju add-secret pg-users "operator-password=$OPERATOR" "monitoring-password=$(other)" "replication-password=$(other)" "rewind-password=$(other)")
echo "  $URI"
step "the application may read it" run juju grant-secret pg-users postgresql
step "it is the one to use" run juju config postgresql "system-users=$URI"
step "every unit lets operator in by the new password" until_so 90 lets_in

say "Save the current cluster's credentials: backups hold none"
step "where they are" eval 'run juju config postgresql system-users && says secret:'
URI=$OUT
printf '$ juju show-secret --reveal %s\n' "$URI"
OUT=$(juju show-secret --reveal "$URI" 2>&1)
sed -E 's/(-password: *).*/\1<not shown here>/; s/^/  /' <<<"$OUT"
step "all four users are in it" eval 'says operator-password && says monitoring-password && says replication-password && says rewind-password'

say "Some data"
sql "CREATE TABLE demo (id int PRIMARY KEY, v text)" >/dev/null
sql "INSERT INTO demo SELECT i, md5(i::text) || repeat('x', 200) FROM generate_series(1, 50000) i" >/dev/null
echo "  demo: $(checksum)"

say "Without TLS between the units: backups of the primary, which is $PRIMARY"
step "active and idle" until_so 60 at_rest 3
step "nothing to build an incremental backup on, and the command that helps" eval 'refused juju run "$PRIMARY" create-backup type=incremental && says "No previous full backup" && test -n "$(named)"'
step "a full backup" as_told juju run postgresql/leader create-backup
FULL_ID=$(value backup-id)
step "differential backup" as_told juju run postgresql/leader create-backup type=differential
step "it builds on the full one" test "$(value reference)" = "$FULL_ID"
REPLICA=$(replicas | head -n 1)
step "refused on a replica, and the command that helps" eval 'refused juju run "$REPLICA" create-backup type=incremental && says "TLS is not enabled" && says "$PRIMARY"'
# shellcheck disable=SC2046
step "that command: an incremental backup" works $(named)
step "a replica lists all three" eval 'run juju run "$REPLICA" list-backups && says "full backup" && says "differential backup" && says "incremental backup"'

say "TLS: a certificate authority is deployed and related, the running cluster changes over"
step "deploy an authority" run juju deploy ./certificates
step "relate it" run juju integrate postgresql:certificates certificates
step "all units speak TLS, and only TLS, to each other" until_so 180 tls_is_on 3
echo "  the cluster store's plain ports, 2379 and 2380, are closed on all units"
run juju status
juju run certificates/0 get-ca 2>/dev/null | sed -n '/-----BEGIN/,/-----END/p' | sed 's/^ *//' > "$HOME_DIR/ca.pem"
step "every unit shows clients a certificate of the authority" shows_certificates
step "the primary is who it was" test "$(primary)" = "$PRIMARY"

say "With TLS: backups from replicas, so that the primary's clients are not slowed down"
step "refused on the primary, and the command that helps" eval 'refused juju run "$PRIMARY" create-backup && says "cluster primary" && test -n "$(named)"'
# shellcheck disable=SC2046
step "that command: a full backup from a replica" works $(named)
TLS_FULL_ID=$(value backup-id)
sql "INSERT INTO demo SELECT i, md5(i::text) FROM generate_series(50001, 60000) i" >/dev/null
SUM=$(checksum)
echo "  demo: $SUM"
step "incremental backup from the other replica" works juju run "$(replicas | tail -n 1)" create-backup type=incremental
ID=$(value backup-id)
step "it builds on the replica's full one" test "$(value reference)" = "$TLS_FULL_ID"
sql "UPDATE demo SET v = 'changed' WHERE id % 100 = 0" >/dev/null
step "differential backup from a replica" works juju run "$(replicas | head -n 1)" create-backup type=differential

say "What there is"
step "an unknown type is refused" eval 'refused juju run postgresql/leader create-backup type=tar && says incremental'
step "list-backups shows six" eval 'run juju run postgresql/leader list-backups && test "$(grep -c "| finished |" <<<"$OUT")" = 6'
step "and as JSON" eval 'run juju run postgresql/leader list-backups format=json && says "$ID"'

say "The client, which wrote all the time"
step "the session that began with the cluster is still there" session_lives
stop_client
step "no write failed" no_write_failed
step "every write that was acknowledged is there" all_writes_are_there
PAUSE=$(longest_pause)
echo "  $(sql "SELECT count(*) FROM writes") writes, none failed, the longest pause between two: $PAUSE s"
step "it was never kept waiting for more than 5 s" awk -v pause="$PAUSE" 'BEGIN { exit !(pause != "" && pause <= 5) }'

say "An accident, and clients that go on writing"
sql "DELETE FROM demo WHERE id > 10" >/dev/null
ACCIDENT=$(checksum)
echo "  demo: $ACCIDENT"
start_client_of_all
echo "  a client that knows all three units"
step "an unknown backup-id" eval 'refused juju run --wait=15m postgresql/leader restore backup-id=2001-01-01T00:00:00Z && says "Invalid backup-id"'

say "Restore the incremental backup that a replica made: the running cluster, all three units"
replaced "restore" restore "backup-id=$ID"
step "the old data is kept aside" test -d "$OLD_DATA"
echo "  demo: $(checksum)"
step "every row is as it was at the backup, on every unit" until_so 60 all_have "$SUM"
step "the passwords are the present ones, not those of the backup" lets_in
step "clients see its certificate" shows_certificates
step "it takes writes" sql "INSERT INTO demo VALUES (999999, 'after the restore')"
RESTORED=$(checksum)
echo "  demo: $RESTORED"

say "It was the wrong backup: undo it, without copying"
replaced "undo-restore" undo-restore
step "what was written since the restore is kept aside" test -d "$OLD_DATA"
echo "  demo: $(checksum)"
step "every row is as it was before the restore, on every unit" until_so 60 all_have "$ACCIDENT"

say "It was the right one after all: undo the undo"
UNDONE_AT=$(date -u +%Y-%m-%dT%H:%M:%SZ)
replaced "undo-restore once more" undo-restore
echo "  demo: $(checksum)"
step "every row is as it was before the undo, on every unit" until_so 60 all_have "$RESTORED"
stop_client

say "Life goes on: the next backups, three units with TLS"
step "three units are active and idle, with TLS" until_so 180 tls_is_on 3
step "a full backup has followed by itself" until_so 120 full_backup_after "$UNDONE_AT"
step "an incremental backup from a replica" works juju run "$(replicas | tail -n 1)" create-backup type=incremental
run juju status

say "Summary"
printf '  %s\n' "${SUMMARY[@]}"
printf '%d steps, %d failed, %d s\n' "$STEPS" "$FAILED" "$SECONDS"
[ "$FAILED" -eq 0 ]
