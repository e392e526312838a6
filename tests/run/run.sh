#!/bin/bash
# End to end: what kernels give on every target. Lines of a case tests/run/NAME.hk:
#
#     // run: OPTIONS    printed results of the interpreter as in NAME.out; the CPU and OpenCL agree with it
#                        (--verify), and the CPU prints the same bits with one thread and with several
#     // print: OPTIONS  the same lines and results on the interpreter and the CPU, as in NAME.out; on OpenCL in any order
#     // trap: OPTIONS   exit code 4 on each target, with the message in NAME.out
#
#     tests/run/run.sh [--bless] [NAME.hk ...]
HAKO=$(realpath "${HAKO:-build/hako}")
cd "$(dirname "$0")" || exit 3
[ -x "$HAKO" ] || { echo "no program $HAKO: run make first" >&2; exit 3; }
export HAKO LC_ALL=C
passed=0 failed=0 bless=no
[ "$1" = --bless ] && { bless=yes; shift; }
if [ $# = 0 ]; then # all, a few at a time on each CPU
    [ $bless = yes ] && set -- --bless
    printf '%s\n' *.hk | xargs -P "$(nproc)" -n 4 ./run.sh "$@"
    exit
fi
targets="cpu"
printf 'kernel k(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n]; } }' >"${TMPDIR:-/tmp}/device.$$.hk"
"$HAKO" run "${TMPDIR:-/tmp}/device.$$.hk" -i x=1xf32=zeros --target=opencl >/dev/null 2>&1 && targets="cpu opencl"
rm -f "${TMPDIR:-/tmp}/device.$$.hk"

fail() {
    failed=$((failed + 1))
    echo "FAIL $*"
}

# The command of a line: FILE or FILE:KERNEL if the line begins with a name and a colon.
hako() {
    local file=$1 options=$2
    shift 2
    case $options in :*) file+=${options%% *}; options=${options#* } ;; esac
    eval "timeout 120 \"\$HAKO\" run \"\$file\" $options $*"
}

run_line() {
    local file=$1 options=$2 one several target output
    echo "run: $options"
    hako "$file" "$options" --target=interp 2>&1 || fail "$file: run: $options: exit code $? on interp" >&2
    for target in $targets; do
        output=$(hako "$file" "$options" --target=$target --verify 2>&1) ||
            fail "$file: run: $options: exit code $? on $target: $output" >&2
    done
    one=$(hako "$file" "$options" --threads=1 2>&1)
    several=$(hako "$file" "$options" --threads=4 2>&1)
    [ "$one" = "$several" ] || fail "$file: run: $options: threads change the result" >&2
}

print_line() {
    local file=$1 options=$2 first second
    first=$(hako "$file" "$options" --threads=1 --target=interp 2>&1)
    second=$(hako "$file" "$options" --threads=1 --target=cpu 2>&1) ||
        fail "$file: print: $options: exit code $? on cpu" >&2
    [ "$first" = "$second" ] || fail "$file: print: $options: the targets differ: $second" >&2
    printf 'print: %s\n%s\n' "$options" "$first"
    case $targets in *opencl*) ;; *) return ;; esac
    second=$(hako "$file" "$options" --target=opencl 2>&1) || fail "$file: print: $options: exit code $? on opencl" >&2
    [ "$(sort <<<"$first")" = "$(sort <<<"$second")" ] || fail "$file: print: $options: OpenCL differs: $second" >&2
}

trap_line() {
    local file=$1 options=$2 target output first=
    echo "trap: $options"
    for target in interp $targets; do
        output=$(hako "$file" "$options" --target=$target 2>&1)
        [ $? = 4 ] || fail "$file: trap: $options: no exit code 4 on $target: $output" >&2
        [ -n "$first" ] || { first=$output; echo "$output"; }
        [ "$output" = "$first" ] || fail "$file: trap: $options: another message on $target: $output" >&2
    done
}

for file in "$@"; do
    file=$(basename "$file")
    before=$failed
    found=$(mktemp)
    while IFS= read -r line; do
        case $line in
        "// run: "*) run_line "$file" "${line#// run: }" ;;
        "// print: "*) print_line "$file" "${line#// print: }" ;;
        "// trap: "*) trap_line "$file" "${line#// trap: }" ;;
        esac
    done <"$file" >"$found"
    if [ $bless = yes ]; then
        cp "$found" "${file%.hk}.out"
    else
        diff -u "${file%.hk}.out" "$found" || fail "$file"
    fi
    rm -f "$found"
    [ $failed = $before ] && passed=$((passed + 1))
done
echo "run: $passed passed, $failed failed"
[ $failed = 0 ]
