#!/usr/bin/env python3
"""Models that are damaged, lie, or ask for too much: one line, the right exit code, no output. Usage: hostile.py PROGRAM

Exit codes: 3 bad model or input, 4 unsupported, 5 memory or run-time failure. Needs numpy and onnx."""
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from harness import EXE, check, main

MEMORY = ["--max-memory", "512"]

# ---- running ----


def crease(*arguments):
    """Exit code and stderr; 'crash' is a negative code."""
    done = subprocess.run([EXE, *map(str, arguments)], capture_output=True, timeout=60)
    return done.returncode, done.stderr


def complaint(code, line):
    """What is wrong with a failure's message, or ''."""
    if code not in (1, 2, 3, 4, 5):
        return f"exit {code}"
    if line.count(b"\n") != 1 or not line.startswith(b"crease: ") or len(line) > 512:
        return "not one line 'crease: ...' of at most 512 bytes"
    if any(c < 32 or c == 127 for c in line[:-1]):
        return "a control character"
    return ""


def survives(data, name):
    """'' when the bytes run, or are refused as they should; no refusal leaves a file."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = os.path.join(folder, "m.onnx"), os.path.join(folder, "out")
        with open(path, "wb") as f:
            f.write(data)
        code, line = crease("run", path, "--input", "ones", "--output-dir", out, *MEMORY)
        if code == 0:
            return ""
        wrong = complaint(code, line) or ("files are left" if os.path.exists(out) else "")
        return wrong and f"{name}: {wrong}: {line[:300]}"


def all_survive(what, cases):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [w for w in pool.map(lambda case: survives(*case), cases) if w]
    check(f"{what}, {len(cases)} cases", not wrong, "; ".join(wrong[:3]))


def refused(what, want, word, model, *arguments):
    """run, fold and inspect the model: `run` exits with `want` and names `word`."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with open("m.onnx", "wb") as f:
        f.write(data)
    shutil.rmtree("out", ignore_errors=True)
    code, line = crease("run", "m.onnx", *(arguments or ("--input", "ones")), "--output-dir", "out", *MEMORY)
    good = code == want and not complaint(code, line) and word.encode() in line and not os.path.exists("out")
    check(what, good, f"exit {code}, expected {want} and '{word}': {line}")
    for others in (("fold", "m.onnx", "-o", "folded.onnx"), ("inspect", "m.onnx")):
        code, line = crease(*others)
        check(f"{what}: {others[0]}", code == 0 or not complaint(code, line), f"exit {code}: {line}")


# ---- models ----


def info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, weights=(), x=(1, 2, 4, 4), opset=13, y=None, dtype=TensorProto.FLOAT):
    graph = helper.make_graph(nodes, "g", [info("x", x, dtype)], [info("y", y)], list(weights))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 7
    return made


def node(op, *inputs, **attributes):
    return helper.make_node(op, list(inputs), ["y"], name=f"the {op}", **attributes)


def floats(name, *shape):
    return numpy_helper.from_array(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def small():
    """A convolution with a normalisation: every part of a model file in a few hundred bytes."""
    conv = helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1])
    bn = helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["y"], name="bn")
    ones = [numpy_helper.from_array(np.ones(2, np.float32), n) for n in "sbmv"]
    return model([conv, bn], [floats("w", 2, 2, 3, 3), *ones])


def with_tensor(**fields):
    """y = Add(x, w) with w as told."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT)
    for key, value in fields.items():
        field = getattr(tensor, key)
        field.extend(value) if isinstance(value, list) else setattr(tensor, key, value)
    return model([node("Add", "x", "w")], [tensor], x=[2])


# ---- tests ----


def damaged_files():
    good = small().SerializeToString()
    check("the undamaged model runs", survives(good, "") == "" and crease_runs(good))
    all_survive("truncated at every byte", [(good[:n], f"{n} bytes") for n in range(len(good))])
    for mask in (0x01, 0x80, 0xFF):
        flipped = [bytearray(good) for _ in good]
        for i, data in enumerate(flipped):
            data[i] ^= mask
        all_survive(f"every byte xor {mask:#x}", [(bytes(d), f"byte {i}") for i, d in enumerate(flipped)])


def crease_runs(data):
    with open("good.onnx", "wb") as f:
        f.write(data)
    return crease("run", "good.onnx", "--input", "ones")[0] == 0


def other_files():
    refused("empty", 3, "m.onnx", b"")
    refused("HTML", 3, "HTML", b"\n <!doctype html><html><body>404</body></html>")
    refused("Git LFS", 3, "LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    refused("JSON", 3, "m.onnx", b'{"graph": {}}')
    refused("zeros", 3, "m.onnx", bytes(4096))
    refused("ones", 3, "m.onnx", b"\xff" * 4096)
    refused("zip", 3, "m.onnx", b"PK\3\4" + bytes(100))
    refused("nested beyond all bounds", 3, "m.onnx", nested(200))


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def nested(depth):
    """A graph within a graph within ..."""
    data = b""
    for _ in range(depth):
        for field in (6, 5, 1):  # attribute.g, node.attribute, graph.node
            data = bytes([field << 3 | 2]) + varint(len(data)) + data
    return b"\x08\x07\x3a" + varint(len(data)) + data


def tensors():
    refused("a missing tensor", 3, "'w'", model([node("Add", "x", "w")]))
    refused("a missing output", 3, "'y'", model([helper.make_node("Relu", ["x"], ["z"])]))
    refused("no data", 3, "'w'", with_tensor(dims=[2]))
    refused("too few data", 3, "'w'", with_tensor(dims=[2], float_data=[1.0]))
    refused("too many data", 3, "'w'", with_tensor(dims=[2], float_data=[1.0, 2.0, 3.0]))
    refused("raw data of the wrong size", 3, "'w'", with_tensor(dims=[2], raw_data=b"\0" * 7))
    refused("a negative dimension", 3, "'w'", with_tensor(dims=[-2], float_data=[1.0, 2.0]))
    refused("dims that overflow", 3, "w:", with_tensor(dims=[1 << 32, 1 << 32], raw_data=b"\0" * 8))
    refused("dims that overflow to 0", 3, "w:", with_tensor(dims=[1 << 32, 1 << 32, 1 << 32], raw_data=b""))
    refused("dims beyond the file", 3, "'w'", with_tensor(dims=[1 << 40], float_data=[1.0]))
    refused("too high a rank", 3, "'w'", with_tensor(dims=[1] * 17, float_data=[1.0]))
    refused("no element type", 3, "'w'", with_tensor(dims=[2], data_type=0, float_data=[1.0, 2.0]))
    refused("an unknown element type", 3, "'w'", with_tensor(dims=[2], data_type=99, float_data=[1.0, 2.0]))
    os.mkdir("weights")
    for location, wrong in (("/etc/passwd", "outside"), ("../m.onnx", "outside"), ("", "no file"),
                            ("nothing.bin", "No such file"), ("weights", "not a regular file")):
        external = with_tensor(dims=[2], data_location=TensorProto.EXTERNAL)
        external.graph.initializer[0].external_data.add(key="location", value=location)
        refused(f"external data at '{location}'", 3, wrong, external)


def external_sizes():
    with open("weights.bin", "wb") as f:
        f.write(bytes(8))
    for offset, length in (("4", "8"), ("0", "9"), ("-1", "8"), ("18446744073709551615", "8"), ("x", "8"), ("0", "")):
        external = with_tensor(dims=[2], data_location=TensorProto.EXTERNAL)
        for key, value in (("location", "weights.bin"), ("offset", offset), ("length", length)):
            external.graph.initializer[0].external_data.add(key=key, value=value)
        refused(f"external offset {offset}, length {length}", 3, "'w'", external)


def graphs():
    a = helper.make_node("Add", ["x", "q"], ["p"], name="one")
    b = helper.make_node("Add", ["x", "p"], ["q"], name="two")
    refused("a cycle", 3, "", model([a, b, node("Relu", "q")]))
    refused("a node that uses itself", 3, "the Add", model([node("Add", "x", "y")]))
    twice = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])]
    refused("a value defined twice", 3, "'y'", model(twice))
    refused("an input defined twice", 3, "'x'", twin(lambda g: g.input.append(g.input[0])))
    refused("an initializer defined twice", 3, "'w'", twin(lambda g: g.initializer.append(g.initializer[0])))
    refused("no graph", 3, "m.onnx", helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()[:2])


def twin(change):
    made = model([node("Add", "x", "w")], [floats("w", 4)])
    change(made.graph)
    return made


def operators():
    refused("an unknown operator", 4, "the Frob", model([node("Frob", "x")]))
    refused("an unknown domain", 4, "elsewhere", model([node("Relu", "x", domain="elsewhere")]))
    refused("an operator younger than its set", 4, "the Mish", model([node("Mish", "x")], opset=13))
    refused("a wrong type", 4, "the Relu", model([node("Relu", "x")], dtype=TensorProto.BOOL), "--input", "ones")
    refused("no output", 3, "the Relu", model([helper.make_node("Relu", ["x"], [], name="the Relu"), node("Neg", "x")]))
    refused("a constant without output", 3, "the Constant", model([helper.make_node(
        "Constant", [], [], name="the Constant", value=ints("v", 1)), node("Neg", "x")]))
    refused("the first output left out", 3, "the TopK", model([helper.make_node("TopK", ["x", "k"], ["", "y"], name="the TopK")], [ints("k", 1)]))
    refused("too few inputs", 3, "the Conv", model([node("Conv", "x")], opset=11))
    refused("an attribute of the wrong type", 3, "the Softmax", model([node("Softmax", "x", axis=0.5)]))
    refused("an axis out of range", 3, "the Softmax", model([node("Softmax", "x", axis=9)]))
    refused("channels that do not match", 3, "the Conv", model([node("Conv", "x", "w")], [floats("w", 2, 3, 1, 1)]))
    refused("shapes that do not broadcast", 3, "the Add", model([node("Add", "x", "w")], [floats("w", 3)]))
    refused("statistics of the wrong size", 3, "the BatchNormalization",
            model([node("BatchNormalization", "x", "w", "w", "w", "w")], [floats("w", 3)]))
    for key, value in (("strides", [0, 1]), ("dilations", [0, 0]), ("group", 0), ("group", -2),
                       ("strides", [1]), ("kernel_shape", [9, 9]), ("pads", [1 << 62] * 4), ("strides", [1 << 62] * 2)):
        refused(f"Conv with {key} {value}", 3, "the Conv", model([node("Conv", "x", "w", **{key: value})], [floats("w", 2, 2, 1, 1)]))


def sizes():
    huge = 1 << 40
    refused("Expand to more than there is", 5, "", model([node("Expand", "x", "n")], [ints("n", huge)], x=[1]))
    refused("Expand that overflows", 3, "the Expand", model([node("Expand", "x", "n")], [ints("n", huge, huge)], x=[1]))
    refused("ConstantOfShape, too large", 5, "", model([node("ConstantOfShape", "n")], [ints("n", huge)]))
    refused("ConstantOfShape, negative", 3, "the ConstantOfShape", model([node("ConstantOfShape", "n")], [ints("n", -1)]))
    refused("Tile, too large", 5, "", model([node("Tile", "x", "n")], [ints("n", huge)], x=[1]))
    refused("Reshape to another size", 3, "the Reshape", model([node("Reshape", "x", "n")], [ints("n", 5)]))
    refused("Pad by too much", 5, "", model([node("Pad", "x", "n")], [ints("n", 0, huge)], x=[1]))
    refused("Range without end", 5, "", model([node("Range", "a", "b", "c")], [scalar("a", 0), scalar("b", huge), scalar("c", 1)]))
    refused("Gather out of range", 5, "the Gather", model([node("Gather", "x", "n")], [ints("n", 7)]))
    refused("OneHot, too large", 5, "", model([node("OneHot", "n", "d", "v")], [ints("n", 1), scalar("d", huge), ints("v", 0, 1)]))


def sequences():
    """The first node takes x apart, or makes a list of it; the second gives y."""
    def split(*more, **attributes):
        return helper.make_node("SplitToSequence", ["x", *more], ["q"], name="the split", **attributes)

    def both(first, second, *weights, **attributes):
        return model([first, second], weights, **attributes)
    at, length = node("SequenceAt", "q", "i"), node("SequenceLength", "q")
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("SequenceInsert", ["q", "x"], ["r"])], "b",
        [info("n", [], TensorProto.INT64), info("go", [], TensorProto.BOOL),
         helper.make_tensor_sequence_value_info("q", TensorProto.FLOAT, None)],
        [info("on", [], TensorProto.BOOL), helper.make_tensor_sequence_value_info("r", TensorProto.FLOAT, None)])
    empty = helper.make_node("SequenceEmpty", [], ["e"])
    loop = helper.make_node("Loop", ["", "", "e"], ["q"], name="the loop", body=body)
    refused("a position out of range", 3, "the SequenceAt", both(split(), at, scalar("i", 1)))
    refused("a position far out of range", 3, "the SequenceAt", both(split(), at, scalar("i", -1 << 63)))
    refused("a position of floats", 3, "the SequenceAt", both(split(), at, floats("i", 1)))
    refused("a position that is computed", 4, "the SequenceAt", both(
        split(), node("SequenceAt", "q", "x"), dtype=TensorProto.INT64, x=[1]))
    refused("parts of nothing", 3, "the split", both(split("i"), length, scalar("i", 0)))
    refused("parts that overflow", 3, "the split", both(split("i"), length, ints("i", (1 << 63) - 1, (1 << 63) - 1)))
    refused("parts along no axis", 3, "the split", both(split(axis=4), length))
    refused("more parts than are sensible", 4, "the split", both(split(), length, x=[1 << 40]))
    refused("a sequence as a tensor", 4, "the split", both(split(), node("Relu", "q")))
    refused("a tensor as a sequence", 3, "the SequenceAt", model([node("SequenceAt", "x", "i")], [scalar("i", 0)]))
    refused("a list without end", 4, "the loop", model([empty, loop, length]))


def scalar(name, value):
    return numpy_helper.from_array(np.array(value, np.int64), name)


def inputs():
    np.save("wide.npy", np.zeros((1, 2, 4, 5), np.float32))
    np.save("ints.npy", np.zeros((1, 2, 4, 4), np.int64))
    np.save("flat.npy", np.zeros(32, np.float32))
    with open("huge.npy", "wb") as f:
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }\n"
        f.write(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head)
    with open("short.npy", "wb") as f:
        f.write(open("wide.npy", "rb").read()[:200])
    for file in ("wide", "ints", "flat", "huge", "short"):
        refused(f"input {file}.npy", 3, "", small(), "--input", f"x={file}.npy")
    refused("an unknown input", 3, "'nobody'", small(), "--input", "nobody=wide.npy")
    refused("no input", 3, "'x'", small(), "--threads", "1")


def outputs():
    with open("good.onnx", "wb") as f:
        f.write(small().SerializeToString())
    for folder in ("/proc/nothing", "/dev/null", "/dev/null/d", "good.onnx", "f" * 300):
        code, line = crease("run", "good.onnx", "--input", "ones", "--output-dir", folder)
        check(f"output folder {folder[:20]}", code == 5 and not complaint(code, line), f"exit {code}: {line}")
    for file in ("/proc/nothing/m.onnx", "/dev/null", "nowhere/m.onnx", "f" * 300):
        code, line = crease("fold", "good.onnx", "-o", file)
        check(f"folded file {file[:20]}", code == 5 and not complaint(code, line), f"exit {code}: {line}")
    os.makedirs("full", exist_ok=True)
    left = sorted(f for f in os.listdir(".") if f.endswith(".tmp") or f.startswith(".crease"))
    check("nothing temporary is left", not left, left)


main(other_files, tensors, external_sizes, graphs, operators, sizes, sequences, inputs, outputs, damaged_files)
