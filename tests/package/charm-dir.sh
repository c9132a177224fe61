#!/usr/bin/env bash
# Lays out a charm as Juju unpacks it: charm-dir.sh DEST BINARY FILE...
# BINARY becomes `dispatch` (mode 0755), each FILE is copied beside it. Juju takes base and architecture from manifest.yaml.
set -euo pipefail

[ $# -ge 3 ] || { echo "usage: $0 DEST BINARY FILE..." >&2; exit 2; }
dest=$1 binary=$2
shift 2

case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) echo "$0: no charm is built for $(uname -m), only for x86_64 and aarch64" >&2; exit 1 ;;
esac

# Beside the old one and then in its place: a test that reads the directory never sees half of it.
new=$dest.new
rm -rf "$new"
mkdir -p "$new"
install -m 0755 "$binary" "$new/dispatch"
install -m 0644 "$@" "$new/"
cat > "$new/manifest.yaml" <<MANIFEST
bases:
  - name: ubuntu
    channel: "24.04"
    architectures: [$arch]
MANIFEST
rm -rf "$dest"
mv "$new" "$dest"
echo "charm: $dest"
