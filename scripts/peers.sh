#!/usr/bin/env bash
# Talks to other people's software: `make peers`. Not a part of `make test`. Each script of
# scripts/peers/ runs alone, too; `scripts/peers.sh NAME...` runs some of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

[ $# -gt 0 ] || set -- rotel grpc mlflow onnx
for peer in "$@"; do
    [ -e "scripts/peers/$peer.sh" ] || die "there is no scripts/peers/$peer.sh"
done
for peer in "$@"; do
    step "peers: $peer"
    bash "scripts/peers/$peer.sh"
done
