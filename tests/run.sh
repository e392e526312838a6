#!/bin/bash
# Twin files: for each case the command that its folder says, its output compared with the file beside it.
#
#     tests/run.sh                   all folders
#     tests/run.sh parse errors/x.hk some
#     tests/run.sh --bless ...       writes the twins instead; the diff is the review
#
# A case whose first line is "// with: OPTIONS" gets these options (from the folder tests/).
HAKO=$(realpath "${HAKO:-build/hako}")
cd "$(dirname "$0")" || exit 3
[ -x "$HAKO" ] || { echo "no program $HAKO: run make first" >&2; exit 3; }
export LC_ALL=C

# folder: case suffix, twin suffix, exit code, command
rule() {
    case $1 in
    parse)  suffix=hk twin=ast code=0 command="emit --as=ast" ;;
    errors) suffix=hk twin=err code=1 command="check" ;;
    check-ok) suffix=hk twin=hk code=0 command="check" ;; # and says nothing
    lower)  suffix=hk twin=tile code=0 command="emit --as=tile" ;;
    loop)   suffix=hk twin=loop code=0 command="emit --as=loop" ;;
    ir)     suffix=tile twin=out code=0 command="opt" ;;
    verify) suffix=tile twin=err code=1 command="opt" ;;
    *) return 1 ;;
    esac
}

passed=0 failed=0 bless=no
check() {
    local file=$1 expected=${1%.*}.$twin output options status
    options=$(sed -n '1s|^// with: ||p' "$file")
    # shellcheck disable=SC2086 # options are several words
    output=$(timeout 60 "$HAKO" $command "$file" $options 2>&1)
    status=$?
    if [ $bless = yes ] && [ $status = "$code" ] && [ "$expected" != "$file" ]; then
        printf '%s\n' "$output" >"$expected"
        passed=$((passed + 1))
    elif [ $status != "$code" ]; then
        failed=$((failed + 1))
        echo "FAIL $file: exit code $status instead of $code"
        printf '%s\n' "$output" | head -20
    elif [ "$expected" = "$file" ]; then
        if [ -z "$output" ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            printf 'FAIL %s: output\n%s\n' "$file" "$output"
        fi
    elif ! diff -u "$expected" <(printf '%s\n' "$output"); then
        failed=$((failed + 1))
        echo "FAIL $file"
    else
        passed=$((passed + 1))
    fi
}

[ "$1" = --bless ] && { bless=yes; shift; }
[ $# = 0 ] && set -- parse errors check-ok lower loop ir verify
for what in "$@"; do
    what=${what#tests/}
    rule "${what%%/*}" || { echo "no rule for $what" >&2; exit 2; }
    if [ -f "$what" ]; then
        check "$what"
    elif [ -d "$what" ]; then
        for file in "${what%/}"/*."$suffix"; do [ -f "$file" ] && check "$file"; done
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
