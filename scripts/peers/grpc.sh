#!/usr/bin/env bash
# buf, a client from npm that knows none of our interfaces, makes every documented gRPC call of
# SyncValue and SyncFlow by reflection, and looks at how the interfaces are written.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/peers/lib.sh

version=1.75.0
command -v npm >/dev/null || install_packages nodejs npm
buf_folder=$(cache_dir)/buf-$version
mkdir -p "$(cache_dir)"
(
    flock 9
    if [ ! -e "$buf_folder/.complete" ]; then
        step "installing buf $version"
        rm -rf "$buf_folder"
        mkdir -p "$buf_folder"
        npm install --silent --no-fund --no-audit --prefix "$buf_folder" "@bufbuild/buf@$version" >&2
        touch "$buf_folder/.complete"
    fi
) 9>"$buf_folder.lock"
buf=$buf_folder/node_modules/.bin/buf
build_kiki
begin

step "buf lint"
# Two interfaces are documented as they are by others, package names included; our stream answers the
# questions of the unary call.
"$buf" lint --config '{"version":"v2","modules":[{"path":"proto"}],"lint":{"use":["STANDARD"],
    "except":["RPC_REQUEST_RESPONSE_UNIQUE","RPC_REQUEST_STANDARD_NAME"],
    "ignore":["proto/ltv.proto","proto/inference"]}}'

step "kiki up"
start_kiki --set value.horizon_days=90
# Question by question: ask METHOD JSON prints the answer (several, where it is a stream).
ask() {
    printf '%s' "$2" | "$buf" curl --protocol grpc --http2-prior-knowledge -d @- "http://$grpc/$1"
}
calls=0
# Checks an answer by an expression over `of`, the list of answers: holds METHOD JSON EXPRESSION.
holds() {
    local answer
    answer=$(ask "$1" "$2") || die "$1 does not answer"
    python3 - "$1" "$3" "$answer" <<'PYTHON'
import json, sys

method, expression, text = sys.argv[1:]
of, decoder, at = [], json.JSONDecoder(), 0
while text[at:].strip():
    at += len(text[at:]) - len(text[at:].lstrip())
    one, at = decoder.raw_decode(text, at)
    of.append(one)
if not eval(f"({expression})"):
    sys.exit(f"error: {method}: not {expression}\n{text}")
PYTHON
    calls=$((calls + 1))
    printf '%s\n' "$1"
}
documented='{"customer_id":"cust_123","spend":500,"engagement_score":0.85}'
holds pb.LTVService/PredictLTV "$documented" \
    'of[0]["predictedLtv"] > 0 and json.loads(of[0]["explanation"])["status"] == "fallback"'
model=$(fit_and_promote '{"model":"bg-nbd","horizon_days":90}')
holds pb.LTVService/PredictLTV "$documented" 'of[0]["predictedLtv"] > 0 and
    of[0].get("confidenceScore", 0) == 0 and
    json.loads(of[0]["explanation"])["status"] == "insufficient_data" and
    set(json.loads(of[0]["explanation"])["contributions"]) >= {"spend", "engagement_score"}'
holds grpc.health.v1.Health/Check '{}' 'of[0]["status"] == "SERVING"'
holds grpc.health.v1.Health/Check '{"service":"pb.LTVService"}' 'of[0]["status"] == "SERVING"'
holds grpc.health.v1.Health/Check '{"service":"syncvalue.v1.SyncValueService"}' \
    'of[0]["status"] == "SERVING"'
service=syncvalue.v1.SyncValueService
known='{"customer_id":"0001"}'
holds $service/PredictLTV "$known" "of[0]['modelVersion'] == '$model' and
    of[0]['status'] == 'STATUS_SUCCESS' and of[0].get('lowerBound', 0) <= of[0]['upperBound']"
holds $service/PredictLTV '{"customer_id":"new","platform":"meta","campaign_id":"c1","events":[
    {"time":"2026-01-05T10:00:00Z","type":"purchase","value":30,"source":"shop"}]}' \
    'of[0]["status"] == "STATUS_SUCCESS" and of[0]["predictedLtv"] > 0'
holds $service/PredictLTV '{"customer_id":"new","features":{"spend":120}}' \
    'of[0]["status"] == "STATUS_INSUFFICIENT_DATA"'
holds $service/PredictLTVBatch "{\"requests\":[$known,{\"customer_id\":\"0002\"}]}" \
    'len(of[0]["responses"]) == 2'
holds $service/PredictLTVStream "$known $known {\"customer_id\":\"\"}" 'len(of) == 3 and
    [int(one.get("index", 0)) for one in of] == [0, 1, 2] and "problem" in of[2]'
holds $service/GetModelHealth '{}' "of[0]['modelLoaded'] and of[0]['modelVersion'] == '$model' and
    of[0]['predictorsHealthy']"
inference=inference.GRPCInferenceService
holds $inference/ServerLive '{}' 'of[0]["live"]'
holds $inference/ServerReady '{}' 'of[0]["ready"]'
holds $inference/ServerMetadata '{}' 'of[0]["name"] == "kiki"'
holds $inference/ModelReady '{"name":"ltv"}' 'of[0]["ready"]'
holds $inference/ModelMetadata '{"name":"ltv"}' "of[0]['versions'] == ['$model'] and
    'customer_id' in [tensor['name'] for tensor in of[0]['inputs']]"
id=$(printf 0001 | base64)
holds $inference/ModelInfer "{\"model_name\":\"ltv\",\"inputs\":[{\"name\":\"customer_id\",
    \"datatype\":\"BYTES\",\"shape\":[1],\"contents\":{\"bytes_contents\":[\"$id\"]}}]}" \
    'any(one["name"] == "predicted_ltv" and one["contents"]["fp64Contents"][0] >= 0
        for one in of[0]["outputs"])'
service=syncflow.v1.SyncFlowService
holds grpc.health.v1.Health/Check "{\"service\":\"$service\"}" 'of[0]["status"] == "SERVING"'
call "$flow/api/v1/campaigns" '{"id":"peers","name":"Winter boots","advertiser_domain":"acme.example",
    "currency":"USD","budget":{"amount":1000},"strategy":{"max_cpm":{"cpm":2}},
    "creatives":[{"id":"a","format":{"banner":{"w":300,"h":250}},"markup":"x"}]}' >/dev/null
call "$flow/api/v1/campaigns/peers/start" '' >/dev/null
# A bid request for a banner of this width, as bytes are written in JSON.
bid_request() {
    printf '{"id":"r","tmax":5000,"regs":{"gdpr":0},"device":{"geo":{"country":"USA"}},
        "imp":[{"id":"1","banner":{"w":%s,"h":250}}],"site":{"domain":"news.example"}}' "$1" | base64 | tr -d "\n"
}
request="{\"openrtb\":\"$(bid_request 300)\"}"
other="{\"openrtb\":\"$(bid_request 301)\"}"
# The first requests wake the campaign.
for ((tries = 0; tries < 100; tries++)); do
    ask $service/PlaceBid "$request" | grep -q '"openrtb"' && break
    sleep 0.1
done
bid='json.loads(__import__("base64").b64decode(of[0]["openrtb"]))["seatbid"][0]["bid"][0]'
holds $service/PlaceBid "$request" "$bid['impid'] == '1' and $bid['price'] > 0 and $bid['burl']"
holds $service/PlaceBid "$other" 'of[0]["reason"] and "openrtb" not in of[0]'
holds $service/PlaceBidBatch "{\"requests\":[$request,$other]}" '"openrtb" in of[0]["responses"][0] and
    "openrtb" not in of[0]["responses"][1]'
holds $service/PlaceBidBatch "{\"atomic\":true,\"requests\":[$request,$other]}" \
    'of[0]["responses"][0]["reason"] == "withheld" and "openrtb" not in of[0]["responses"][1]'
holds $service/GetBudgetStatus '{"campaign_id":"peers"}' 'of[0]["status"] == "BUDGET_STATUS_ACTIVE" and
    of[0]["budgetMicros"] == "1000000000" and int(of[0]["heldMicros"]) > 0'
holds $service/GetCircuitBreakerStatus '{}' 'all(one["state"] == "BREAKER_STATE_CLOSED"
    for one in of[0].get("breakers", []))'
# What is wrong is told as gRPC tells it.
ask $service/PlaceBid '{"openrtb":"e30="}' >"$folder/refused" 2>&1 && die "no bid request is answered"
grep -q invalid_argument "$folder/refused" || die "$(cat "$folder/refused")"
ask pb.LTVService/PredictLTV '{"spend":-1}' >"$folder/refused" 2>&1 && die "a bad question is answered"
grep -q invalid_argument "$folder/refused" || die "$(cat "$folder/refused")"
printf 'buf %s: %s calls by reflection\n' "$version" "$calls"
