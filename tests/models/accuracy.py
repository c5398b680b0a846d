#!/usr/bin/env python3
"""The trained network gets the held-out accuracy that models/README.md states: folded and unfolded, on every kind of
kernels that this processor has, by choice and with each algorithm wherever it can. With names of kernels after EXE: those
and the best, and each algorithm on the best alone."""
import os
import subprocess
import sys
import tempfile

import numpy as np

exe, here = os.path.abspath(sys.argv[1]), os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "..", "..", "models", "fashion")
labels = np.load(os.path.join(folder, "heldout_labels.npy"))
algorithms = ("direct", "amx", "winograd2", "winograd4", "winograd4_taps", "depthwise", "grouped")
runs = [("", []), ("", ["--no-fold"]), ("", ["--threads", "1"])]
cpus = sys.argv[2:] or ["plain", "vector", "avx2", "avx512"]
runs += [(cpu, []) for cpu in cpus]
runs += [(cpu, ["--algorithm", name]) for cpu in [""] + cpus * (len(sys.argv) == 2) for name in algorithms if cpu != "plain"]
passed = 0
for cpu, extra in runs:
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([exe, "run", os.path.join(folder, "fashion.onnx"), "--input",
                        "image=" + os.path.join(folder, "heldout_images.npy"), "--output-dir", out] + extra, check=True,
                       env=dict(os.environ, CREASE_CPU=cpu) if cpu else None)
        right = int((np.load(os.path.join(out, "output_0.npy")).argmax(1) == labels).sum())
    # the smallest margin between the two best classes is 0.008, a thousand times the rounding error
    assert right == 379, f"{right} of {len(labels)} right, expected 379 ({cpu} {extra})"
    passed += 1
report = subprocess.run([exe, "fold", os.path.join(folder, "fashion.onnx"), "--dry-run", "--expect-folded", "21"])
assert report.returncode == 0, "expected 21 of 21 batch normalisations folded"
print(f"{passed + 1} passed, 0 failed")
