#!/usr/bin/env python3
"""'crease calibrate' against the definition in float64. Usage: calibrate.py PROGRAM (numpy, onnx)

With PyTorch installed, and CREASE_TEST_TORCH set, against its training-mode forward as well."""
import os
import shutil

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness import FASHION, REPOSITORY, check, crease, main

EPSILON, SAMPLES = np.float64(np.float32(1e-5)), 11
PARAMETERS = ("scale", "bias", "mean", "var")


def random_weights():
    r = np.random.default_rng(9)
    w = {"w1": r.normal(size=(6, 3, 3, 3)), "w2": r.normal(size=(8, 3, 3, 3)), "wg": r.normal(size=(5, 8)) / 3,
         "bg": r.normal(size=5)}
    for name, channels in (("bn1", 6), ("bn2", 8), ("bn3", 5)):
        w.update({f"{name}.scale": r.uniform(0.5, 2, channels), f"{name}.bias": r.normal(size=channels),
                  f"{name}.mean": r.normal(size=channels), f"{name}.var": r.uniform(0.5, 2, channels)})
    return {k: v.astype(np.float32) for k, v in w.items()}


def network(weights, opset=15, batch="batch", momentum=(0.9, 0.7, 0.9)):
    """Conv, BN, Relu, strided grouped Conv, BN, mean over the image, Gemm, BN on rank 2."""
    def bn(name, x, y, i):
        extra = {} if momentum[i] == 0.9 else {"momentum": momentum[i]}
        return helper.make_node("BatchNormalization", [x] + [f"{name}.{p}" for p in PARAMETERS], [y], name=name,
                                **extra)
    nodes = [helper.make_node("Conv", ["x", "w1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]), bn("bn1", "c1", "b1", 0),
             helper.make_node("Relu", ["b1"], ["r1"]),
             helper.make_node("Conv", ["r1", "w2"], ["c2"], name="conv2", strides=[2, 2], group=2),
             bn("bn2", "c2", "b2", 1), helper.make_node("GlobalAveragePool", ["b2"], ["g"]),
             helper.make_node("Flatten", ["g"], ["f"]),
             helper.make_node("Gemm", ["f", "wg", "bg"], ["l"], name="gemm", transB=1), bn("bn3", "l", "y", 2)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 7, 9])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])],
                              [numpy_helper.from_array(v, k) for k, v in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8 if opset > 9 else 4
    return model


def conv(x, w, pad=0, stride=1, groups=1):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    k = w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::stride, ::stride]
    inputs, outputs = x.shape[1] // groups, w.shape[0] // groups
    return np.concatenate([np.einsum("nihwab,oiab->nohw", windows[:, g * inputs:(g + 1) * inputs],
                                     w[g * outputs:(g + 1) * outputs]) for g in range(groups)], axis=1)


def training_forward(w, x, found):
    """One batch in float64; found gets (mean, biased variance) of each normalisation."""
    def bn(name, x):
        axes = tuple(a for a in range(x.ndim) if a != 1)
        mean, var = x.mean(axes), x.var(axes)
        found.setdefault(name, []).append((mean, var))
        shape = (1, -1) + (1,) * (x.ndim - 2)
        y = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + EPSILON)
        return y * w[f"{name}.scale"].reshape(shape) + w[f"{name}.bias"].reshape(shape)
    w = {k: v.astype(np.float64) for k, v in w.items()}
    x = np.maximum(bn("bn1", conv(x.astype(np.float64), w["w1"], pad=1)), 0)
    x = bn("bn2", conv(x, w["w2"], stride=2, groups=2)).mean((2, 3))
    return bn("bn3", x @ w["wg"].T + w["bg"])


def expected(w, x, size, momentum=None):
    """momentum None: the average over the batches; else one number for each normalisation."""
    found, results = {}, {}
    for begin in range(0, len(x), size):
        training_forward(w, x[begin:begin + size], found)
    for i, (name, batches) in enumerate(found.items()):
        mean, var = w[f"{name}.mean"].astype(np.float64), w[f"{name}.var"].astype(np.float64)
        for n, (m, v) in enumerate(batches):
            keep = n / (n + 1) if momentum is None else momentum[i]
            mean, var = mean * keep + m * (1 - keep), var * keep + v * (1 - keep)
        results[f"{name}.mean"], results[f"{name}.var"] = mean, var
    return results


def read(path):
    return {i.name: numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}


def compare(path, want, what):
    got = read(path)
    for name, values in want.items():
        scale = np.abs(values).max()
        worst = np.abs(got[name].astype(np.float64).reshape(-1) - values).max() / scale
        check(f"{what}: {name}", worst < 2e-5, worst)


def data(n=SAMPLES):
    return np.random.default_rng(3).normal(loc=1, scale=2, size=(n, 3, 7, 9)).astype(np.float32)


def test_definition():
    w, x = random_weights(), data()
    np.save("x.npy", x)
    for opset in (9, 13, 15):
        onnx.save(network(w, opset), "net.onnx")
        crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "out.onnx", "--batch", 4, "--cumulative")
        compare("out.onnx", expected(w, x, 4), f"opset {opset}, average")
    crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "out.onnx", "--batch", 4)
    compare("out.onnx", expected(w, x, 4, (0.9, np.float64(np.float32(0.7)), 0.9)), "each node's momentum")
    crease("calibrate", "net.onnx", "--input", "x=x.npy", "-o", "out.onnx", "--batch", 4, "--momentum", 0.25)
    compare("out.onnx", expected(w, x, 4, (0.25,) * 3), "momentum 0.25")
    crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "out.onnx")
    compare("out.onnx", expected(w, x, 32, (0.9, np.float64(np.float32(0.7)), 0.9)), "one batch")


def test_file():
    """Only statistics change."""
    w = random_weights()
    np.save("x.npy", data())
    onnx.save(network(w), "net.onnx")
    crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "out.onnx")
    before, after = onnx.load("net.onnx"), onnx.load("out.onnx")
    onnx.checker.check_model(after)
    check("nodes stay", [(n.op_type, list(n.input), list(n.output)) for n in before.graph.node] ==
          [(n.op_type, list(n.input), list(n.output)) for n in after.graph.node])
    got = read("out.onnx")
    check("weights stay", all(np.array_equal(got[k], v) for k, v in w.items() if k[-5:] != ".mean" and k[-4:] != ".var"))
    check("statistics move", all(not np.array_equal(got[k], v) for k, v in w.items() if k.endswith((".mean", ".var"))))
    crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "again.onnx", "--threads", 1)
    again = read("again.onnx")
    check("threads do not matter", all(np.array_equal(got[k], again[k]) for k in got))
    out, _ = crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "folded.onnx", "--fold")
    check("folded when asked for", "3 of 3" in out and "folded" in out, out)
    crease("fold", "out.onnx", "-o", "expected.onnx")
    crease("verify", "folded.onnx", "expected.onnx", "-q", "--rtol", 0)


def test_shared():
    """Two normalisations with the same statistics: each gets its own, and the weight of others is not edited."""
    w = random_weights()
    model = network(w)
    model.graph.node.insert(2, helper.make_node("BatchNormalization", ["b1"] + [f"bn1.{p}" for p in PARAMETERS],
                                                ["b1b"], name="again"))
    model.graph.node[3].input[0] = "b1b"
    onnx.save(model, "shared.onnx")
    np.save("x.npy", data())
    crease("calibrate", "shared.onnx", "--input", "x.npy", "-o", "out.onnx", "--cumulative")
    nodes = [n for n in onnx.load("out.onnx").graph.node if n.op_type == "BatchNormalization"]
    check("statistics of their own", nodes[0].input[3] != nodes[1].input[3] and nodes[0].input[1] == nodes[1].input[1])
    got = read("out.onnx")
    bias, scale = w["bn1.bias"].astype(np.float64), w["bn1.scale"].astype(np.float64)
    check("the second sees what the first gives", np.abs(got[nodes[1].input[3]] - bias).max() < 1e-4 and
          np.abs(got[nodes[1].input[4]] / scale ** 2 - 1).max() < 1e-3)


def body(name, inputs, outputs, nodes, initializers=()):
    return helper.make_graph(nodes, name, [helper.make_tensor_value_info(n, t, s) for n, t, s in inputs],
                             [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs], initializers)


def bodied_network(w):
    """Three turns of a Loop through a product and 'turn'; then 'taken' or, which nobody takes, 'left'; then a Scan of
    the pixels through 'slice'."""
    def bn(name, x, y):
        return helper.make_node("BatchNormalization", [x] + [f"{name}.{p}" for p in PARAMETERS], [y], name=name)
    own = [numpy_helper.from_array(w[f"turn.{p}"], f"turn.{p}") for p in PARAMETERS]
    real, flag = TensorProto.FLOAT, TensorProto.BOOL
    turn = body("turn", [("i", TensorProto.INT64, []), ("go", flag, []), ("h", real, ["batch", 4, 9])],
                [("go2", flag, []), ("h2", real, ["batch", 4, 9])],
                [helper.make_node("MatMul", ["wm", "h"], ["m"]), bn("turn", "m", "h2"),
                 helper.make_node("Identity", ["go"], ["go2"])], own)
    branches = [body(n, [], [(f"y.{n}", real, ["batch", 4, 9])], [bn(n, "h3", f"y.{n}")]) for n in ("taken", "left")]
    pixel = body("pixel", [("p", real, ["batch", 4])], [("q", real, ["batch", 4])], [bn("slice", "p", "q")])
    nodes = [helper.make_node("Loop", ["three", "", "x"], ["h3"], body=turn),
             helper.make_node("If", ["yes"], ["b"], then_branch=branches[0], else_branch=branches[1]),
             helper.make_node("Scan", ["b"], ["y"], body=pixel, num_scan_inputs=1, scan_input_axes=[2],
                              scan_output_axes=[-1])]
    tensors = {k: v for k, v in w.items() if not k.startswith("turn.")}
    tensors.update(three=np.int64(3), yes=np.bool_(True))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", real, ["batch", 4, 9])],
                              [helper.make_tensor_value_info("y", real, ["batch", 4, 9])],
                              [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    return model


def bodied_statistics(w, batches, momentum):
    """By the definition in float64, each run of a body being one batch. momentum None: the average."""
    w = {k: v.astype(np.float64) for k, v in w.items()}
    found = {}

    def bn(name, x):
        axes = tuple(a for a in range(x.ndim) if a != 1)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, var = x.mean(axes), x.var(axes)
        found.setdefault(name, []).append((mean, var))
        return ((x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + EPSILON) * w[f"{name}.scale"].reshape(shape) +
                w[f"{name}.bias"].reshape(shape))
    for x in batches:
        h = x.astype(np.float64)
        for _ in range(3):
            h = bn("turn", w["wm"] @ h)
        h = bn("taken", h)
        for p in range(9):
            bn("slice", h[:, :, p])
    results = {}
    for name, seen in found.items():
        for i, part in enumerate(("mean", "var")):
            value = w[f"{name}.{part}"]
            for statistics in seen:
                value = value * momentum + statistics[i] * (1 - momentum) if momentum else value
            results[f"{name}.{part}"] = value if momentum else np.mean([s[i] for s in seen], axis=0)
    return results


def test_bodies():
    r = np.random.default_rng(4)
    w = {"wm": r.normal(size=(4, 4))}
    for name in ("turn", "taken", "left", "slice"):
        w.update({f"{name}.scale": r.uniform(0.5, 2, 4), f"{name}.bias": r.normal(size=4),
                  f"{name}.mean": r.normal(size=4), f"{name}.var": r.uniform(0.5, 2, 4)})
    w = {k: v.astype(np.float32) for k, v in w.items()}
    x = r.normal(loc=1, scale=2, size=(8, 4, 9)).astype(np.float32)
    onnx.save(bodied_network(w), "bodies.onnx")
    np.save("x.npy", x)
    for momentum, options in ((0.7, ["--momentum", 0.7]), (None, ["--cumulative"])):
        crease("calibrate", "bodies.onnx", "--input", "x.npy", "-o", "out.onnx", "--batch", 4, *options)
        model = onnx.load("out.onnx")
        onnx.checker.check_model(model)
        got = read("out.onnx")
        inner = next(a.g for a in model.graph.node[0].attribute if a.name == "body")
        got.update({i.name: numpy_helper.to_array(i) for i in inner.initializer})
        for name, values in bodied_statistics(w, (x[:4], x[4:]), momentum).items():
            worst = np.abs(got[name] - values).max() / np.abs(values).max()
            check(f"bodies, momentum {momentum}: {name}", worst < 2e-5, worst)
        check("a branch not taken keeps its own", np.array_equal(got["left.mean"], w["left.mean"]))


def test_inputs():
    """Samples from several files and folders are one sequence."""
    w, x = random_weights(), data(6)
    onnx.save(network(w), "net.onnx")
    os.mkdir("folder")
    for i in range(6):
        np.save(f"folder/{i}.npy", x[i:i + 1])
    np.save("first.npy", x[:5])
    np.save("last.npy", x[5:])
    crease("calibrate", "net.onnx", "--input", "folder", "-o", "a.onnx", "--batch", 4)
    crease("calibrate", "net.onnx", "--input", "first.npy", "--input", "x=last.npy", "-o", "b.onnx", "-b", 4)
    compare("a.onnx", expected(w, x, 4, (0.9, np.float64(np.float32(0.7)), 0.9)), "a folder of files")
    a, b = read("a.onnx"), read("b.onnx")
    check("two files, the same numbers", all(np.array_equal(a[k], b[k]) for k in a))
    onnx.save(network(w, batch=4), "four.onnx")
    _, err = crease("calibrate", "four.onnx", "--input", "folder", "-o", "c.onnx", "--cumulative")
    check("samples that do not fill a batch are left out, and that is said", "2 samples" in err, err)
    compare("c.onnx", expected(w, x[:4], 4), "a model for batches of 4")
    crease("calibrate", os.path.join(FASHION, "fashion.onnx"), "--input", os.path.join(FASHION, "pictures"), "-o",
           "pictures.onnx")


def test_refusals():
    w = random_weights()
    onnx.save(network(w), "net.onnx")
    np.save("x.npy", data(2))
    np.save("one.npy", data(1))
    np.save("odd.npy", data(2)[:, :, :, :4])
    os.mkdir("empty")
    cases = [(2, ["net.onnx", "-o", "no.onnx"]), (2, ["net.onnx", "--input", "x.npy"]),
             (2, ["net.onnx", "--input", "x.npy", "-o", "no.onnx", "--momentum", 0.5, "--cumulative"]),
             (2, ["net.onnx", "--input", "x.npy", "-o", "no.onnx", "--momentum", 1.5]),
             (3, ["net.onnx", "--input", "one.npy", "-o", "no.onnx"]),  # the last normalisation has one value
             (3, ["net.onnx", "--input", "odd.npy", "-o", "no.onnx"]), (3, ["net.onnx", "--input", "empty", "-o", "no.onnx"]),
             (3, ["net.onnx", "--input", "x.npy", "--input", "odd.npy", "-o", "no.onnx"]),
             (3, ["net.onnx", "--input", "nothing.npy", "-o", "no.onnx"])]
    crease("fold", "net.onnx", "-o", "folded.onnx")
    cases.append((3, ["folded.onnx", "--input", "x.npy", "-o", "no.onnx"]))
    onnx.save(network(w, batch=4), "four.onnx")
    cases += [(3, ["four.onnx", "--input", "x.npy", "-o", "no.onnx"]),
              (2, ["four.onnx", "--input", "x.npy", "-o", "no.onnx", "--batch", 2])]
    for code, arguments in cases:
        crease("calibrate", *arguments, expect=code)
    wrong = network(w)
    next(i for i in wrong.graph.initializer if i.name == "bn1.var").CopyFrom(
        numpy_helper.from_array(np.ones(2, np.float32), "bn1.var"))
    onnx.save(wrong, "wrong.onnx")
    crease("calibrate", "wrong.onnx", "--input", "x.npy", "-o", "no.onnx", expect=3)
    wrong = network(w)
    del wrong.graph.node[1].input[2:]
    onnx.save(wrong, "wrong.onnx")
    crease("calibrate", "wrong.onnx", "--input", "x.npy", "-o", "no.onnx", expect=3)
    check("nothing was written", not os.path.exists("no.onnx"))


def test_accuracy():
    """Spoilt statistics of the trained network come back from 400 pictures that it has not seen."""
    model = onnx.load(os.path.join(FASHION, "fashion.onnx"))
    statistics = {n.input[i] for n in model.graph.node if n.op_type == "BatchNormalization" for i in (3, 4)}
    for t in model.graph.initializer:
        if t.name in statistics:
            t.CopyFrom(numpy_helper.from_array(np.ones(t.dims, np.float32), t.name))
    onnx.save(model, "spoilt.onnx")
    images = os.path.join(FASHION, "heldout_images.npy")
    labels = np.load(os.path.join(FASHION, "heldout_labels.npy"))
    crease("calibrate", "spoilt.onnx", "--input", images, "-o", "well.onnx", "--cumulative", "--batch", 100)
    right = []
    for path in ("spoilt.onnx", "well.onnx"):
        crease("run", path, "--input", images, "--output-dir", "out")
        right.append((np.load("out/output_0.npy").argmax(1) == labels).mean())
    check("from nothing to most of it", right[0] < 0.5 and right[1] > 0.8, right)


def test_reference():
    """ONNX's own evaluator in training mode, where this python3-onnx has one (from 1.13 on)."""
    try:
        from onnx.reference import ReferenceEvaluator
    except ImportError:
        print("skipped: this onnx module has no onnx.reference")
        return
    w, x = random_weights(), data()
    onnx.save(network(w), "net.onnx")
    np.save("x.npy", x)
    crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "out.onnx")
    training = onnx.load("net.onnx")
    for node in training.graph.node:
        if node.op_type == "BatchNormalization":
            node.attribute.append(helper.make_attribute("training_mode", 1))
            node.output.extend([f"{node.name}.mean.new", f"{node.name}.var.new"])
            training.graph.output.extend(helper.make_tensor_value_info(o, TensorProto.FLOAT, None)
                                         for o in node.output[1:])
    names = [o.name for o in training.graph.output][1:]
    results = ReferenceEvaluator(training).run(names, {"x": x})
    compare("out.onnx", {n[:-4]: r.astype(np.float64) for n, r in zip(names, results)}, "onnx.reference, training_mode")


def test_torch():
    if not os.environ.get("CREASE_TEST_TORCH"):
        return
    import torch
    w, x = random_weights(), data()
    t = {k: torch.tensor(v) for k, v in w.items()}
    found = {name: torch.nn.BatchNorm1d(n) if name == "bn3" else torch.nn.BatchNorm2d(n)
             for name, n in (("bn1", 6), ("bn2", 8), ("bn3", 5))}
    for name, module in found.items():
        module.load_state_dict({"weight": t[f"{name}.scale"], "bias": t[f"{name}.bias"], "running_mean":
                                t[f"{name}.mean"], "running_var": t[f"{name}.var"], "num_batches_tracked": torch.tensor(0)})
        module.train()
    counts = {"bn1": 63, "bn2": 12, "bn3": 1}
    with torch.no_grad():
        x1 = torch.tensor(x)  # one batch: PyTorch's variance is unbiased, ours is n - 1 over n of it
        h = torch.relu(found["bn1"](torch.nn.functional.conv2d(x1, t["w1"], padding=1)))
        h = found["bn2"](torch.nn.functional.conv2d(h, t["w2"], stride=2, groups=2)).mean((2, 3))
        found["bn3"](torch.nn.functional.linear(h, t["wg"], t["bg"]))
    want = {}
    for name, module in found.items():
        n = counts[name] * len(x)
        old = w[f"{name}.var"].astype(np.float64)
        batch = (module.running_var.double().numpy() - 0.9 * old) / 0.1 * (n - 1) / n
        want[f"{name}.mean"] = module.running_mean.double().numpy()
        want[f"{name}.var"] = 0.9 * old + 0.1 * batch
    onnx.save(network(w), "net.onnx")
    np.save("x.npy", x)
    crease("calibrate", "net.onnx", "--input", "x.npy", "-o", "out.onnx", "--momentum", 0.9)
    compare("out.onnx", want, "PyTorch's training-mode forward")


main(test_definition, test_file, test_shared, test_bodies, test_inputs, test_refusals, test_accuracy, test_reference,
     test_torch)
