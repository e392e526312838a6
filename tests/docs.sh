#!/bin/bash
# The documentation against the program. Each diagnostic has its page, and each page its diagnostic and a case:
#
#   ```hk blocks     the first fails with the page's code, the others pass `hako check`
#   ```hk NAME       (or ```tile NAME) a file for the commands of the page's ```sh block: each line passes, or, where it
#                    ends with "# HKnnnn", fails with that code; a ```py block is the same for lines of Python
#
# What only a caller of the library, a driver or a fault of Hako's brings about has its case in tests/api, tests/opencl
# or tests/unit instead. All ```hk blocks of language.md pass the check, and
# helion.md counts the lines of the samples as they are.
HAKO=$(realpath "${HAKO:-build/hako}")
PYTHON=${PYTHON:-/usr/bin/python3}
[ -z "$HAKO_LIBRARY" ] || export HAKO_LIBRARY
cd "$(dirname "$0")/.." || exit 3
root=$PWD
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
failed=0 cases=0
fail() { echo "FAIL $*"; failed=$((failed + 1)); }
hako() { "$HAKO" "$@"; }
name_of() { printf 'HK%04d' "$1"; }

codes=$(sed -n 's/^DIAG([A-Z0-9_]*, *\([0-9]*\),.*/\1/p' ir/base/diag.def)
[ "$codes" = "$(sort -n <<<"$codes" | uniq)" ] || fail "diag.def is not sorted, or a number is used twice"
[ "$(wc -l <<<"$codes")" -ge 80 ] || fail "there are fewer than 80 diagnostics"

# Writes the fenced blocks of $1 to $work: unnamed ```hk ones as 1.hk, 2.hk ..., named ones under their names, ```sh and
# ```py ones as sh and py; prints how many unnamed ones there are.
blocks() {
    rm -rf "${work:?}"/*
    awk -v work="$work" '
        /^```/ {
            if (out) { out = ""; next }
            out = "/dev/null"
            if ($0 == "```hk") out = work "/" ++n ".hk"
            else if ($0 ~ /^```(hk|tile) /) out = work "/" $2
            else if ($0 == "```sh" || $0 == "```py") out = work "/" substr($0, 4)
            next
        }
        out { print > out }
        END { print n + 0 }' "$1"
}

# A failing block, then passing ones.
try_blocks() {
    local page=$1 name=$2 n=$3 k output status
    [ "$n" -ge 2 ] || fail "$page: a failing program without a mended one"
    for ((k = 1; k <= n; k++)); do
        output=$("$HAKO" check "$work/$k.hk" 2>&1)
        status=$?
        if [ $k = 1 ]; then
            [[ $status = [01] && $output = *"$name"* ]] || fail "$page: block 1 does not give $name: $output"
        elif [ $status != 0 ] || [[ $output = *HK[0-9]* ]]; then
            fail "$page: block $k: $output"
        fi
    done
}

try_commands() {
    local page=$1 line status good=0 bad=0
    cd "$work" || exit 3
    while IFS= read -r line; do
        [ -n "$line" ] || continue
        eval "$line" >out 2>&1 </dev/null
        status=$?
        if [[ $line =~ '# '(HK[0-9]{4}) ]]; then
            bad=$((bad + 1))
            [ $status != 0 ] && grep -q "${BASH_REMATCH[1]}" out || fail "$page: $line: exit code $status: $(cat out)"
        else
            [[ $line = hako* || $line = *'; hako'* ]] && good=$((good + 1))
            [ $status = 0 ] || fail "$page: $line: exit code $status: $(cat out)"
        fi
    done <sh
    cd "$root" || exit 3
    ((good > 0 && bad > 0)) || fail "$page: its commands show no failure, or no way out"
}

try_python() {
    [ -n "$HAKO_LIBRARY" ] || { echo "$1 is left out: HAKO_LIBRARY does not say where libhako.so is"; return; }
    PYTHONPATH=$root/python "$PYTHON" -B - "$work/py" >"$work/out" 2>&1 <<'END' ||
import re, sys
import hako
names, failures = {}, 0
for line in open(sys.argv[1]):
    code = re.search("# (HK[0-9]{4})", line)
    try:
        exec(line, names)
        assert not code, line
    except hako.HakoError as error:
        assert code and code[1] in [d["code"] for d in error.diagnostics], (line, error)
        failures += 1
assert failures, "no line fails"
END
        fail "$1: $(cat "$work/out")"
}

for page in docs/explain/HK*.md; do
    name=$(basename "$page" .md)
    grep -qx "$((10#${name#HK}))" <<<"$codes" || fail "$page is about no diagnostic"
done
for code in $codes; do
    name=$(name_of "$code") page=docs/explain/$(name_of "$code").md
    [ -f "$page" ] || { fail "$page is missing"; continue; }
    hako explain "$name" >/dev/null 2>&1 || fail "hako explain knows no $name"
    n=$(blocks "$page")
    id=$(sed -n "s/^DIAG(\([A-Z0-9_]*\), *$code,.*/DIAG_\1/p" ir/base/diag.def)
    cases=$((cases + 1))
    if [ "$n" -gt 0 ]; then
        try_blocks "$page" "$name" "$n"
    elif [ -f "$work/sh" ] && grep -q "# $name" "$work/sh"; then
        try_commands "$page"
    elif [ -f "$work/py" ] && grep -q "# $name" "$work/py"; then
        try_python "$page"
    elif ! grep -rqwE "$id|$name" tests/api tests/opencl tests/unit; then
        fail "$page shows no case of $name, and no test has one"
    fi
done
for page in docs/language.md; do
    for ((k = 1, n = $(blocks "$page"); k <= n; k++)); do
        output=$("$HAKO" check "$work/$k.hk" 2>&1) || fail "$page: block $k: $(head -3 "$work/$k.hk") $output"
    done
done
"$PYTHON" scripts/helion-lines --check || fail "docs/helion.md"
echo "documentation: $cases diagnostics, $failed failed"
[ $failed = 0 ]
