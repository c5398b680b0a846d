#!/usr/bin/env bash
# Unpack the arm64 libraries that crease needs into build/arm64-sysroot, from the package sources that this system has.
# Nothing is installed: apt works on a state of its own. Exit code 3, with the reason: there are no such packages to be had.
set -eu
cd "$(dirname "$0")/../.."
libraries=(libprotobuf-c-dev libopenblas0-pthread libpng-dev libjpeg-dev zlib1g-dev)
sysroot=build/arm64-sysroot state=$PWD/build/arm64-apt

apt() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" "$@" >"$state/log" 2>&1
}
fetch() { apt update && apt install -y --no-install-recommends --download-only "${libraries[@]}"; }

[ "$(cat "$sysroot/unpacked" 2>/dev/null)" = "${libraries[*]}" ] && exit 0
rm -rf "$sysroot" "$state"
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$sysroot"
touch "$state/status"
if ! fetch; then
    echo "no arm64 packages: $(grep -m 1 '^E: ' "$state/log" || tail -n 1 "$state/log")"
    exit 3
fi
for package in "$state"/cache/archives/*.deb; do dpkg -x "$package" "$sysroot"; done
# Links to where the packages are meant to be, made to lead there
find "$sysroot" -lname '/*' | while read -r link; do ln -sfnr "$sysroot$(readlink "$link")" "$link"; done
# What installing would do: merge /lib into /usr/lib where the packages expect it, choose a BLAS.
[ -e "$sysroot/lib" ] || ln -s usr/lib "$sysroot/lib"
ln -sf openblas-pthread/libopenblas.so.0 "$sysroot/usr/lib/aarch64-linux-gnu/libopenblas.so.0"
echo "${libraries[*]}" >"$sysroot/unpacked"
rm -rf "$state"
