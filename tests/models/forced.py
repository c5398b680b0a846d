#!/usr/bin/env python3
"""Networks give the same values by every convolution algorithm on every kind of kernels, folded and unfolded.

    forced.py EXE

Each network runs under each CREASE_CPU that this processor has, by choice and with each algorithm wherever it can: layers
of every geometry that has an algorithm of its own, networks of `crease demo`, Debian's converted networks and, where it is
there, a folder ../shared/real-models beside the checkout. Outputs agree to 1e-4 of their largest magnitude with those that
come with the network or else with the plain kernels' on the unfolded network. Every algorithm must have run somewhere on
every kind of kernels that has it.
"""
import glob
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
DEMOS = ("mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "squeezenet1_1", "resnet18", "densenet121")
# Algorithms of the plain layout, the only one that the plain kernels have.
PLAIN_LAYOUT = ("pointwise", "im2col", "depthwise", "reference")
# (channels, kernel, stride, groups): each kernel is as long as said in the last two axes, and 3 at most in the others
LAYERS = ((24, (3, 3), 2, 1), (24, (3, 3), 1, 1), (20, (5, 5), 1, 1), (20, (1, 3), 1, 1), (24, (3, 1), 1, 1),
          (24, (1, 7), 1, 1), (32, (7, 1), 1, 1), (32, (3, 3), 1, 32), (33, (3, 3), 2, 1), (32, (1, 1), 1, 1),
          (48, (3, 3), 1, 4), (19, (2, 2), -2, 1), (24, (4, 4), -2, 1), (10, (1, 1), 1, 1))


def layer(nodes, weights, rng, axes, i, channels):
    """Append convolution (transposed for a negative stride), normalisation and activation number i."""
    out, kernel, stride, groups = LAYERS[i]
    kernel = ([min(kernel[0], 3)] + list(kernel))[-axes:]
    kind, shape = ("ConvTranspose", [channels, out]) if stride < 0 else ("Conv", [out, channels // groups])
    scale = (channels // groups * np.prod(kernel)) ** -0.5
    weights[f"w{i}"] = rng.standard_normal(shape + kernel).astype(np.float32) * np.float32(scale)
    pads = [(k - 1) // 2 for k in kernel] * 2
    nodes.append(helper.make_node(kind, [f"x{i}", f"w{i}"], [f"c{i}"], f"{kind.lower()}{i}", kernel_shape=kernel,
                                  strides=[abs(stride)] * axes, pads=pads, group=groups))
    for name, low, high in (("gamma", 0.7, 1.4), ("beta", -0.5, 0.5), ("mean", -0.5, 0.5), ("var", 0.5, 1.5)):
        weights[f"{name}{i}"] = rng.uniform(low, high, out).astype(np.float32)
    nodes.append(helper.make_node("BatchNormalization", [f"c{i}"] + [f"{n}{i}" for n in ("gamma", "beta", "mean", "var")],
                                  [f"n{i}"], f"bn{i}"))
    nodes.append(helper.make_node(("Relu", "HardSwish", "Sigmoid")[i % 3], [f"n{i}"], [f"x{i + 1}"], f"act{i}"))
    return out


def geometry_network(path, axes, size):
    nodes, weights, channels = [], {}, 3
    rng = np.random.default_rng(axes)
    for i in range(len(LAYERS)):
        channels = layer(nodes, weights, rng, axes, i, channels)
    x = helper.make_tensor_value_info("x0", TensorProto.FLOAT, [2, 3] + size)
    y = helper.make_tensor_value_info(f"x{len(LAYERS)}", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(w, name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "geometry", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)


class Network:
    def __init__(self, name, model, inputs="random", expected=None, left_out=()):
        self.name, self.model, self.inputs, self.expected, self.left_out = name, model, inputs, expected, left_out
        operators = {node.op_type for node in onnx.load(model).graph.node}
        self.convolves = bool(operators & {"Conv", "ConvTranspose"})
        self.folds = [[], ["--no-fold"]] if "BatchNormalization" in operators else [[]]

    def ways(self, names, cpus):
        """Pairs of CREASE_CPU and options."""
        names = [name for name in names if self.convolves and name not in self.left_out]
        forced = [["--algorithm", name] for name in names]
        plain = [["--algorithm", name, "--plain-layout"] for name in names if name in PLAIN_LAYOUT]
        for cpu, fold in itertools.product(cpus, self.folds):
            for way in [[]] + plain + (forced if cpu != "plain" else []):
                yield cpu, way + fold


def stored(root):
    """Networks with test_data_set_0, as the public operator tests are kept."""
    for folder in sorted(glob.glob(os.path.join(root, "*", "test_data_set_0"))):
        expected = [read_tensor(os.path.join(folder, f"output_{i}.pb"))
                    for i in range(len(glob.glob(os.path.join(folder, "output_*.pb"))))]
        parent = os.path.dirname(folder)
        yield Network(os.path.basename(parent), os.path.join(parent, "model.onnx"), folder, expected)


def read_tensor(path):
    tensor = onnx.TensorProto()
    with open(path, "rb") as f:
        tensor.ParseFromString(f.read())
    return numpy_helper.to_array(tensor)


def run(exe, network, cpu, options):
    """Outputs, and the names of the algorithms that ran; a sentence instead of the outputs when the program failed."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([exe, "run", network.model, "--input", network.inputs, "--output-dir", out, "--profile", "-",
                               "--threads", "1", *options], capture_output=True, text=True,
                              env=dict(os.environ, CREASE_CPU=cpu))
        if done.returncode:
            return f"exit {done.returncode}: {done.stderr.strip()[-300:]}", set()
        outputs = [np.load(os.path.join(out, f"output_{i}.npy")) for i in range(len(os.listdir(out)))]
        return outputs, {step["algorithm"] for step in json.loads(done.stdout)["steps"]}


def differ(got, want):
    """Relative to the largest magnitude."""
    if got.shape != want.shape or got.dtype != want.dtype or not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return np.inf
    finite = np.isfinite(want)
    got, want = got[finite].astype(np.float64), want[finite].astype(np.float64)
    return np.abs(got - want).max(initial=0) / (np.abs(want).max(initial=0) or 1)


def check(exe, network, cpu, options):
    """A sentence saying what is wrong, or None; and what ran."""
    outputs, ran = run(exe, network, cpu, options)
    what = f"{network.name}, CREASE_CPU={cpu} {' '.join(options)}"
    if isinstance(outputs, str):
        return f"{what}: {outputs}", ran
    if len(outputs) != len(network.expected):
        return f"{what}: {len(outputs)} outputs, expected {len(network.expected)}", ran
    worst = max(differ(a, b) for a, b in zip(outputs, network.expected))
    return (f"{what}: differs by {worst:.1e} of the largest magnitude" if worst > 1e-4 else None), ran


def algorithms(exe):
    """All names, as the refusal of one that does not exist lists them."""
    done = subprocess.run([exe, "run", os.path.join(HERE, "..", "..", "models", "fashion", "fashion.onnx"),
                           "--input", "zeros", "--algorithm", "?"], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    return re.search(r"there are (.*)", done.stderr).group(1).split(", ")


def kinds(exe):
    """The kinds of kernels that this processor has."""
    versions = {cpu: subprocess.run([exe, "--version"], capture_output=True, text=True, check=True,
                                    env=dict(os.environ, CREASE_CPU=cpu)).stdout
                for cpu in ("plain", "vector", "avx2", "avx512", "amx", "neon")}
    return [cpu for cpu, version in versions.items() if f"kernels {cpu}," in version]


def networks(exe, folder):
    for axes, size in ((1, [61]), (2, [45, 38]), (3, [9, 13, 14])):
        name = f"geometry of rank {axes}"
        path = os.path.join(folder, name + ".onnx")
        geometry_network(path, axes, size)
        yield Network(name, path)
    for name in DEMOS:
        path = os.path.join(folder, name + ".onnx")
        subprocess.run([exe, "demo", name, "-o", path, "-q"], check=True)
        yield Network(name, path, left_out=["reference"])  # whose plain loops take seconds
    yield from stored("/usr/share/libonnx-testdata/data/pytorch-converted")
    real = os.path.join(HERE, "..", "..", "..", "shared", "real-models")
    if not os.path.isdir(real):
        print("real models: skipped, there is no ../shared/real-models")
    yield from stored(real)


def main():
    exe = os.path.abspath(sys.argv[1])
    names, cpus = algorithms(exe), kinds(exe)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        nets = list(networks(exe, folder))
        for net in nets:
            if net.expected is None:
                net.expected, _ = run(exe, net, "plain", ["--no-fold"])
                assert not isinstance(net.expected, str), (net.name, net.expected)
        cases = [(net, *way) for net in nets for way in net.ways(names, cpus)]
        results = list(pool.map(lambda case: check(exe, *case), cases))
    used = {(cpu, name) for (_, cpu, _), (_, ran) in zip(cases, results) for name in ran}
    have = {(cpu, name) for cpu, name in itertools.product(cpus, names)
            if (cpu != "plain" or name in PLAIN_LAYOUT) and (cpu == "amx" or name != "amx")}
    bad = [sentence for sentence, _ in results if sentence]
    bad += [f"CREASE_CPU={cpu}: {name} never ran" for cpu, name in sorted(have - used)]
    print("\n".join(bad))
    print(f"{len(nets)} networks on {', '.join(cpus)} kernels: {len(cases) - len(bad)} passed, {len(bad)} failed")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
