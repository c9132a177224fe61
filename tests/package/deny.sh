#!/usr/bin/env bash
# `cargo deny check` as far as it can run here, saying what was left out.
set -euo pipefail

if ! cargo deny --version > /dev/null 2>&1; then
  echo "deny: skipped, cargo deny is not installed (cargo install --locked cargo-deny)"
  exit 0
fi
cargo deny --locked check bans licenses sources
# The advisories are a git repository: no answer from there is no fault of the tree.
if cargo deny --locked fetch db > /dev/null 2>&1; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "deny: advisories skipped, their database cannot be fetched from here"
fi
