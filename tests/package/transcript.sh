#!/usr/bin/env bash
# Puts what a demo printed between the transcript marks of README.md: transcript.sh LOG
# Names of this machine's folders are cut out, long lines are cut.
set -euo pipefail

log=$1
home=$(grep -o '/tmp/pgdemo\.[A-Za-z0-9]*' "$log" | head -n 1 || true)
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
    echo '```console'
    sed -e "s#${home:-/nowhere}#/var/lib/localjuju#g" -e 's/[[:space:]]*$//' "$log" | cut -c1-240 | sed '/./,$!d'
    echo '```'
} > "$body"
awk -v body="$body" '
    /<!-- transcript -->/ { print; while ((getline line < body) > 0) print line; skipping = 1; next }
    /<!-- \/transcript -->/ { skipping = 0 }
    !skipping' README.md > README.md.new
mv README.md.new README.md
