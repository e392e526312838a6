#!/bin/bash
# `hako test` on a small project: what it finds, prints and exits with; processes that die or hang.
HAKO=$(realpath "${HAKO:-build/hako}")
PYTHON=${PYTHON:-/usr/bin/python3}
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
cp -r "$here/project/." "$work" && cp "$here/../oracle/case.py" "$work/tests/oracle/" && cd "$work" || exit 3
"$PYTHON" - <<'END' || exit 3
import numpy as np
np.save("samples/group/x.npy", np.arange(5, dtype=np.int32))
np.save("samples/group/s.npy", np.int32(10))
np.save("samples/group/steps.npy", np.arange(1, 101.0))
END
export HAKO_PYTHON=$PYTHON TMPDIR=$work
passed=0 failed=0

# expect CODE 'PATTERN' ARGUMENTS...: each line of PATTERN is an extended regular expression that matches some line.
expect() {
    local code=$1 patterns=$2 output status bad=
    shift 2
    output=$(timeout 120 "$HAKO" test "$@" 2>&1 </dev/null)
    status=$?
    while IFS= read -r pattern; do
        grep -qE -- "$pattern" <<<"$output" || bad+="  no line matches: $pattern"$'\n'
    done <<<"$patterns"
    if [ $status = "$code" ] && [ -z "$bad" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL hako test %s\n  exit code %s, expected %s\n%s%s\n' "$*" "$status" "$code" "$bad" "$output"
    fi
    if compgen -G "$work/hako-test-*" >/dev/null; then
        failed=$((failed + 1))
        echo "FAIL hako test $*: its scratch folder is left"
        rm -rf "$work"/hako-test-*
    fi
}

# Blocks, the oracle, rows of shapes; configs; masks; every storage type; sizes of real use.
good=samples/group/good.hk
expect 0 '^twice +cpu ok +interp ok +6 cases +2x3 3x4 \+2 +error .* s  samples/group/good.hk$
^pick +cpu ok +interp ok +3 cases
^total +cpu ok +interp ok +2 cases +scalar
^copy +cpu ok +interp ok +12 cases +3x5 +error 0
^steps +cpu ok +interp ok +2 cases
^rows +cpu ok +interp ref +2 cases +3 0
^lonely +no tests: it has no test, oracle or shapes
^62 passed, 0 failed, 1 skipped$' $good --target=cpu,interp
expect 0 '^twice +cpu ok +6 cases
^rows +cpu ok +1 case +1000
^copy +no tests' $good --target=cpu --full
expect 0 '^1 passed, 0 failed, 0 skipped$' $good --target=cpu --filter ':rows#2$'
expect 0 '^copy .* 12 cases
^24 passed, 0 failed, 0 skipped$' $good --target=cpu --filter ':copy#' --jobs 1 --threads 1
expect 0 '^twice .* 6 cases' samples/group --target=cpu --filter 'good.hk:twice'

# What fails says how, and how to see it again.
expect 1 '^twice +cpu FAIL +5 cases
^  FAIL twice#1 cpu$
^      y\[2\] is 6, expected 7 \(allowed: 8e-05\); 1 of 3 elements differ$
^      again: hako test samples/group/bad.hk --filter .:twice#1\$. --target=cpu$
^      .*2 values are listed; the shape has 3
^      expected to fail with HK0707, but succeeded
error\[HK0702\]: kernel twice: there is no parameter .z.
^first +cpu FAIL
error\[HK0901\]: .* index 3 of x dimension 0 is out of bounds
^1 passed, 5 failed, 0 skipped$' samples/group/bad.hk --target=cpu
expect 1 '^\(file\) +FAIL  samples/broken.hk$
error\[HK0101\]
^0 passed, 1 failed, 0 skipped$' samples/broken.hk --target=cpu
expect 1 '^copy +cpu ok +1 case
^\(file\) +FAIL  samples/broken_off.hk$
ValueError: no more
^1 passed, 1 failed, 0 skipped$' samples/broken_off.hk --target=cpu
expect 1 'twice .* cpu FAIL
^twice .* cpu ok' --target=cpu

# Without NumPy the oracles are left out and said to be.
HAKO_PYTHON=/bin/false expect 0 '^copy +no tests: its oracle needs Python with NumPy
^twice +cpu ok +5 cases' $good --target=cpu

# JSON.
expect 0 '"kernel": "rows"
"shapes": \[
"passed": 2,' $good --target=cpu --filter ':rows#' --json
"$HAKO" test samples/group --target=cpu --json | "$PYTHON" -c '
import json, sys
all = json.load(sys.stdin)
kernels = {(k["file"], k["kernel"]): k for k in all["kernels"]}
bad = kernels["samples/group/bad.hk", "twice"]
assert bad["targets"]["cpu"] == {"passed": 1, "failed": 4, "skipped": 0, "reference": 0}, bad
assert bad["problems"][0]["case"] == 1 and "expected 7" in bad["problems"][0]["text"], bad
assert all["failed"] == 5' || { failed=$((failed + 1)); echo "FAIL hako test --json"; }

# Wrong use.
expect 2 'none of: cpu interp opencl all' --target=gpu
expect 2 'no regular expression' --filter '('
expect 2 "no case matches --filter 'nothing'" --filter nothing $good
expect 2 'has no option' --shapes N=3
expect 3 'cannot read none' none
mkdir empty
expect 3 'there is no .hk file in empty' empty
expect 0 '--filter RE .*FILE:KERNEL#NUMBER' --help

# A process that dies or hangs costs the case that it was at. The false Python answers with one case, lets its parent
# begin it, and the first time kills it.
mkdir -p die/tests/oracle
cat >die/slow.hk <<'END'
kernel slow(x: f32[N]) -> (y: f32[N]) {
    tile n in N { y[n] = sum[k in N](x[k] + x[n]); }
}
kernel quick(x: f32[N]) -> (y: f32[N]) {
    tile n in N { y[n] = x[n]; }
}
END
echo 'def cases(): pass' >die/tests/oracle/slow.py
cat >die/python <<'END'
#!/bin/bash
[ "$1" = -c ] && exit 0
answer() { echo '{"kernel": "'$1'", "inputs": {"x": "'$2'xf32=ones"}, "args": {}, "defines": {}, "configs": [],
    "expect": '$3', "fails": null}' | tr -d '\n'; echo; }
read -r _; answer slow 60000 '[]'
if mkdir "${0%/*}/once" 2>/dev/null && [ -e "${0%/*}/kill" ]; then sleep 1; kill -KILL $PPID; fi
read -r _; answer quick 7 '[{"name": "y", "value": "1", "rtol": "0", "atol": "0"}]'
read -r _; echo '{"end": true}'
END
chmod +x die/python
touch die/kill
HAKO_PYTHON=$work/die/python expect 1 '^slow +interp FAIL +1 case
^      the process died: Killed
^quick +interp ok +1 case
^1 passed, 1 failed, 0 skipped$' die --target=interp
rm die/kill
HAKO_PYTHON=$work/die/python expect 1 '^slow +interp FAIL +1 case
^      no result after 1 s \(--timeout\)
^quick +interp ok +1 case
^1 passed, 1 failed, 0 skipped$' die --target=interp --timeout 1

echo "hako test: $passed passed, $failed failed"
[ $failed = 0 ]
