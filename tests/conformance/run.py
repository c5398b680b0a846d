#!/usr/bin/env python3
"""Run ONNX's public operator tests through the crease program.

    run.py EXE [--freeze] [OPTION...] [TREE...]

--freeze: all inputs but the first become constants, as weights are. Other options are crease's. TREE holds NAME/model.onnx with test_data_set_K; by default Debian's libonnx-testdata and, where it is there, a folder
../shared/conformance beside the checkout. A test counts when its operators are in crease's table (`crease ops`): a refusal
with exit status 4 is a skip, everything else must pass, and nothing may crash.
"""
import glob
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def read_tensor(path):
    tensor = onnx.TensorProto()
    with open(path, "rb") as f:
        tensor.ParseFromString(f.read())
    return numpy_helper.to_array(tensor)


def trees():
    found = [t for t in glob.glob("/usr/share/libonnx-testdata/data/*") if os.path.isdir(t)]
    beside = os.path.join(HERE, "..", "..", "..", "shared", "conformance")
    return found + [os.path.join(beside, t) for t in ("node", "node-older", "light", "seeded")]


def close(got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    if got.dtype.kind not in "fc":
        return bool(np.array_equal(got, want))
    # ONNX's own backend test tolerances
    return bool(np.allclose(got.astype(np.float64), want.astype(np.float64), rtol=1e-3, atol=1e-7, equal_nan=True))


def frozen(model, files, path):
    """Write the model with the tensors in `files` (by input name) as initializers that nothing can override."""
    for name, file in files.items():
        tensor = onnx.TensorProto()
        with open(file, "rb") as f:
            tensor.ParseFromString(f.read())
        tensor.name = name
        model.graph.initializer.append(tensor)
    if model.ir_version >= 4:  # before it, an initializer had to be an input, too
        inputs = [i for i in model.graph.input if i.name not in files]
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    onnx.save(model, path)
    return path


def run_case(exe, extra, folder, dataset):
    """'pass', 'skip' or a sentence saying what is wrong."""
    path = os.path.join(folder, "model.onnx")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # a model of a newer ONNX than the reader's
        return "skip"
    known = {i.name for i in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in known]
    given = {name: os.path.join(dataset, f"input_{i}.pb") for i, name in enumerate(names)}
    given = {name: file for name, file in given.items() if os.path.exists(file)}
    with tempfile.TemporaryDirectory() as out:
        if "--freeze" in extra:
            tensors = [i.name for i in model.graph.input if i.type.HasField("tensor_type") and i.name in given]
            path = frozen(model, {n: given.pop(n) for n in tensors[1:]}, os.path.join(out, "frozen.onnx"))
        command = [exe, "run", path] + [e for e in extra if e != "--freeze"]
        for name, file in given.items():
            command += ["--input", f"{name}={file}"]
        done = subprocess.run(command + ["--output-dir", out], capture_output=True, text=True, timeout=120)
        if done.returncode == 4:
            return "skip"
        if done.returncode:
            return f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
        for path in sorted(glob.glob(os.path.join(dataset, "output_*.pb"))):
            stem = os.path.basename(path)[:-3]
            if os.path.exists(os.path.join(out, stem + ".pb")):
                continue  # types that .npy cannot carry are compared by the unit tests
            try:
                want = read_tensor(path)
            except Exception:
                return "skip"
            if not os.path.exists(os.path.join(out, stem + ".npy")):
                return f"{stem} was not written"
            if not close(np.load(os.path.join(out, stem + ".npy")), want):
                return f"{stem} differs"
    return "pass"


def main():
    arguments = sys.argv[1:]
    exe = os.path.abspath(arguments.pop(0))
    extra = [a for a in arguments if a.startswith("--")]
    roots = [a for a in arguments if not a.startswith("--")] or trees()
    with open(os.path.join(HERE, "known-gaps.txt")) as f:
        gaps = {line.split("#")[0].strip() for line in f} - {""}
    cases = []
    for root in roots:
        for model in sorted(glob.glob(os.path.join(root, "*", "model.onnx"))):
            folder = os.path.dirname(model)
            cases += [(folder, d) for d in sorted(glob.glob(os.path.join(folder, "test_data_set_*")))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda c: run_case(exe, extra, *c), cases))
    bad, skipped, known = [], 0, 0
    for (folder, _), result in zip(cases, results):
        if result == "skip":
            skipped += 1
        elif result != "pass":
            if os.path.basename(folder) in gaps and "exit -" not in result:
                known += 1
            else:
                bad.append(f"{os.path.basename(folder)}: {result}")
    print("\n".join(bad))
    print(f"{len(cases) - len(bad) - skipped - known} passed, {len(bad)} failed, {skipped + known} skipped")
    sys.exit(1 if bad or len(cases) == len(bad) + skipped + known else 0)


main()
