#!/usr/bin/env bash
# Installs what build, demo and tests need and is missing: deps.sh [system] [rust] [python]
#   system  Debian or Ubuntu packages by apt when run as root; otherwise prints the command and stops
#   rust    installs nothing: says how to get Rust when it is missing or older than Cargo.toml asks for
#   python  .venv with the pinned packages of requirements.txt
# Nothing that these packages bring is started, and a PostgreSQL or etcd that runs here already is left alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { echo "deps: $*"; }
stop() { printf 'deps: %s\n' "$@" >&2; exit 1; }
installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

# --- system -----------------------------------------------------------------

# Why each is here: the database and what runs it | the engine, and certificates for its TLS | what cargo builds with | tests (faketime sets the clock of one program back)
PACKAGES=(
  patroni etcd-server etcd-client python3-etcd python3-idna util-linux iproute2
  pgbackrest ca-certificates openssl
  build-essential pkg-config libssl-dev
  python3 python3-venv faketime
)

# The server that is here already, else the release's own (15 on Debian 12, 16 on Ubuntu 24.04).
postgresql() {
  local here
  here=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'postgresql-[0-9]*' 2>/dev/null |
    sed -nE 's/^installed (postgresql-[0-9]+)$/\1/p' | sort -V | tail -n 1)
  [ -n "$here" ] || here=$(apt-cache depends --important postgresql 2>/dev/null |
    sed -nE 's/^ *Depends: (postgresql-[0-9]+)$/\1/p' | head -n 1)
  echo "${here:-postgresql}"
}

missing() {
  local package
  for package in "$(postgresql)" "${PACKAGES[@]}"; do
    installed "$package" || echo "$package"
  done
}

# Runs its arguments while no package may start a service or make a default database cluster.
without_services() {
  local policy=/usr/sbin/policy-rc.d no_cluster=/etc/postgresql-common/createcluster.d/pg-backup-agent.conf
  local -a made=()
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 0755 "$policy"
    made+=("$policy")
  fi
  mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = false' > "$no_cluster"
  made+=("$no_cluster")
  # shellcheck disable=SC2064 # the list as it is now
  trap "rm -f ${made[*]}" EXIT
  local status=0
  "$@" || status=$?
  rm -f "${made[@]}"
  trap - EXIT
  return "$status"
}

# Debian's etcd-server enables a default etcd on localhost:2379 for the next boot: masked before it first comes.
mask_etcd() {
  local unit=/etc/systemd/system/etcd.service
  [ ! -e "$unit" ] && [ ! -L "$unit" ] || return 0
  mkdir -p "${unit%/*}"
  ln -s /dev/null "$unit"
  say "masked the package's own etcd.service (to use it: systemctl unmask etcd)"
}

system() {
  command -v apt-get > /dev/null || stop \
    "this is no Debian or Ubuntu. Install with your package manager: PostgreSQL, ${PACKAGES[*]}"
  local -a wanted
  mapfile -t wanted < <(missing)
  if [ ${#wanted[@]} -eq 0 ]; then
    say "all packages are installed"
    return
  fi
  [ "$(id -u)" -eq 0 ] || stop "packages are missing. Run this, then the same make again:" \
    "  sudo apt-get update && sudo apt-get install --no-install-recommends ${wanted[*]}" \
    "or run make as root, which also keeps the packages' default services from starting."
  say "apt-get update"
  apt-get update -qq || say "apt-get update failed: going on with the lists that are here"
  mapfile -t wanted < <(missing) # with fresh lists: the release's PostgreSQL by its number
  say "installing ${wanted[*]}"
  mkdir -p target
  [[ " ${wanted[*]} " != *" etcd-server "* ]] || mask_etcd
  DEBIAN_FRONTEND=noninteractive without_services \
    apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${wanted[@]}" > target/apt.log 2>&1 ||
    stop "apt-get failed: $(tail -n 5 target/apt.log)" "all of it is in target/apt.log"
  say "installed"
}

# --- rust -------------------------------------------------------------------

rust() {
  local need have
  need=$(sed -nE 's/^rust-version *= *"([0-9.]+)"/\1/p' Cargo.toml)
  have=$(cargo --version 2>/dev/null | awk '{print $2}') || true
  if [ -n "$have" ] && [ "$(printf '%s\n' "$need" "${have%%-*}" | sort -V | head -n 1)" = "$need" ]; then
    say "Rust $have (needed: $need or newer)"
    return
  fi
  stop "Rust ${have:-is missing}; needed: $need or newer. Get it with rustup (https://rustup.rs):" \
    "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy -c rustfmt" \
    "  . \"\$HOME/.cargo/env\"" \
    "where rustup is already: rustup update stable"
}

# --- python -----------------------------------------------------------------

python() {
  local file=tests/package/requirements.txt
  local -a pins
  mapfile -t pins < <(grep -v '^#' "$file")
  if [ "$(.venv/bin/pip freeze 2> /dev/null | grep -cxF -f <(printf '%s\n' "${pins[@]}"))" = ${#pins[@]} ]; then
    say ".venv is complete"
    return
  fi
  say "making .venv with ${pins[*]}"
  rm -rf .venv
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --requirement "$file"
}

for part in "${@:-system}"; do
  case $part in
    system | rust | python) "$part" ;;
    *) stop "unknown part \`$part\`: system, rust or python" ;;
  esac
done
