#!/bin/sh
#
# run.sh -- a development server in one folder: run.sh BUILD DIR
#
# Writes the configuration, the certificate and the administrator's password once; a
# second run finds them and starts again with the same data. The server runs in the
# foreground and gets the signals of the terminal; Ctrl-C stops it in order.
set -eu
build=$1
dir=$2
umask 022
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
conf=$dir/stanzad.yml
pem=$dir/localhost.pem
secret=$dir/admin.password

if [ ! -e "$pem" ]; then
    host=$(hostname)
    (
        umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
            -subj /CN=localhost -addext "subjectAltName=DNS:localhost,DNS:$host" \
            -keyout "$dir/key.tmp" -out "$dir/cert.tmp" 2>/dev/null
        cat "$dir/key.tmp" "$dir/cert.tmp" >"$pem"
        rm "$dir/key.tmp"
    )
    mv "$dir/cert.tmp" "$dir/localhost.crt"
    chmod 644 "$dir/localhost.crt"
fi

# A machine without IPv6 on loopback has no use for the listeners on ::1.
has_ipv6() {
    [ "$(uname -s)" != Linux ] || grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null
}

if [ ! -e "$conf" ]; then
    has_ipv6 && skip='/^#ipv6$/d' || skip='/^#ipv6$/,/^#end$/d'
    sed -e "s|@DIR@|$dir|g" -e "$skip" -e '/^#end$/d' scripts/run.yml >"$conf"
fi

if [ ! -e "$secret" ]; then
    (umask 077; openssl rand -hex 10 >"$secret")
fi
password=$(cat "$secret")

if "$build/stanzactl" -d "$dir" status >/dev/null 2>&1; then
    echo "run: a server runs already in $dir" >&2
    exit 1
fi

# Waits in the background until the server is ready, then tells how to use it.
announce() {
    n=0
    until "$build/stanzactl" -d "$dir" status >/dev/null 2>&1; do
        n=$((n + 1))
        [ $n -lt 300 ] && kill -0 $$ 2>/dev/null || exit 0
        sleep 0.1
    done
    "$build/stanzactl" -d "$dir" check_account admin localhost >/dev/null 2>&1 ||
        "$build/stanzactl" -d "$dir" register admin localhost "$password" >/dev/null
    cat <<END

stanzad is ready.

    address    admin@localhost
    password   $password
    ports      5222 (STARTTLS) and 5223 (direct TLS) on loopback
    data       $dir (configuration: stanzad.yml, certificate: localhost.crt)

Connect, for example with profanity; the certificate is self-signed, so trust it:

    profanity
    /connect admin@localhost server 127.0.0.1 port 5222 tls trust

More accounts, and what goes on:

    $build/stanzactl -d $dir register romeo localhost secret
    $build/stanzactl -d $dir help

Ctrl-C stops the server.

END
}
announce &
exec "$build/stanzad" -f -c "$conf" -d "$dir"
