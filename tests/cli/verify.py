#!/usr/bin/env python3
"""What 'crease verify' says is so. Usage: verify.py PROGRAM (numpy, onnx)"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness import FASHION, check, crease, crease_json, main

EPSILON = 1e-5
R = np.random.default_rng(5)


def tensor(name, array, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(array).astype(dtype), name)


def weights(dtype=np.float32):
    return {"w": R.normal(size=(8, 4, 1, 1)), "b": R.normal(size=8), "scale": R.uniform(0.5, 2, 8),
            "bias": R.normal(size=8), "mean": R.normal(size=8), "var": R.uniform(0.5, 2, 8)}


def network(values, onnx_type=TensorProto.FLOAT, dtype=np.float32):
    """A 1x1 convolution, its normalisation and a Relu: small enough for numpy."""
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv"),
             helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["n"], name="bn",
                              epsilon=EPSILON),
             helper.make_node("Relu", ["n"], ["y"], name="relu")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", onnx_type, [2, 4, 5, 5])],
                              [helper.make_tensor_value_info("y", onnx_type, [2, 8, 5, 5])],
                              [tensor(k, v, dtype) for k, v in values.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    return model


def exact(values, x, dtype=np.float32):
    """The network in float64, on the numbers that the file has."""
    v = {k: a.astype(dtype).astype(np.float64) for k, a in values.items()}
    c = np.einsum("oi,nihw->nohw", v["w"][:, :, 0, 0], x.astype(np.float64)) + v["b"][:, None, None]
    s = v["scale"] / np.sqrt(v["var"] + np.float64(np.float32(EPSILON)))
    return np.maximum((c - v["mean"][:, None, None]) * s[:, None, None] + v["bias"][:, None, None], 0)


def rounded_fold(values):
    """Folded in float64, rounded once, computed in float64."""
    v = {k: a.astype(np.float32).astype(np.float64) for k, a in values.items()}
    s = v["scale"] / np.sqrt(v["var"] + np.float64(np.float32(EPSILON)))
    w = (v["w"][:, :, 0, 0] * s[:, None]).astype(np.float32).astype(np.float64)
    b = ((v["b"] - v["mean"]) * s + v["bias"]).astype(np.float32).astype(np.float64)
    return lambda x: np.maximum(np.einsum("oi,nihw->nohw", w, x.astype(np.float64)) + b[:, None, None], 0)


def run(model, x, *options):
    np.save("x.npy", x)
    crease("run", model, "--input", "x=x.npy", "--output-dir", "out", *options)
    return np.load("out/output_0.npy").astype(np.float64)


def test_numbers():
    """Every error in the report, computed again."""
    values, x = weights(), R.normal(size=(2, 4, 5, 5)).astype(np.float32)
    onnx.save(network(values), "net.onnx")
    want, largest = exact(values, x), np.abs(exact(values, x)).max()
    unfolded, folded = run("net.onnx", x, "--no-fold"), run("net.onnx", x)
    report = crease_json("verify", "net.onnx", "--input", "x=x.npy", "--json", "--layers")
    output = report["outputs"][0]

    def close(a, b):
        return abs(a - b) <= 1e-3 * max(abs(a), abs(b)) + 1e-12

    check("difference", close(output["max_abs"], np.abs(folded - unfolded).max()), output)
    check("unfolded to float64", close(output["unfolded_error"], np.abs(unfolded - want).max() / largest), output)
    check("folded to float64", close(output["folded_error"], np.abs(folded - want).max() / largest), output)
    by_folding = np.abs(rounded_fold(values)(x) - want).max() / largest
    check("by folding", close(output["fold_error"], by_folding), (output, by_folding))
    check("within the bounds", output["max_rel"] <= output["bound"] and output["fold_error"] <= output["fold_bound"])
    check("which are bounds of rounding", output["bound"] < 1e-4 and output["fold_bound"] < 1e-5, output)
    check("one layer", [(e["node"], e["name"]) for e in report["layers"]] == [("bn", "n")], report["layers"])
    fold = crease_json("fold", "net.onnx", "--dry-run", "--json", "--input", "x=x.npy")["entries"][0]
    check("a fold's own measure", 0 < fold["measured"] < 3 * by_folding, (fold, by_folding))


def corrupt(change):
    """A file that claims to be folded by crease and has a wrong number in it."""
    crease("fold", "net.onnx", "-o", "folded.onnx")
    model = onnx.load("folded.onnx")
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer).copy()
        initializer.CopyFrom(numpy_helper.from_array(change(array), initializer.name))
    onnx.save(model, "folded.onnx")


def test_detects():
    values, x = weights(), R.normal(size=(2, 4, 5, 5)).astype(np.float32)
    onnx.save(network(values), "net.onnx")
    np.save("x.npy", x)
    corrupt(lambda a: a)
    crease("verify", "net.onnx", "folded.onnx", "--input", "x=x.npy")
    # a wrong epsilon, far below any tolerance that one would allow for rounding
    corrupt(lambda a: (a * (1 - 1e-5)).astype(np.float32))
    report = crease_json("verify", "net.onnx", "folded.onnx", "--input", "x=x.npy", "--json", expect=1)
    output = report["outputs"][0]
    check("a factor of 1e-5 in the weights is found", not report["pass"] and output["max_rel"] < 1e-4, output)
    check("and is the folding's", output["cause"] == "folding" and output["fold_error"] > output["fold_bound"])
    _, err = crease("verify", "net.onnx", "folded.onnx", "--input", "x=x.npy", expect=1)
    check("and is said", "folding moves it" in err, err)
    corrupt(lambda a: a + (a == a.reshape(-1)[0]).astype(np.float32))
    report = crease_json("verify", "net.onnx", "folded.onnx", "--input", "x=x.npy", "--json", "--layers", expect=1)
    check("the first layer to differ is named", report["first_divergence"] == "n", report["first_divergence"])


def test_better_folded():
    """A mean of 1e4 standard deviations, carried by the bias: the unfolded float32 network is the worse one."""
    values = weights()
    values["mean"] = values["mean"] + 1e4
    values["b"] = values["b"] + 1e4
    onnx.save(network(values), "net.onnx")
    output = crease_json("verify", "net.onnx", "--json", "--rtol", 1, "-q")["outputs"][0]
    check("the folded network is nearer to the judge", output["folded_error"] < output["unfolded_error"] / 20, output)
    check("the bound expects it", output["max_rel"] <= output["bound"] and output["bound"] > 1e-5, output)
    check("and kernels cause it", output["cause"] == "kernels", output)


def test_types():
    """float16: the judge widens it, and the bounds are those of its rounding."""
    onnx.save(network(weights(), TensorProto.FLOAT16, np.float16), "half.onnx")
    output = crease_json("verify", "half.onnx", "--json", "--rtol", 1e-2, "-q")["outputs"][0]
    check("float16 has a judge", output["folded_error"] is not None and 0 < output["folded_error"] < 1e-2, output)
    check("float16 within its bounds", output["max_rel"] <= output["bound"] < 1, output)
    onnx.save(network(weights(), TensorProto.DOUBLE, np.float64), "double.onnx")
    output = crease_json("verify", "double.onnx", "--json", "-q")["outputs"][0]
    check("float64 has bounds of its own", output["bound"] < 1e-12, output)


def test_layers_of_chains():
    """Sum of two normalised branches, normalised again: the inner ones are checked where they still mean
    something."""
    values = weights()
    tensors = [tensor(k, v) for k, v in values.items()] + [tensor(k + "2", v) for k, v in weights().items()] + \
        [tensor(k + "3", v) for k, v in weights().items()]
    parameters = ["scale", "bias", "mean", "var"]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv"),
             helper.make_node("BatchNormalization", ["c"] + parameters, ["n"], name="bn"),
             helper.make_node("Conv", ["x", "w2", "b2"], ["c2"], name="conv2"),
             helper.make_node("BatchNormalization", ["c2"] + [p + "2" for p in parameters], ["n2"], name="bn2"),
             helper.make_node("Add", ["n", "n2"], ["a"], name="add"),
             helper.make_node("BatchNormalization", ["a"] + [p + "3" for p in parameters], ["y"], name="bn3")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 5, 5])],
                              [t for t in tensors if t.name not in ("w3", "b3")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.save(model, "sum.onnx")
    report = crease_json("verify", "sum.onnx", "--json", "--layers", "-q")
    check("three folds, none fails", len(report["layers"]) == 3 and all(e["pass"] for e in report["layers"]), report)
    fold = crease_json("fold", "sum.onnx", "--dry-run", "--json", "--measure", "-q")
    check("each measured", all(e["measured"] is not None and e["measured"] < 1e-6 for e in fold["entries"]), fold)


def test_scales():
    """What decides sizes has no noise: scales that the model states, as a Constant or computed."""
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")
    half = numpy_helper.from_array(np.full(4, 0.5, np.float32), "h")
    model = network(weights())
    nodes = list(model.graph.node)
    nodes[2].output[0] = "r"
    nodes += [helper.make_node("Constant", [], ["s"], value=scales),
              helper.make_node("Resize", ["r", "", "s"], ["u"], mode="nearest"),
              helper.make_node("Add", ["h", "h"], ["computed"]),
              helper.make_node("Mul", ["computed", "s"], ["scaled"]),
              helper.make_node("Resize", ["r", "", "scaled"], ["v"], mode="linear"),
              helper.make_node("Concat", ["u", "v"], ["y"], axis=1)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(half)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 16, 10, 10]))
    onnx.save(model, "scales.onnx")
    report = crease_json("verify", "scales.onnx", "--json", "--layers", "-q")
    check("resized by scales", report["pass"] and report["outputs"][0]["bound"] > 0, report)


def test_given_data():
    report = crease_json("verify", os.path.join(FASHION, "fashion.onnx"), "--json", "--input",
                         os.path.join(FASHION, "test_data_set_0"))
    check("a test_data_set's outputs are compared", len(report["expected"]) == 2 and report["pass"])
    onnx.save(network(weights()), "net.onnx")
    first = crease_json("verify", "net.onnx", "--json", "-q", "--seed", 3)
    check("the same seed, the same numbers", first == crease_json("verify", "net.onnx", "--json", "-q", "--seed", 3))
    other = crease_json("verify", "net.onnx", "--json", "-q", "--seed", 4)
    check("another seed, other numbers", first["outputs"] != other["outputs"])


main(test_numbers, test_detects, test_better_folded, test_types, test_layers_of_chains, test_scales,
     test_given_data)
