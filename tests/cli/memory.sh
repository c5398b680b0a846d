#!/usr/bin/env bash
# Peak memory of whole runs. Usage: memory.sh PROGRAM
if grep -q __asan_init "$1"; then
    echo "skipped: a sanitizer's own memory is not bounded"
    exit 0
fi
exec python3 "$(dirname "$(realpath "$0")")/memory.py" "$(realpath "$1")"
