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
    """float16: sessions fold it in float32, so that results alone are rounded; a file has rounded weights."""
    onnx.save(network(weights(), TensorProto.FLOAT16, np.float16), "half.onnx")
    output = crease_json("verify", "half.onnx", "--json", "-q")["outputs"][0]
    check("float16 has a judge", output["folded_error"] is not None and 0 < output["folded_error"] < 1e-3, output)
    check("float16 within its bounds", output["max_rel"] <= output["bound"] < 1e-2, output)
    check("float16 is folded in float32", output["fold_error"] < 1e-6, output)
    crease("fold", "half.onnx", "-o", "half_folded.onnx", "-q")
    output = crease_json("verify", "half.onnx", "half_folded.onnx", "--json", "--rtol", 1e-2, "-q")["outputs"][0]
    check("the folded file has float16 weights", 1e-6 < output["fold_error"] <= output["fold_bound"], output)
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


def test_cast_weights():
    """Weights that a Cast rounds are what it gives, for the judge as for folding."""
    values = weights()
    model = network({**values, "w": np.zeros((8, 4, 1, 1))})
    casts = [helper.make_node("Cast", ["w"], ["half"], to=TensorProto.FLOAT16),
             helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT)]
    nodes = casts + list(model.graph.node)
    nodes[2].input[1] = "wide"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer[0].CopyFrom(tensor("w", values["w"]))
    onnx.save(model, "cast.onnx")
    x = R.normal(size=(2, 4, 5, 5)).astype(np.float32)
    np.save("x.npy", x)
    report = crease_json("verify", "cast.onnx", "--input", "x=x.npy", "--json", "--layers")
    check("cast weights pass", report["pass"] and report["layers"][0]["fold_error"] < 1e-6, report)
    values["w"] = values["w"].astype(np.float16)
    want = exact(values, x)
    error = np.abs(run("cast.onnx", x, "--no-fold") - want).max() / np.abs(want).max()
    check("and are rounded", abs(report["outputs"][0]["unfolded_error"] - error) < 1e-9, (report["outputs"][0], error))


def test_given_data():
    report = crease_json("verify", os.path.join(FASHION, "fashion.onnx"), "--json", "--input",
                         os.path.join(FASHION, "test_data_set_0"))
    check("a test_data_set's outputs are compared", len(report["expected"]) == 2 and report["pass"])
    onnx.save(network(weights()), "net.onnx")
    first = crease_json("verify", "net.onnx", "--json", "-q", "--seed", 3)
    check("the same seed, the same numbers", first == crease_json("verify", "net.onnx", "--json", "-q", "--seed", 3))
    other = crease_json("verify", "net.onnx", "--json", "-q", "--seed", 4)
    check("another seed, other numbers", first["outputs"] != other["outputs"])


def info(name, shape, onnx_type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, onnx_type, shape)


def turning(suffix, x, y):
    """What one turn does: normalised 1x1 convolution and Tanh."""
    return [helper.make_node("Conv", [x, "w", "b"], [f"c{suffix}"], name=f"conv{suffix}"),
            helper.make_node("BatchNormalization", [f"c{suffix}", "scale", "bias", "mean", "var"], [f"n{suffix}"],
                             name=f"bn{suffix}", epsilon=EPSILON),
            helper.make_node("Tanh", [f"n{suffix}"], [y], name=f"tanh{suffix}")]


def save_turns(path, nodes, values, output, opset=15):
    tensors = [tensor(k, v) for k, v in values.items()] + [
        numpy_helper.from_array(np.int64(3), "three"), numpy_helper.from_array(np.bool_(True), "yes")]
    graph = helper.make_graph(nodes, "g", [info("x", [2, 8, 5, 5])], [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def square_weights():
    values = weights()
    values["w"] = R.normal(size=(8, 8, 1, 1))
    return values


def layers(path):
    report = crease_json("verify", path, "--json", "--layers", "-q")
    check(f"{path} passes", report["pass"], report)
    return {e["node"]: e for e in report["layers"]}, report["outputs"][0]


def check_same(what, turns, got, keys=("max_abs", "fold_error", "folded_error", "bound", "fold_bound")):
    """The numbers of a fold in a body are the worst of those that the same turns have one after another."""
    for key in keys:
        want = max(e[key] for e in turns)
        check(f"{what}: {key}", want > 0 and abs(got[key] - want) <= 0.02 * want, (got[key], want))


JUDGED = ("fold_error", "bound", "fold_bound")  # sessions have other kernels in bodies, and other rounding


def test_bodies():
    values, shape = square_weights(), [2, 8, 5, 5]
    # a Loop whose body has an If: three turns written out say what is to be expected
    then = helper.make_graph(turning("", "h", "t"), "then", [], [info("t", shape)])
    other = helper.make_graph([helper.make_node("Neg", ["h"], ["o"])], "else", [], [info("o", shape)])
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go2"]),
         helper.make_node("If", ["yes"], ["h2"], then_branch=then, else_branch=other)], "body",
        [info("i", [], TensorProto.INT64), info("go", [], TensorProto.BOOL), info("h", shape)],
        [info("go2", [], TensorProto.BOOL), info("h2", shape), info("h2", shape)])
    save_turns("loop.onnx", [helper.make_node("Loop", ["three", "", "x"], ["y", "all"], name="loop", body=body)],
               values, info("y", shape))
    save_turns("written.onnx", turning("1", "x", "h1") + turning("2", "h1", "h2") + turning("3", "h2", "y"), values,
               info("y", shape))
    (looped, output), (written, expected) = layers("loop.onnx"), layers("written.onnx")
    check("one fold, three turns", list(looped) == ["bn"] and looped["bn"]["n"] == 3 * written["bn1"]["n"], looped)
    check_same("loop", list(written.values()), looped["bn"])
    check_same("output", [expected], output, JUDGED)
    entries = [crease_json("fold", p, "--dry-run", "--json", "--measure", "-q")["entries"]
               for p in ("loop.onnx", "written.onnx")]
    want = max(e["measured"] for e in entries[1])
    check("measured is the worst turn", abs(entries[0][0]["measured"] - want) <= 1e-3 * want > 0, (entries, want))
    kept = crease_json("fold", "loop.onnx", "--dry-run", "--json", "--max-error", want * 0.9, "-q")["entries"][0]
    check("--max-error rolls it back", kept["status"] == "kept" and kept["reason"] == "max-error", kept)
    kept = crease_json("fold", "loop.onnx", "--dry-run", "--json", "--max-error", want * 1.1, "-q")["entries"][0]
    check("or leaves it", kept["status"] == "folded", kept)


def test_scan():
    """Slices of axis 3, from the last; results along axis -2 in that order, or turned."""
    values = square_weights()
    values["w"] = values["w"][:, :, :, 0]
    body = helper.make_graph([helper.make_node("Add", ["h", "p"], ["a"])] + turning("", "a", "h2") +
                             [helper.make_node("Identity", ["h2"], ["q"])], "body",
                             [info("h", [2, 8, 5]), info("p", [2, 8, 5])],
                             [info("h2", [2, 8, 5]), info("q", [2, 8, 5])])
    cut = [numpy_helper.from_array(np.int64(i), f"at{i}") for i in range(5)]
    for opset, back in ((11, 0), (15, 1)):
        scan = helper.make_node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1,
                                scan_input_axes=[3], scan_input_directions=[1], scan_output_axes=[-2],
                                scan_output_directions=[back])
        start = [helper.make_node("Constant", [], ["zero"], value=cut[0]),
                 helper.make_node("Gather", ["x", "zero"], ["start"], axis=3)]
        save_turns("scan.onnx", start + [scan], values, info("y", [2, 8, 5, 5]), opset)
        nodes, results = list(start), []
        for i in range(5):
            h, y = f"h{i - 1}" if i else "start", f"h{i}"
            nodes += [helper.make_node("Constant", [], [f"at{i}"], value=cut[4 - i]),
                      helper.make_node("Gather", ["x", f"at{i}"], [f"p{i}"], axis=3),
                      helper.make_node("Add", [h, f"p{i}"], [f"a{i}"])] + turning(str(i), f"a{i}", y)
            nodes.append(helper.make_node("Reshape", [y, "slice"], [f"r{i}"]))
            results.append(f"r{i}")
        nodes.insert(0, helper.make_node("Constant", [], ["slice"], value=numpy_helper.from_array(
            np.array([2, 8, 1, 5]), "slice")))
        nodes.append(helper.make_node("Concat", results[::-1] if back else results, ["y"], axis=2))
        save_turns("written.onnx", nodes, values, info("y", [2, 8, 5, 5]), opset)
        (scanned, output), (written, expected) = layers("scan.onnx"), layers("written.onnx")
        check("five folds", list(scanned) == ["bn"] and len(written) == 5, (scanned, written))
        check_same("scan", list(written.values()), scanned["bn"])
        check_same("scan's output", [expected], output, JUDGED)


def test_no_line():
    """Networks with bodies that cannot be written as a line are compared without bounds."""
    values, shape = square_weights(), [2, 8, 5, 5]
    flags = [info("go", [], TensorProto.BOOL), info("go2", [], TensorProto.BOOL)]
    body = helper.make_graph(turning("", "x", "t") + [helper.make_node("Identity", ["go"], ["go2"])], "body",
                             [info("i", [], TensorProto.INT64), flags[0]], [flags[1], info("t", shape)])
    zero = helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.int64(0), "zero"))
    save_turns("none.onnx", [zero, helper.make_node("Loop", ["zero", ""], ["y"], body=body)], values,
               info("y", [0] + shape))
    many = helper.make_node("Constant", [], ["many"], value=numpy_helper.from_array(np.int64(6000), "many"))
    spin = helper.make_graph([helper.make_node("Neg", ["h"], ["h3"]), helper.make_node("Abs", ["h3"], ["h4"]),
                              helper.make_node("Neg", ["h4"], ["h2"]), helper.make_node("Identity", ["go"], ["go2"])],
                             "body", [info("i", [], TensorProto.INT64), flags[0], info("h", shape)],
                             [flags[1], info("h2", shape)])
    loop = helper.make_node("Loop", ["many", "", "t"], ["y"], body=spin)
    save_turns("many.onnx", turning("", "x", "t") + [many, loop], values, info("y", shape))
    for path, folds in (("none.onnx", 0), ("many.onnx", 1)):
        report = crease_json("verify", path, "--json", "--layers", "-q")
        check(f"{path} has no bounds", report["pass"] and not report["outputs"][0]["bound"], report)
        check(f"{path}: folds in the main graph", len(report["layers"]) == folds, report)


def test_bodies_of_a_wrong_file():
    """A wrong weight in a body is the folding's."""
    values, shape = square_weights(), [2, 8, 5, 5]
    branches = [helper.make_graph(turning("", "x", n), n, [], [info(n, shape)]) for n in ("then", "else")]
    save_turns("if.onnx", [helper.make_node("If", ["yes"], ["y"], name="if", then_branch=branches[0],
                                            else_branch=branches[1])], values, info("y", shape))
    crease("fold", "if.onnx", "-o", "folded.onnx")
    crease("verify", "if.onnx", "folded.onnx")
    model = onnx.load("folded.onnx")
    body = next(a.g for a in model.graph.node[0].attribute if a.name == "then_branch")
    for initializer in body.initializer:
        initializer.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(initializer) * np.float32(1 - 1e-5),
                                                     initializer.name))
    onnx.save(model, "folded.onnx")
    output = crease_json("verify", "if.onnx", "folded.onnx", "--json", "-q", expect=1)["outputs"][0]
    check("found in a body", output["cause"] == "folding" and output["fold_error"] > output["fold_bound"] > 0, output)


main(test_numbers, test_detects, test_better_folded, test_types, test_layers_of_chains, test_scales,
     test_cast_weights, test_given_data, test_bodies, test_scan, test_no_line, test_bodies_of_a_wrong_file)
