#!/usr/bin/env bash
# Plays `kiki flow exchange` against `kiki up` with 100 campaigns for ten minutes, thrice: killed every minute,
# with PostgreSQL restarted every minute, and left alone: `make exchange`. Each time the ledger must be equal to
# the exchange's bill to the micro. KIKI_EXCHANGE_SECONDS and KIKI_EXCHANGE_RATE change time and requests/s.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/servers.sh

command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"
missing=()
command -v cc >/dev/null || missing+=(build-essential)
[ -n "$(postgres_bin)" ] || missing+=(postgresql)
command -v redis-server >/dev/null && command -v redis-cli >/dev/null || missing+=(redis-server)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

runner=
finish() {
    [ -z "$runner" ] || stop_group "$runner"
    servers_stop
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export KIKI_EXCHANGE_SECONDS=${KIKI_EXCHANGE_SECONDS:-600} KIKI_EXCHANGE_RATE=${KIKI_EXCHANGE_RATE:-100}
step "build"
cargo test --locked --no-run --test flow
servers_start
export KIKI_EXCHANGE_RESTARTS=outside

step "$KIKI_EXCHANGE_SECONDS s each, at the same time"
set -m
cargo test --locked --test flow -- --nocapture --test-threads 3 --include-ignored live:: </dev/null &
runner=$!
set +m
while sleep 60 && kill -0 "$runner" 2>/dev/null; do
    stop_process "$postgres_pid" INT
    sleep 2
    postgres_again
    step "PostgreSQL was restarted"
done
status=0
wait "$runner" || status=$?
runner=
exit "$status"
