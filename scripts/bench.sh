#!/usr/bin/env bash
# Measures the figures of the README and writes them into it: `make bench`. Private servers are
# started for it and stopped again. Another file than README.md: `scripts/bench.sh FILE`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh
. scripts/servers.sh

readme=${1:-README.md}
begin='<!-- bench:begin -->'
end='<!-- bench:end -->'
grep -qF "$begin" "$readme" && grep -qF "$end" "$readme" || die "$readme has not both $begin and $end"
command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"

missing=()
command -v cc >/dev/null || missing+=(build-essential)
[ -n "$(postgres_bin)" ] || missing+=(postgresql)
command -v redis-server >/dev/null && command -v redis-cli >/dev/null || missing+=(redis-server)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

rows=$(mktemp /tmp/kiki-bench.XXXXXX)
table=$(mktemp /tmp/kiki-bench.XXXXXX)
finish() {
    servers_stop
    rm -f "$rows" "$table"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "build"
cargo bench --locked --no-run --bench figures
step "servers"
servers_start
export BENCH_ROWS=$rows
for figures in rules kernel check settle audit up cluster flow-rules flow; do
    step "$figures"
    cargo bench --locked --quiet --bench figures -- "$figures"
done
step "allocations"
# The benches have the allocator of the service, which does not count.
cargo test --locked --quiet --release -p kiki-flow --test bid

{
    printf '%s\n' "$begin"
    printf 'Written by `make bench` on %s cores (%s), load %s when it began to write.\n' "$(nproc)" \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(cut -d' ' -f1 /proc/loadavg)"
    printf 'Medians [least–most] of 9 interleaved rounds in one run; load and servers share the\n'
    printf 'cores, so the ratios say more than the rates. A bar is missed only when the whole interval\n'
    printf 'misses it.\n\n'
    printf '| figure | measured | bar | | command |\n|---|---|---|---|---|\n'
    cat "$rows"
    printf '%s\n' "$end"
} >"$table"
awk -v begin="$begin" -v end="$end" -v table="$table" '
    $0 == begin { while ((getline line < table) > 0) print line; skip = 1 }
    !skip { print }
    $0 == end { skip = 0 }
' "$readme" >"$rows"
cat "$rows" >"$readme"
step "written into $readme"
