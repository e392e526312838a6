#!/bin/bash
# Where timing is hopeless the tuner says so, and writes nothing: hopeless.sh PROGRAM (build/hako-faults)
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 3
echo 'kernel two(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n] + 1; } }' >k.hk
tune() { HAKO_TUNE_FAULT=times:1,wild:$1 "$program" tune k.hk --shapes N=1000 --budget 20s --candidates 6 --search random --db none >out.txt 2>&1; }
tune 1000
[ $? = 3 ] && grep -q 'timing is hopeless' out.txt && [ ! -e k.hkt ] || { echo "FAIL hopeless timing:"; cat out.txt; exit 1; }
tune 100 # a call is up to 2.7 times as slow: rounds enough tell Configs apart all the same
[ $? = 0 ] && grep -q 'as fast' out.txt || { echo "FAIL much noise:"; cat out.txt; exit 1; }
tune 4
[ $? = 0 ] && [ -e k.hkt ] || { echo "FAIL a little noise:"; cat out.txt; exit 1; }
echo "hopeless timing: ok"
