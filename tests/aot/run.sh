#!/bin/bash
# hako build: a library of kernels called from C and C++, the same bits as `hako run`; other machines under qemu, where
# that and their compilers are installed; threads under sanitizers; what the files hold; what cannot be built.
HAKO=$(realpath "${HAKO:-build/hako}")
here=$(realpath "$(dirname "$0")")
samples=$(realpath "$here/../../samples")
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 3
cp "$here"/kernels.hk .
export HAKO_DB=none
passed=0 failed=0 warn="-Wall -Wextra -pedantic -O1 -I$here"
ok() { if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $2"; fi; }
expect() { # CODE TEXT hako's arguments
    local code=$1 text=$2 output status
    shift 2
    output=$("$HAKO" "$@" 2>&1 </dev/null)
    status=$?
    [ $status = "$code" ] && [[ $output == *"$text"* ]]
    ok $? "hako $*: $status instead of $code, or not \"$text\":
$output"
}
run() { "$HAKO" run "$@" || { echo "FAIL hako run $*"; exit 1; }; }

# What the library must give.
for x in x=33x45 a=33x27 b=27x45 q=2x33x16; do
    run kernels.hk:copy -i "x=${x#*=}xf32=randn(seed=3)" -o "y=@${x%=*}.npy"
done
run "$samples/softmax.hk:softmax" -i x=@x.npy -o y=@softmax.npy
run "$samples/matmul.hk:matmul" -i a=@a.npy -i b=@b.npy -o c=@matmul.npy
run "$samples/attention.hk:attention" -i q=@q.npy -i k=@q.npy -i v=@q.npy --arg scale=0.25 -o o=@attention.npy -o lse2=@lse.npy
run "$samples/dropout.hk:dropout" -i x=1000xf32=ones --arg p=0.25 --arg seed=7 -o y=@dropout.npy

words="$samples/softmax.hk:softmax $samples/matmul.hk:matmul $samples/attention.hk:attention $samples/dropout.hk:dropout kernels.hk"
any="--shapes D=16,E=16"
exact="--shapes P=33,N=45 --shapes M=33,N=45,K=27 --shapes B=2,S=33,D=16,L=33,E=16"

# For this machine's CPU and these sizes: the very bits. On any of the CPUs, for any sizes: nearly.
# shellcheck disable=SC2086 # lists of words
expect 0 "" build $words --name=kernels -o exact --cpu=native $exact
# shellcheck disable=SC2086
expect 0 "" build $words --name=kernels -o any --emit=lib,shared,header,deps,obj,runtime,llvm,asm $any
# shellcheck disable=SC2086
expect 0 "" build $words --name=kernels -o low --cpu=x86-64-v2
cp "$here/kernels.c" kernels.cc
for c in "gcc -std=c99 $here/kernels.c" "g++ -std=c++11 kernels.cc"; do
    command -v "${c%% *}" >/dev/null || continue
    # shellcheck disable=SC2086
    $c $warn -Iexact -o exact.out -Lexact -lkernels -lm -lpthread && ./exact.out
    ok $? "$c: the bits of hako run"
    # shellcheck disable=SC2086
    $c $warn -Iany -o any.out -Lany -l:libkernels.a -lm -lpthread && ./any.out 1e-4 && ./any.out 1e-4 1
    ok $? "$c: any sizes"
done
# shellcheck disable=SC2086
gcc $warn -Ilow -o low.out "$here/kernels.c" low/libkernels.a -lm -lpthread && ./low.out 1e-4
ok $? "the least CPU"
# shellcheck disable=SC2086
gcc $warn -Iany -o shared.out "$here/kernels.c" -Lany -lkernels -lm -Wl,-rpath,"$work/any" && ./shared.out 1e-4
ok $? "a shared library"
# shellcheck disable=SC2086
gcc $warn -Iany -o obj.out "$here/kernels.c" any/kernels.o any/kernels_runtime.o -lm -lpthread && ./obj.out 1e-4
ok $? "objects"

# From several threads, under sanitizers.
for sanitizer in thread address,undefined; do
    # shellcheck disable=SC2086
    gcc $warn -g -fsanitize=$sanitizer -Iany -o $sanitizer.out "$here/threads.c" any/kernels.o any/kernels_runtime.c -lm -lpthread &&
        ./$sanitizer.out
    ok $? "-fsanitize=$sanitizer"
done

# Nothing but libc and libm; no name outside but the functions; the same bytes each time.
needs=$(ldd any.out | grep -vcE 'linux-vdso|libc\.so|libm\.so|ld-linux')
ok "$needs" "a program needs other libraries: $(ldd any.out)"
names="attention copy dropout gather kernels_setup matmul promised softmax steps total"
got=$(nm -D --defined-only any/libkernels.so | awk '{ print $3 }' | sort | xargs)
[ "$got" = "$names" ]
ok $? "the shared library shows $got"
got=$(readelf -sW any/libkernels.a | awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" { print $8 }' | sort | xargs)
[ "$got" = "$names" ]
ok $? "the archive shows $got"
# shellcheck disable=SC2086
expect 0 "" build $words --name=kernels -o again $any
cmp any/libkernels.a again/libkernels.a
ok $? "another build differs"
printf 'include any/kernels.d\nany/libkernels.a:\n\t@echo rebuilt\n' >Makefile
make -s any/libkernels.a | grep -q rebuilt && failed=$((failed + 1)) && echo "FAIL rebuilt without need"
touch kernels.hk
make -s any/libkernels.a | grep -q rebuilt
ok $? "the dependency file does not name kernels.hk"

# Two libraries in one program share the runtime.
expect 0 "" build kernels.hk:total --name=more --prefix=more_ -o more
cat >two.c <<'END'
#include "kernels.h"
#include "more.h"
int main(void)
{
    int64_t shape[] = {2};
    float x[] = {1, 2}, s = 0, t = 0;
    DLTensor a = hako_f32(x, 1, shape), b = hako_f32(&s, 0, 0), c = hako_f32(&t, 0, 0);
    return total(&a, &b, 0) || more_total(&a, &c, 0) || s != 3 || t != 3;
}
END
# shellcheck disable=SC2086
gcc $warn -Iany -Imore -o two.out two.c any/libkernels.a more/libmore.a -lm -lpthread && ./two.out
ok $? "two libraries"

# The sample.
OUT=$work/sample HAKO=$HAKO make -s -C "$samples/embed/aot" && [ "$(./sample/softmax | head -1)" = "0.0900 0.2447 0.6652" ]
ok $? "samples/embed/aot"

# What the database holds.
HAKO_DB=$work/tune.db "$HAKO" tune kernels.hk:total --shapes N=1000 --budget 1s >/dev/null 2>&1
HAKO_DB=$work/tune.db expect 0 "" build kernels.hk:total --tuned -o tuned
grep -q 'Built for N=1000 or any sizes' tuned/kernels.h
ok $? "code for what was tuned"

# Choices of optional tensors, and sizes.
cat >five.hk <<'END'
kernel five(x: f32[N], a: f32[N]?, b: f32[N]? = 0, c: f32[N]? = 0, d: f32[N]? = 0, e: f32[N]? = 0) -> (y: f32[N]) {
    tile n in N { y[n] = x[n] + a[n] + 2 * b[n] + 3 * c[n] + 4 * d[n] + 5 * e[n]; }
}
END
expect 1 "kernel five has 5 optional tensors" build five.hk
expect 1 "kernel five has no optional tensor 'q'" build five.hk --given a,q
expect 2 "--given is about one kernel" build five.hk kernels.hk:total --given a
expect 0 "" build five.hk --given a --given a,c,e -o five --shapes N=2 --exact
cat >five.c <<'END'
#include "five.h"
#include <string.h>
int main(void)
{
    int64_t shape[] = {2};
    float one[] = {1, 1}, y[2];
    DLTensor x = hako_f32(one, 1, shape), t = hako_f32(y, 1, shape);
    hako_error error;
    if (five(&x, &x, 0, 0, 0, 0, &t, &error) || y[1] != 2) return 1;
    if (five(&x, &x, 0, &x, 0, &x, &t, &error) || y[0] != 10) return 2;
    if (!five(&x, &x, &x, 0, 0, 0, &t, &error) || !strstr(error.message, "not built for these optional arguments")) return 3;
    shape[0] = 1;
    return !five(&x, &x, 0, 0, 0, 0, &t, &error) || !strstr(error.message, "was built for N=2 only, not for N=1");
}
END
# shellcheck disable=SC2086
gcc $warn -Ifive -o five.out five.c -Lfive -lfive -lm -lpthread && ./five.out
ok $? "choices of optional tensors and sizes"

# Types: a function for each.
expect 0 "" build kernels.hk:gather --types T=f32,bf16 -o typed
grep -q 'w: bf16\[V, D\]' typed/kernels.h && grep -q 'gather_f32(' typed/kernels.h
ok $? "a function for each type"

# Other machines.
for machine in aarch64 riscv64; do
    command -v $machine-linux-gnu-gcc >/dev/null && command -v qemu-$machine >/dev/null || continue
    # shellcheck disable=SC2086
    expect 0 "" build $words --name=kernels -o $machine --target=$machine-linux-gnu $any
    # shellcheck disable=SC2086
    $machine-linux-gnu-gcc $warn -I$machine -static -o $machine.out "$here/kernels.c" -L$machine -lkernels -lm -lpthread &&
        qemu-$machine ./$machine.out 1e-4
    ok $? "$machine"
done
if [ -e riscv64.out ]; then
    qemu-riscv64 -cpu rv64,v=true,vlen=128 ./riscv64.out 1e-4 2>/dev/null
    ok $? "riscv64 with vectors"
fi
"$HAKO" emit kernels.hk:total --as=obj --target=aarch64-linux-gnu -o total.o && [ "$(od -An -tu2 -j18 -N2 total.o)" -eq 183 ]
ok $? "emit --as=obj for another machine"

# Floats become integers a vector at a time: LLVM's own saturating conversion takes the lanes one by one.
echo 'kernel q(x: f32[N]) -> (a: i8[N], b: i32[N]) { tile n in N { a[n] = i8(x[n]); b[n] = i32(x[n]); } }' > narrow.hk
if [ "$(uname -m)" = x86_64 ]; then
    for cpu in x86-64-v2 x86-64-v3 x86-64-v4; do
        "$HAKO" emit narrow.hk --as=asm --cpu=$cpu --shapes N=1024 -o narrow.s && grep -q cvttps2dq narrow.s && ! grep -q cvttss2si narrow.s
        ok $? "conversions to integers are scalar code on $cpu"
    done
fi

# What cannot be.
expect 2 "wants FILE" build
expect 2 "none of: lib" build kernels.hk --emit=lib,exe
expect 1 "no code generator for target 'foo-linux-gnu'" build kernels.hk --target=foo-linux-gnu
expect 1 "LLVM knows no CPU 'znver99'" build kernels.hk --cpu=znver99
expect 1 "LLVM knows no CPU 'cortex-z1'" build kernels.hk --target=aarch64-linux-gnu --cpu=cortex-z1
expect 1 "LLVM knows no CPU 'znver99'" emit kernels.hk --as=asm --cpu=znver99
expect 3 "cannot make the folder /proc/x" build kernels.hk -o /proc/x
expect 3 "is not a folder" build kernels.hk -o kernels.hk
expect 3 "could not compile the runtime" build kernels.hk --target=aarch64-linux-gnu --cc=/nowhere/cc -o none
expect 1 "HK0716" build kernels.hk:nothing
expect 1 "there is no kernel" build /dev/null
expect 2 "given twice" build kernels.hk:total --config "tile_n = 8" --config "tile_n = 16"
expect 2 "is about one kernel" build kernels.hk --config "tile_n = 8"
expect 1 "HK0805" build kernels.hk:total --config "tile_q = 8"
expect 2 "has a dimension 'Q'" build kernels.hk --shapes Q=4
expect 2 "is no size" build kernels.hk --shapes N=-4
expect 2 "wants --shapes" build kernels.hk --exact
expect 1 "HK0912" build kernels.hk:total --name "a b"
expect 1 "two functions of the library would be called 'total'" build kernels.hk:total kernels.hk:total
[ ! -e none/libkernels.a ] && [ -z "$(ls none 2>/dev/null)" ]
ok $? "a failed build left files"

echo "ahead of time: $passed passed, $failed failed"
[ $failed = 0 ]
