#!/usr/bin/env bash
# Rotel, a collector from PyPI, gets the traces and metrics of a running `kiki up`; its log must show
# one trace from the adapter through the actors to the commit, and the metrics.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/peers/lib.sh

version=0.0.1a15
venv=$(venv rotel "rotel==$version")
agent=$("$venv/bin/python" -c 'import os, rotel; print(os.path.dirname(rotel.__file__))')/rotel-agent
build_kiki
begin

step "rotel $version"
http=$(free_port) otlp=$(free_port)
NO_COLOR=1 "$agent" start --exporter blackhole --debug-log traces --debug-log metrics \
    --debug-log-verbosity detailed --otlp-http-endpoint "127.0.0.1:$http" \
    --otlp-grpc-endpoint "127.0.0.1:$otlp" --pid-file "$folder/pid" --log-file "$folder/agent.log" \
    >"$folder/rotel" 2>&1 &
collector=$!
started+=("$collector")
wait_for 15 "$collector" curl -fsS -o /dev/null -X POST "http://127.0.0.1:$http/v1/traces" \
    -H 'content-type: application/x-protobuf' || { tail "$folder/rotel" >&2; die "rotel did not start"; }

step "kiki up with a collector"
start_kiki --set "telemetry.otlp_endpoint=127.0.0.1:$http" --set telemetry.metrics_interval_s=0.5
trace=$(python3 -c 'import secrets; print(secrets.token_hex(16))')
traceparent="traceparent: 00-$trace-00f067aa0ba902b7-01"
call "$shield/api/v1/allocate" '{"campaign_id":"camp_001","budget":1000,"currency":"USD"}' >/dev/null
hold=$(call "$shield/api/v1/check" '{"campaign_id":"camp_001","bid_amount":50}' -H "$traceparent" |
    field hold_id)
call "$shield/api/v1/holds/$hold/settle" '{"amount":42.5}' -H "$traceparent" >/dev/null
sleep 1
ended "$server"
ended "$collector"

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
