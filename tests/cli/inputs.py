#!/usr/bin/env python3
"""Every form of --input reaches the network as it should. Usage: inputs.py PROGRAM (needs numpy and onnx)."""
import os
import struct
import subprocess
import tempfile
import zipfile
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from harness import EXE, check, main

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


# ---- making models and files ----


def identity(name, dtype, shape):
    """y = Identity(x): what goes in comes out."""
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"], name="same")], "identity",
                              [helper.make_tensor_value_info("x", dtype, shape)],
                              [helper.make_tensor_value_info("y", dtype, shape)])
    save(name, graph)


def difference(name):
    """y = left - right, to tell two inputs apart."""
    graph = helper.make_graph([helper.make_node("Sub", ["left", "right"], ["y"])], "difference",
                              [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in ("left", "right")],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])])
    save(name, graph)


def save(name, graph):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.save(model, name)


def save_pb(path, array, name="", raw=True):
    if raw:
        tensor = numpy_helper.from_array(array, name)
    else:
        dtype = helper.np_dtype_to_tensor_dtype(array.dtype) if hasattr(helper, "np_dtype_to_tensor_dtype") else \
            onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype]
        values = array.view(np.uint16) if array.dtype == np.float16 else array
        tensor = TensorProto(data_type=dtype, dims=array.shape, name=name)
        field = {"f": "float_data", "d": "double_data", "q": "int64_data", "Q": "uint64_data", "I": "uint64_data",
                 "F": "float_data", "D": "double_data"}.get(array.dtype.char.replace("l", "q").replace("L", "Q"),
                                                            "int32_data")
        if array.dtype.kind == "c":
            values = array.reshape(-1).view(array.real.dtype)
        getattr(tensor, field).extend(values.reshape(-1).tolist())
    with open(path, "wb") as f:
        f.write(tensor.SerializeToString())


def save_png(path, pixels, colour_type, depth=8, palette=None):
    """Rows of samples without filter (PNG, ISO/IEC 15948)."""
    rows = pixels.astype(">u2") if depth == 16 else pixels.astype(np.uint8)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour_type, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", palette.astype(np.uint8).tobytes()))
    chunks += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            f.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


# ---- running ----


def run(model, *arguments):
    """Exit code, the line on stderr, the first output."""
    with tempfile.TemporaryDirectory(dir=".") as out:
        done = subprocess.run([EXE, "run", model, "-q", "--output-dir", out, *arguments], capture_output=True, text=True)
        path = os.path.join(out, "output_0.npy")
        array = np.load(path) if os.path.exists(path) else None
        if done.returncode:
            check(f"one line on stderr {arguments}", done.stderr.count("\n") == 1 and done.stderr.startswith("crease: "),
                  done.stderr)
            check(f"nothing written {arguments}", not os.listdir(out))
        return done.returncode, done.stderr, array


def expect(what, want, model, *arguments, atol=0.0):
    code, line, got = run(model, *arguments)
    good = code == 0 and got is not None and got.dtype == want.dtype and got.shape == want.shape
    if good and atol:
        good = np.allclose(got, want, rtol=0, atol=atol)
    elif good:
        good = got.tobytes() == want.tobytes()
    check(what, good, f"exit {code} {line} {got} expected {want}")


def expect_code(what, want, word, model, *arguments):
    code, line, _ = run(model, *arguments)
    check(what, code == want and word in line, f"exit {code}, expected {want} and '{word}': {line}")


# ---- tensors ----

TYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]


def test_types():
    random = np.random.default_rng(1)
    for name in TYPES:
        array = (random.standard_normal((2, 3, 4)) * 50).astype(name)
        model = f"identity_{name}.onnx"
        identity(model, helper.np_dtype_to_tensor_dtype(array.dtype) if hasattr(helper, "np_dtype_to_tensor_dtype")
                 else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype], [2, 3, 4])
        np.save("x.npy", array)
        expect(f"{name} .npy", array, model, "--input", "x=x.npy")
        np.save("x.npy", np.asfortranarray(array))
        expect(f"{name} .npy in Fortran order", array, model, "--input", "x.npy")
        np.save("x.npy", array.astype(array.dtype.newbyteorder(">")))
        expect(f"{name} .npy big-endian", array, model, "--input", "x.npy")
        for raw in (True, False):
            save_pb("x.pb", array, "x", raw)
            expect(f"{name} .pb raw={raw}", array, model, "--input", "x=x.pb")
        array.tofile("x.bin")
        expect(f"{name} raw:", array, model, "--input", "x=raw:x.bin")
        expect(f"{name} zeros", np.zeros_like(array), model, "--input", "zeros")
        expect(f"{name} ones", np.ones_like(array), model, "--input", "x=ones")


def test_npy_versions():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    identity("two_three.onnx", TensorProto.FLOAT, [2, 3])
    for version in ((1, 0), (2, 0), (3, 0)):
        with open("v.npy", "wb") as f:
            np.lib.format.write_array(f, array, version=version)
        expect(f".npy version {version}", array, "two_three.onnx", "--input", "v.npy")
    scalar = np.array(2.5, dtype=np.float32)
    identity("scalar.onnx", TensorProto.FLOAT, [])
    np.save("scalar.npy", scalar)
    expect(".npy of rank 0", scalar, "scalar.onnx", "--input", "scalar.npy")
    empty = np.zeros((0, 3), dtype=np.float32)
    identity("empty.onnx", TensorProto.FLOAT, ["n", 3])
    np.save("empty.npy", empty)
    expect(".npy without elements", empty, "empty.onnx", "--input", "empty.npy")
    whole = open("v.npy", "rb").read()
    for n in (7, 9, 40, len(whole) - 1):
        open("cut.npy", "wb").write(whole[:n])
        expect_code(f".npy cut after {n} bytes", 3, "cut.npy", "two_three.onnx", "--input", "cut.npy")
    for text, new in ((b"(2, 3)", b"(2,-3)"), (b"(2, 3)", b"2, 3) "), (b"<f4", b"<x4"), (b"descr", b"DESCR"),
                      (b"(2, 3), }      ", b"(99999999999,3)")):
        open("bad.npy", "wb").write(whole.replace(text, new))
        expect_code(f".npy with {new}", 3, "bad.npy", "two_three.onnx", "--input", "bad.npy")


def test_npz():
    left, right = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((2, 3), 10, dtype=np.float32)
    difference("difference.onnx")
    for how in (np.savez, np.savez_compressed):
        how("pair.npz", right=right, left=left)
        expect(f"{how.__name__}, by name", left - right, "difference.onnx", "--input", "pair.npz")
        expect(f"{how.__name__}, one of it", left - left, "difference.onnx", "--input", "right=left.npz"
               if how("left.npz", x=left) else "right=left.npz", "--input", "left=left.npz")
    expect_code(".npz without the array", 3, "pair.npz", "two_three.onnx", "--input", "x=pair.npz")
    whole = open("pair.npz", "rb").read()
    for n in (3, 30, len(whole) // 2, len(whole) - 1):
        open("cut.npz", "wb").write(whole[:n])
        expect_code(f".npz cut after {n} bytes", 3, "cut.npz", "difference.onnx", "--input", "cut.npz")
    for at in range(0, len(whole), 37):
        open("broken.npz", "wb").write(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        code, line, _ = run("difference.onnx", "--input", "broken.npz")
        check(f".npz with byte {at} changed", code in (0, 3), f"{code} {line}")
    with zipfile.ZipFile("other.zip", "w") as z:
        z.writestr("readme.txt", "no array")
    expect_code(".zip of something else", 3, "readme.txt", "difference.onnx", "--input", "other.zip")


def test_tensor_proto():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_pb("x.pb", array, "x")
    whole = open("x.pb", "rb").read()
    for n in range(1, len(whole)):
        open("cut.pb", "wb").write(whole[:n])
        code, line, _ = run("two_three.onnx", "--input", "x=cut.pb")
        check(f".pb cut after {n} bytes", code == 3, f"{code} {line}")
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    open("external.pb", "wb").write(tensor.SerializeToString())
    expect_code(".pb with external data", 3, "another file", "two_three.onnx", "--input", "x=external.pb")
    for dims in ([2, -3], [1 << 40, 1 << 40], [1] * 17):
        open("dims.pb", "wb").write(TensorProto(data_type=1, dims=dims, raw_data=array.tobytes()).SerializeToString())
        expect_code(f".pb of shape {dims}", 3, "dims.pb", "two_three.onnx", "--input", "x=dims.pb")


def test_bfloat16():
    """A type that .npy has not comes back as a TensorProto."""
    identity("bfloat16.onnx", TensorProto.BFLOAT16, [3])
    bits = struct.pack("<3H", 0x3f80, 0xc000, 0x7f80)
    open("b.pb", "wb").write(TensorProto(data_type=TensorProto.BFLOAT16, dims=[3], raw_data=bits).SerializeToString())
    done = subprocess.run([EXE, "run", "bfloat16.onnx", "--input", "x=b.pb", "--output-dir", "b"], capture_output=True)
    check("bfloat16 runs", done.returncode == 0, done.stderr)
    if done.returncode == 0:
        got = TensorProto.FromString(open("b/output_0.pb", "rb").read())
        check("bfloat16 comes back", (got.raw_data, list(got.dims), got.name) == (bits, [3], "y"), str(got))


def test_names():
    left, right = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((2, 3), 10, dtype=np.float32)
    np.save("left.npy", left)
    np.save("right.npy", right)
    np.save("a=b.npy", right)
    save_pb("left.pb", left, "left")
    save_pb("right.pb", right, "right")
    model = "difference.onnx"
    expect("by name", left - right, model, "--input", "right=right.npy", "--input", "left=left.npy")
    expect("in order", left - right, model, "--input", "left.npy", "--input", "right.npy")
    expect("by the tensor's own name", left - right, model, "--input", "right.pb", "--input", "left.pb")
    expect("the rest in order", right - left, model, "--input", "right=left.npy", "--input", "right.npy")
    expect("the name ends at the first =", left - right, model, "--input", "right=a=b.npy", "--input", "left.npy")
    os.makedirs("set", exist_ok=True)
    save_pb("set/input_0.pb", left)
    save_pb("set/input_1.pb", right)
    save_pb("set/output_0.pb", left - right)
    expect("test_data_set folder", left - right, model, "--input", "set")
    for output, want in ((left - right, 0), (left, 1), ((left - right)[:1], 1)):
        save_pb("set/output_0.pb", output)
        done = subprocess.run([EXE, "verify", model, "--input", "set"], capture_output=True, text=True)
        check("verify compares with the folder", done.returncode == want, done.stdout + done.stderr)
    expect_code("one input missing", 3, "'right'", model, "--input", "left=left.npy")
    expect_code("given twice", 2, "twice", model, "--input", "left=left.npy", "--input", "left=ones")
    expect_code("one too many", 2, "given already", model, "--input", "ones", "--input", "ones", "--input", "ones")
    expect_code("unknown name", 3, "'middle'", model, "--input", "middle=left.npy", "--input", "ones")
    expect_code("wrong type", 3, "int64", model, "--input", f"left={int_file(left)}", "--input", "right=right.npy")
    expect_code("folder as a tensor", 3, "set", model, "--input", "left=set")


def int_file(array):
    np.save("int.npy", array.astype(np.int64))
    return "int.npy"


def test_random():
    a, b, c = (run("two_three.onnx", "--input", f"x=random:{seed}")[2] for seed in (7, 7, 8))
    check("a seed repeats", a.tobytes() == b.tobytes() and a.tobytes() != c.tobytes())
    identity("many.onnx", TensorProto.FLOAT, ["n", 1000])
    x = run("many.onnx", "--input", "random", "--shape", "x=100x1000")[2]
    check("random is N(0, 1)", x.shape == (100, 1000) and abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02 and
          abs((x ** 4).mean() - 3) < 0.1)
    check("a dynamic batch is 1", run("many.onnx", "--input", "random")[2].shape == (1, 1000))
    identity("dynamic.onnx", TensorProto.FLOAT, ["n", "k"])
    expect_code("a dynamic shape", 3, "--shape", "dynamic.onnx", "--input", "zeros")
    expect("its shape given", np.zeros((2, 5), np.float32), "dynamic.onnx", "--input", "zeros", "--shape", "2x5")
    for bad, code in (("2xy", 2), ("x=", 3), ("x=1x-1", 2), ("x=999999999x999999999x999999999", 3), ("z=1x1", 3)):
        got = run("dynamic.onnx", "--input", "zeros", "--shape", bad)[0]
        check(f"--shape {bad}", got == code, f"exit {got}")


# ---- pictures ----


def triangle(n_in, n_out, begin, length):
    """Weights [n_out][n_in] of antialiased bilinear resizing, from the definition."""
    step = length / n_out
    radius = max(step, 1)
    centre = begin + (np.arange(n_out) + 0.5) * step - 0.5
    w = np.maximum(0, 1 - np.abs(np.arange(n_in)[None, :] - centre[:, None]) / radius)
    return w / w.sum(1, keepdims=True)


def resized(plane, h, w):
    return triangle(plane.shape[0], h, 0, plane.shape[0]) @ plane @ triangle(plane.shape[1], w, 0, plane.shape[1]).T


def test_pictures():
    y, x = np.mgrid[0:16, 0:24]
    rgb = np.stack([x * 10, y * 15, 255 - x * 5 - y * 5], 2).astype(np.uint8)
    gray = rgb[:, :, 0]
    nchw = rgb.transpose(2, 0, 1)[None].astype(np.float64) / 255
    luma = (rgb @ np.array([0.299, 0.587, 0.114]))[None, None] / 255
    identity("rgb.onnx", TensorProto.FLOAT, ["n", 3, "h", "w"])
    identity("gray.onnx", TensorProto.FLOAT, [1, 1, 16, 24])
    identity("nhwc.onnx", TensorProto.FLOAT, [1, 16, 24, 3])
    identity("chw.onnx", TensorProto.FLOAT, [3, 16, 24])
    identity("rgba.onnx", TensorProto.FLOAT, [1, 4, 16, 24])
    identity("bytes.onnx", TensorProto.UINT8, [1, 16, 24, 3])
    identity("half.onnx", TensorProto.FLOAT16, [1, 3, 16, 24])
    f32 = np.float32
    alpha = np.concatenate([rgb, gray[:, :, None]], 2)
    save_png("rgb.png", rgb.reshape(16, -1), 2)
    fix_width("rgb.png", 24)
    save_png("gray.png", gray, 0)
    save_png("alpha.png", alpha.reshape(16, -1), 6)
    fix_width("alpha.png", 24)
    save_png("deep.png", gray.astype(np.uint16) * 257, 0, 16)
    palette = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 7)], 1)
    save_png("palette.png", gray, 3, palette=palette)
    tiny = 1e-6
    expect("PNG, colour", nchw.astype(f32), "rgb.onnx", "--input", "rgb.png", atol=tiny)
    expect("PNG, alpha dropped", nchw.astype(f32), "rgb.onnx", "--input", "alpha.png", atol=tiny)
    expect("PNG, alpha kept", alpha.transpose(2, 0, 1)[None].astype(f32) / 255, "rgba.onnx", "--input", "alpha.png",
           atol=tiny)
    expect("PNG, gray", gray[None, None].astype(f32) / 255, "gray.onnx", "--input", "gray.png", atol=tiny)
    expect("PNG, 16 bits", gray[None, None].astype(f32) / 255, "gray.onnx", "--input", "deep.png", atol=tiny)
    expect("PNG, palette", palette[gray].transpose(2, 0, 1)[None].astype(f32) / 255, "rgb.onnx", "--input",
           "palette.png", atol=tiny)
    expect("colour to gray", luma.astype(f32), "gray.onnx", "--input", "rgb.png", atol=tiny)
    expect("gray to colour", np.repeat(gray[None, None], 3, 1).astype(f32) / 255, "rgb.onnx", "--input", "gray.png",
           "--shape", "1x3x16x24", atol=tiny)
    expect("NHWC by shape", nchw.transpose(0, 2, 3, 1).astype(f32), "nhwc.onnx", "--input", "rgb.png", atol=tiny)
    expect("rank 3", nchw[0].astype(f32), "chw.onnx", "--input", "rgb.png", atol=tiny)
    expect("bytes", rgb[None], "bytes.onnx", "--input", "rgb.png")
    expect("float16", nchw.astype(np.float16), "half.onnx", "--input", "rgb.png")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normal = (nchw - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    expect("mean and std", normal.astype(f32), "rgb.onnx", "--input", "rgb.png", "--mean", "0.485,0.456,0.406", "--std",
           "0.229,0.224,0.225", atol=1e-5)
    expect("--preset raw", (nchw * 255).astype(f32), "rgb.onnx", "--input", "rgb.png", "--preset", "raw", atol=1e-4)
    expect("--scale", (nchw * 255 / 2).astype(f32), "rgb.onnx", "--input", "rgb.png", "--scale", "0.5", atol=1e-4)
    for h, w in ((16, 24), (5, 7), (1, 1), (33, 70), (4, 60)):
        want = np.stack([resized(p, h, w) for p in nchw[0]])[None]
        expect(f"resized to {h} x {w}", want.astype(f32), "rgb.onnx", "--input", "rgb.png", "--shape", f"x=1x3x{h}x{w}",
               atol=1e-5)
    want = np.stack([triangle(16, 8, 2, 12) @ p @ triangle(24, 8, 6, 12).T for p in nchw[0]])[None]
    expect("--resize crop:0.75", want.astype(f32), "rgb.onnx", "--input", "rgb.png", "--shape", "x=1x3x8x8", "--resize",
           "crop:0.75", atol=1e-5)
    expect("JPEG, colour", nchw.astype(f32), "rgb.onnx", "--input", fixture("colour.jpg"), atol=0.03)
    expect("JPEG, gray", gray[None, None].astype(f32) / 255, "gray.onnx", "--input", fixture("gray.jpg"), atol=0.03)
    expect_code("JPEG, CMYK", 3, "CMYK", "rgb.onnx", "--input", fixture("cmyk.jpg"))
    for name in ("rgb.png", fixture("colour.jpg")):
        whole = open(name, "rb").read()
        for n in (9, 30, len(whole) // 2, len(whole) - 20):
            open("cut", "wb").write(whole[:n])
            expect_code(f"{os.path.basename(name)} cut after {n} bytes", 3, "cut", "rgb.onnx", "--input", "cut")
    expect_code("too many means", 2, "--mean", "rgb.onnx", "--input", "rgb.png", "--mean", "1,2")
    expect_code("unknown preset", 2, "--preset", "rgb.onnx", "--input", "rgb.png", "--preset", "imagnet")
    expect_code("not for pictures", 3, "rank 3 or 4", "two_three.onnx", "--input", "rgb.png")


def fix_width(path, width):
    """The header of a file written with [height][width * channels] samples."""
    data = bytearray(open(path, "rb").read())
    data[16:20] = struct.pack(">I", width)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    open(path, "wb").write(data)


def fixture(name):
    return os.path.join(FIXTURES, name)


main(test_types, test_npy_versions, test_npz, test_tensor_proto, test_bfloat16, test_names, test_random, test_pictures)
