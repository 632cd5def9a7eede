#!/bin/sh
#
# deps.sh -- makes sure that packages are there: deps.sh build|test|lint ...
#
# On Debian and its kin it installs what is missing when it may (root), and otherwise
# prints the command and fails. Elsewhere it only checks that the libraries are found;
# README.md has the names of the packages.
#
# A word with a slash, command/package, is satisfied by the command, wherever it is from.
#
# Some packages bring servers that we run ourselves, in folders of our own. Installing them
# starts none, now or at the next boot; those that were there before stay as they are.
set -eu

build="gcc libc6-dev make pkg-config libssl-dev libexpat1-dev libidn-dev libyaml-dev libpq-dev
    libsqlite3-dev libseccomp-dev openssl"
test="clang libclang-rt-dev llvm/llvm libcmocka-dev postgresql python3 python3-pytest python3-pytest-xdist
    python3-slixmpp python3-cryptography python3-openssl python3-yaml python3-psycopg2
    profanity tmux gnutls-bin libnss3-tools node/nodejs npm/npm git ca-certificates
    ejabberd erlang-p1-pgsql prosody lua-unbound valgrind"
lint="clang-tidy clang-format cppcheck mandoc"

want=
for group; do
    case $group in
    build) want="$want $build" ;;
    test) want="$want $test" ;;
    lint) want="$want $lint" ;;
    *) echo "usage: deps.sh build|test|lint ..." >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    if pkg-config --exists openssl expat libidn yaml-0.1 libpq sqlite3; then
        exit 0
    fi
    echo "deps: not Debian; install the packages that README.md names for your system" >&2
    exit 1
fi

missing=
for p in $want; do
    case $p in
    */*) command -v "${p%/*}" >/dev/null && continue; p=${p#*/} ;;
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
        missing="$missing $p"
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -ne 0 ]; then
    echo "deps: packages are missing. As root:" >&2
    echo "    $install" >&2
    exit 1
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made=
trap 'rm -f "$log" $made' EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e $policy ]; then
    made=$policy
    printf '#!/bin/sh\n# of scripts/deps.sh, which removes it\nexit 101\n' >$policy
    chmod 755 $policy
fi
asleep=
for s in ejabberd prosody epmd; do
    [ -e /lib/systemd/system/$s.service ] || asleep="$asleep $s"
done
# Lists may be absent or stale: try with what is there, then fetch them once.
if ! $install >"$log" 2>&1; then
    { apt-get update && $install; } >"$log" 2>&1 || { tail -20 "$log" >&2; exit 1; }
fi
for s in $asleep; do
    if [ -e "/etc/init.d/$s" ]; then
        update-rc.d "$s" disable
    elif command -v systemctl >/dev/null; then
        systemctl disable "$s.service" "$s.socket"
    fi >"$log" 2>&1 || { cat "$log"; echo "deps: $s will start at the next boot"; } >&2
done
