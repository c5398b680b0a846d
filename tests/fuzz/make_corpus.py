#!/usr/bin/env python3
"""Write the seed corpus of fuzz_model: small models of every kind. Usage: make_corpus.py DIR (needs numpy and onnx).

Debian's public operator tests (libonnx-testdata) are taken where they are small; the networks below add what those lack:
normalisations in every place where they fold, several inputs, subgraphs, functions, and all encodings of a tensor."""
import glob
import hashlib
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

TESTS = "/usr/share/libonnx-testdata/data/**/model.onnx"
LARGEST = 4096
random = np.random.default_rng(1)


def tensor(name, *shape, low=-1.0, high=1.0):
    return numpy_helper.from_array(random.uniform(low, high, shape).astype(np.float32), name)


def bn(x, y, channels, tag="bn"):
    """The node and its four parameters."""
    names = [f"{tag}_{p}" for p in ("gamma", "beta", "mean", "var")]
    node = helper.make_node("BatchNormalization", [x, *names], [y], name=tag)
    return node, [tensor(n, channels, low=0.5, high=2) for n in names]


def info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, weights, x, y, opset=13, ir_version=7, functions=(), inputs=None):
    graph = helper.make_graph(nodes, "g", inputs or [info("x", x)], [info("y", y)], weights)
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid("own", 1)] * bool(functions)
    made = helper.make_model(graph, opset_imports=imports, functions=list(functions))
    made.ir_version = ir_version
    return made


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, name=f"{op}_{outputs[0]}", **attributes)


def linear_networks():
    n, w = bn("c", "y", 4)
    conv = node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1])
    yield model([conv, n], [tensor("w", 4, 2, 3, 3), tensor("b", 4), *w], ["n", 2, 5, 5], ["n", 4, 5, 5])
    depthwise = node("Conv", ["x", "w"], ["c"], group=4, strides=[2, 2], auto_pad="SAME_UPPER")
    yield model([depthwise, n], [tensor("w", 4, 1, 3, 3), *w], [1, 4, 5, 5], [1, 4, 3, 3])
    transpose = node("ConvTranspose", ["x", "w"], ["c"], group=2, output_padding=[1, 0], strides=[2, 1])
    yield model([transpose, n], [tensor("w", 2, 2, 2, 2), *w], [1, 2, 3, 3], [1, 4, None, None])
    gemm = node("Gemm", ["x", "w", "b"], ["c"], alpha=0.5, transB=1)
    yield model([gemm, n], [tensor("w", 4, 3), tensor("b", 4), *w], [2, 3], [2, 4])
    matmul, add = node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["c"])
    yield model([matmul, add, n], [tensor("w", 3, 4), tensor("b", 4), *w], [2, 3], [2, 4])
    before, v = bn("x", "d", 2)
    yield model([before, node("Conv", ["d", "w"], ["y"])], [tensor("w", 4, 2, 1, 1), *v], [1, 2, 5, 5], [1, 4, 5, 5])
    relu = node("Relu", ["d"], ["r"])
    yield model([before, relu, node("Conv", ["r", "w"], ["y"])], [tensor("w", 4, 2, 3, 3), *v], [1, 2, 5, 5],
                [1, 4, 3, 3])


def branching_networks():
    n, w = bn("c", "d", 2)
    conv = node("Conv", ["x", "w"], ["c"], kernel_shape=[1, 1])
    weights = [tensor("w", 2, 2, 1, 1), *w]
    yield model([conv, n, node("Add", ["x", "d"], ["s"]), node("Relu", ["s"], ["y"])], weights, [1, 2, 4, 4], [1, 2, 4, 4])
    yield model([conv, n, node("Concat", ["d", "c", "x"], ["y"], axis=1)], weights, [1, 2, 4, 4], [1, 6, 4, 4])
    split = node("Split", ["x"], ["c", "e"], axis=1)
    yield model([split, n, node("Mul", ["d", "e"], ["y"])], w, [1, 4, 3, 3], [1, 2, 3, 3])
    pool = node("GlobalAveragePool", ["d"], ["p"])
    tail = [pool, node("Flatten", ["p"], ["f"]), node("Softmax", ["f"], ["y"], axis=-1)]
    yield model([conv, n, *tail], weights, ["n", 2, "h", "h"], ["n", 2])
    through = [node("MaxPool", ["d"], ["p"], kernel_shape=[2, 2], ceil_mode=1), node("Transpose", ["p"], ["y"], perm=[0, 2, 3, 1])]
    yield model([conv, n, *through], weights, [1, 2, 5, 5], [1, 3, 3, 2])


def shaping_networks():
    ints = lambda name, *values: numpy_helper.from_array(np.array(values, np.int64), name)
    yield model([node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["g"]), node("Unsqueeze", ["g", "z"], ["u"]),
                 node("Concat", ["u", "m"], ["t"], axis=0), node("Reshape", ["x", "t"], ["y"])],
                [numpy_helper.from_array(np.array(0, np.int64), "i"), ints("z", 0), ints("m", -1)], ["n", 2, 3], ["n", None])
    yield model([node("Slice", ["x", "b", "e", "a", "t"], ["s"]), node("Pad", ["s", "p"], ["y"], mode="reflect")],
                [ints("b", -1), ints("e", -9), ints("a", 1), ints("t", -2), ints("p", 0, 1, 0, 1)], [2, 5], [2, None])
    scales = numpy_helper.from_array(np.array([1, 1, 2, 0.5], np.float32), "sc")
    yield model([node("Resize", ["x", "", "sc"], ["y"], mode="cubic")], [scales], [1, 1, 4, 4], [1, 1, 8, 2])
    yield model([node("Tile", ["x", "r"], ["t"]), node("NonZero", ["t"], ["nz"]), node("Cast", ["nz"], ["y"], to=1)],
                [ints("r", 2, 3)], [2, 2], [None, None])


def nested_networks():
    branch = lambda op, tag: helper.make_graph([node(op, ["x"], [tag])], tag, [], [info(tag, [2])])
    condition = numpy_helper.from_array(np.array(True), "t")
    yield model([node("If", ["t"], ["y"], then_branch=branch("Relu", "p"), else_branch=branch("Neg", "q"))], [condition], [2], [2])
    body = helper.make_graph([node("Identity", ["c_in"], ["c_out"]), node("Add", ["v_in", "x"], ["v_out"])], "body",
                             [info("i", [], TensorProto.INT64), info("c_in", [], TensorProto.BOOL), info("v_in", [2])],
                             [info("c_out", [], TensorProto.BOOL), info("v_out", [2])])
    trips = numpy_helper.from_array(np.array(3, np.int64), "n")
    yield model([node("Loop", ["n", "t", "x"], ["y"], body=body)], [trips, condition], [2], [2])
    call = helper.make_node("Twice", ["x"], ["y"], domain="own", name="call", slope=0.5)
    leaky = helper.make_node("LeakyRelu", ["a"], ["m"])
    leaky.attribute.append(helper.make_attribute("alpha", 1.0))
    leaky.attribute[0].ClearField("f")
    leaky.attribute[0].ref_attr_name = "slope"
    function = helper.make_function("own", "Twice", ["a"], ["b"], [leaky, helper.make_node("Add", ["m", "m"], ["b"])],
                                    [helper.make_opsetid("", 13)], ["slope"])
    yield model([call], [], [2], [2], ir_version=8, functions=[function])


def encodings():
    add = [node("Cast", ["w"], ["c"], to=1), node("Add", ["x", "c"], ["y"])]
    for dtype in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16):
        yield model(add, [helper.make_tensor("w", dtype, [2], [0, 1])], [2], [2])
    yield model(add, [tensor("w", 2)], [2], [2], ir_version=4, inputs=[info("x", [2]), info("w", [2])])
    external = tensor("w", 2)
    external.ClearField("raw_data")
    external.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "8")):
        external.external_data.add(key=key, value=value)
    yield model(add, [external], [2], [2])
    sparse = helper.make_sparse_tensor(tensor("w", 1), numpy_helper.from_array(np.array([1], np.int64), "i"), [2])
    constant = [helper.make_node("Constant", [], ["w"], sparse_value=sparse)]
    yield model(constant + [node("Add", ["x", "w"], ["y"])], [], [2], [2])
    yield model([node("Identity", ["w"], ["y"])], [helper.make_tensor("w", TensorProto.STRING, [2], [b"a", b"bc"])], [2], [2])


def seeds():
    for path in glob.glob(TESTS, recursive=True):
        with open(path, "rb") as f:
            yield f.read(LARGEST + 1)
    for family in (linear_networks, branching_networks, shaping_networks, nested_networks, encodings):
        for made in family():
            yield made.SerializeToString()


def main(folder):
    os.makedirs(folder, exist_ok=True)
    n = 0
    for data in seeds():
        if len(data) <= LARGEST:
            n += 1
            with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as f:
                f.write(data)
    print(n, "seeds in", folder)


if __name__ == "__main__":
    main(sys.argv[1])
