#!/usr/bin/env bash
# Verification, folded files, unfolding and calibration against ONNX's checker and numpy. Usage: proof.sh PROGRAM
here=$(dirname "$(realpath "$0")")
exe=$(realpath "$1")
for python in python3 /usr/bin/python3; do
    "$python" -c "import numpy, onnx" 2>/dev/null || continue
    status=0
    for script in verify folded_file unfold calibrate; do
        echo "$script"
        "$python" "$here/$script.py" "$exe" || status=1
    done
    exit $status
done
echo "proof.sh needs python3-numpy and python3-onnx" >&2
exit 2
