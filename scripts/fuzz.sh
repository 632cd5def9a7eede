#!/bin/sh
#
# fuzz.sh -- runs every fuzzer: fuzz.sh FOLDER corpus|runs|time [N]
#
#   corpus   each file of tests/fuzz/corpus/NAME once
#   runs N   the corpus, then N mutations from a fixed seed
#   time N   for N seconds; what is found new goes to build/fuzz/found/NAME
#
# Prints one line per fuzzer; what a fuzzer said, and the input that broke it, stay below
# build/fuzz. The exit code is the number of fuzzers that failed, at most 100.
set -u
dir=$1 mode=$2 n=${3:-0}
failed=0
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:handle_abort=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
for source in tests/fuzz/*.c; do
    [ -e "$source" ] || continue
    name=$(basename "$source" .c)
    corpus=tests/fuzz/corpus/$name
    found=build/fuzz/found/$name
    broken=build/fuzz/broken/$name-
    mkdir -p "$found" build/fuzz/broken build/fuzz/log
    scratch=$(mktemp -d)
    dict=
    [ ! -e "tests/fuzz/$name.dict" ] || dict=-dict=tests/fuzz/$name.dict
    set -- -artifact_prefix="$broken" -timeout=10 -rss_limit_mb=1024 -print_final_stats=0 \
        -verbosity=0 $dict
    case $mode in
    corpus) set -- "$@" -runs=0 ;;
    # What libFuzzer keeps goes to the first folder: never to our corpus.
    runs) set -- "$@" -runs="$n" -seed=20 -max_total_time=30 "$scratch" ;;
    time) set -- "$@" -max_total_time="$n" "$found" ;;
    esac
    [ ! -d "$corpus" ] || set -- "$@" "$corpus"
    log=build/fuzz/log/$name
    if "$dir/$name" "$@" >"$log" 2>&1; then
        echo "ok   fuzz $name"
    else
        echo "FAIL fuzz $name (build/fuzz/log/$name)"
        failed=$((failed + 1))
    fi
    rm -rf "$scratch"
done
[ $failed -le 100 ] || failed=100
exit $failed
