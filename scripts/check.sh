#!/bin/sh
#
# check.sh -- all tests against sanitized builds: check.sh [unit] [fuzz] [scenarios]
#
# A part that fails does not keep the others from running. What each part said is in
# build/check/PART.log; the last screen says what failed, and "N passed, N failed".
#
# Reports of the sanitizers go to the standard error of the process they are about. Unit
# tests and fuzzers fail by their exit code; of the servers that scenario tests start, the
# harness reads what they wrote (tests/harness/server.py).
set -u
MAKE=${MAKE:-make} PYTHON=${PYTHON:-/usr/bin/python3}
export CI=${CI:-}
parts=${*:-unit fuzz scenarios}
jobs=$(getconf _NPROCESSORS_ONLN)
san=build/san-address-undefined
out=build/check
passed=0 failed=0 began=$(date +%s)
rm -rf $out
mkdir -p $out
: >$out/failures

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

part_wanted() {
    case " $parts " in *" $1 "*) return 0 ;; esac
    return 1
}

count() { # PART PASSED FAILED
    passed=$((passed + $2))
    failed=$((failed + $3))
    printf '%-10s %5d passed, %d failed (%d s)\n' "$1" "$2" "$3" $(($(date +%s) - part_began)) \
        >>$out/summary
}

build() { # NAME MAKE-ARGUMENTS...
    log=$out/build-$1.log
    shift
    echo "== build: $*"
    if ! $MAKE --no-print-directory -k -j"$jobs" "$@" >"$log" 2>&1; then
        grep -E ' error: |\*\*\* |undefined reference' "$log" | head -20
        echo "build $* ($log)" >>$out/failures
        return 1
    fi
}

check_unit() {
    ok=0 bad=0
    build unit SAN=address,undefined all unit-build || bad=$((bad + 1))
    for source in tests/unit/*.c; do
        [ -e "$source" ] || continue
        name=$(basename "$source" .c)
        log=$out/unit-$name.log
        timeout 300 $san/unit/"$name" >"$log" 2>&1
        status=$?
        n_ok=$(grep -c '^\[       OK \]' "$log")
        n_bad=$(grep -c '^\[  FAILED  \] [^0-9]' "$log")
        [ $status -eq 0 ] || [ "$n_bad" -gt 0 ] || n_bad=1
        ok=$((ok + n_ok)) bad=$((bad + n_bad))
        if [ "$n_bad" -gt 0 ] || [ "$n_ok" -eq 0 ]; then
            echo "FAIL unit $name ($log)"
            grep -E 'FAILED|ERROR|error:' "$log" | head -5
            echo "unit $name ($log)" >>$out/failures
        else
            echo "ok   unit $name ($n_ok)"
        fi
        [ "$n_ok" -gt 0 ] || [ "$n_bad" -gt 0 ] || bad=$((bad + 1))
    done
    count unit $ok $bad
}

check_fuzz() {
    if ! build fuzz FUZZ=1 fuzz-build; then
        count fuzz 0 1
        return
    fi
    for mode in "corpus 0" "runs 5000"; do
        scripts/fuzz.sh build/fuzz/fuzz $mode
    done >$out/fuzz.log 2>&1
    cat $out/fuzz.log
    grep '^FAIL' $out/fuzz.log >>$out/failures
    count fuzz "$(grep -c '^ok' $out/fuzz.log)" "$(grep -c '^FAIL' $out/fuzz.log)"
}

check_scenarios() {
    if ! build scenarios SAN=address,undefined all bench-build; then
        count scenarios 0 1
        return
    fi
    scripts/clients.sh >$out/clients.log 2>&1 || cat $out/clients.log
    # -B: no __pycache__ in the tree; the fault handler tells where a hang was.
    # Files side by side: much of the time of most tests is waiting.
    STANZAD_BUILD=$san timeout 2700 $PYTHON -B -m pytest tests/stream tests/chaos -q --tb=short \
        -n $((jobs + 1)) --dist loadfile \
        -p no:cacheprovider --junit-xml=$out/scenarios.xml ${PYTEST:-} 2>&1 |
        tee $out/scenarios.log
    $PYTHON -B scripts/junit.py $out/scenarios.xml >$out/scenarios.count 2>>$out/failures ||
        echo "scenarios: no result ($out/scenarios.log)" >>$out/failures
    read -r ok bad <$out/scenarios.count || { ok=0 bad=1; }
    count scenarios "$ok" "$bad"
}

for part in unit fuzz scenarios; do
    part_wanted $part || continue
    part_began=$(date +%s)
    check_$part
done

echo
echo "== make check, $(($(date +%s) - began)) s"
cat $out/summary
if [ -s $out/failures ]; then
    echo "failures:"
    sort -u $out/failures | head -30 | sed 's/^/    /'
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ ! -s $out/failures ]
