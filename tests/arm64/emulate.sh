#!/usr/bin/env bash
# Run an arm64 program: tests/arm64/emulate.sh PROGRAM [ARGUMENT...]. The processor has NEON and nothing beyond it, so that
# OpenBLAS takes its NEON kernels, too.
exec qemu-aarch64 -cpu cortex-a72 -L "$(dirname "$0")/../../build/arm64-sysroot" "$@"
