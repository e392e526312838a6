#!/bin/sh
# Makes one C file of the runtime of libraries compiled ahead of time, from its sources and the headers that they
# include: bundle.sh CC SOURCE.c... > runtime.c. Its names get a prefix, so that none meets one of a program.
set -eu
cc=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Each header of the project stands once, where it is first included, tables (.def) each time; system headers come
# first of all.
HEAD="$folder/head" TEXT="$folder/text" awk '
    function take(path,   line, name, inner) {
        if (path ~ /\.h$/ && path in done) return
        done[path] = 1
        while ((getline line < path) > 0) {
            if (line ~ /^# *include *"/) {
                name = line
                sub(/^# *include *"/, "", name)
                sub(/".*/, "", name)
                take(name)
            } else if (line ~ /^# *include *</ && path !~ /system\.h$/) {
                if (!(line in seen)) print line > ENVIRON["HEAD"]
                seen[line] = 1
            } else {
                print line > (path ~ /system\.h$/ ? ENVIRON["HEAD"] : ENVIRON["TEXT"])
            }
        }
        close(path)
    }
    BEGIN { for (k = 1; k < ARGC; k++) take(ARGV[k]) }' "$@"

bundle() { # NAMES
    echo "// The runtime of kernels that Hako compiled ahead of time. Compile it with -O2 -fPIC, link with -lpthread."
    echo "#define _GNU_SOURCE"
    cat "$folder/head"
    echo "#pragma GCC visibility push(hidden)"
    cat "$1" "$folder/text"
}
: >"$folder/names"
bundle "$folder/names" >"$folder/plain.c"
$cc -std=gnu11 -c -o "$folder/plain.o" "$folder/plain.c"
nm -g --defined-only "$folder/plain.o" | awk '$3 !~ /^hako2_/ { print "#define " $3 " hako2_" $3 }' >"$folder/names"
bundle "$folder/names"
