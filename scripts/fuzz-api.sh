#!/usr/bin/env bash
# Sends what an OpenAPI document allows, and what it does not, to a running server, and fails on a
# 5xx or on an answer that the document does not describe: scripts/fuzz-api.sh BASE_URL
#
# The same seed sends the same requests: KIKI_FUZZ_SEED. The run ends when KIKI_FUZZ_SECONDS are
# spent, of which KIKI_FUZZ_EXAMPLES go to an operation at a time. KIKI_FUZZ_KEY is the API key to
# call with: then it is also tried whether anything is answered without one. The number of requests
# is added as a line to the file that KIKI_FUZZ_COUNTS names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

version=4.32.5
[ $# -ge 1 ] || die "usage: scripts/fuzz-api.sh BASE_URL [schemathesis options]"
base_url=${1%/}
shift

# Installed once per version, by one process at a time.
venv=$(cache_dir)/schemathesis-$version
mkdir -p "$(cache_dir)"
exec 9>"$venv.lock"
flock 9
if [ ! -e "$venv/.complete" ]; then
    step "installing schemathesis $version"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" >&2
    touch "$venv/.complete"
fi
flock -u 9
exec 9>&-

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
headers=()
if [ -n "${KIKI_FUZZ_KEY:-}" ]; then
    headers=(--header "X-API-Key: $KIKI_FUZZ_KEY")
    checks=$checks,ignored_auth
fi
seed=${KIKI_FUZZ_SEED:-20261121}
report=$(mktemp -d /tmp/kiki-fuzz.XXXXXX)
trap 'rm -rf "$report"' EXIT
cd "$report"
status=0
# One worker: several of them trip over a fault of CPython 3.11's parser.
seconds=${KIKI_FUZZ_SECONDS:-45}
timeout --kill-after=10 "$((seconds + 25))" \
    "$venv/bin/schemathesis" run "$base_url/openapi.json" --url "$base_url" \
    --seed "$seed" --max-time "$seconds" --max-examples "${KIKI_FUZZ_EXAMPLES:-25}" --workers 1 \
    --phases examples,coverage,fuzzing --max-failures 10 --request-timeout 10 \
    --checks "$checks" "${headers[@]}" \
    --generation-database none --no-color "$@" | tee "$report/said" || status=$?
cases=$(sed -n 's/^ *\([0-9][0-9]*\) generated.*/\1/p' "$report/said" | tail -n 1)
[ -n "$cases" ] || die "it was not said how many requests were sent"
[ -z "${KIKI_FUZZ_COUNTS:-}" ] || printf '%s\n' "$cases" >>"$KIKI_FUZZ_COUNTS"
[ "$status" -eq 0 ] || printf '\nreplay: KIKI_FUZZ_SEED=%s scripts/fuzz-api.sh %s\n' "$seed" "$base_url" >&2
exit "$status"
