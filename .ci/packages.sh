# Sourced by quickstart.sh and test.sh: install Debian packages that are missing, and say so.

crease_install() {
    local missing=() package
    command -v dpkg-query >/dev/null || { echo "No Debian: what is in these packages must be there: $*" >&2; return 0; }
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "Installing packages: ${missing[*]}" >&2
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Install these packages first: ${missing[*]}" >&2; return 1; }
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -q >/dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}

crease_build_packages=(gcc libc6-dev cmake ninja-build pkg-config libprotobuf-c-dev protobuf-c-compiler
    libopenblas0-pthread libpng-dev libjpeg-dev zlib1g-dev)
crease_test_packages=(git clang libclang-rt-dev clang-format cppcheck libcriterion-dev libonnx-testdata python3
    python3-numpy python3-onnx)
# by ./test.sh neon alone
crease_neon_packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
