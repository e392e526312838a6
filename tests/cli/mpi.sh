#!/bin/bash
# A sweep of 40 shards by four ranks of hako-tune-mpi, one of which is killed, and a tuner too; then again, where all is known.
# The winners must be those of one process: with times by tests/faults/inject.c, to the last bit.
#
#     tests/cli/mpi.sh BUILD      (BUILD/hako-tune-mpi, BUILD/hako-faults)
build=$(realpath "${1:-build}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 3
cp "$build/hako-tune-mpi" . && ln -s "$build/hako-faults" hako || exit 3
mkdir temporary && export TMPDIR=$work/temporary
export HAKO_TUNE_FAULT=times:1 OMPI_MCA_btl_base_warn_component_unused=0 HAKO_DB=none
run="mpirun --oversubscribe --enable-recovery -n 4"
[ "$(id -u)" = 0 ] && run="$run --allow-run-as-root"
tune="--search random --candidates 6 --budget 20s --jobs 1"
{
    for name in one two; do
        echo "kernel $name(x: f32[M, N]) -> (y: f32[M, N]) { tile m in M, n in N { y[m, n] = $name(x[m, n]); } }"
        echo "shapes $name { test M = 1, N = 1;"
        for n in 10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160 170 180 190 200; do echo "M = 8, N = $n;"; done
        echo "}"
    done
    echo "fn one(x: f32) -> f32 = exp(x);"
    echo "fn two(x: f32) -> f32 = x + 1;"
} | sed 's/= one(/= exp(/; s/= two(x\[m, n\])/= x[m, n] + 1/; /^fn /d' >k.hk
failed=0
fail() { echo "FAIL mpi: $*"; failed=1; }
winners() { # kernel, sizes, Config of each problem
    ./hako db ls --json --db "$1" | sed 's/.*"kernel":"\([^"]*\)","sizes":"\([^"]*\)".*"config":"\([^"]*\)".*/\1 \2 \3/' | sort
}

# A stranger to the job is killed first: a tuner; then a rank.
$run ./hako-tune-mpi k.hk --db many.db --patience 5 $tune >many.txt 2>errors.txt &
job=$!
pid_of() { pgrep -P "$1" 2>/dev/null; }
for _ in $(seq 200); do
    ranks=$(pgrep -P "$job" -f 'hako-tune-mpi k.hk' | sort -n)
    [ "$(grep -c 'ok$' many.txt)" -ge 5 ] && break
    sleep 0.1
done
rank=$(echo $ranks | awk '{ print $3 }')
tuner=$(pid_of "$(pid_of "$(echo $ranks | awk '{ print $2 }')")")
[ -n "$tuner" ] && kill -KILL $tuner
[ -n "$rank" ] && kill -KILL "$rank" || fail "there is no rank to kill: $ranks"
wait $job || fail "exit code $? of mpirun"
grep -q '^40 of 40 shards done, 0 failed, 1 ranks lost' many.txt || fail "$(tail -1 many.txt)"
./hako tune k.hk --db one.db --search random --candidates 6 --budget 800s --jobs 1 >one.txt 2>&1
[ "$(winners one.db | wc -l)" = 40 ] || fail "one process has $(winners one.db | wc -l) winners"
diff <(winners one.db) <(winners many.db) || fail "other winners than one process has"
$run ./hako-tune-mpi k.hk --db many.db --resume $tune >again.txt 2>>errors.txt || fail "exit code $? of the second run"
grep -q '^40 of 40 done before' again.txt || fail "$(head -1 again.txt)"

ls temporary | grep -q hako-tune && fail "left behind: $(ls temporary)"

[ $failed = 0 ] && echo "mpi: $(tail -1 many.txt)" || { cat many.txt errors.txt | tail -n 40; exit 1; }
