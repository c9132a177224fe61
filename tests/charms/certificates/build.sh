#!/bin/sh
# Lays the charm out: build.sh DEST [BINARY]. Without BINARY it is built first (release).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dest=${1:?usage: build.sh DEST [BINARY]}
if [ $# -ge 2 ]; then
    binary=$2
else
    (cd "$here" && cargo build --release -p certificates >&2)
    binary=${CARGO_TARGET_DIR:-$here/../../../target}/release/certificates
fi
mkdir -p "$dest"
cp "$here/metadata.yaml" "$here/config.yaml" "$here/actions.yaml" "$dest/"
# Copied beside and renamed: a program that runs keeps its old file.
cp "$binary" "$dest/.dispatch.new"
chmod 0755 "$dest/.dispatch.new"
mv "$dest/.dispatch.new" "$dest/dispatch"
