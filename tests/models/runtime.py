#!/usr/bin/env python3
"""Folded files in ONNX Runtime: the ONNX checker accepts them, their inputs and outputs are those of the unfolded file, and
their results too, to 1e-4 of an output's largest magnitude.

    tests/models/runtime.py CREASE [MODEL...]

Without models, the networks of `crease demo`. A test_data_set_0 beside a model gives its inputs, else they are random."""
import glob
import importlib.util
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def inputs_of(path, session):
    """Every open dimension is 1."""
    generator, given = np.random.default_rng(1), {}
    for i, file in enumerate(sorted(glob.glob(os.path.join(os.path.dirname(path), "test_data_set_0", "input_*.pb")))):
        tensor = onnx.TensorProto()
        with open(file, "rb") as data:
            tensor.ParseFromString(data.read())
        given[tensor.name or session.get_inputs()[i].name] = numpy_helper.to_array(tensor)
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        given.setdefault(i.name, generator.standard_normal(shape).astype(TYPES[i.type]) if i.type in TYPES else None)
    return given


def difference(a, b):
    """Relative to the largest magnitude; NaN agrees with NaN."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return np.inf
    finite = np.isfinite(a)
    return np.abs(a - b)[finite].max(initial=0) / (np.abs(a)[finite].max(initial=0) or 1)


def compare(exe, path, folded):
    import onnxruntime
    subprocess.run([exe, "fold", path, "-o", folded, "-q"], check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model(folded)
    before, after = (onnxruntime.InferenceSession(f, providers=["CPUExecutionProvider"]) for f in (path, folded))
    for side in ("get_inputs", "get_outputs"):
        names = [[(v.name, v.shape, v.type) for v in getattr(s, side)()] for s in (before, after)]
        assert names[0] == names[1], (path, names)
    feed = inputs_of(path, before)
    results = [s.run(None, feed) for s in (before, after)]
    return max(difference(a, b) for a, b in zip(*results))


def main():
    exe, models = os.path.abspath(sys.argv[1]), sys.argv[2:]
    if not importlib.util.find_spec("onnxruntime"):
        print("skipped: this Python has no module onnxruntime")
        return 0
    demos = [] if models else subprocess.run([exe, "demo"], capture_output=True, text=True, check=True).stdout.split()
    failed = 0
    with tempfile.TemporaryDirectory() as out:
        for name in models or demos:
            path = name if models else os.path.join(out, name + ".onnx")
            if demos:
                subprocess.run([exe, "demo", name, "-o", path, "-q"], check=True)
            worst = compare(exe, path, os.path.join(out, "folded.onnx"))
            failed += worst > 1e-4
            print(f"{name}: {worst:.1e}{' FAILED' if worst > 1e-4 else ''}", flush=True)
            if demos:
                os.remove(path)
    print(f"{len(models or demos) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
