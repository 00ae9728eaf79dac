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
command -v haproxy >/dev/null || missing+=(haproxy)
# With it, labs of the chaos suite are in network namespaces of their own.
command -v ip >/dev/null || missing+=(iproute2)
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

# Sends the running services what their OpenAPI documents allow, and what they do not, as somebody
# with a key; and whether anything answers without one. That must be so many requests: fuzz_api LEAST
fuzz_api() {
    local binary=${CARGO_TARGET_DIR:-target}/debug/kiki offset key cases
    fuzzed_dir=$(mktemp -d /tmp/kiki-fuzzed.XXXXXX)
    # Below the ports that connections begin at.
    offset=$((2000 + RANDOM % 20000))
    key=$("$binary" keys create fuzz --role admin --quiet --data-dir "$fuzzed_dir/data")
    "$binary" up --data-dir "$fuzzed_dir/data" --port-offset "$offset" --set auth.mode=required \
        --set limits.failures_per_minute=0 --set limits.address_per_second=0 \
        --set server.grpc_port=8089 >"$fuzzed_dir/log" 2>&1 &
    fuzzed=$!
    wait_for 30 "$fuzzed" curl -fsS -o /dev/null "http://127.0.0.1:$((8081 + offset))/ready" ||
        { tail -n 40 "$fuzzed_dir/log" >&2; die "kiki up did not become ready"; }
    export KIKI_FUZZ_KEY=$key KIKI_FUZZ_COUNTS=$fuzzed_dir/counts
    for port in 8081 8082 8087 8090; do
        scripts/fuzz-api.sh "http://127.0.0.1:$((port + offset))"
    done
    stop_process "$fuzzed" TERM
    fuzzed=
    cases=$(awk '{ n += $1 } END { print n }' "$KIKI_FUZZ_COUNTS")
    step "$cases requests made from the documents"
    [ "$cases" -ge "$1" ] || die "fewer than $1 requests were made from the documents"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "${1:-}" = --fuzz-only ]; then
    # With a test beside it the dependencies have the features of a whole test run: nothing is built anew.
    cargo build --locked --features planted-bugs --bin kiki --test tidy
    step "the API under schemathesis"
    fuzz_api "${KIKI_FUZZ_LEAST:-20000}"
    exit
fi

# Mistakes on purpose for the chaos suite (src/planted.rs); none is made unasked.
features=(--features planted-bugs)
step "format"
cargo fmt --check
step "lints"
cargo clippy --all-targets --locked "${features[@]}" -- -D warnings

if cargo nextest --version >/dev/null 2>&1; then
    build=(cargo nextest run --no-run --locked "${features[@]}")
    run=(cargo nextest run --locked "${features[@]}")
else
    build=(cargo test --no-run --locked "${features[@]}")
    run=(cargo test --locked --no-fail-fast "${features[@]}" --)
fi

step "build"
"${build[@]}"
step "examples in the documentation"
cargo test --doc --locked --quiet "${features[@]}"
step "the API under schemathesis"
fuzz_api 1000
step "containers and load balancers"
bash scripts/deploy-check.sh
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
