#!/usr/bin/env bash
# Measures how good forecasts of value are and how long fits take, on the CDNOW purchase log, and writes
# it into the README: `make ltv`. Takes about ten minutes. Another file than README.md: `scripts/ltv.sh FILE`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

readme=${1:-README.md}
begin='<!-- ltv:begin -->'
end='<!-- ltv:end -->'
grep -qF "$begin" "$readme" && grep -qF "$end" "$readme" || die "$readme has not both $begin and $end"
command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"
command -v python3 >/dev/null || install_packages python3

folder=$(mktemp -d /tmp/kiki-ltv.XXXXXX)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "build"
cargo build --locked --release --bin kiki
kiki=${CARGO_TARGET_DIR:-target}/release/kiki
log=(--transactions tests/data/cdnow_master.txt.gz --format cdnow-master --calibration-end 1997-09-30 --json)
ltv() {
    local name=$1
    shift
    step "kiki ltv $*"
    "$kiki" ltv "$@" "${log[@]}" >"$folder/$name"
}
for model in bg-nbd pareto-nbd ziln blend; do
    ltv "fit-$model" fit --model "$model" --horizon 91
done
for model in bg-nbd pareto-nbd ziln blend; do
    ltv "ahead-$model" evaluate --model "$model" --holdout-end 1997-12-30
done
for model in bg-nbd blend; do
    ltv "folds-$model" evaluate --model "$model" --holdout-end 1998-06-30 --folds 5
done

python3 - "$folder" >"$folder/table" <<'PYTHON'
import json, os, sys

folder = sys.argv[1]
of = lambda name: json.load(open(os.path.join(folder, name)))
cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
print(f"Written by `make ltv` on {os.cpu_count()} cores ({cpu}), load {os.getloadavg()[0]:.2f} when it ended. CDNOW's")
print("master log: 23,570 customers, known up to 1997-09-30; spend in dollars.\n")

print("| fit | seconds | bar | |")
print("|---|---|---|---|")
bars = {"bg-nbd": 2.0, "ziln": 180.0}
for model in ["bg-nbd", "pareto-nbd", "ziln", "blend"]:
    seconds = of(f"fit-{model}")["seconds"]["fit"]
    bar = bars.get(model)
    verdict = "" if bar is None else ("met" if seconds < bar else "**missed**")
    amounts = " with Gamma-Gamma" if model.endswith("nbd") else ""
    print(f"| `{model}`{amounts} | {seconds:.2f} | {'' if bar is None else f'< {bar:.0f}'} | {verdict} |")

def rows(title, names, bars):
    print(f"\n{title}\n")
    print("| forecast | normalised Gini | decile MAPE | total | 95% intervals held | RMSE | AUC of activity |")
    print("|---|---|---|---|---|---|---|")
    percent = lambda x, sign="+": "" if x is None else format(100 * x, f"{sign}.1f") + "%"
    cell = lambda x, digits: "" if x is None else f"{x:.{digits}f}"
    for name, model in names:
        judged = of(name)["evaluation"]
        spend, held = judged["spend"], judged["coverage"]["covered"]
        cells = [
            (cell(spend["normalised_gini"], 4), "gini", spend["normalised_gini"]),
            (cell(spend["decile_mape"], 3), "mape", spend["decile_mape"]),
            (percent(spend["total_bias"]), "bias", spend["total_bias"]),
            (percent(held, ""), "held", held),
            (cell(spend["rmse"], 1), "", None),
            (cell(judged["activity_auc"], 4), "", None),
        ]
        def shown(text, key, value):
            if model != "blend" or key not in bars:
                return text
            words, test = bars[key]
            return f"{text} ({words}: {'met' if test(value) else '**missed**'})"
        print(f"| `{model}` | " + " | ".join(shown(*c) for c in cells) + " |")
    for baseline in of(names[-1][0])["evaluation"]["baselines"]:
        s = baseline["scores"]
        print(f"| {baseline['name'].replace('_', ' ')} | {cell(s['normalised_gini'], 4)} | {cell(s['decile_mape'], 3)} | "
              f"{percent(s['total_bias'])} | | {cell(s['rmse'], 1)} | |")

held = ("93% to 97%", lambda x: 0.93 <= x <= 0.97)
rows("13 weeks ahead, to 1997-12-30, of models that know nothing after 1997-09-30:",
     [(f"ahead-{m}", m) for m in ["bg-nbd", "pareto-nbd", "ziln", "blend"]],
     {"gini": ("≥ .685", lambda x: x >= 0.685), "mape": ("≤ .10", lambda x: x <= 0.10),
      "bias": ("within ±10%", lambda x: abs(x) <= 0.10), "held": held})
rows("39 weeks, to 1998-06-30, each fifth of the customers by a model of the others (`--folds 5`):",
     [(f"folds-{m}", m) for m in ["bg-nbd", "blend"]],
     {"gini": ("≥ .725", lambda x: x >= 0.725), "mape": ("≤ .06", lambda x: x <= 0.06), "held": held})
PYTHON

awk -v begin="$begin" -v end="$end" -v table="$folder/table" '
    { if (!skip) print }
    $0 == begin { while ((getline line < table) > 0) print line; skip = 1 }
    $0 == end { if (skip) print; skip = 0 }
' "$readme" >"$folder/readme"
cat "$folder/readme" >"$readme"
step "written into $readme"
