#!/usr/bin/env bash
# Talks to other people's software: `make peers`. Not a part of `make test`.
#
# Rotel, a collector from PyPI, gets the traces and metrics of a running `kiki up`; its log must show
# one trace from the adapter through the actors to the commit, and the metrics.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

version=0.0.1a15
command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"
missing=()
command -v curl >/dev/null || missing+=(curl)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

# Installed once per version, by one process at a time.
venv=$(cache_dir)/rotel-$version
mkdir -p "$(cache_dir)"
exec 9>"$venv.lock"
flock 9
if [ ! -e "$venv/.complete" ]; then
    step "installing rotel $version"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "rotel==$version" >&2
    touch "$venv/.complete"
fi
flock -u 9
exec 9>&-
agent=$("$venv/bin/python" -c 'import os, rotel; print(os.path.dirname(rotel.__file__))')/rotel-agent

step "build"
# With a test beside it the dependencies have the features of a whole test run: nothing is built anew.
cargo build --locked --bin kiki --test tidy
kiki=${CARGO_TARGET_DIR:-target}/debug/kiki

folder=$(mktemp -d /tmp/kiki-peers.XXXXXX)
collector=
server=
finish() {
    [ -z "$server" ] || stop_process "$server" TERM
    [ -z "$collector" ] || stop_process "$collector" TERM
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "rotel $version"
http=$(free_port) grpc=$(free_port)
NO_COLOR=1 "$agent" start --exporter blackhole --debug-log traces --debug-log metrics \
    --debug-log-verbosity detailed --otlp-http-endpoint "127.0.0.1:$http" \
    --otlp-grpc-endpoint "127.0.0.1:$grpc" --pid-file "$folder/pid" --log-file "$folder/agent.log" \
    >"$folder/rotel" 2>&1 &
collector=$!
wait_for 15 "$collector" curl -fsS -o /dev/null -X POST "http://127.0.0.1:$http/v1/traces" \
    -H 'content-type: application/x-protobuf' || { tail "$folder/rotel" >&2; die "rotel did not start"; }

step "kiki up with a collector"
offset=$((20000 + RANDOM % 20000))
"$kiki" up --data-dir "$folder/data" --port-offset "$offset" \
    --set "telemetry.otlp_endpoint=127.0.0.1:$http" --set telemetry.metrics_interval_s=0.5 \
    >"$folder/log" 2>&1 &
server=$!
url=http://127.0.0.1:$((8081 + offset))
wait_for 30 "$server" curl -fsS -o /dev/null "$url/ready" ||
    { tail -n 40 "$folder/log" >&2; die "kiki up did not become ready"; }

call() {
    local path=$1 body=$2
    shift 2
    curl -fsS -X POST "$url$path" -H 'content-type: application/json' "$@" -d "$body"
}
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
trace=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
traceparent="traceparent: 00-$trace-00f067aa0ba902b7-01"
call /api/v1/allocate '{"campaign_id":"camp_001","budget":1000,"currency":"USD"}' >/dev/null
hold=$(call /api/v1/check '{"campaign_id":"camp_001","bid_amount":50}' -H "$traceparent" | field hold_id)
call "/api/v1/holds/$hold/settle" '{"amount":42.5}' -H "$traceparent" >/dev/null
sleep 1
stop_process "$server" TERM
server=
stop_process "$collector" TERM
collector=

# The spans of this trace as rotel's log shows them, each below its parent.
python3 - "$folder/rotel" "$trace" <<'PYTHON'
import re, sys

log = open(sys.argv[1], encoding="utf-8", errors="replace").read()
log = re.sub(r"\x1b\[[0-9;]*m", "", log)
spans = {}
for text in re.split(r"(?m)^Span #\d+", log)[1:]:
    fields = dict(re.findall(r"(?m)^\s*(Trace ID|Parent ID|ID|Name)\s*:\s*(.*?)\s*$", text))
    if fields.get("Trace ID") == sys.argv[2]:
        spans[fields["ID"]] = (fields["Name"], fields["Parent ID"])

def way(of):
    """Names from the request down to a span."""
    name, parent = spans[of]
    return (way(parent) if parent in spans else []) + [name]

ways = [way(of) for of in spans]
print(f"trace {sys.argv[2]}")
for path in sorted(ways):
    print("  " * len(path) + path[-1])
wanted = [
    ["POST /api/v1/check", "budget authorise"],
    ["POST /api/v1/holds/{id}/settle", "budget settle", "commit"],
]
lacking = [" > ".join(path) for path in wanted if path not in ways]
metrics = ["kiki_http_requests_total", "kiki_http_request_duration_seconds", "kiki_actor_messages_total"]
lacking += [name for name in metrics if name not in log]
if lacking:
    sys.exit(f"error: rotel's log lacks {lacking}\n{log[-4000:]}")
print("metrics: " + ", ".join(metrics))
PYTHON
printf 'the collector got the whole trace and the metrics\n'
