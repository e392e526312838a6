#!/bin/sh
# Prints C: every file as a zero-ended byte array embedded_NAME, and a table of the pages HKnnnn.md.
echo '#include "frontend/embedded.h"'
for file in "$@"; do
    name=$(basename "${file%.*}")
    echo "extern const unsigned char embedded_$name[];"
    echo "const unsigned char embedded_$name[] = {"
    od -An -v -tx1 "$file" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '0};'
done
echo 'const EmbeddedPage embedded_pages[] = {'
for file in "$@"; do
    name=$(basename "${file%.*}")
    case $name in
    HK*) number=$(echo "$name" | sed 's/^HK0*//'); echo "    {$number, embedded_$name}," ;;
    esac
done
echo '    {0, 0},'
echo '};'
