#!/usr/bin/env bash
# Lays out the committed tree as charmcraft wants it, its files at the top: charmcraft-tree.sh DEST
set -euo pipefail

dest=${1:?usage: charmcraft-tree.sh DEST}
rm -rf "$dest"
mkdir -p "$dest"
git archive HEAD | tar -x -C "$dest"
cp "$dest"/charm/{charmcraft,metadata}.yaml "$dest/"
echo "charmcraft: now \`cd $dest && charmcraft pack\`"
