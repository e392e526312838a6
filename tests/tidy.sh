#!/bin/bash
# The rules of the house: line and file and function lengths, layers of includes, calls that a library must not
# make, words that do not belong in a finished file. tests/tidy.sh [FILE...]: all C files of the tree otherwise.
cd "$(dirname "$0")/.." || exit 3
failed=0
fail() { echo "tidy: $*"; failed=$((failed + 1)); }

if [ $# -gt 0 ]; then files=("$@"); else
    mapfile -t files < <(find include ir frontend passes backends runtime cli bench python tests samples \
        \( -name '*.[chly]' -o -name '*.def' -o -name '*.hk' -o -name '*.sh' -o -name '*.py' \) | sort)
fi

# Which folders a folder may include: those below it.
allowed() {
    case $1 in
    ir/base/*) echo 'ir/base/' ;;
    ir/*) echo 'ir/' ;;
    frontend/*) echo 'ir/|frontend/' ;;
    passes/*) echo 'ir/|passes/' ;;
    backends/interp/*) echo 'ir/|backends/interp/' ;;
    backends/llvm/*) echo 'ir/|backends/llvm/' ;;
    backends/opencl/*) echo 'ir/|backends/opencl/' ;;
    runtime/*) echo 'ir/|frontend/|passes/|backends/|runtime/|include/' ;;
    cli/*) echo 'include/|cli/' ;;
    *) echo '' ;;
    esac
}

for file in "${files[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 800 ] || fail "$file has $lines lines; the most is 800"
    case $file in
    *.[ch])
        # Tables of one line each (.def), grammars and texts to be parsed are read by their columns.
        awk -v f="$file" 'length($0) > 100 { print "tidy: " f ":" FNR ": " length($0) " columns"; bad++ }
            END { exit bad > 0 }' "$file" || failed=$((failed + 1)) ;;
    esac
    if grep -nE '\b(TO''DO|FIX''ME|XX''X)\b' "$file"; then fail "$file: unfinished"; fi
    if grep -nP '[ \t]+$' "$file" >/dev/null && [[ $file == *.[chly] ]]; then fail "$file: blanks at the end of a line"; fi
    below=$(allowed "$file")
    if [ -n "$below" ]; then
        grep -nE '^ *# *include "' "$file" | grep -vE "include \"($below|[a-z_]+\.h\")" |
            while read -r line; do echo "tidy: $file:$line is above its layer"; done | grep . && failed=$((failed + 1))
    fi
    case $file in
    ir/* | frontend/* | passes/* | backends/* | runtime/*)
        # What a library must not do; arena.c alone may abort, where no caller can be told, the forks of worker.c end,
        # and frame.c is part of programs that hako writes.
        case $file in ir/base/arena.c | runtime/worker.c | backends/opencl/host/frame.c) continue ;; esac
        grep -nE '(^|[^a-z_.>])(abort|exit|_exit|printf|puts|perror|signal|system|getenv|strtok|gets|sprintf|strcpy|strcat)\(' \
            "$file" | grep -vE '^[0-9]+: *(//|\*)|"[^"]*(abort|exit|printf|puts|signal|system)\(' |
            while read -r line; do echo "tidy: $file:$line: not in a library"; done | grep . && failed=$((failed + 1)) ;;
    esac
done

# Functions: from a line that starts a definition to its closing brace in the first column. A function that is
# mostly one flat switch may be longer.
for file in "${files[@]}"; do
    [[ $file == *.c ]] || continue
    awk -v f="$file" '
        /^[a-zA-Z].*[^;]$/ && !/^(typedef|enum|struct|union|static const|extern|#)/ { name = $0 }
        /^{/ { start = FNR; cases = 0 }
        start && /^ *(case|CASE|OP)[ (]/ { cases++ }
        /^}/ && start {
            if (FNR - start > 70 && cases * 3 < FNR - start) {
                print "tidy: " f ":" start ": function of " FNR - start " lines: " name; bad++
            }
            start = 0
        }
        END { exit bad > 0 }' "$file" || failed=$((failed + 1))
    if grep -nE '^\s+default:' "$file" >/dev/null; then
        grep -nE 'default: .*(//|/\*)|default: return|default: break' "$file" >/dev/null || fail "$file: a bare default:"
    fi
done

[ "$(wc -l <Makefile)" -le 200 ] || fail "the Makefile is longer than 200 lines"
echo "tidy: ${#files[@]} files, $failed with faults"
[ $failed = 0 ]
