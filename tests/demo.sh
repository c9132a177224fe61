#!/usr/bin/env bash
# The main job, end to end, on real software: deploy, back up, list, restore.
# Nothing is simulated but Juju itself. Prints each command with its outcome;
# exits 0 only if every step did what it says.
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

juju() { "$BIN_DIR/localjuju" "$@"; }
cd "$CHARMS_DIR" || exit 1

finish() {
    local code=$?
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

# until_status PATTERN SECONDS: waits until juju status shows it.
until_status() {
    local deadline=$((SECONDS + $2))
    until juju status 2>/dev/null | grep -Eq -- "$1"; do
        [ $SECONDS -lt $deadline ] || {
            juju status
            juju debug-log --replay --no-tail 2>/dev/null | tail -n 40
            return 1
        }
        sleep 0.3
    done
}

# An action that failed says so in its text: Juju's exit code is that of the command line.
works() { run "$@" && ! grep -q '^Action id .* failed:' <<<"$OUT"; }
refused() { run "$@"; grep -Eq '^Action id .* failed:|failed to schedule' <<<"$OUT"; }
says() { grep -qF -- "$1" <<<"$OUT"; }
value() { sed -n "s/^ *$1: *//p" <<<"$OUT" | head -n 1 | tr -d "\"'"; }

sql() { juju exec --unit postgresql/0 -- psql -h "$SOCKET" -U operator -d postgres -Atqc "$1"; }
checksum() { sql "SELECT count(*) || ' rows, ' || md5(string_agg(id || ':' || v, ',' ORDER BY id)) FROM demo"; }

say "A model, an object storage with TLS, a PostgreSQL cluster of one unit"
run juju add-model demo
run juju deploy ./object-storage --config bucket=backups
step "deploy the charm" run juju deploy ./postgresql
step "the cluster comes up" until_status '^postgresql/0\*? +active' 180
run juju status

say "Without a repository a backup is refused, and says what to do"
step "refused without a repository" eval 'refused juju run postgresql/leader create-backup && says "s3-integrator"'

say "Relate the object storage: bucket, stanza and archiving are set up"
step "integrate" run juju integrate postgresql:s3-parameters object-storage:s3-credentials
STORAGE=$(juju exec --unit postgresql/0 -- sh -c 'storage-get -s "$(storage-list pgdata)" location')
SOCKET=$STORAGE/run
archiving() { psql -h "$SOCKET" -U operator -d postgres -Atqc 'SHOW archive_command' 2>/dev/null | grep -q archive-push; }
wait_archiving() {
    local deadline=$((SECONDS + 120))
    until archiving && juju status 2>/dev/null | grep -Eq '^postgresql/0\*? +active +idle'; do
        [ $SECONDS -lt $deadline ] || { juju status; return 1; }
        sleep 0.3
    done
}
step "WAL goes to the repository" wait_archiving

say "The system users' passwords are in a secret"
run juju secrets
URI=$(juju secrets --format json | grep -o '"[a-z0-9]\{20\}"' | head -n 1 | tr -d '"')
printf '$ juju show-secret --reveal %s\n' "$URI"
OUT=$(juju show-secret --reveal "$URI" 2>&1)
sed -E 's/(-password: *).*/\1<not shown here>/; s/^/  /' <<<"$OUT"
step "all four users are in it" eval 'says operator-password && says monitoring-password && says replication-password && says rewind-password'

say "Some data, then a full backup"
sql "CREATE TABLE demo (id int PRIMARY KEY, v text)" >/dev/null
sql "INSERT INTO demo SELECT i, md5(i::text) || repeat('x', 200) FROM generate_series(1, 50000) i" >/dev/null
FULL_SUM=$(checksum)
echo "  demo: $FULL_SUM"
step "full backup" works juju run postgresql/leader create-backup
FULL_ID=$(value backup-id)

say "Change a little, take an incremental and a differential backup"
sql "INSERT INTO demo SELECT i, md5(i::text) FROM generate_series(50001, 60000) i" >/dev/null
INCR_SUM=$(checksum)
echo "  demo: $INCR_SUM"
step "incremental backup" works juju run postgresql/leader create-backup type=incremental
INCR_ID=$(value backup-id)
step "it stands on the full one" test "$(value reference)" = "$FULL_ID"
sql "UPDATE demo SET v = 'changed' WHERE id % 100 = 0" >/dev/null
step "differential backup" works juju run postgresql/leader create-backup type=differential

say "What there is"
step "list-backups shows three" eval 'run juju run postgresql/leader list-backups && says "full backup" && says "incremental backup" && says "differential backup"'
step "and as JSON" eval 'run juju run postgresql/leader list-backups format=json && says "$INCR_ID"'

say "Refusals name what is wrong and what to do"
step "an unknown type" refused juju run postgresql/leader create-backup type=tar
step "an unknown backup-id" eval 'refused juju run --wait=15m postgresql/leader restore backup-id=2001-01-01T00:00:00Z && says "Invalid backup-id"'
step "data is untouched" eval 'test "$(sql "SELECT count(*) FROM demo")" = 60000'

say "An accident"
sql "DELETE FROM demo WHERE id > 10" >/dev/null
echo "  demo: $(checksum)"

say "Restore the incremental backup"
step "restore" works juju run --wait=15m postgresql/leader restore "backup-id=$INCR_ID"
AFTER=$(checksum)
echo "  demo: $AFTER"
step "every row is as it was at the backup" test "$AFTER" = "$INCR_SUM"
step "the old data is kept aside" test -d "$(value old-data)"

say "Life goes on: writes, archiving, the next backup"
step "it takes writes" sql "INSERT INTO demo VALUES (999999, 'after the restore')"
step "WAL goes to the repository again" wait_archiving
step "the next full backup" works juju run postgresql/leader create-backup
say "And back further, to the first full backup"
step "restore of the full backup" works juju run --wait=15m postgresql/leader restore "backup-id=$FULL_ID"
AFTER=$(checksum)
echo "  demo: $AFTER"
step "every row is as it was then" test "$AFTER" = "$FULL_SUM"
step "the unit is active" until_status '^postgresql/0\*? +active +idle' 60
run juju status

say "Summary"
printf '  %s\n' "${SUMMARY[@]}"
printf '%d steps, %d failed\n' "$STEPS" "$FAILED"
[ "$FAILED" -eq 0 ]
