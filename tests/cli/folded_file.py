#!/usr/bin/env python3
"""A folded file keeps what 'crease fold' promises. Usage: folded_file.py PROGRAM [MODEL.onnx...] (numpy, onnx)"""
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness import EXE, FASHION, check, crease, crease_json, main, same_bytes

GIVEN = [os.path.abspath(path) for path in sys.argv[2:]]


def consumers(graph):
    """Every name that a node or a graph output uses, in the graph and its subgraphs."""
    used = {o.name for o in graph.output}
    for node in graph.node:
        used.update(node.input)
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                used |= consumers(inner)
    return used


def check_file(before, after, report, what):
    """The promises that can be seen in the two files."""
    b, a = before.graph, after.graph
    onnx.checker.check_model(after)
    twins = {i.name for i in b.initializer}
    names = {i.name for i in a.initializer}
    inputs = [i for i in b.input if i.name not in twins or i.name in names]
    check(f"{what}: inputs", sorted(i.name for i in a.input if i.name in {j.name for j in b.input}) ==
          sorted(i.name for i in inputs))
    check(f"{what}: types of inputs", [i for i in a.input if i.name not in names] ==
          [i for i in b.input if i.name not in twins])
    check(f"{what}: outputs", list(a.output) == list(b.output))
    check(f"{what}: operator sets", [(o.domain.replace("ai.onnx.", ""), o.version) for o in after.opset_import] ==
          [(o.domain.replace("ai.onnx.", ""), o.version) for o in before.opset_import])
    for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
        check(f"{what}: {field}", getattr(after, field) == getattr(before, field))
    properties = {p.key: p.value for p in after.metadata_props}
    check(f"{what}: metadata", all(properties.get(p.key) == p.value for p in before.metadata_props))
    kept = {v.name: v for v in a.value_info}
    made = {o for n in a.node for o in n.output} - {o.name for o in a.output}
    check(f"{what}: value_info", all(kept.get(v.name) == v for v in b.value_info if v.name in made))
    used = consumers(a)
    overridable = {i.name for i in b.input} if before.ir_version >= 4 else set()  # part of the interface
    orphans = [i.name for i in a.initializer if i.name not in used | overridable]
    check(f"{what}: no orphans", not orphans, orphans[:3])
    check(f"{what}: no orphan inputs", not [i.name for i in a.input if i.name in twins and i.name not in names])
    check(f"{what}: unique names", len(names) == len(a.initializer) and not names & made)
    old, new = {n.name for n in b.node if n.name}, [n.name for n in a.node if n.name]
    unnamed = {n.output[0] for n in b.node if not n.name}
    check(f"{what}: node names", set(new) <= old | unnamed and len(new) == len(set(new)) or
          len(old) != len([n for n in b.node if n.name]))
    check_provenance(after, report, properties, what)


def check_provenance(after, report, properties, what):
    nodes = {n.name: n for n in after.graph.node}
    folded = [e for e in report["entries"] if e["status"] == "folded"]
    check(f"{what}: provenance of the model", ("crease.fold" in properties) == bool(folded))
    for entry in folded:
        for taker in entry["into"].split(","):
            if taker in nodes:  # it may have been folded on itself
                check(f"{what}: provenance of {taker}", entry["name"] in nodes[taker].doc_string)


def check_model(path, what):
    report = crease_json("fold", path, "-o", "folded.onnx", "--json")
    crease("fold", path, "-o", "again.onnx", "--report", "again.json")
    check(f"{what}: the same bytes again", same_bytes("folded.onnx", "again.onnx"))
    before, after = onnx.load(path), onnx.load("folded.onnx")
    check_file(before, after, report, what)
    crease("fold", "folded.onnx", "-o", "twice.onnx", "--expect-folded", 0)
    check(f"{what}: folding twice changes nothing", same_bytes("folded.onnx", "twice.onnx"))


# ---- a small network with everything that can get lost ----


def bn(prefix, channels, seed):
    r = np.random.default_rng(seed)
    values = {"scale": r.uniform(0.5, 2, channels), "bias": r.normal(size=channels),
              "mean": r.normal(size=channels), "var": r.uniform(0.5, 2, channels)}
    return [numpy_helper.from_array(v.astype(np.float32), f"{prefix}.{k}") for k, v in values.items()]


def network(ir_version=8, opset=13, twins=False):
    """x -> Conv -> BN -> Relu -> Conv -> BN, both convolutions with the same weight, and metadata of every kind."""
    weight = numpy_helper.from_array(np.random.default_rng(1).normal(size=(4, 4, 3, 3)).astype(np.float32), "w")
    first, second = bn("bn1", 4, 2), bn("bn2", 4, 3)
    names = [[t.name for t in tensors] for tensors in (first, second)]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c1"], name="conv1", pads=[1, 1, 1, 1], doc_string="mine"),
             helper.make_node("BatchNormalization", ["c1"] + names[0], ["b1"], name="bn1"),
             helper.make_node("Relu", ["b1"], ["r1"], name="relu1"),
             helper.make_node("Conv", ["r1", "w"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
             helper.make_node("BatchNormalization", ["c2"] + names[1], ["y"], name="bn2")]
    shape = ["batch", 4, "height", 8]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("c1", "b1", "r1", "c2")]
    initializers = [weight] + first + second
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if twins:
        inputs += [helper.make_tensor_value_info(t.name, TensorProto.FLOAT, t.dims) for t in initializers]
    graph = helper.make_graph(nodes, "small", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
                              initializers, doc_string="a graph", value_info=values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="test",
                              producer_version="1.2", model_version=7, doc_string="a model")
    model.ir_version = ir_version
    helper.set_model_props(model, {"author": "nobody", "task": "none"})
    return model


def test_small():
    for what, model in {"small": network(), "IR 3, twins": network(3, 9, True)}.items():
        onnx.checker.check_model(model)
        onnx.save(model, "small.onnx")
        check_model("small.onnx", what)
        folded = onnx.load("folded.onnx").graph
        check(f"{what}: two convolutions of their own names", [n.name for n in folded.node] ==
              ["conv1", "relu1", "conv2"])
        check(f"{what}: they give the normalisations' outputs", [n.output[0] for n in folded.node] ==
              ["b1", "r1", "y"])
        check(f"{what}: the shared weight became two", len({n.input[1] for n in folded.node if n.input[1:]}) == 2)
        check(f"{what}: the node's own words", folded.node[0].doc_string.startswith("mine\n"))
    onnx.save(network(4, 9, True), "overridable.onnx")
    crease("fold", "overridable.onnx", "--dry-run", "--expect-folded", 0)
    crease("fold", "overridable.onnx", "-o", "const.onnx", "--assume-const", "--expect-folded", 2)
    check("an overridable default that is gone is no input", len(onnx.load("const.onnx").graph.input) == 1)


def test_options():
    onnx.save(network(), "small.onnx")
    for arguments, left in ((["--keep", "bn1"], "bn1"), (["--only", "bn2"], "bn1"), (["--keep", "*[!1]"], "bn2")):
        r = crease_json("fold", "small.onnx", "-o", "part.onnx", "--json", *arguments)
        check(f"{arguments}: one stays", [e["name"] for e in r["entries"] if e["status"] == "kept"] == [left])
        check(f"{arguments}: as asked", all(e["reason"] == "keep" for e in r["entries"] if e["status"] == "kept"))
        check(f"{arguments}: in the file, too", [n.name for n in onnx.load("part.onnx").graph.node
                                                 if n.op_type == "BatchNormalization"] == [left])
    os.remove("part.onnx")
    for option in ("--keep", "--only"):
        _, err = crease("fold", "small.onnx", "-o", "part.onnx", option, "bn3", expect=2)
        check(f"{option} names what it did not find", "bn3" in err)
    crease("fold", "small.onnx", "-o", "part.onnx", "--report", "part.json", "--expect-folded", 1, expect=1)
    crease("fold", "small.onnx", "-o", "part.onnx", "--report", "-", "--dry-run")
    check("nothing was written", not os.path.exists("part.onnx") and not os.path.exists("part.json"))


def test_max_error():
    onnx.save(network(), "small.onnx")
    r = crease_json("fold", "small.onnx", "--dry-run", "--json", "--measure", "-q", "--shape", "x=2x4x8x8")
    measured = {e["name"]: e["measured"] for e in r["entries"]}
    check("each fold is measured", all(0 < m < 1e-6 for m in measured.values()) and len(measured) == 2, measured)
    between = sum(measured.values()) / 2
    r = crease_json("fold", "small.onnx", "-o", "limited.onnx", "--json", "--max-error", between, "-q", "--shape",
                    "x=2x4x8x8")
    worst = max(measured, key=measured.get)
    kept = [e for e in r["entries"] if e["status"] == "kept"]
    check("the worse one is left", [(e["name"], e["reason"]) for e in kept] == [(worst, "max-error")], r)
    check("with its number", kept and kept[0]["measured"] == measured[worst] and "%.3g" % measured[worst] in
          kept[0]["detail"])
    check("and stands in the file", [n.name for n in onnx.load("limited.onnx").graph.node
                                     if n.op_type == "BatchNormalization"] == [worst])
    r = crease_json("fold", "small.onnx", "-o", "all.onnx", "--json", "--max-error", 1e-3, "-q", "--shape",
                    "x=2x4x8x8")
    check("a wide limit leaves nothing", r["folded"] == 2 and r["kept"] == 0)
    np.save("x.npy", np.ones((1, 4, 5, 8), np.float32))
    r = crease_json("fold", "small.onnx", "-n", "--json", "--input", "x=x.npy")
    check("given inputs are measured with", all(e["measured"] is not None for e in r["entries"]))
    crease("fold", "small.onnx", "-n", "--max-error", -1, expect=2)


# ---- whole or not at all ----


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_atomic():
    onnx.save(network(), "small.onnx")
    shutil.copy("small.onnx", "target.onnx")
    for extra in ([], ["--keep-originals"]):
        done = subprocess.run([EXE, "fold", "small.onnx", "-o", "target.onnx", *extra], capture_output=True, text=True,
                              preexec_fn=limit_files)
        check("a file that cannot be written is a failure", done.returncode == 5, (done.returncode, done.stderr))
        check("the old one stays", same_bytes("small.onnx", "target.onnx"))
        check("nothing temporary is left", not [f for f in os.listdir(".") if "tmp" in f], os.listdir("."))
    crease("fold", "target.onnx", "-o", "target.onnx")
    check("a file may be folded onto itself", not any(n.op_type == "BatchNormalization"
                                                      for n in onnx.load("target.onnx").graph.node))


def test_models():
    check_model(os.path.join(FASHION, "fashion.onnx"), "fashion")
    for name in ("mobilenet_v2", "densenet121"):
        crease("demo", name, "-o", "demo.onnx")
        check_model("demo.onnx", name)
    for path in GIVEN:
        check_model(path, path)


main(test_small, test_options, test_max_error, test_atomic, test_models)
