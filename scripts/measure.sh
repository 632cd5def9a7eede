#!/bin/sh
#
# measure.sh -- what sessions and messages cost: measure.sh BUILD [memory|cpu ...]
#
# Starts servers of its own in a temporary folder on loopback, lets bench/load log in, and
# reads /proc: memory is Pss from smaps (each shared page counted once), before and after
# the log-ins, with the zones of shared memory apart: the workers' slots, and the route
# table, which several processes map. CPU time is utime + stime of every process of the
# service while the clients chat. Nothing of the load generator is counted. A fresh server
# for each row.
#
# SESSIONS, ACCOUNTS, CLIENTS, SECONDS, WORKERS, PORT change the size of it.
set -eu
build=$1
shift
what=${*:-memory cpu}
SESSIONS=${SESSIONS:-10000} ACCOUNTS=${ACCOUNTS:-200} CLIENTS=${CLIENTS:-200}
SECONDS=${SECONDS:-10} WORKERS=${WORKERS:-2} PORT=${PORT:-25222}

[ -r /proc/self/smaps ] || { echo "measure: needs Linux's /proc" >&2; exit 1; }
ulimit -n "$(ulimit -Hn)"
tmp=$(mktemp -d)
chmod 755 "$tmp"
server= load=
finish() {
    [ -z "$load" ] || kill "$load" 2>/dev/null || :
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || :
    rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$tmp/key" -out "$tmp/crt" 2>/dev/null
cat "$tmp/key" "$tmp/crt" >"$tmp/localhost.pem"
cat >"$tmp/stanzad.yml" <<END
hosts: [localhost]
loglevel: warning
workers: $WORKERS
certfiles: [$tmp/localhost.pem]
listen:
  - {port: $PORT, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true, access: all}
  - {port: $((PORT + 1)), ip: "127.0.0.1", module: ejabberd_c2s, tls: true, access: all}
shaper_rules:
  max_user_sessions: infinity
END
mkfifo "$tmp/in" "$tmp/out"
exec 3<>"$tmp/in" 4<>"$tmp/out"

ctl() {
    "$build/stanzactl" -d "$tmp/d" "$@"
}

start() {
    mkdir "$tmp/d"
    "$build/stanzad" -f -c "$tmp/stanzad.yml" -d "$tmp/d" 2>>"$tmp/log" &
    server=$!
    ctl started || { cat "$tmp/log" >&2; exit 1; }
    i=0
    while [ "$i" -lt "$ACCOUNTS" ]; do
        ctl register "bench$i" localhost bench >/dev/null
        i=$((i + 1))
    done
}

stop() {
    kill "$server"
    wait "$server" || { cat "$tmp/log" >&2; exit 1; }
    server=
    rm -rf "$tmp/d"
}

# Waits until the load generator says this.
expect() {
    while read -r line <&4; do
        [ "$line" != "$1" ] || return 0
        [ "$line" != failed ] || { echo "measure: the load generator failed" >&2; exit 1; }
    done
}

run_load() {
    ( "$build/bench/load" -a "$ACCOUNTS" "$@" <&3 >&4 || echo failed >&4 ) &
    load=$!
}

# Lines "ROLE PID": the master and its children.
pids() {
    echo "master $server"
    for stat in /proc/[0-9]*/stat; do
        pid=${stat#/proc/}
        pid=${pid%/stat}
        if [ "$(sed 's/.*) . //; s/ .*//' "$stat" 2>/dev/null)" = "$server" ]; then
            echo "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -d' ' -f2) $pid"
        fi
    done
}

# Lines "ROLE VALUE", summed by role: kilobytes of Pss, or ticks of CPU time.
sum_memory() {
    pids | while read -r role pid; do
        awk -v role="$role" '
            $1 ~ /^[0-9a-f]+-/ { shm = $6 ~ "^/dev/shm/"; rw = $2 ~ /^rw/ }
            $1 == "Pss:" && !shm { print role, $2 }
            $1 == "Pss:" && shm { print rw && role != "router" ? "slots" : "routes", $2 }
            ' "/proc/$pid/smaps"
    done | sum
}

sum_cpu() {
    pids | while read -r role pid; do
        echo "$role $(sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }')"
    done | sum
}

sum() {
    awk '{ s[$1] += $2 } END { for (r in s) print r, s[r] }'
}

# table PER FACTOR LABEL: differences of the two files before and after.
table() {
    awk -v per="$1" -v factor="$2" -v label="$3" '
        NR == FNR { before[$1] = $2; next }
        { v[$1] = ($2 - before[$1]) * factor / per; total += v[$1] }
        END {
            printf "%-18s", label
            n = split(columns, column, " ")
            for (i = 1; i <= n; i++)
                printf "%8.1f", v[column[i]]
            printf "%9.1f\n", total
        }' columns="$columns" "$tmp/before" "$tmp/after"
}

# heading TEXT COLUMN ...
heading() {
    printf '\n%s\n%-18s' "$1" ""
    shift
    columns=$*
    printf '%8s' "$@"
    printf '%9s\n' total
}

memory() {
    start
    sum_memory >"$tmp/before"
    run_load -n "$SESSIONS" -p "$2" -t "$3" idle
    expect ready
    sleep 8 # the workers give back what the log-ins needed
    sum_memory >"$tmp/after"
    table "$SESSIONS" 1024 "$1"
    printf . >&3 # one byte, which ends it
    wait "$load" || :
    load=
    stop
}

cpu() {
    start
    run_load -n "$CLIENTS" -p "$2" -t "$3" -s "$SECONDS" chat
    expect start
    sum_cpu >"$tmp/before"
    expect stop
    sum_cpu >"$tmp/after"
    read -r json <&4
    wait "$load" || :
    load=
    n=$(echo "$json" | sed 's/.*"messages":\([0-9]*\).*/\1/')
    table "$n" "$((1000000 / $(getconf CLK_TCK)))" "$1"
    echo "    $json"
    stop
}

echo "$(uname -sm), $(getconf _NPROCESSORS_ONLN) processors of $(sed -n 's/^model name.*: //p' \
    /proc/cpuinfo | sort -u | head -1), $WORKERS workers, $(openssl version | cut -d' ' -f1,2)"
for w in $what; do
    case $w in
    memory)
        heading "Idle sessions: bytes of user memory per session ($SESSIONS sessions, $ACCOUNTS accounts)" \
            worker slots routes router keeper holder auth sql admin master
        memory plain "$PORT" none
        memory "TLS 1.3, direct" "$((PORT + 1))" direct
        memory "TLS 1.3, STARTTLS" "$PORT" starttls
        ;;
    cpu)
        heading "Chat: microseconds of CPU per message ($CLIENTS clients in pairs, closed loop)" \
            worker router keeper holder auth sql admin master
        cpu plain "$PORT" none
        cpu "TLS 1.3, direct" "$((PORT + 1))" direct
        ;;
    *)
        echo "usage: measure.sh BUILD [memory|cpu ...]" >&2
        exit 2
        ;;
    esac
done
