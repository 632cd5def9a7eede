#!/bin/sh
#
# lint.sh -- clang-tidy, cppcheck and mandoc: lint.sh 'MAN PAGES' 'COMPILER FLAGS'
#
# All three run whatever the others say; the exit code tells whether any complained.
set -u
man=$1 flags=$2
failed=0
sources=$(find base shm ipc conf proc xml xmpp sql auth router worker modules master admin \
    -name '*.c' | sort)
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# One clang-tidy per core; it has no exit code for warnings, its output tells.
tidy() {
    xargs -P "$(getconf _NPROCESSORS_ONLN)" -n 4 sh -c '
        flags=$1; shift
        clang-tidy --quiet "$@" -- $flags 2>/dev/null' tidy "$1" >>"$report"
}
printf '%s\n' $sources | grep -v ^modules/ | tidy "$flags"
printf '%s\n' $sources | grep ^modules/ | tidy "$flags -DSTANZAD_MODULE"
if grep -q 'warning:\|error:' "$report"; then
    cat "$report"
    failed=1
fi
echo "clang-tidy: $(grep -c 'warning:\|error:' "$report") complaints"

if cppcheck --quiet --std=c11 --language=c -j "$(getconf _NPROCESSORS_ONLN)" -I. \
    --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppressions-list=scripts/cppcheck.txt $sources; then
    echo "cppcheck: no complaints"
else
    failed=1
fi

if [ -n "$man" ]; then
    if mandoc -Tlint -W warning $man; then
        echo "mandoc: no complaints"
    else
        failed=1
    fi
fi
exit $failed
