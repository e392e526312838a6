#!/bin/bash
# The OpenCL backend on the samples, without a GPU:
#   text   what is emitted keeps to the rules and passes clang for spir64, also without fp16 and fp64
#   pocl   each kernel on the first OpenCL device against the interpreter, at sizes around tile edges;
#          random programs as well, if build/tests/compare is there
#   gpu    PTX and GCN of a few kernels: no register is spilled
#   host   programs that hako writes of the OpenCL API: they compile, say ok, and see a wrong value
#   devices choosing one by number and name
#   tune   candidates that are compiled at once, in processes of their own
#   cache  binaries that were kept are used, or rebuilt where the driver is another or refuses them
#   subgroups what groups combine, by the code for drivers that have subgroups
#   faults what a failing driver says: a clear error, the right exit code, no output file
#   mutants faults put into the emitted text, each of which one of the above must see
#   sim    small launches under Oclgrind: no access out of bounds, race or uninitialised read; once more with
#          groups of 16 work-items to a tile, where neither may race
#   samples every test and oracle of every sample under Oclgrind; takes long, and so is no part of "all"
# A part whose tool is not installed says so and is left out.
#
#     tests/opencl/run.sh [text] [gpu] [pocl] [host] [devices] [tune] [cache] [subgroups] [faults] [mutants] [sim] [samples]
HAKO=$(realpath "${HAKO:-build/hako}")
cd "$(dirname "$0")/../.." || exit 3
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
export POCL_CACHE_DIR=${POCL_CACHE_DIR:-$work/pocl}
mkdir -p "$POCL_CACHE_DIR"
passed=0 failed=0
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL $*"; }

# sample:kernel and its inputs; S M L stand for sizes
cases() {
    cat <<'END'
vector_add:vector_add a=SxMxf32=randn b=SxMxf32=randn(seed=2)
vector_add:vector_add a=Lxi32=iota b=Lxi32=rand
vector_add:vector_add a=Lxf16=randn b=Lxf16=randn(seed=2)
axpy:axpy x=Lxf32=randn y=Lxf32=randn(seed=2)
softmax:softmax x=SxLxf32=randn
softmax:softmax x=SxMxbf16=randn
softmax:softmax_two_pass x=SxLxf32=randn
rms_norm:rms_norm x=SxLxf32=randn w=Lxf32=rand
layer_norm:layer_norm x=SxLxf32=randn w=Lxf32=rand b=Lxf32=randn
matmul:matmul a=SxMxf32=randn b=MxLxf32=randn(seed=2)
matmul:matmul a=SxMxbf16=randn b=MxLxbf16=randn(seed=2)
matmul:linear_gelu a=SxMxf32=randn b=MxLxf32=randn(seed=2) bias=Lxf32=randn(seed=3)
batched_matmul:batched_matmul a=2xSxMxf32=randn w=2xMxLxf32=randn(seed=2)
batched_matmul:batched_matmul_nt a=2xSxMxf32=randn w=2xLxMxf32=randn(seed=2)
column_sum:column_sum x=LxSxf32=randn
column_sum:column_sum_split x=LxSxf32=randn
concatenate:concatenate a=SxMxf32=randn b=SxLxf32=randn(seed=2)
cross_entropy:cross_entropy x=SxLxf32=randn label=Sxi64=zeros
cross_entropy:cross_entropy_rows x=SxLxf32=randn label=Sxi64=zeros
embedding:embedding w=LxMxf32=randn ids=Sxi64=iota
attention:attention q=2xSx16xf32=randn k=2xLx16xf32=randn(seed=2) v=2xLxMxf32=randn(seed=3)
attention:causal_attention q=2xSx16xf32=randn k=2xSx16xf32=randn(seed=2) v=2xSxMxf32=randn(seed=3)
END
}

# grouped S M L: what groups share in ways of its own (groups.hk), with these sizes
grouped() {
    cat <<END
places x=${1}x${3}xf32=randn
places x=${2}x${3}xi64=rand
places x=${1}x0xf32=zeros
rows_of x=${3}x${2}xf32=randn
prefixes x=${1}x${3}xf32=randn
prefixes x=${2}x${3}xi64=rand
../tests/run/scans:whole x=${1}x${3}xi32=rand
../tests/run/scans:tiles x=${1}x${3}xi32=rand
../tests/run/scans:depth x=${1}x${2}x${3}xi32=rand
END
}

# staged S M L: products in groups with these sizes, by Configs that turn what is staged, and the units, about
staged() {
    sized "$@" | grep -E '^(matmul:matmul|attention:causal_attention) .*f32' |
        sed 's/$/ --config swizzle=2,buffers=2,unroll=3/'
}

# run_case PREFIX-COMMAND... -- CASE: `hako run --verify` on the case (of samples/, or of groups.hk), its output in $work/out
run_case() {
    local prefix=()
    while [ "$1" != -- ]; do prefix+=("$1"); shift; done
    shift
    local kernel=$1 inputs=() file
    shift
    case $kernel in *:*) file=samples/${kernel%%:*}.hk ;; *) file=tests/opencl/groups.hk ;; esac
    for input in "$@"; do
        case $input in --config | group=* | swizzle=*) inputs+=("$input") ;; *) inputs+=(-i "$input") ;; esac
    done
    "${prefix[@]}" timeout 300 "$HAKO" run "$file:${kernel##*:}" --target=opencl --verify \
        "${inputs[@]}" >"$work/out" 2>&1
}

# sized S M L: the cases with these sizes
sized() { cases | sed "s/\bS\(x\)/$1\1/g; s/x\([SML]\)x/x\1x/g; s/=S/=$1/g; s/xS/x$1/g; s/=M/=$2/g; s/xM/x$2/g; s/=L/=$3/g; s/xL/x$3/g"; }

check_text() {
    local source=$work/kernel.cl what=$1
    grep -q '#pragma OPENCL FP_CONTRACT OFF' "$source" || fail "$what: contraction is not off"
    grep -q '^#line [0-9]* "' "$source" || fail "$what: no #line"
    sed -n '/^__kernel/,/^}/p' "$source" | grep -qw return && fail "$what: a kernel returns early"
    grep -n 'barrier()' "$source" && fail "$what: a barrier without a fence flag"
    command -v clang-19 >/dev/null || return
    local extensions=-cl_khr_fp16
    grep -q cl_khr_fp64 "$source" || extensions+=,-cl_khr_fp64
    # A value that is carried or kept and that nobody reads is left to the driver.
    clang-19 -x cl -cl-std=CL1.2 -fsyntax-only -Xclang -finclude-default-header -target spir64 -Wall -Werror -Wno-unused-variable -Wno-unused-but-set-variable \
        -Xclang "-cl-ext=$extensions" "$source" >"$work/out" 2>&1 || { fail "$what"; head -20 "$work/out"; return; }
    if grep -q HK_SUBGROUPS "$source"; then
        clang-19 -x cl -cl-std=CL2.0 -DHK_SUBGROUPS -fsyntax-only -Xclang -finclude-default-header -target spir64 -Werror "$source" \
            >"$work/out" 2>&1 || { fail "$what, with subgroups"; head -20 "$work/out"; return; }
    fi
    pass
}

text() {
    command -v clang-19 >/dev/null || echo "clang-19 is not installed: the emitted text is not compiled"
    for sample in samples/*.hk samples/*/*.hk; do
        while read -r kernel; do
            if "$HAKO" emit "$sample:$kernel" --as=opencl -o "$work/kernel.cl" >"$work/out" 2>&1; then
                check_text "$sample:$kernel"
            else
                fail "emit $sample:$kernel"
                head -5 "$work/out"
            fi
        done < <(sed -n 's/^kernel \([a-z_0-9]*\).*/\1/p' "$sample")
    done
}

pocl() {
    "$HAKO" version | grep -q '^opencl 0' || { echo "no OpenCL device: nothing is run"; return; }
    local compare=${HAKO%/*}/tests/compare
    if [ -x "$compare" ]; then
        if python3 tests/fuzz/tiles.py "$compare" --opencl --count 8 --keep "$work"; then pass; else fail "random programs"; fi
    fi
    for sizes in "3 1 17" "36 31 65"; do
        # shellcheck disable=SC2086 # three words
        set -- $sizes
        while read -r -a words; do
            if run_case -- "${words[@]}"; then pass; else fail "${words[*]}"; head -5 "$work/out"; fi
        done < <(sized "$@")
    done
    while read -r -a words; do # barriers in loops and conditions
        if run_case -- "${words[@]}" --config "group=16"; then pass; else fail "in groups ${words[*]}"; head -5 "$work/out"; fi
    done < <(sized 36 31 65 | grep -E '^(matmul:matmul|softmax:softmax|attention:attention|column_sum:column_sum_split) .*f32'
        grouped 3 2 101; staged 36 31 65)
}

gpu() {
    HAKO=$HAKO scripts/gpu-table --check >"$work/out" 2>&1
    local status=$?
    tail -1 "$work/out"
    case $status in 0) pass ;; 3) ;; *) fail "registers on GPUs"; head -20 "$work/out" ;; esac
}

mutants() {
    "$HAKO" version | grep -q '^opencl 0' || return
    command -v oclgrind >/dev/null || { echo "oclgrind is not installed: no mutants"; return; }
    ${CC:-cc} -shared -fPIC -o "$work/faults.so" tests/opencl/faults.c -ldl || { fail "faults.c"; return; }
    HAKO=$HAKO python3 tests/opencl/mutants.py "$work" >"$work/out" 2>&1
    if [ $? = 0 ]; then pass; else fail "mutants"; grep -v '^caught' "$work/out"; fi
    tail -1 "$work/out"
}

# fault NAME EXIT-CODE TEXT [HKnnnn]: a launch with this fault ends so
fault() {
    LD_PRELOAD=$work/faults.so HAKO_FAULT=$1 "$HAKO" run samples/vector_add.hk --target=opencl \
        -i a=3000xf64=randn -i b=3000xf64=randn -o "y=@$work/y.npy" >"$work/out" 2>&1
    local status=$?
    if [ $status != "$2" ] || ! grep -F "$3" "$work/out" | grep -q "${4:-}" || [ -e "$work/y.npy" ]; then
        fail "fault $1: exit code $status, expected $2 and '$3'"
        head -5 "$work/out"
    else
        pass
    fi
}

# refused NAME GROUP TEXT: a launch in groups of this size is refused before anything is built
refused() {
    LD_PRELOAD=$work/faults.so HAKO_FAULT=$1 "$HAKO" run samples/softmax.hk --target=opencl -i x=3x2000xf32=randn \
        --config "group = $2" -o "y=@$work/y.npy" >"$work/out" 2>&1
    [ $? = 3 ] && grep "$3" "$work/out" | grep -q HK0952 && [ ! -e "$work/y.npy" ] && pass || { fail "fault $1"; head -5 "$work/out"; }
}

# chosen EXIT-CODE TEXT TARGET: a launch on --target=TARGET ends so
chosen() {
    "$HAKO" run samples/vector_add.hk --target="$3" -i a=3xf32=ones -i b=3xf32=ones >"$work/out" 2>&1
    local status=$?
    if [ $status = "$1" ] && grep -qF "$2" "$work/out"; then pass; else fail "--target=$3: exit code $status"; head -5 "$work/out"; fi
}

devices() {
    "$HAKO" devices >"$work/out" 2>&1 || { echo "no OpenCL device: none is chosen"; return; }
    local name
    name=$("$HAKO" devices --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["name"])')
    grep -qF "opencl:0  $name" "$work/out" && pass || fail "hako devices"
    chosen 0 "[2 2 2]" opencl:0
    chosen 0 "[2 2 2]" "opencl:$name"
    chosen 0 "[2 2 2]" "opencl:$(tr '[:lower:]' '[:upper:]' <<<"${name:1}")"
    chosen 3 "there is no OpenCL device 99" opencl:99
    chosen 3 "no OpenCL device is called 'no such'" "opencl:no such"
    chosen 2 "number or name" opencl:
    chosen 2 "none of: cpu opencl interp" opencl1
    "$HAKO" test samples/axpy.hk --target=cpu,opencl:0 >"$work/out" 2>&1 && grep -q opencl "$work/out" && pass || fail "hako test --target=opencl:0"
}

tune() {
    "$HAKO" version | grep -q '^opencl 0' || return
    cp samples/axpy.hk "$work"
    HAKO_DB=none "$HAKO" tune "$work/axpy.hk" --target=opencl -i x=3000xf32=iota -i y=3000xf32=ones --arg alpha=2 --jobs 2 \
        --candidates 3 --budget 60s --timeout 60 >"$work/out" 2>&1
    grep '^3 of .* points tried' "$work/out" | grep -qv 'crash\|hang' && pass || { fail "hako tune --target=opencl"; head -5 "$work/out"; }
}

# cached HOW FAULT: a launch with this fault takes the step "code cache" or "opencl"
cached() {
    LD_PRELOAD=$work/faults.so HAKO_FAULT=$2 HAKO_CACHE_DIR=$work/cache "$HAKO" run samples/axpy.hk --target=opencl --arg alpha=2 \
        -i x=5xf32=ones -i y=5xf32=ones --time-passes --verify >"$work/out" 2>&1 && grep -q " $1$" "$work/out" && grep -q "verify: ok" "$work/out" &&
        pass || { fail "cached binary, fault '$2': not by $1"; tail -5 "$work/out"; }
}

# subgrouped FAULT CASE: the case in groups of 16, with subgroups of one work-item each
subgrouped() {
    local fault=$1
    shift
    LD_PRELOAD=$work/faults.so HAKO_FAULT=$fault HAKO_CACHE_DIR=$work/$fault run_case -- "$@" --config "group=16"
}

# PoCL has no subgroups: the code for them runs with the smallest that there can be.
subgroups() {
    "$HAKO" version | grep -q '^opencl 0' || return
    ${CC:-cc} -shared -fPIC -o "$work/faults.so" tests/opencl/faults.c -ldl || { fail "faults.c"; return; }
    while read -r -a words; do
        if subgrouped subgroups "${words[@]}"; then pass; else fail "with subgroups ${words[*]}"; head -5 "$work/out"; fi
    done < <(sized 36 31 65 | grep -E '^(softmax:softmax|layer_norm:layer_norm|cross_entropy:cross_entropy) .*f32')
    ! subgrouped badsubgroups softmax:softmax x=36x65xf32=randn && grep -q "differ" "$work/out" && pass || fail "subgroups that add wrongly are not seen"
}

cache() {
    "$HAKO" version | grep -q '^opencl 0' || return
    ${CC:-cc} -shared -fPIC -o "$work/faults.so" tests/opencl/faults.c -ldl || { fail "faults.c"; return; }
    cached opencl none
    cached "code cache" none
    cached opencl newdriver # another key
    cached "code cache" newdriver
    cached opencl badbinary # rebuilt without a word
    cached "code cache" none
    [ "$(find "$work/cache" -type f | wc -l)" = 2 ] && pass || fail "files in the cache"
}

# host_program SAMPLE ARGUMENT...: the program that is written says ok
host_program() {
    "$HAKO" emit "samples/$1" --target=opencl --as=opencl-host "${@:2}" -o "$work/host.c" >"$work/out" 2>&1 &&
        ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror "$work/host.c" -o "$work/host" -lOpenCL -lm >"$work/out" 2>&1 &&
        "$work/host" >"$work/out" 2>&1 && [ "$(tail -1 "$work/out")" = ok ] && pass || { fail "host program $*"; head -5 "$work/out"; }
}

# The last expected value of the last program with a bit of its exponent changed is seen.
host_differs() {
    sed -i "$(grep -n '0x[0-9a-f]*,$' "$work/host.c" | tail -1 | cut -d: -f1)s/0x\([0-9a-f]*\),\$/0x\1^0x2000000,/" "$work/host.c"
    ${CC:-cc} -std=c11 "$work/host.c" -o "$work/host" -lOpenCL -lm >"$work/out" 2>&1 || fail "host program with a wrong value"
    "$work/host" >"$work/out" 2>&1
    [ $? = 1 ] && [ "$(tail -1 "$work/out")" = differs ] && pass || { fail "a host program's wrong value is not seen"; head -5 "$work/out"; }
}

host() {
    "$HAKO" version | grep -q '^opencl 0' || return
    host_program softmax.hk --shapes P=3,N=17
    host_program matmul.hk --shapes M=33,N=31,K=65
    host_program embedding.hk --shapes P=17,V=100,D=33
    host_program column_sum.hk:column_sum_split --shapes M=100,N=70 # two phases
    host_program axpy.hk -i x=5xf32=iota -i y=5xf32=ones --arg alpha=2
    host_differs
    "$HAKO" emit samples/axpy.hk --as=opencl-host -i x=2000000xf32=iota -i y=2000000xf32=ones --arg alpha=2 >"$work/out" 2>&1
    [ $? = 1 ] && grep -q "too many to be written" "$work/out" && pass || { fail "host program of large arguments"; head -3 "$work/out"; }
}

faults() {
    "$HAKO" version | grep -q '^opencl 0' || return
    ${CC:-cc} -shared -fPIC -o "$work/faults.so" tests/opencl/faults.c -ldl || { fail "faults.c"; return; }
    fault noloader 3 "no OpenCL loader" HK0903
    fault noplatform 3 "no OpenCL driver"
    for name in noloader noplatform; do # without a device there is one message, and the list is empty
        LD_PRELOAD=$work/faults.so HAKO_FAULT=$name "$HAKO" devices --json >"$work/out" 2>"$work/err"
        [ $? = 3 ] && [ "$(cat "$work/out")" = "[]" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -q "no OpenCL" "$work/err" &&
            pass || fail "hako devices, fault $name"
    done
    fault nofp64 3 "no cl_khr_fp64" HK0951
    fault smallmemory 3 "the launch needs" HK0952
    fault smallbuffers 3 "in one buffer" HK0952
    fault fewparameters 3 "bytes of arguments" HK0952
    refused fewitems 64 "runs in work-groups of 64; '.*' allows 16"
    refused littlelocal 1024 "needs [0-9]* bytes of local memory; '.*' has 256"
    # What a kernel allows is asked, not what the device allows.
    LD_PRELOAD=$work/faults.so HAKO_FAULT=smallgroups "$HAKO" run samples/vector_add.hk --target=opencl \
        -i a=3000xf32=randn -i b=3000xf32=randn --verify >"$work/out" 2>&1 && grep -q "verify: ok" "$work/out" && pass || fail "fault smallgroups"
    fault nocontext 3 "CL_DEVICE_NOT_AVAILABLE" HK0950
    fault build 70 "Invalid build option"
    fault nobuffer 3 "CL_MEM_OBJECT_ALLOCATION_FAILURE"
    fault resources 3 "CL_OUT_OF_RESOURCES"
    fault lost 3 "clFinish failed: CL_INVALID_COMMAND_QUEUE"
    fault lost 3 "the next launch tries it with a new context"
}

# grouped_cases: blocks of products, and lines, that do not divide; in groups only
grouped_cases() {
    cat <<'END'
linear_attention/delta:delta q=1x1x5x3xf32=randn k=1x1x5x3xf32=randn(seed=2) v=1x1x5x6xf32=randn(seed=3) beta=1x1x5xf32=ones group=16
linear_attention/delta:delta q=1x1x13x5xf32=randn k=1x1x13x5xf32=randn(seed=2) v=1x1x13x7xf32=randn(seed=3) beta=1x1x13xf32=ones group=256
matmul/se_block:se_block_bwd dy=19x65xf32=randn x=19x65xf32=randn(seed=2) w=65x65xf32=randn(seed=3) s=19x65xf32=randn(seed=4) group=256
attention:attention q=1x37x20xf32=randn k=1x45x20xf32=randn(seed=2) v=1x45x9xf32=randn(seed=3) group=64
END
}

sim_grouped() {
    while read -r -a words; do
        local last=$((${#words[@]} - 1))
        rm -f "$work/log"
        run_case oclgrind --data-races --local-mem-size 65536 --log "$work/log" -- "${words[@]:0:last}" --config "${words[last]}" ||
            { fail "simulated in groups ${words[*]}"; head -5 "$work/out"; continue; }
        [ -s "$work/log" ] && { fail "simulated in groups ${words[*]}"; head -20 "$work/log"; continue; }
        pass
    done < <(grouped_cases)
}

sim() {
    command -v oclgrind >/dev/null || { echo "oclgrind is not installed: nothing is simulated"; return; }
    while read -r -a words; do
        rm -f "$work/log"
        run_case oclgrind --build-options -O0 --data-races --uninitialized --log "$work/log" -- "${words[@]}" ||
            { fail "simulated ${words[*]}"; head -5 "$work/out"; continue; }
        [ -s "$work/log" ] && { fail "simulated ${words[*]}"; head -20 "$work/log"; continue; }
        pass
        # Lanes past the end of a row are read and not used.
        rm -f "$work/log"
        run_case oclgrind --build-options -O0 --data-races --log "$work/log" -- "${words[@]}" --config "group=16" ||
            { fail "simulated in groups ${words[*]}"; head -5 "$work/out"; continue; }
        [ -s "$work/log" ] && { fail "simulated in groups ${words[*]}"; head -20 "$work/log"; continue; }
        pass
    done < <(sized 5 6 19)
    while read -r -a words; do
        rm -f "$work/log"
        if run_case oclgrind --build-options -O0 --data-races --log "$work/log" -- "${words[@]}" --config "group=16" && [ ! -s "$work/log" ]; then
            pass
        else
            fail "simulated in groups ${words[*]}"
            head -20 "$work/out" "$work/log"
        fi
    done < <(grouped 3 2 37; staged 5 6 37)
    sim_grouped
}

# Unoptimised: Oclgrind computes wrongly with vectors of bits, which clang makes of masks. Folder of its own: the kept
# binaries do not tell how they were built.
samples() {
    command -v oclgrind >/dev/null || { echo "oclgrind is not installed: nothing is simulated"; return; }
    for sample in samples/*.hk samples/*/*.hk; do
        rm -f "$work/log"
        HAKO_CACHE_DIR=$work/unoptimised oclgrind --build-options -O0 --data-races --log "$work/log" \
            "$HAKO" test "$sample" --target=opencl -j 1 --timeout 1800 >"$work/out" 2>&1 ||
            { fail "simulated $sample"; grep -A 2 FAIL "$work/out"; continue; }
        [ -s "$work/log" ] && { fail "simulated $sample"; head -20 "$work/log"; continue; }
        pass
    done
}

[ $# = 0 ] && set -- text gpu pocl host devices tune cache subgroups faults mutants sim
for part in "$@"; do
    case $part in
    text | gpu | pocl | host | devices | tune | cache | subgroups | faults | mutants | sim | samples) $part ;;
    *) echo "no part $part: text, gpu, pocl, host, devices, tune, cache, subgroups, faults, mutants, sim or samples" >&2; exit 2 ;;
    esac
done
echo "opencl: $passed passed, $failed failed"
[ $failed = 0 ]
