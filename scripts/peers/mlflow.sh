#!/usr/bin/env bash
# MLflow's tracking server from PyPI gets the runs of `kiki ltv fit`, of `kiki ltv evaluate` and of a
# fit of `kiki up`; its own REST API must then tell their parameters, metrics and tags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. scripts/peers/lib.sh

version=3.17.2
venv=$(venv mlflow "mlflow==$version")
build_kiki
begin

step "mlflow $version"
port=$(free_port)
export MLFLOW_TRACKING_URI=http://127.0.0.1:$port MLFLOW_EXPERIMENT_NAME=peers
(
    cd "$folder"
    # These are for clients of it.
    unset MLFLOW_TRACKING_URI MLFLOW_EXPERIMENT_NAME
    # Tracking alone: its jobs are processes that outlive it.
    export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
    exec "$venv/bin/mlflow" server --host 127.0.0.1 \
        --port "$port" --workers 1 --backend-store-uri "sqlite:///$folder/mlflow.db" \
        --artifacts-destination "$folder/artifacts" >"$folder/mlflow" 2>&1
) &
tracking=$!
started+=("$tracking")
wait_for 120 "$tracking" curl -fsS -o /dev/null "$MLFLOW_TRACKING_URI/health" ||
    { tail -n 40 "$folder/mlflow" >&2; die "mlflow did not start"; }

step "kiki ltv fit and evaluate"
log=(--transactions tests/data/cdnow_sample.txt --format cdnow-sample)
"$kiki" ltv fit "${log[@]}" --calibration-end 1997-09-30 --model bg-nbd --json >"$folder/fit.json"
"$kiki" ltv evaluate "${log[@]}" --calibration-end 1997-09-30 --holdout-end 1998-06-30 \
    --model bg-nbd --json >"$folder/evaluate.json"

step "a fit of kiki up"
start_kiki
model=$(fit_and_promote '{"model":"pareto-nbd","horizon_days":90}')
# The actor has sent it when it counts it.
logged() { curl -fsS "$shield/metrics" | grep -q '^syncvalue_mlflow_runs_total{outcome="logged"} 2$'; }
wait_for 30 "$server" logged || { curl -fsS "$shield/metrics" | grep mlflow >&2; die "not logged"; }
curl -fsS "$value/api/v1/ltv/models/$model" >"$folder/model.json"
ended "$server"

python3 - "$MLFLOW_TRACKING_URI" "$folder" "$model" <<'PYTHON'
import json, sys, urllib.request

base, folder, model = sys.argv[1:]

def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/api/2.0/mlflow/{path}", data)
    request.add_header("content-type", "application/json")
    return json.load(urllib.request.urlopen(request, timeout=30))

def told(name):
    return json.load(open(f"{folder}/{name}.json"))

experiment = ask("experiments/get-by-name?experiment_name=peers")["experiment"]["experiment_id"]
runs = ask("runs/search", {"experiment_ids": [experiment], "max_results": 100})["runs"]

def run(source):
    found = []
    for of in runs:
        data = of["data"]
        tags = {tag["key"]: tag["value"] for tag in data["tags"]}
        if tags["kiki.source"] == source:
            params = {param["key"]: param["value"] for param in data["params"]}
            metrics = {metric["key"]: metric["value"] for metric in data["metrics"]}
            assert of["info"]["status"] == "FINISHED", of["info"]
            assert of["info"]["end_time"] >= of["info"]["start_time"], of["info"]
            found.append((params, metrics, tags))
    assert len(found) == 1, f"{len(found)} runs of {source}"
    print(f"{source}: {len(found[0][0])} parameters, {len(found[0][1])} metrics")
    return found[0]

def same(what, got, want):
    assert abs(float(got) - want) <= 1e-12 * max(1.0, abs(want)), f"{what}: {got} is not {want}"

assert len(runs) == 3, f"{len(runs)} runs"
params, metrics, tags = run("kiki ltv fit")
fit = told("fit")
for part in fit["parts"]:
    same("log-likelihood", metrics[f"{part['kind']}.log_likelihood"], part["log_likelihood"])
    for name, of in part["parameters"].items():
        same(name, params[f"{part['kind']}.{name}"], of["value"])
same("the sum", metrics["log_likelihood"], sum(part["log_likelihood"] for part in fit["parts"]))
assert (params["kind"], params["cut"], params["seed"]) == ("bg-nbd", "1997-09-30", "0"), params

params, metrics, tags = run("kiki ltv evaluate")
evaluation = told("evaluate")["evaluation"]
for name in ("normalised_gini", "decile_mape", "total_bias", "mae", "rmse", "spearman"):
    same(name, metrics[f"holdout.{name}"], evaluation["spend"][name])
same("coverage", metrics["holdout.coverage"], evaluation["coverage"]["covered"])
assert params["end"] == "1998-06-30", params

params, metrics, tags = run("server")
shown = told("model")
assert tags["kiki.model"] == model and tags["kiki.account"] == "default", tags
assert tags["kiki.alias"] == "champion" and len(tags["kiki.fingerprint"]) == 64, tags
for name in ("normalised_gini", "decile_mape", "total_bias"):
    same(name, metrics[f"holdout.{name}"], shown["scores"][name])
same("seconds", metrics["seconds"], shown["report"]["seconds"])
assert params["horizon_days"] == "90" and params["kind"] == "pareto-nbd", params
PYTHON

step "kiki ltv fit without the server"
ended "$tracking"
KIKI_MLFLOW_ATTEMPTS_MAX=1 "$kiki" ltv fit "${log[@]}" --model bg-nbd --json \
    >"$folder/fit.json" 2>"$folder/said"
grep -q '^warning: mlflow: the run is not logged' "$folder/said" || die "$(cat "$folder/said")"
printf 'mlflow %s got every run with its parameters, metrics and tags\n' "$version"
