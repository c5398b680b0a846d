#!/usr/bin/env bash
# Install a build into a temporary prefix, move it, and build a consumer outside the tree by CMake and by pkg-config.
set -eu
build=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
lib=$(dirname "$(find "$work/moved" -name 'libcrease.so')")
model=$here/../../models/fashion/fashion.onnx

for component in shared static; do
    cmake -G Ninja -S "$here/consumer" -B "$work/$component" -DCMAKE_PREFIX_PATH="$work/moved" -DCOMPONENT=$component >/dev/null
    cmake --build "$work/$component" >/dev/null
    LD_LIBRARY_PATH=$lib "$work/$component/consumer" "$model"
done
export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046
cc "$here/consumer/consumer.c" -o "$work/by_pkg_config" $(pkg-config --cflags --libs crease)
LD_LIBRARY_PATH=$lib "$work/by_pkg_config" "$model"
leaked=$(nm -D --defined-only "$lib/libcrease.so" | awk '{print $3}' | grep -vE '^(crease_|CREASE_0)' || true)
[ -z "$leaked" ] || { echo "symbols that should be hidden: $leaked"; exit 1; }
echo "4 passed, 0 failed"
