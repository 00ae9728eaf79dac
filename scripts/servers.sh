# Private PostgreSQL and Redis for the tests: on free ports of 127.0.0.1, in a temporary folder,
# stopped by process id however the caller ends. Sourced after lib.sh.
#
#   servers_start    starts both and exports KIKI_TEST_POSTGRES_URL and KIKI_TEST_REDIS_URL
#   postgres_again   starts PostgreSQL again where it was, after it was stopped
#   servers_stop     stops them and removes the folder; safe to call twice

servers_dir=
postgres_pid=
postgres_port=
redis_pid=

# PostgreSQL refuses to run as root: then a user without rights runs it.
servers_user() {
    local name
    for name in postgres nobody; do
        if id -u "$name" >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    die "PostgreSQL does not run as root, and there is neither a user postgres nor nobody"
}

servers_start() {
    servers_dir=$(mktemp -d /tmp/kiki-test.XXXXXX)
    chmod 711 "$servers_dir"
    start_postgres
    start_redis
}

# Who runs PostgreSQL, as the words before its command.
postgres_as() {
    as=()
    if [ "$(id -u)" -eq 0 ]; then
        local user
        user=$(servers_user)
        as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups)
    fi
}

# Runs PostgreSQL on a port: postgres_at PORT. Fails where it does not answer.
postgres_at() {
    local bin data=$servers_dir/postgres as
    bin=$(postgres_bin)
    postgres_as
    (cd "$data" && exec "${as[@]}" "$bin/postgres" -D "$data/db" -p "$1" -k "$data" \
        -c listen_addresses=127.0.0.1 -c fsync=on -c max_connections=200 \
        -c shared_buffers=64MB -c logging_collector=off >>"$servers_dir/postgres.log" 2>&1) &
    postgres_pid=$!
    wait_for 30 "$postgres_pid" "$bin/pg_isready" -h 127.0.0.1 -p "$1" -U kiki
}

postgres_again() {
    postgres_at "$postgres_port" || { tail -n 40 "$servers_dir/postgres.log" >&2; die "PostgreSQL did not start again"; }
}

start_postgres() {
    local bin data=$servers_dir/postgres log=$servers_dir/postgres.log as
    bin=$(postgres_bin)
    mkdir "$data"
    postgres_as
    [ ${#as[@]} -eq 0 ] || chown "$(servers_user)" "$data"
    (cd "$data" && "${as[@]}" "$bin/initdb" -D "$data/db" -U kiki -A trust -E UTF8 --locale=C \
        >"$log" 2>&1) || { tail -n 40 "$log" >&2; die "initdb failed"; }
    local try
    for try in 1 2 3; do
        postgres_port=$(free_port)
        if postgres_at "$postgres_port"; then
            export KIKI_TEST_POSTGRES_URL="postgres://kiki@127.0.0.1:$postgres_port/postgres"
            return
        fi
        stop_process "$postgres_pid" INT
        grep -q 'could not bind' "$log" || break
    done
    tail -n 40 "$log" >&2
    die "PostgreSQL did not start (try $try)"
}

start_redis() {
    local log=$servers_dir/redis.log port try
    mkdir "$servers_dir/redis"
    for try in 1 2 3; do
        port=$(free_port)
        redis-server --port "$port" --bind 127.0.0.1 --dir "$servers_dir/redis" --save '' \
            --appendonly no --daemonize no --protected-mode yes >>"$log" 2>&1 &
        redis_pid=$!
        if wait_for 15 "$redis_pid" redis-cli -h 127.0.0.1 -p "$port" ping; then
            export KIKI_TEST_REDIS_URL="redis://127.0.0.1:$port"
            return
        fi
        stop_process "$redis_pid" TERM
        grep -q 'Address already in use' "$log" || break
    done
    tail -n 40 "$log" >&2
    die "Redis did not start (try $try)"
}

servers_stop() {
    [ -z "$postgres_pid" ] || stop_process "$postgres_pid" INT
    [ -z "$redis_pid" ] || stop_process "$redis_pid" TERM
    [ -z "$servers_dir" ] || rm -rf "$servers_dir"
    postgres_pid='' redis_pid='' servers_dir=''
}
