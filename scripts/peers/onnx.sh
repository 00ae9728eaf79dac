#!/usr/bin/env bash
# The same network twice, in one run: served by `kiki up`, and by onnxruntime behind Python's grpcio. One
# load generator asks both the same questions by turns; then a batch of 1,024 in process. Fails where the
# answers differ, where kiki is less than 5 times as fast at 16 connections or has the longer p99, or where
# its batch is slower. KIKI_PEERS_SECONDS is the length of a turn (4), KIKI_PEERS_ROUNDS their number (5).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/peers/lib.sh

packages=(onnxruntime==1.31.1 onnx==1.23.2 grpcio==1.85.1 grpcio-tools==1.85.1 numpy==2.4.6)
venv=$(venv onnx "${packages[@]}")
python=$venv/bin/python
step "build for release"
# Both at once: built one by one, their dependencies have other features and are built twice.
built=$(cargo build --locked --release --bin kiki --bench peer_load --message-format json)
executable() {
    python3 -c 'import json, sys
for line in sys.stdin:
    of = json.loads(line)
    if of.get("target", {}).get("name") == sys.argv[1] and of.get("executable"):
        print(of["executable"])' "$1" <<<"$built"
}
kiki=$(executable kiki)
bench=$(executable peer_load)
begin

step "a network of 40-64-32-3"
out=$folder/out
"$bench" prepare --transactions tests/data/cdnow_sample.txt --data-dir "$folder/data" --out "$out"
"$python" -m grpc_tools.protoc -I proto/inference --python_out="$out" --grpc_python_out="$out" \
    open_inference.proto
"$python" scripts/peers/onnx_model.py "$out"

step "both servers"
# Every question is asked of the model: no answer from memory.
start_kiki --set value.cache_max=0 \
    --set "value.horizon_days=$(field horizon_days <"$out/reading.json")" --set log.level=warn
port=$(free_port)
"$python" scripts/peers/onnx_server.py "$out" "$port" >"$folder/onnx" 2>&1 &
peer=$!
started+=("$peer")
wait_for 60 "$peer" grep -q ready "$folder/onnx" || { cat "$folder/onnx" >&2; die "no onnx server"; }

step "load"
printf '%s cores (%s); %s\n' "$(nproc)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "${packages[*]}"
failed=0
"$bench" load --customers "$out/customers.txt" --seconds "${KIKI_PEERS_SECONDS:-4}" \
    --rounds "${KIKI_PEERS_ROUNDS:-5}" --tolerance 1e-4 "kiki=$grpc" \
    "onnxruntime + grpcio=127.0.0.1:$port" || failed=1
ended "$server"
ended "$peer"

step "a batch of 1,024 in process"
"$python" scripts/peers/onnx_batch.py "$out" "$bench" 1024 || failed=1
[ "$failed" -eq 0 ] || die "a bar is missed"
