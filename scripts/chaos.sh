#!/usr/bin/env bash
# Builds the platform and the chaos suite, and runs experiments (all of them, or what is asked for). With root, each lab
# is in network namespaces of its own; without, on loopback, where faults of packets are passed over.
# scripts/chaos.sh [ARGUMENTS of kiki-chaos run]
# scripts/chaos.sh gameday|mutants|probe|… [ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
if [ -z "${KIKI_BIN:-}" ]; then
    if [ "${1:-}" = mutants ]; then
        # Only such a build can make the mistakes.
        cargo build --locked --features planted-bugs --bin kiki
        KIKI_BIN=$target/debug/kiki
    else
        cargo build --release --locked --bin kiki
        KIKI_BIN=$target/release/kiki
    fi
fi
export KIKI_BIN
cargo build --release --locked -p kiki-chaos
case "${1:-}" in
    run | list | validate | heal | probe | gameday | check | lab | mutants | book) ;;
    *) set -- run "$@" ;;
esac
exec "$target/release/kiki-chaos" "$@"
