#!/usr/bin/env bash
# Damaged, lying and greedy models. Usage: hostile.sh PROGRAM
here=$(dirname "$(realpath "$0")")
for python in python3 /usr/bin/python3; do
    "$python" -c "import numpy, onnx" 2>/dev/null && exec "$python" "$here/hostile.py" "$(realpath "$1")"
done
echo "hostile.sh needs python3-numpy and python3-onnx" >&2
exit 2
