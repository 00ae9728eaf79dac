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
command -v curl >/dev/null || missing+=(curl)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

runner=
fuzzed=
fuzzed_dir=
finish() {
    [ -z "$runner" ] || stop_group "$runner"
    [ -z "$fuzzed" ] || stop_process "$fuzzed" TERM
    [ -z "$fuzzed_dir" ] || rm -rf "$fuzzed_dir"
    servers_stop
}

# Sends the running service what its OpenAPI document allows, and what it does not.
fuzz_api() {
    local binary=${CARGO_TARGET_DIR:-target}/debug/kiki offset
    fuzzed_dir=$(mktemp -d /tmp/kiki-fuzzed.XXXXXX)
    offset=$((20000 + RANDOM % 20000))
    "$binary" up --data-dir "$fuzzed_dir/data" --port-offset "$offset" >"$fuzzed_dir/log" 2>&1 &
    fuzzed=$!
    wait_for 30 "$fuzzed" curl -fsS -o /dev/null "http://127.0.0.1:$((8081 + offset))/ready" ||
        { tail -n 40 "$fuzzed_dir/log" >&2; die "kiki up did not become ready"; }
    scripts/fuzz-api.sh "http://127.0.0.1:$((8081 + offset))"
    stop_process "$fuzzed" TERM
    fuzzed=
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
step "the API under schemathesis"
fuzz_api
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
