#!/usr/bin/env bash
# Builds the platform and the chaos suite, and runs experiments (all of them, or what is asked for). What a machine lacks
# is installed from Debian's packages. With root, each lab is in network namespaces of its own; without, on loopback,
# where faults of packets are passed over.
# scripts/chaos.sh [ARGUMENTS of kiki-chaos run]
# scripts/chaos.sh gameday|mutants|probe|… [ARGUMENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/servers.sh

command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"

missing=()
command -v cc >/dev/null || missing+=(build-essential)
[ -n "$(postgres_bin)" ] || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
for tool in haproxy:haproxy ip:iproute2 nft:nftables strace:strace; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

target=${CARGO_TARGET_DIR:-target}
if [ "${1:-}" = mutants ]; then
    # Only such a build can make the mistakes.
    cargo build --locked --features planted-bugs --bin kiki --bin kiki-chaos
    built=$target/debug
else
    cargo build --release --locked --bin kiki --bin kiki-chaos
    built=$target/release
fi
export KIKI_BIN=${KIKI_BIN:-$built/kiki}
case "${1:-}" in
    run | list | validate | heal | probe | gameday | check | lab | mutants | book) ;;
    *) set -- run "$@" ;;
esac
exec "$built/kiki-chaos" "$@"
