#!/usr/bin/env bash
# Fuzz loading, folding and running for SECONDS (default 600). Usage: run.sh [SECONDS]
# Needs clang, python3-numpy, python3-onnx. What it finds lies in build/fuzz/found; replay: build/fuzz/tests/fuzz/fuzz_model FILE
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target fuzz_model | tail -n 1
mkdir -p build/fuzz/corpus build/fuzz/seeds build/fuzz/found
/usr/bin/python3 tests/fuzz/make_corpus.py build/fuzz/seeds
exec build/fuzz/tests/fuzz/fuzz_model -max_total_time="${1:-600}" -max_len=8192 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
    -dict=tests/fuzz/onnx.dict -artifact_prefix=build/fuzz/found/ build/fuzz/corpus build/fuzz/seeds
