#!/usr/bin/env bash
# Packages, build, every test. Usage: ./test.sh [SUITE...]; suites: style docs unit cli conformance models install
# neon clang tsan asan
set -u
cd "$(dirname "$0")" || exit 2
. .ci/packages.sh
crease_install "${crease_build_packages[@]}" "${crease_test_packages[@]}" || exit 2

suites=("$@")
[ ${#suites[@]} -eq 0 ] && suites=(style docs unit cli conformance models install neon clang tsan asan)
passed=0 failed=0

step() { # name, command...
    local name=$1 log
    shift
    log=$(mktemp)
    printf '== %s\n' "$name"
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        tail -n 2 "$log"
    else
        failed=$((failed + 1))
        tail -n 40 "$log"
        printf 'FAILED: %s\n' "$name"
    fi
    rm -f "$log"
}

build() { cmake --preset "$1" -B "build/$1" && cmake --build "build/$1"; }
need_test() { [ -n "${test_built:-}" ] || { test_built=1; step "build: test" build test; }; }

# Suppressed: cppcheck takes the two ways of finding an option in cli/args.c (by long name, by letter) for one, reads the hex
# floats in constant.c and gemm.c as decimal, and overlooks that range_length returns on a step of 0.
suite_style() {
    step "style: floors" bash tests/floors.sh
    step "style: reasons explained" bash tests/reasons.sh
    step "style: run reads no attributes" /usr/bin/python3 tests/attributes.py
    if clang-format --version | grep -q 'version 14\.'; then
        step "style: clang-format" bash -o pipefail -c "git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror"
    else
        echo "== style: clang-format: skipped, versions other than Debian 12's 14 format otherwise"
    fi
    step "style: cppcheck" bash -o pipefail -c "git ls-files '*.c' ':!tests' | grep -v tmpl | xargs cppcheck -q -j2 --std=c11 \
        --enable=warning --inline-suppr --error-exitcode=1 -I. \
        --suppress=nullPointer:cli/args.c --suppress=incorrectLogicOperator:runtime/ops/constant.c \
        --suppress=zerodivcond:runtime/ops/constant.c --suppress=floatConversionOverflow:runtime/ops/gemm.c \
        --suppress=missingInclude --suppress=internalAstError --suppress=normalCheckLevelMaxBranches"
}
suite_docs() {
    need_test
    step "docs: operators.md is current" bash -c "docs/operators.sh build/test/crease | diff - docs/operators.md"
}
suite_unit() {
    need_test
    step "unit" ctest --test-dir build/test --output-on-failure -j2
}
suite_cli() {
    need_test
    for script in tests/cli/*.sh; do step "cli: $(basename "$script")" bash "$script" "$PWD/build/test/crease"; done
}
suite_conformance() {
    need_test
    for cpu in "" avx512 avx2 vector plain; do
        for option in "" --no-fold --freeze; do
            step "conformance: public operator tests ${cpu:-best kernels} $option" env ${cpu:+CREASE_CPU=$cpu} \
                /usr/bin/python3 tests/conformance/run.py build/test/crease $option
        done
    done
}
suite_models() {
    need_test
    step "models: trained network" /usr/bin/python3 tests/models/accuracy.py build/test/crease
    step "models: every algorithm on every kind of kernels" /usr/bin/python3 tests/models/forced.py build/test/crease
    step "models: demo networks" /usr/bin/python3 tests/models/demo.py build/test/crease
    step "models: folded files in ONNX Runtime" /usr/bin/python3 tests/models/runtime.py build/test/crease
}
suite_install() {
    need_test
    step "install: consumers" bash tests/install/run.sh build/test
}
# The arm64 build in an emulator, which computes floats slowly: fewer random cases, and not the batches of large images.
suite_neon() {
    local reason
    crease_install "${crease_neon_packages[@]}" || { echo "== neon: skipped, no cross compiler or emulator"; return; }
    reason=$(tests/arm64/sysroot.sh)
    [ $? -ne 3 ] || { echo "== neon: skipped, $reason"; return; }
    step "build: neon" build neon
    step "neon: unit" env CREASE_TEST_PERCENT=10 CREASE_TEST_GRAPHS=20 \
        ctest --test-dir build/neon --output-on-failure -j2
    step "neon: kernels chosen" bash -o pipefail -c "tests/arm64/crease --version | grep 'kernels neon'"
    step "neon: trained network" /usr/bin/python3 tests/models/accuracy.py tests/arm64/crease vector
    step "neon: converted networks" /usr/bin/python3 tests/conformance/run.py tests/arm64/crease \
        /usr/share/libonnx-testdata/data/pytorch-converted
}
suite_clang() {
    step "build: clang" bash -c "CC=clang cmake --preset release -B build/clang && cmake --build build/clang"
}
# Sessions in several threads, cancelling from another, the pool: what shares memory between threads.
suite_tsan() {
    step "build: tsan" bash -c "cmake --preset tsan && cmake --build build/tsan --target threads_sessions"
    step "tsan: sessions" env TSAN_OPTIONS="suppressions=$PWD/tests/threads/tsan.supp" setarch -R build/tsan/tests/threads_sessions models/fashion/fashion.onnx
}
# The sanitizers' kernels take five times as long: half the random cases.
suite_asan() {
    step "build: asan" build asan
    step "asan: unit" env CREASE_TEST_PERCENT=50 ctest --test-dir build/asan --output-on-failure -j2
    step "asan: conformance" /usr/bin/python3 tests/conformance/run.py build/asan/crease
    for script in tests/cli/*.sh; do step "asan: $(basename "$script")" bash "$script" "$PWD/build/asan/crease"; done
}

for suite in "${suites[@]}"; do
    declare -F "suite_$suite" >/dev/null || { echo "test.sh: unknown suite '$suite'" >&2; exit 2; }
    "suite_$suite"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
