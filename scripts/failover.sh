#!/usr/bin/env bash
# How long it takes until another node answers for what a killed one owned: `make failover`. A cluster of three with
# PostgreSQL and HAProxy of its own, for default leases and for fast ones; each round kills the owner of a campaign
# with SIGKILL, spends on that campaign through the balancer until it is answered, and starts the node again.
# Beside it, spends on a campaign of another node: none of them may fail. KIKI_BIN names the program, ROUNDS is 5.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

rounds=${ROUNDS:-5}
kiki=$(realpath "${KIKI_BIN:-${CARGO_TARGET_DIR:-target}/release/kiki}")
[ -x "$kiki" ] || die "there is no kiki at $kiki: cargo build --release"
work=$(mktemp -d /tmp/kiki-failover.XXXXXX)
chmod 711 "$work"
cluster=
started=()
finish() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    [ -z "$cluster" ] || { kill "$cluster" 2>/dev/null && wait "$cluster" || true; }
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

now_ms() { date +%s%3N; }

# spend CAMPAIGN: the status of one spend through the balancer.
spend() {
    curl -s -o /dev/null -m 20 -w '%{http_code}' -H 'content-type: application/json' \
        -d "{\"campaign_id\":\"$1\",\"amount\":0.01}" "http://127.0.0.1:$((8081 + offset))/api/v1/spend"
}

owner() { "$kiki" admin --json --url "$admin" cluster where "$1" | python3 -c 'import json,sys; print(json.load(sys.stdin).get("owner", ""))'; }

# Until the three have about a third of the shards each.
settled() {
    local try
    for try in $(seq 1 600); do
        if "$kiki" admin --json --url "$admin" cluster 2>/dev/null | python3 -c '
import json, sys
by = json.load(sys.stdin)["shards"]["owners"]
counts = sorted(by.values())
sys.exit(0 if len(counts) == 3 and counts[0] * 9 >= sum(counts) * 2 else 1)'; then return; fi
        sleep 0.1
    done
    die "the shards do not settle"
}

measure() {
    local name=$1 round began took failed theirs ours node pid status
    shift
    offset=$((3000 + RANDOM % 10000))
    admin=http://127.0.0.1:$((8090 + offset))
    "$kiki" cluster up --nodes 3 --dir "$work/$name" --port-offset "$offset" "$@" >"$work/$name.log" 2>&1 &
    cluster=$!
    for _ in $(seq 1 600); do
        grep -q '^postgres:' "$work/$name.log" && break
        kill -0 "$cluster" 2>/dev/null || { cat "$work/$name.log" >&2; die "the cluster did not start"; }
        sleep 0.1
    done
    for round in $(seq 1 "$rounds"); do
        settled
        theirs=theirs_$round
        node=$(owner "$theirs")
        for n in $(seq 1 50); do
            ours=ours_${round}_$n
            case $(owner "$ours") in "$node" | "") ;; *) break ;; esac
        done
        for campaign in "$theirs" "$ours"; do
            curl -sf -o /dev/null -H 'content-type: application/json' -d "{\"campaign_id\":\"$campaign\",\"budget\":1000}" \
                "http://127.0.0.1:$((8081 + offset))/api/v1/allocate" || die "no budget for $campaign"
        done
        pid=$(pgrep -f "node --config .*$work/$name/$node.toml" | head -n 1)
        echo 0 >"$work/failed"
        (
            failed=0
            while [ ! -e "$work/stop" ]; do
                status=$(spend "$ours")
                [ "${status:0:1}" = 2 ] || failed=$((failed + 1))
                sleep 0.02
            done
            echo "$failed" >"$work/failed"
        ) &
        beside=$!
        sleep 0.5
        began=$(now_ms)
        kill -9 "$pid"
        while :; do
            status=$(spend "$theirs")
            [ "${status:0:1}" = 2 ] && break
            [ $(($(now_ms) - began)) -lt 60000 ] || die "nobody took $theirs over"
        done
        took=$(($(now_ms) - began))
        touch "$work/stop"
        wait "$beside"
        rm "$work/stop"
        failed=$(cat "$work/failed")
        echo "$name leases, round $round: first answer after $took ms, $failed requests to another node's campaign failed"
        echo "$took" >>"$work/$name.took"
        (cd "$work/$name" && exec "$kiki" node --config "$work/$name/$node.toml") >>"$work/again.log" 2>&1 &
        started+=($!)
    done
    sort -n "$work/$name.took" | awk -v name="$name" '
        { took[NR] = $1 }
        END { printf "%s leases: %.1f s [%.1f-%.1f] of %d\n", name, took[int((NR + 1) / 2)] / 1000, took[1] / 1000, took[NR] / 1000, NR }'
    kill "${started[@]}" 2>/dev/null || true
    wait "${started[@]}" 2>/dev/null || true
    started=()
    kill "$cluster" && wait "$cluster" || true
    cluster=
}

measure default
measure fast --fast
