#!/bin/bash
# The program's exit codes, messages and files: expect CODE 'TEXT' ARGUMENTS... runs `hako ARGUMENTS` and looks for
# TEXT in what it prints.
HAKO=$(realpath "${HAKO:-build/hako}")
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 3
"$here/make_arrays.py" . || exit 3
cp "$here/kernels.hk" k.hk
export HAKO_DB=$work/tune.db
passed=0 failed=0

expect() {
    local code=$1 text=$2 output status
    shift 2
    output=$(timeout 60 "$HAKO" "$@" 2>&1 </dev/null)
    status=$?
    if [ $status = "$code" ] && [[ $output == *"$text"* ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL hako %s\n  exit code %s, expected %s with "%s":\n%s\n' "$*" "$status" "$code" "$text" "$output"
    fi
}
same() { if cmp -s "$1" "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1 and $2 differ"; fi; }
absent() { if [ -e "$1" ]; then failed=$((failed + 1)); echo "FAIL $1 was written"; else passed=$((passed + 1)); fi; }

# Files of every version and order give the same result; it is NumPy's.
for file in x fortran big_endian v1 v2 v3; do
    expect 0 '' run k.hk:twice -i x=@$file.npy -o y=@y_$file.npy
    same y_x.npy y_$file.npy
done
expect 0 'expect: ok' run k.hk:twice -i x=@x.npy --expect y=@twice.npy
expect 0 'expect: ok' run k.hk:twice -i x=@x.npy --expect y=@twice.npy --cpu native
expect 2 'for an argument write -i n=3' run k.hk:twice -i x=@x.npy n=3
expect 1 'knows no CPU' run k.hk:twice -i x=@x.npy --cpu nonesuch
expect 1 'differs' run k.hk:twice -i x=@x.npy --expect y=@wrong.npy
expect 0 'expect: ok' run k.hk:twice -i x=@x.npy --expect y=@wrong.npy --atol 1
expect 1 'shape' run k.hk:twice -i x=@x.npy --expect y=@scalar.npy
expect 0 'expect: ok' run k.hk:twice -i x=8x16xbf16=@bf16.npy --expect y=@twice.npy --rtol 0.01
expect 0 'y: 8x16xf64' run k.hk:twice -i x=@f64.npy
expect 0 '[[1 2 3 4 5]
 [-2 -1 -4 -3 -5]]' run k.hk:unpack -i w=2x5xi4=@i4.npy

# Bad files.
for file in empty header truncated magic v9 long huge negative shape rank keys dtype objects missing; do
    expect 3 "$file.npy" run k.hk:twice -i x=@$file.npy -o y=@never.npy
done
expect 3 'directory' run k.hk:twice -i x=@/tmp -o y=@never.npy
expect 3 'directory' run /tmp -i x=1
expect 3 'none.hk' run none.hk
expect 3 'none.hk' check none.hk
expect 3 'directory' check /tmp
expect 3 'cannot write' run k.hk:twice -i x=@x.npy -o y=@none/y.npy
expect 3 'cannot write' emit k.hk --as=tile -o none/k.tile
expect 3 'none.tile' opt none.tile

# SPECs.
expect 0 'm: f32
499.5' run k.hk:mean -i x=1000xf32=iota
expect 0 '[2 4 6]' run k.hk:both -i x='3xf32=1 2 3' -i b='3xf32=1 2 3' -o y=-
expect 0 'z: 3xf32' run k.hk:both -i x=3xf32=ones -o z=-
expect 0 '[1 0.9 0.8 0.7]' run k.hk:sgd -i p=4xf32=ones -i g=4xf32=iota -o p=- --repeat 3
expect 0 '[1 0 -1 -2]' run k.hk:sgd -i p=4xf32=ones -i g=4xf32=iota --arg lr=1 -o p=-
expect 0 '[1 0 -1 -2]' run k.hk:sgd -i p=4xf32=ones -i g=4xf32=iota -i lr=1 -o p=-
expect 2 'SPEC' run k.hk:twice -i x=8x16xq32=zeros
expect 2 'SPEC' run k.hk:twice -i x=8xf32
expect 2 'foo' run k.hk:twice -i x=8x16xf32=foo
expect 2 'randn' run k.hk:twice -i 'x=8x16xf32=randn(seed'
expect 2 '3 values' run k.hk:mean -i x='4xf32=1 2 3'
expect 2 '5 values' run k.hk:mean -i x='4xf32=1 2 3 4 5'
expect 2 "'z'" run k.hk:mean -i x='3xf32=1 z 3'
expect 2 'not 9x16xf32' run k.hk:twice -i x=9x16xf32=@x.npy
expect 2 'not 8x16xbf16' run k.hk:twice -i x=8x16xbf16=@x.npy
expect 3 'does not fit in memory' run k.hk:twice -i x=99999999999x99999999999xf32=zeros

# Data that do not fit: promises are checked at launch, accesses where nothing is promised when they happen.
cp "$here/bad.hk" bad.hk
expect 1 'element (2,) of argument off is 3' run bad.hk:segs -i x=10xf32=ones -i 'off=4xi64=0 7 3 10'
expect 1 'past the end' run bad.hk:segs -i x=10xf32=ones -i 'off=4xi64=0 3 7 12'
expect 1 'where a partition starts' run bad.hk:segs -i x=10xf32=ones -i 'off=4xi64=1 3 7 10'
expect 0 '[7 0 7]' run bad.hk:loose -i x=10xf32=ones -i 'off=4xi64=0 7 3 10' --arg B=3
expect 4 'index 10 of x dimension 0' run bad.hk:loose -i x=10xf32=ones -i 'off=4xi64=0 3 7 12' --arg B=3
expect 4 'index 4 of w dimension 0' run bad.hk:take -i w=4xf32=iota -i 'ids=3xi64=0 4 1'
expect 4 'index -1 of w dimension 0' run bad.hk:take -i w=4xf32=iota -i 'ids=3xi64=0 -1 1' --target=interp
expect 0 '[-inf 0 3 inf nan]' run bad.hk:order -i 'x=5xf32=3 nan -inf inf 0'
expect 1 "16 is no choice for 'S'" run bad.hk:chunk -i x=5xf32=ones -D S=16
expect 1 "5 is no choice for 'S'" run bad.hk:chunk -i x=5xf32=ones --config 'S = 5'

# Arguments that do not fit the kernel.
expect 1 'HK0701' run k.hk:twice
expect 1 'HK0702' run k.hk:twice -i x=@x.npy -i w=@x.npy
expect 1 'HK0702' run k.hk:twice -i x=@x.npy -o z=-
expect 1 'HK0703' run k.hk:twice -i x=@x.npy -i x=@x.npy
expect 1 'HK0704' run k.hk:sgd -i p=4xf32=ones -i g=4xf32=ones -i lr=4xf32=ones
expect 1 'HK0705' run k.hk:twice -i x=8x16xi32=zeros
expect 1 'HK0706' run k.hk:twice -i x=8xf32=zeros
expect 1 'HK0707' run k.hk:sgd -i p=4xf32=ones -i g=5xf32=ones
expect 1 '2 * N + 1' run k.hk:windows -i x=8xf32=iota
expect 1 'HK0712' run k.hk:sized --arg v=1 --arg N=3037000500 --arg M=3037000500
expect 1 'HK0712' run k.hk:sized --arg v=1 --arg N=-3 --arg M=5
expect 1 "no kernel 'nope'" run k.hk:nope
expect 2 'not an output' run k.hk:twice -i x=@x.npy -o x=@never.npy
expect 1 'HK0801' run k.hk:twice -i x=@x.npy --config 'tile_m = = 3'
expect 3 'none' run k.hk:twice -i x=@x.npy --config @none

# Traps leave no file.
expect 4 'index 17 of w dimension 0 is out of bounds (size 10)' run k.hk:pick -i w=10x4xf32=iota \
    -i ids='3xi64=1 17 2' -o y=@never.npy
expect 4 'index -1 of w' run k.hk:pick -i w=10x4xf32=iota -i ids='3xi64=1 -1 2' --target=interp
expect 4 'too big' run k.hk:limited -i x=9xf32=iota
expect 4 'division by zero' run k.hk:quotient -i x='2xi32=1 2' -i y='2xi32=1 0'
absent never.npy

# The command line itself.
expect 2 'usage: hako COMMAND'
expect 0 'usage: hako COMMAND' --help
expect 0 'usage: hako run' run --help
expect 0 'usage: hako emit' help emit
expect 2 'frobnicate' frobnicate
expect 2 '--frob' run --frob
expect 2 'wants' run
expect 2 'NAME=SPEC' run k.hk -i x
expect 2 '--threads' run k.hk --threads many
expect 2 'gpu' run k.hk --target=gpu
expect 2 '--as' emit k.hk
expect 2 'wat' emit k.hk --as=wat
expect 2 'HK9999' explain HK9999
expect 0 'HK0101' explain hk0101
expect 0 'hako 0.' version
expect 0 '"version"' version --json
expect 2 'check' check
HAKO_MACHINE=machine.json expect 0 'kept in machine.json' machine
HAKO_MACHINE=machine.json expect 0 'predicted' emit k.hk:twice --as=config --explain --shapes M=64,N=64
cat >topology.xml <<'END' # a machine that hwloc is told of: its second cache is not this one's
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x1" complete_cpuset="0x1" allowed_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1" gp_index="1">
    <object type="NUMANode" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="2" local_memory="17179869184"/>
    <object type="L2Cache" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="3" cache_size="12345344" depth="2" cache_linesize="64" cache_associativity="16" cache_type="0">
      <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" gp_index="4"/>
    </object>
  </object>
</topology>
END
HAKO_MACHINE=none HWLOC_XMLFILE=topology.xml expect 0 '12056  they differ' machine
expect 0 'complete -o filenames' completion bash
expect 0 '#compdef hako' completion zsh
expect 0 '-l shapes' completion fish
expect 0 '.TH HAKO' completion man
expect 2 'bash' completion csh

# Forms: text that is read back is printed as it was.
for form in tile loop; do
    expect 0 '' emit k.hk:pick --as=$form -o a.$form
    expect 0 '' opt a.$form -o b.$form
    same a.$form b.$form
done
expect 1 "no pass 'magic'" opt a.tile --passes=magic
expect 0 '= dim V' opt a.tile --passes=simplify,dce --dump=simplify
expect 0 'kernel' emit k.hk:pick --as=opencl
expect 0 'define' emit k.hk:pick --as=llvm
expect 0 'tile_' emit k.hk:pick --as=config --shapes V=100,D=64,T=50
expect 0 'tile_b = 1,' emit "$here/../../samples/jagged/jagged_sum.hk" --as=config --shapes L=999,M=100,B=99
expect 0 'tile_i = 1,' emit "$here/../../samples/reduction/segment_reduction.hk" --as=config --shapes E=999,F=100,nodes=99
expect 1 "no dimension 'Q'" emit k.hk:pick --as=config --shapes Q=3
expect 0 'bound by' emit k.hk:twice --as=config --explain --shapes M=64,N=64
expect 2 'as=config' emit k.hk:twice --as=loop --explain
expect 2 'no model' bench k.hk:twice --explain --target=interp --shapes M=8,N=8

# Another order of units, fewer threads.
for target in cpu opencl interp; do
    expect 0 'verify: ok on all' run "$here/../../samples/batched_matmul.hk" -i a=3x37x5xf32=randn -i w=3x5x41xf32=randn --target=$target \
        --config 'tile_b = 1, tile_m = 8, tile_n = 16, grid_n = 0, threads = 1' --verify
    expect 0 'verify: ok on all' run "$here/../../samples/batched_matmul.hk" -i a=3x37x5xf32=randn -i w=3x5x41xf32=randn --target=$target \
        --config 'tile_b = 2, tile_m = 8, tile_n = 16, grid_b = 2, grid_m = 0' --verify
done
expect 1 'out of range' emit k.hk:twice --as=loop --config 'threads = 0' --shapes M=8,N=8

# Verifying, measuring, JSON.
expect 0 'predicted' bench k.hk:twice --shapes M=64,N=64 --min-time 0.01 --explain
expect 0 '"predicted_ms"' bench k.hk:twice --shapes M=64,N=64 --min-time 0.01 --explain --json
expect 0 'verify: ok on all' run k.hk:twice -i x=@x.npy --verify
expect 0 '"ok": true' run k.hk:twice -i x=@x.npy --verify --json
# What a phase leaves for another in a narrow type is rounded, and sums in another order now and then the other way.
cat >narrow.hk <<'END'
kernel narrow(x: f32[M, N]) -> (y: f32[M]) {
    buf w: bf16[M];
    tile m in M { axis n in N; w[m] = sum[n](x[m, n]); }
    tile m in M { y[m] = w[m]; }
}
END
echo 'kernel rows(i: i64[N] in 0 .. 9, x: f32[N, D]) -> (y: f32[9, D] = 0) { tile n in N, d in D { atomic y[i[n], d] += x[n, d]; } }' >rows.hk
expect 0 'load y' emit rows.hk --shapes N=50,D=64 --config 'tile_n = 50, tile_d = 16' --as=loop
expect 0 'atomic' emit rows.hk --shapes N=50,D=64 --config 'tile_n = 49, tile_d = 16' --as=loop
expect 0 'verify: ok on all' run narrow.hk -i x=50000x100xf32=randn --verify
expect 0 'GFLOP/s' bench k.hk:twice --shapes M=64,N=64 --min-time 0.01
expect 0 'verify: ok' bench k.hk:sgd --shapes N=100 --min-time 0.01 --verify
expect 0 'N = 4' bench k.hk:count --shapes N=4 --arg K=3 --min-time 0.01 --verify
expect 0 'N = 4' bench k.hk:count --shapes N=4,K=3 --min-time 0.01 --verify
# All sizes from scalars; nothing behind the arrow, since `inout` is what is written.
cat >sizes.hk <<'END'
kernel grid(W: i64, H: i64) -> (y: i64[H, W]) { tile i in H, j in W { y[i, j] = i * j; } }
kernel twice(inout x: f32[N]) -> () { tile n in N { x[n] *= 2; } }
END
expect 0 'GB/s' bench sizes.hk:grid --arg W=9 --arg H=4 --min-time 0.01
expect 0 'GB/s' bench sizes.hk:grid --shapes W=9,H=4 --min-time 0.01
expect 1 'sizes of x are not known' bench sizes.hk:twice
expect 0 '2 4 6' run sizes.hk:twice -i 'x=3xf32=1 2 3'
expect 0 '"median_ms"' bench k.hk:twice -i x=@x.npy --min-time 0.01 --json
expect 0 '(the default)' bench k.hk:twice --shapes M=64,N=64 --min-time 0.01 --compare 'tile_m = 1' --compare 'tile_m = 2'
expect 0 '"ratio"' bench k.hk:twice --shapes M=64,N=64 --min-time 0.01 --json --compare 'tile_m = 1'
expect 1 'has no knob' bench k.hk:twice --shapes M=64,N=64 --compare 'tile_z = 1'
expect 0 'code cache' run k.hk:twice -i x=@x.npy --time-passes
for command in 'check --diagnostics=json k.hk' 'run k.hk:twice -i x=@x.npy --json' 'version --json' 'machine --json' \
    'run k.hk:twice --diagnostics=json'; do
    # shellcheck disable=SC2086 # words
    if "$HAKO" $command 2>/dev/null | /usr/bin/python3 -m json.tool >/dev/null; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL hako $command: no JSON"
    fi
done

# Tuning: a Config beside the kernel, which the next run uses; inout tensors start anew in each run.
expect 0 'points tried' tune k.hk:twice --shapes M=64,N=100 --budget 20s --candidates 20 --seed 3
expect 0 'noise' tune k.hk:twice --shapes M=64,N=100,T=bf16 --budget 20s --candidates 20 --search pattern
expect 0 'STEP = ' tune k.hk:chunked --shapes N=1000 --budget 20s --candidates 20
expect 0 'keep the rules' tune k.hk:twice --shapes M=64,N=100 --space
cat >again.hk <<'END'
kernel again(x: f32[M, N]) -> (y: f32[M, N]) { axis n in N; tile m in M { let e = exp(x[m, n]); y[m, n] = e / sum[n](e); } }
END
expect 0 'recomputing' tune again.hk --shapes M=64,N=100 --space
expect 0 'keep = 32' bench again.hk --shapes M=64,N=100 --min-time 0.01 --config 'keep = 32'
expect 0 '"legal": ' tune k.hk:twice --shapes M=64,N=100 --space --json
expect 2 'forest' tune k.hk:twice --shapes M=64,N=100 --budget 1s --search magic
expect 2 '--budget' tune k.hk:twice --shapes M=64,N=100 --budget 0
expect 1 'HK0707' tune k.hk:twice --shapes M=-3,N=100 --budget 1s
grep -q 'config twice on "cpu" when' k.hkt && passed=$((passed + 1)) || { failed=$((failed + 1)); echo 'FAIL k.hkt'; }
expect 0 'written to k.hkt' tune k.hk:sgd -i p=5000xf32=ones -i g=5000xf32=iota --budget 20s --candidates 20
expect 0 'tile_n' emit k.hk:sgd --as=config --shapes N=5000
expect 0 'written to k.hkt' tune k.hk:sgd --shapes N=3000 --budget 60s --candidates 12 --log log.jsonl --report page.html --db none
expect 0 'every decision is the same' tune k.hk:sgd --shapes N=3000 --replay log.jsonl --db none
expect 1 'the log is of kernel sgd' tune k.hk:sgd --shapes N=3001 --replay log.jsonl --db none
grep -q 'Which knobs matter' page.html && grep -q 'Model against measurement' page.html && ! grep -qE 'log10|[^a-z](nan|inf)[^a-z]' page.html && passed=$((passed + 1)) || { failed=$((failed + 1)); echo 'FAIL page.html'; }
cat >sweep.hk <<'END'
kernel one(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = exp(x[n]); } }
kernel two(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n] + 1; } }
shapes one, two { test N = 3; N = 1000; N = 2000; }
END
expect 0 '== sweep.hk:two: N=2000' tune sweep.hk --budget 40s --candidates 3 --db none
[ "$(grep -c '^config' sweep.hkt)" = 4 ] && passed=$((passed + 1)) || { failed=$((failed + 1)); echo 'FAIL sweep.hkt'; }
expect 0 '== sweep.hk:two: N=1000' tune sweep.hk --shard 3/4 --budget 20s --candidates 20 --db none
"$HAKO" tune sweep.hk --budget 0.1s --db none 2>&1 | grep -q '3 of 4 are left out' && passed=$((passed + 1)) || { failed=$((failed + 1)); echo 'FAIL sweep in no time'; }
expect 0 'config tile_n' tune sweep.hk:one --effort none --db none
expect 2 '--shard' tune sweep.hk --shard 5/4
expect 2 'no kernel of these files' tune k.hk --budget 1s
expect 0 'evaluations' db ls
expect 0 'default' db show twice
expect 0 'found, exact' db why k.hk:sgd --shapes N=5000
expect 0 'asked N = 77' db why k.hk:sgd --shapes N=77
rm k.hkt
expect 0 'known before' tune k.hk:sgd --shapes N=5000 --budget 20s --candidates 20 --resume
rm k.hkt
expect 0 'tile_n' emit k.hk:sgd --as=config --shapes N=5000
expect 0 '' db export -o export.jsonl
expect 0 'rows added' db import export.jsonl --db other.db
expect 0 '0 rows added' db merge "$HAKO_DB" --db other.db
expect 0 'evaluations removed' db prune twice --db other.db
expect 3 'malformed' db import k.hk --db other.db
expect 2 'wat' db wat
expect 3 'HK0910' db ls --db k.hk
expect 3 'there is no tuning database' db ls --db none.db
HAKO_DB=k.hk expect 0 'warning: ' bench k.hk:sgd --shapes N=50 --min-time 0.01
expect 3 'HK0910' tune k.hk:sgd --shapes N=50 --budget 1s --db none/x.db

# A file that is full, of a newer version, or damaged; a Config that is edited by hand; kernels and machines that are of no use.
cat >bad_tune.hk <<'END'
kernel two(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n] + 1; } }
kernel outside(x: f32[N], i: i32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[i[n] + 10000]; } }
END
two='bad_tune.hk:two --shapes N=1000'
# shellcheck disable=SC2086 # words
{
    expect 4 'traps with the default Config' tune bad_tune.hk:outside --shapes N=100 --budget 1s --db none
    expect 0 'points tried' tune $two --budget 20s --db version.db --candidates 3
    /usr/bin/python3 -c "import sqlite3; d = sqlite3.connect('version.db'); d.execute('PRAGMA user_version = 99'); d.commit()"
    expect 3 'of a newer Hako' tune $two --budget 1s --db version.db
    expect 3 'of a newer Hako' db ls --db version.db
    HAKO_DB=version.db expect 0 'going on without it' bench $two --min-time 0.01
    expect 0 'points tried' tune $two --budget 20s --db damaged.db --candidates 3
    dd if=/dev/zero of=damaged.db bs=1024 count=8 seek=5 conv=notrunc 2>/dev/null
    expect 3 'is damaged' tune $two --budget 1s --db damaged.db
    printf '#!/bin/bash\nulimit -f 24\nexec %s "$@"\n' "$HAKO" >limited && chmod +x limited
    HAKO=./limited expect 3 'tuning database: limited.db: ' tune $two --budget 1s --db limited.db --candidates 3
    expect 3 'unable to open' tune $two --budget 1s --db /
    rm -f bad_tune.hkt
    for line in 'tile_n = 0; HK0806' 'tile_m = 5; HK0805' 'tile_n = 1 2; HK0101'; do
        echo "config two on \"cpu\" when N == 1000 { ${line%;*}; }" >bad_tune.hkt
        expect 1 "${line##* }" run bad_tune.hk:two -i x=1000xf32=iota --db none
    done
    echo 'config two on "cpu" when N == 1000 { tile_n = 0; }' >bad_tune.hkt
    expect 1 '.hkt file beside it' run bad_tune.hk:two -i x=1000xf32=iota --db none
    expect 0 'ok on all' run bad_tune.hk:two -i x=1001xf32=iota --db none --verify
    echo 'config two on "cpu" when N == 1000 { tile_n = 4000; }' >bad_tune.hkt
    expect 0 'ok on all' run bad_tune.hk:two -i x=1000xf32=iota --db none --verify
    rm -f bad_tune.hkt
    # A pack has other dimensions in each rank: conditions on those of another do not hold.
    echo 'kernel neg(x: f32[..B, N]) -> (y: f32[..B, N]) { tile b in ..B, n in N { y[b, n] = -x[b, n]; } }' >packed.hk
    echo 'config neg on "cpu" when B_0 == 2 && B_1 == 3 && N == 50 { tile_n = 16; }' >packed.hkt
    expect 0 'tile_n = 16' bench packed.hk -i x=2x3x50xf32=iota --min-time 0.01 --db none
    expect 0 'ok on all' run packed.hk -i x=2x50xf32=iota --db none --verify
    echo 'config neg on "cpu" when C_0 == 2 { tile_n = 16; }' >packed.hkt
    expect 1 "'C_0' is not known here" run packed.hk -i x=2x50xf32=iota --db none
    rm -f packed.hkt

    # No point of the space is legal; a database in a folder that another user may only read.
    cat >none.hk <<'END'
tune STEP in {2, 4} = 2;
kernel none(x: f32[N]) -> (y: f32[N]) { require N == STEP, "N is the step"; tile n in N { y[n] = x[n] + STEP; } }
END
    expect 1 'the default Config is refused' tune none.hk:none --shapes N=100 --budget 1s --db none
    expect 1 'HK0711' tune none.hk:none --shapes N=100 --budget 1s --db none
    mkdir fixed && expect 0 'points tried' tune $two --budget 20s --db fixed/t.db --candidates 3
    if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
        chmod o+rx . && printf '#!/bin/bash\nHAKO_CACHE_DIR=none exec setpriv --reuid=65534 --regid=65534 --clear-groups %s "$@"\n' "$HAKO" >other && chmod +x other
        other=./other
    else
        chmod a-w fixed fixed/t.db && other=$HAKO
    fi
    # Where others may not even start the program, there is nothing to see.
    if $other --version >/dev/null 2>&1; then
        HAKO=$other expect 0 'evaluations' db ls --db fixed/t.db
        HAKO=$other expect 0 'found, exact' db why $two --db fixed/t.db
        HAKO=$other expect 3 'readonly database' tune $two --budget 1s --db fixed/t.db
        HAKO=$other expect 3 'readonly database' db prune --db fixed/t.db
    fi
    chmod u+w fixed
    rm -f bad_tune.hkt
}

echo "command line: $passed passed, $failed failed"
[ $failed = 0 ]
