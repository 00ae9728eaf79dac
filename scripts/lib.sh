# Shared by the scripts here; sourced, never run.

# Says what is going on, so that a long run shows where it is.
step() { printf '\n== %s\n' "$*" >&2; }

# Stops with a message.
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Where downloads that outlive a clone are kept.
cache_dir() { printf '%s/kiki\n' "${XDG_CACHE_HOME:-$HOME/.cache}"; }

# Installs Debian packages: install_packages NAME...
install_packages() {
    command -v apt-get >/dev/null ||
        die "these are missing, and there is no apt-get to install them: $*"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; } ||
            die "these packages are missing; install them as root: apt-get install -y $*"
        as_root=(sudo)
    fi
    step "installing $*"
    # The tests start servers of their own: an install should start none beside them.
    local policy=/usr/sbin/policy-rc.d quiet=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        quiet=1
    fi
    local failed=0
    { "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; } >&2 ||
        failed=1
    [ "$quiet" -eq 0 ] || "${as_root[@]}" rm -f "$policy"
    [ "$failed" -eq 0 ] || die "could not install: $*"
}

# The folder of PostgreSQL's server programs, or nothing.
postgres_bin() {
    local found
    for found in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
        "$(pg_config --bindir 2>/dev/null || true)"; do
        if [ -x "$found/initdb" ] && [ -x "$found/postgres" ]; then
            printf '%s\n' "$found"
            return
        fi
    done
}

# A port that is free at this moment.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until a command succeeds: wait_for SECONDS PID COMMAND... Fails at once when PID is gone.
wait_for() {
    local deadline=$((SECONDS + $1)) pid=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# Stops a process by id: stop_process PID SIGNAL. Insists after 15 seconds.
stop_process() {
    local pid=$1 deadline=$((SECONDS + 15))
    kill -s "$2" "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
    kill -s KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# Stops a process group by the id of its first process: stop_group PID. Insists after 15 seconds.
stop_group() {
    local deadline=$((SECONDS + 15))
    kill -s TERM -- "-$1" 2>/dev/null || return 0
    while kill -0 -- "-$1" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
    kill -s KILL -- "-$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
