#!/bin/bash
# with-postgres.sh COMMAND…: runs COMMAND with NEEDLETAIL_TEST_POSTGRES set to the URL of a throw-away PostgreSQL cluster, which is stopped
# and removed afterwards, whatever happens. It listens on a Unix socket only. Needs Debian's `postgresql`; as root the server runs as `postgres`.
# NEEDLETAIL_TEST_POSTGRES_DATA is the cluster's folder, for tests that kill and restart it with NEEDLETAIL_TEST_POSTGRES_START.
set -u
[ $# -gt 0 ] || { echo "usage: with-postgres.sh COMMAND…" >&2; exit 2; }

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb 2>/dev/null || echo /none)")
[ -x "$bin/initdb" ] || { echo "with-postgres.sh: PostgreSQL's server is not installed: apt-get install postgresql" >&2; exit 1; }

place=$(mktemp -d -t needletail-pg.XXXXXX) || exit 1
run=()
if [ "$(id -u)" = 0 ]; then
    chown postgres "$place" || exit 1
    run=(runuser -u postgres --)
fi

child=
finish() {
    trap - EXIT INT TERM HUP
    [ -n "$child" ] && kill "$child" 2>/dev/null
    (cd / && ${run[@]+"${run[@]}"} "$bin/pg_ctl" -D "$place/data" -m immediate -w stop >/dev/null 2>&1)
    rm -rf "$place"
}
trap finish EXIT
trap 'finish; exit 130' INT
trap 'finish; exit 143' TERM HUP

cd_and_run() { (cd / && ${run[@]+"${run[@]}"} "$@"); }
cd_and_run "$bin/initdb" -D "$place/data" -U needletail -A trust -E UTF8 --locale=C.UTF-8 >"$place/initdb.log" 2>&1 ||
    { cat "$place/initdb.log" >&2; exit 1; }
cat >>"$place/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$place'
max_connections = 400
restart_after_crash = on
CONF
printf '%s\n' "#!/bin/sh" "cd / && exec ${run[*]-} $bin/pg_ctl -D $place/data -l $place/server.log -w start" >"$place/start"
chmod 755 "$place" "$place/start"
"$place/start" >/dev/null 2>&1 || { cat "$place/server.log" >&2; exit 1; }

export NEEDLETAIL_TEST_POSTGRES="postgres://needletail@/postgres?host=$place"
export NEEDLETAIL_TEST_POSTGRES_DATA="$place/data"
export NEEDLETAIL_TEST_POSTGRES_START="$place/start"
"$@" &
child=$!
wait "$child"
status=$?
child=
exit $status
