#!/usr/bin/env bash
# Install a build into a temporary prefix, move it, and build a consumer outside the tree by CMake and by pkg-config; then
# configure one that has crease as a subdirectory (the compiler would only do again what it did for the build).
set -eu
build=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved to"
lib=$(dirname "$(find "$work/moved to" -name 'libcrease.so')")
model=$here/../../models/fashion/fashion.onnx

for component in shared static; do
    cmake -G Ninja -S "$here/consumer" -B "$work/$component" -DCMAKE_PREFIX_PATH="$work/moved to" -DCOMPONENT=$component >/dev/null
    cmake --build "$work/$component" >/dev/null
    LD_LIBRARY_PATH=$lib "$work/$component/consumer" "$model"
done
passed=2
export PKG_CONFIG_PATH=$lib/pkgconfig
eval "cc '$here/consumer/consumer.c' -o '$work/by_pkg_config' $(pkg-config --cflags --libs crease)"
LD_LIBRARY_PATH=$lib "$work/by_pkg_config" "$model"
passed=$((passed + 1))
leaked=$(nm -D --defined-only "$lib/libcrease.so" | awk '{print $3}' | grep -vE '^(crease_|CREASE_0)' || true)
[ -z "$leaked" ] || { echo "symbols that should be hidden: $leaked"; exit 1; }
passed=$((passed + 1))
for shared in ON OFF; do
    cmake -G Ninja -S "$here/consumer" -B "$work/sub $shared" -DCREASE_SOURCE="$here/../.." -DBUILD_SHARED_LIBS=$shared >/dev/null
    ninja -C "$work/sub $shared" -t query consumer | grep -q "libcrease.$([ $shared = ON ] && echo so || echo a)"
    [ -z "$(ninja -C "$work/sub $shared" -t targets all | grep -E '^(crease/)?(crease|embed): ')" ]
    passed=$((passed + 1))
done
if command -v c++ >/dev/null; then
    c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$work/moved to/include/crease/crease.h"
    passed=$((passed + 1))
fi
echo "$passed passed, 0 failed" # the first failure has ended this
