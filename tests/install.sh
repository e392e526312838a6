#!/bin/bash
# What `make install` puts down: the header in C99 and C++, the libraries' symbols, the hello program by pkg-config
# (shared, static, C++) and by CMake, manual pages, completions. CC, BUILD
set -u
cd "$(dirname "$0")/.." || exit 3
CC=${CC:-gcc} BUILD=${BUILD:-build}
prefix=$(mktemp -d) && trap 'rm -rf "$prefix"' EXIT
passed=0 failed=0
check() {
    if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAIL install: $1"; fi
}
${MAKE:-make} -s BUILD="$BUILD" CC="$CC" PREFIX="$prefix" install >"$prefix/log" 2>&1
check "make install: $(tail -3 "$prefix/log")" $?
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib

# ---- the header and the symbols
warnings="-Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror"
for standard in c99 c11 c17; do
    echo '#include <hako.h>' | $CC -std=$standard -pedantic-errors $warnings -I"$prefix/include" -fsyntax-only -xc -
    check "hako.h as $standard" $?
done
for standard in c++11 c++20; do
    command -v g++ >/dev/null || break
    echo '#include <hako.h>' | g++ -std=$standard -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only -xc++ -
    check "hako.h as $standard" $?
done
others=$(nm -D --defined-only "$prefix/lib/libhako.so" | awk '$3 !~ /^hk_[a-z0-9_]+@@HAKO_0$/ && $3 != "HAKO_0" { print $3 }')
[ -z "$others" ]
check "libhako.so exports more than hk_*: $others" $?
others=$(nm -g --defined-only "$prefix/lib/libhako.a" 2>/dev/null | awk 'NF == 3 && $3 !~ /^hk_/ { print $3 }')
[ -z "$others" ]
check "libhako.a shows more than hk_*: $others" $?
exported=$(nm -D --defined-only "$prefix/lib/libhako.so" | awk '$3 ~ /^hk_/ { sub("@.*", "", $3); print $3 }' | sort)
declared=$(tr '\n' ' ' <"$prefix/include/hako.h" | grep -o 'HK_API [^();]*(' | grep -o 'hk_[a-z_]*($' | tr -d '(' | sort)
[ -n "$declared" ] && [ "$declared" = "$exported" ]
check "declared or exported, not both: $(comm -3 <(echo "$declared") <(echo "$exported"))" $?
objdump -p "$prefix/lib/libhako.so" | grep -q 'SONAME *libhako.so.0$'
check "SONAME" $?

# ---- a program that uses it
says_hello() { [ "$("$1" 2>&1)" = "12 24 36" ]; }
# shellcheck disable=SC2046 # lists of options
{
    $CC samples/embed/hello.c -o "$prefix/hello" $(pkg-config --cflags --libs hako) && says_hello "$prefix/hello"
    check "hello in C by pkg-config" $?
    if command -v g++ >/dev/null; then
        g++ -xc++ samples/embed/hello.c -o "$prefix/hello++" $(pkg-config --cflags --libs hako) && says_hello "$prefix/hello++"
        check "hello in C++ by pkg-config" $?
    fi
    mv "$prefix/lib/libhako.so" "$prefix/lib/away.so" # then -lhako is the static library
    $CC samples/embed/hello.c -o "$prefix/hello-static" $(pkg-config --cflags --libs --static hako) &&
        says_hello "$prefix/hello-static"
    check "hello with the static library" $?
    mv "$prefix/lib/away.so" "$prefix/lib/libhako.so"
}
if command -v cmake >/dev/null; then
    mkdir "$prefix/cmake"
    cat >"$prefix/cmake/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.13)
project(hello C)
find_package(hako REQUIRED)
add_executable(hello $PWD/samples/embed/hello.c)
target_link_libraries(hello hako::hako)
EOF
    cmake -S "$prefix/cmake" -B "$prefix/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="${CC##* }" \
        >"$prefix/log" 2>&1 && cmake --build "$prefix/cmake/build" >>"$prefix/log" 2>&1 && says_hello "$prefix/cmake/build/hello"
    check "hello by CMake: $(tail -3 "$prefix/log")" $?
fi

# ---- manual and completions
pages=$(grep -L '^\.so' "$prefix"/share/man/man3/*.3)
for page in $pages "$prefix/share/man/man1/hako.1"; do
    if command -v groff >/dev/null; then
        said=$(groff -man -Tutf8 -ww -z "$page" 2>&1)
        [ -z "$said" ]
        check "groff: $said" $?
    fi
    if command -v mandoc >/dev/null; then
        said=$(mandoc -T lint -W warning "$page" | grep -v "missing date")
        [ -z "$said" ]
        check "mandoc: $said" $?
    fi
done
for name in $exported; do
    page=$prefix/share/man/man3/$name.3
    [ ! -s "$page" ] || ! grep -q '^\.so' "$page" || page=$prefix/share/$(sed 's/^\.so /man\//' "$page")
    grep -q "\b$name\b" "$page" 2>/dev/null
    check "no manual page says what $name does" $?
done
bash -n "$prefix/share/bash-completion/completions/hako"
check "completion for bash" $?
echo "install: $passed passed, $failed failed"
[ $failed = 0 ]
