# Shared by the scripts here; sourced, never run. They begin in the root of the project.

. scripts/lib.sh

command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"
missing=()
command -v curl >/dev/null || missing+=(curl)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

# Packages from PyPI in an environment of their own, installed once per version by one process at a
# time: venv NAME PACKAGE==VERSION... prints its folder.
venv() {
    local name=$1 folder versions
    shift
    versions=$(printf '%s\n' "$@" | sha256sum | cut -c1-12)
    folder=$(cache_dir)/$name-$versions
    mkdir -p "$(cache_dir)"
    (
        flock 9
        if [ ! -e "$folder/.complete" ]; then
            step "installing $*"
            rm -rf "$folder"
            python3 -m venv "$folder"
            "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
            touch "$folder/.complete"
        fi
    ) 9>"$folder.lock"
    printf '%s\n' "$folder"
}

# The tests' build of kiki: with a test beside it the dependencies have the features of a whole test
# run, and nothing is built anew.
build_kiki() {
    step "build"
    cargo build --locked --bin kiki --test tidy
    kiki=${CARGO_TARGET_DIR:-target}/debug/kiki
}

# A folder that goes with the script, and the processes that stop with it: begin, then
# started+=(PID).
begin() {
    folder=$(mktemp -d /tmp/kiki-peers.XXXXXX)
    started=()
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

finish() {
    local at
    for ((at = ${#started[@]} - 1; at >= 0; at--)); do stop_process "${started[at]}" TERM; done
    rm -rf "$folder"
}

# Stops a process of `started` now: ended PID.
ended() {
    local pid kept=()
    stop_process "$1" TERM
    for pid in "${started[@]}"; do [ "$pid" = "$1" ] || kept+=("$pid"); done
    started=(${kept[@]+"${kept[@]}"})
}

# An offset at which every port of kiki is free at this moment.
free_offset() {
    python3 - <<'PYTHON'
import random, socket

def free(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False

while True:
    offset = random.randrange(2_000, 15_000)
    if all(free(port + offset) for port in (8080, 8081, 8082, 8087, 8090, 50051)):
        break
print(offset)
PYTHON
}

# Starts `kiki up` on $folder/data: start_kiki FLAG... sets server, shield, flow, value and grpc.
start_kiki() {
    local offset
    offset=$(free_offset)
    "$kiki" up --data-dir "$folder/data" --port-offset "$offset" "$@" >"$folder/kiki.log" 2>&1 &
    server=$!
    started+=("$server")
    shield=http://127.0.0.1:$((8081 + offset))
    flow=http://127.0.0.1:$((8082 + offset))
    value=http://127.0.0.1:$((8087 + offset))
    grpc=127.0.0.1:$((50051 + offset))
    wait_for 60 "$server" curl -fsS -o /dev/null "$shield/ready" ||
        { tail -n 40 "$folder/kiki.log" >&2; die "kiki up did not become ready"; }
}

# POST of JSON, and its answer: call URL BODY CURL-FLAG...
call() {
    local url=$1 body=$2
    shift 2
    curl -fsS -X POST "$url" -H 'content-type: application/json' "$@" -d "$body"
}

# A field of the JSON on standard input: field NAME.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# CDNOW's sample as the CSV that is imported, its last day moved to yesterday.
sample_csv() {
    python3 - tests/data/cdnow_sample.txt <<'PYTHON'
import datetime, sys

rows = [line.split() for line in open(sys.argv[1])]
rows = [(of[1], datetime.datetime.strptime(of[2], "%Y%m%d").date(), of[4]) for of in rows if len(of) == 5]
yesterday = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1)
moved = yesterday - max(day for _, day, _ in rows)
print("customer_id,date,amount")
for customer, day, amount in rows:
    print(f"{customer},{day + moved},{amount}")
PYTHON
}

# Purchases in, a fit out, promoted: fit_and_promote JSON prints the version.
fit_and_promote() {
    local id model state=queued
    sample_csv >"$folder/sample.csv"
    curl -fsS -X POST "$value/api/v1/ltv/transactions" -H 'content-type: text/csv' \
        --data-binary "@$folder/sample.csv" >/dev/null
    id=$(call "$value/api/v1/ltv/fits" "$1" | field id)
    for ((tries = 0; tries < 600; tries++)); do
        state=$(curl -fsS "$value/api/v1/ltv/fits/$id" | field state)
        case $state in queued | running) sleep 0.2 ;; *) break ;; esac
    done
    [ "$state" = done ] || die "the fit ended as $state: $(curl -fsS "$value/api/v1/ltv/fits/$id")"
    model=$(curl -fsS "$value/api/v1/ltv/fits/$id" | field model)
    call "$value/api/v1/ltv/models/$model/promote" '{}' >/dev/null
    printf '%s\n' "$model"
}
