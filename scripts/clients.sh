#!/bin/sh
#
# clients.sh -- installs the JavaScript client of the scenario tests into build/node
#
# Its versions are pinned by tests/clients/package-lock.json. A failure (no network) is
# not ours to hide: the tests that need the client fail then.
set -eu
from=tests/clients
to=build/node
if [ -e $to/.done ] && cmp -s $from/package-lock.json $to/package-lock.json; then
    exit 0
fi
mkdir -p $to
rm -f $to/.done
cp $from/package.json $from/package-lock.json $to/
npm ci --prefix $to --no-audit --no-fund --loglevel=error --ignore-scripts
touch $to/.done
