#!/bin/sh
#
# layers.sh -- checks each #include "folder/..." against a table: layers.sh TABLE
#
# A file is held against the row of its own name if there is one, else of its folder.
set -eu
find base shm ipc conf proc xml xmpp sql auth router worker modules master admin \
    -name '*.[ch]' -o -name '*.def' | sort | xargs awk -v table="$1" '
    BEGIN {
        while ((getline line < table) > 0) {
            if (line ~ /^#/ || line !~ /:/) continue
            split(line, part, ":")
            name = part[1]; sub(/ +$/, "", name)
            row[name] = " " part[2] " "
            if (name !~ /\//) folder[name] = 1
        }
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\"")
        if (split(quoted[2], to, "/") < 2) next
        split(FILENAME, from, "/")
        if (to[1] == from[1] || !(to[1] in folder)) next
        allowed = FILENAME in row ? row[FILENAME] : row[from[1]]
        n++
        if (index(allowed, " " to[1] " ") == 0 && index(allowed, " " quoted[2] " ") == 0) {
            printf "%s:%d: %s may not include %s\n", FILENAME, FNR, from[1], quoted[2]
            bad++
        }
    }
    END {
        printf "layers: %d includes across folders, %d against the table\n", n, bad
        exit bad > 0
    }'
