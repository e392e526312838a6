#!/bin/bash
# The documentation against the program: each diagnostic has its page and each page its diagnostic; the first
# ```hk block of a page fails with its code, the others, and all ```hk blocks of language.md, pass the check.
HAKO=$(realpath "${HAKO:-build/hako}")
cd "$(dirname "$0")/.." || exit 3
work=$(mktemp -d) || exit 3
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAIL $*"; failed=$((failed + 1)); }

codes=$(sed -n 's/^DIAG([A-Z0-9_]*, *\([0-9]*\),.*/\1/p' ir/base/diag.def)
for code in $codes; do
    page=docs/explain/HK$(printf %04d "$code").md
    [ -f "$page" ] || fail "$page is missing"
    "$HAKO" explain "HK$(printf %04d "$code")" >/dev/null 2>&1 || fail "hako explain knows no $code"
done
[ "$codes" = "$(sort -n <<<"$codes" | uniq)" ] || fail "diag.def is not sorted, or a number is used twice"

# Writes the ```hk blocks of $1 to $work/1.hk, 2.hk ...; prints how many.
blocks() {
    rm -f "$work"/*.hk
    awk -v work="$work" '/^```/ { inside = !inside && $0 == "```hk"; if (inside) n++; next }
        inside { print > (work "/" n ".hk") } END { print n + 0 }' "$1"
}

for page in docs/explain/HK*.md; do
    name=$(basename "$page" .md)
    grep -qx "$((10#${name#HK}))" <<<"$codes" || fail "$page is about no diagnostic"
    for ((k = 1, n = $(blocks "$page"); k <= n; k++)); do
        output=$("$HAKO" check "$work/$k.hk" 2>&1)
        status=$?
        if [ $k = 1 ]; then
            [[ $status = [01] && $output = *"$name"* ]] || fail "$page: block 1 does not give $name: $output"
        elif [ $status != 0 ] || [[ $output = *HK[0-9]* ]]; then
            fail "$page: block $k: $output"
        fi
    done
done
for page in docs/language.md; do
    for ((k = 1, n = $(blocks "$page"); k <= n; k++)); do
        output=$("$HAKO" check "$work/$k.hk" 2>&1) || fail "$page: block $k: $(head -3 "$work/$k.hk") $output"
    done
done
echo "documentation: $failed failed"
[ $failed = 0 ]
