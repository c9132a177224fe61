#!/usr/bin/env bash
# What the agent costs beside the programs it runs, and which engine settings are fast: a model is deployed,
# measured and removed. Prints a table and writes target/bench.json; docs/measurements.md says how and what came out.
#
#   make bench                 all of it, some minutes
#   make bench ONLY=agent      the agent's own costs alone (or ONLY=engine, ONLY=clients, ONLY=restore)
#
# BIN_DIR and CHARMS_DIR say where the built programs and charms are.
set -euo pipefail

: "${BIN_DIR:?run make bench}" "${CHARMS_DIR:?run make bench}"
here=$(cd "$(dirname "$0")" && pwd)
# Short: unix sockets have 107 bytes. Readable: the database runs as another user.
LOCALJUJU_HOME=$(mktemp -d /tmp/pgbench.XXXXXX)
chmod 755 "$LOCALJUJU_HOME"
export LOCALJUJU_HOME

finish() {
    local code=$?
    local log=$LOCALJUJU_HOME/end.log
    for model in bench benchc benchr; do
        [ ! -d "$LOCALJUJU_HOME/models/$model" ] ||
            "$BIN_DIR/localjuju" destroy-model --no-prompt --force "$model" >"$log" 2>&1 || cat "$log"
    done
    rm -rf "$LOCALJUJU_HOME"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

export PYTHONDONTWRITEBYTECODE=1
python3 "$here/bench/bench.py" --bin "$BIN_DIR" --charms "$CHARMS_DIR" --only "${ONLY:-all}" \
    --json "$here/../target/bench.json"
