#!/bin/bash
# The same bits on every run, whatever the number of threads, and right results under every Config. With FEWER=1 of fewer sizes.
HAKO=$(realpath "${HAKO:-build/hako}")
cd "$(dirname "$0")/../../samples" || exit 3
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
failed=0 passed=0

# try OUTPUT CONFIG COMMAND...: with 1, 2 and 5 threads and again, then against the interpreter
try() {
    local output=$1 config=$2 threads ok=yes
    shift 2
    for threads in 1 2 5 5; do
        "$HAKO" run "$@" --config "$config" --threads $threads -o "$output=@$work/new.npy" || ok=no
        [ $threads = 1 ] && mv "$work/new.npy" "$work/one.npy" && continue
        cmp -s "$work/one.npy" "$work/new.npy" || { echo "the bits differ with $threads threads"; ok=no; }
    done
    "$HAKO" run "$@" --config "$config" --verify >"$work/verify" || { cat "$work/verify"; ok=no; }
    if [ $ok = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $* --config '$config'"; fi
}

for config in "" "tile_m = 1, tile_n = 7" "tile_m = 7, tile_n = 48" "tile_m = 64, tile_n = 64, block_k = 32" \
    "tile_m = 200, tile_n = 16, block_k = 100000" "tile_m = 16, tile_n = 33, block_k = 7" "tile_m = 100, unroll_m = 5" \
    "tile_n = 256, block_k = 199, vectors_n = 1" "tile_m = 1000, tile_n = 8" "unroll_m = 1, vectors_n = 4, pack_b = 0" \
    "tile_m = 50, tile_n = 130, pack_b = 2, unroll_m = 4, block_k = 64" "tile_n = 130, order_n = 0, pack_b = 2"; do
    try c "$config" matmul.hk:matmul -i 'a=200x199xf32=randn(seed=1)' -i 'b=199x201xf32=randn(seed=2)'
done
for config in "" "split_k = 2" "split_k = 16, tile_m = 3, block_k = 32" "split_k = 5, tile_n = 8, unroll_m = 2"; do
    try c "$config" matmul.hk:linear_gelu -i 'a=37x2100xf32=randn(seed=1)' -i 'b=2100x19xf32=randn(seed=2)' -i 'bias=19xf32=randn'
    try c "$config" batched_matmul.hk:batched_matmul -i 'a=2x7x2047xf32=randn(seed=1)' -i 'w=2x2047x9xf32=randn(seed=2)'
done
for config in "" "tile_m = 5, tile_n = 64" "chunks = 3" "chunks = 1"; do
    try y "$config" column_sum.hk:column_sum_split -i 'x=1000x133xf32=randn(seed=3)'
done
for config in "" "block_m = 7, tile_n = 50"; do
    try y "$config" column_sum.hk:column_sum -i 'x=1000x133xf32=randn(seed=3)'
done
for config in "" "tile_m = 37, tile_n = 64"; do
    try o "$config" attention.hk:causal_attention -i 'q=2x131x40xbf16=randn(seed=6)' -i 'k=2x131x40xbf16=randn(seed=7)' \
        -i 'v=2x131x40xbf16=randn(seed=8)'
done
for shape in 337x256 209x259; do
    for config in "stream_y = 1" "stream_y = 1, tile_i = 5, vectors_n = 1" "stream_y = 0, tile_i = 1"; do
        try y "$config" softmax.hk:softmax -i "x=${shape}xf32=randn(seed=6)"
    done
done
for config in "" "tile_n = 3" "chunks = 5, tile_n = 64"; do
    try loss "$config" cross_entropy.hk:cross_entropy -i 'x=301x500xf32=randn(seed=4)' -i 'label=301xi64=randint(0, 500, seed=5)'
done
for config in "" "tile_m = 16, tile_n = 40" "tile_m = 3, tile_n = 1000"; do
    try o "$config" attention.hk:causal_attention -i 'q=3x131x32xf32=randn(seed=6)' -i 'k=3x131x32xf32=randn(seed=7)' \
        -i 'v=3x131x32xf32=randn(seed=8)'
done
# What is kept in scratch, and what is computed again.
for config in "keep = 1" "keep = 1000"; do
    try y "$config" softmax.hk:softmax -i 'x=37x77xf32=randn(seed=9)'
    try o "$config" attention.hk:causal_attention -i 'q=2x31x16xf32=randn(seed=6)' -i 'k=2x31x16xf32=randn(seed=7)' \
        -i 'v=2x31x16xf32=randn(seed=8)'
done
try y "tile_i = 9" softmax.hk:softmax -i 'x=1023x777xf32=randn(seed=9)'

# Products of narrow and of transposed operands, and with few rows.
cat >"$work/products.hk" <<'END'
kernel product<T: any, C: any>(a: T[M, K], b: T[K, N]) -> (c: C[M, N]) {
    tile m in M, n in N { c[m, n] = sum[k in K](a[m, k] * b[k, n]); }
}
kernel mixed(a: u8[M, K], b: i8[K, N]) -> (c: i32[M, N]) {
    tile m in M, n in N { c[m, n] = sum[k in K](a[m, k] * b[k, n]); }
}
kernel turned<T: any, C: any>(a: T[K, M], b: T[N, K]) -> (c: C[M, N]) {
    tile m in M, n in N { c[m, n] = sum[k in K](a[k, m] * b[n, k]); }
}
END
sizes=("37 70 51" "64 64 64" "5 130 97" "85 199 90")
[ -n "$FEWER" ] && sizes=("37 70 51") # compilers of sanitizers take their time over blocks in registers
for config in "" "tile_m = 20, tile_n = 33, order_n = 0" "block_k = 16, unroll_m = 3, dots = 1" "dots = 0, tile_n = 100" \
    "dots = 2, tile_m = 41, tile_n = 37, block_k = 72"; do
    for type in i8 u8 bf16; do
        values="randint(0, 128)" sums=i32
        [ $type = i8 ] && values="randint(-128, 128)"
        [ $type = bf16 ] && values=randn sums=f32
        for size in "${sizes[@]}"; do
            set -- $size
            try c "$config" "$work/products.hk:product" -D T=$type -D C=$sums -i "a=$1x$2x$type=$values" \
                -i "b=$2x$3x$type=$values"
            try c "$config" "$work/products.hk:turned" -D T=$type -D C=$sums -i "a=$2x$1x$type=$values" \
                -i "b=$3x$2x$type=$values"
        done
    done
    try c "$config" "$work/products.hk:mixed" -i 'a=40x39xu8=randint(0, 256)' -i 'b=39x66xi8=randint(-128, 128)'
done
# Few columns, or few rows along which both operands lie.
cat >"$work/few.hk" <<'END'
kernel linear(a: f32[M, K], b: f32[N, K]) -> (c: f32[M, N]) {
    tile m in M, n in N { c[m, n] = sum[k in K](a[m, k] * b[n, k]); }
}
END
for config in "" "tile_m = 7, unroll_m = 3" "block_k = 50, vectors_k = 3, unroll_n = 2" "pack_b = 0"; do
    try c "$config" matmul.hk:matmul -i 'a=137x251xf32=randn(seed=1)' -i 'b=251x5xf32=randn(seed=2)'
    try c "$config" matmul.hk:matmul -i 'a=20x192xf32=randn(seed=1)' -i 'b=192x8xf32=randn(seed=2)'
    try c "$config" "$work/few.hk:linear" -i 'a=7x251xf32=randn(seed=1)' -i 'b=45x251xf32=randn(seed=2)'
done
# Tile registers are taken where the machine has them and nothing speaks against it, and only there.
product() {
    "$HAKO" emit "$work/products.hk:product" --as=loop -D T=bf16 -D C=f32 --shapes M=64,N=64,K=64 "$@" | grep -c dotrows
}
[ "$(product --cpu=x86-64-v4)" = 0 ] && [ "$(product --config "dots = 1")" = 0 ] || { echo "FAIL: unasked tile registers"; failed=$((failed + 1)); }
if grep -qw amx_tile /proc/cpuinfo; then
    [ "$(product)" -gt 0 ] || { echo "FAIL: no tile registers"; failed=$((failed + 1)); }
else
    echo "bits: no tile registers here, what uses them is not tried"
fi
echo "bits: $passed passed, $failed failed"
[ $failed = 0 ]
