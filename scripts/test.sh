#!/usr/bin/env bash
# Checks everything that must hold: `make test`. What a machine lacks is installed from Debian's
# packages. Arguments go to the test runner: `scripts/test.sh -E 'test(replay)'`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/servers.sh

command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"

missing=()
command -v cc >/dev/null || missing+=(build-essential)
[ -n "$(postgres_bin)" ] || missing+=(postgresql)
command -v redis-server >/dev/null && command -v redis-cli >/dev/null || missing+=(redis-server)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

runner=
finish() {
    [ -z "$runner" ] || stop_group "$runner"
    servers_stop
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "format"
cargo fmt --check
step "lints"
cargo clippy --all-targets --locked -- -D warnings

if cargo nextest --version >/dev/null 2>&1; then
    build=(cargo nextest run --no-run --locked)
    run=(cargo nextest run --locked)
else
    build=(cargo test --no-run --locked)
    run=(cargo test --locked --no-fail-fast --)
fi

step "build"
"${build[@]}"
step "examples in the documentation"
cargo test --doc --locked --quiet
step "servers"
servers_start
# The runner's own counts end the output, so it comes last; in a process group of its own, so that
# a signal ends it with all that it started.
step "tests"
set -m
"${run[@]}" "$@" </dev/null &
runner=$!
set +m
status=0
wait "$runner" || status=$?
runner=
exit "$status"
