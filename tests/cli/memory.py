"""How much memory a run takes at most. The bounds leave room for the process and for one wave of packing, not for a second
copy of a weight. Usage: memory.py PROGRAM"""
import os
import struct

from harness import EXE, check, crease, main

MIB = 1 << 20


def peak_mib(*arguments):
    """Most memory that the program ever held; it must succeed."""
    child = os.posix_spawn(EXE, [EXE, *map(str, arguments)], os.environ,
                           file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(child, 0)
    check(f"crease {' '.join(map(str, arguments))} succeeds", status == 0)
    return used.ru_maxrss / 1024


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(number, data, more=0):
    """A field of a message. Of bytes, `more` are still to come."""
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data) + more) + data


def floats_named(name, *dims):
    shape = b"".join(field(1, field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def one_large_weight(path, rows, columns):
    """y = x w; the weight is by far the most of the file. Written in pieces: what this process holds counts as its child's."""
    size, piece = 4 * rows * columns, struct.pack("<f", 0.5) * columns
    graph = (field(1, field(1, b"x") + field(1, b"w") + field(2, b"y") + field(4, b"MatMul")) + field(2, b"g") +
             field(11, floats_named(b"x", 1, rows)) + field(12, floats_named(b"y", 1, columns)))
    weight = field(1, rows) + field(1, columns) + field(2, 1) + field(8, b"w") + field(9, b"", size)
    graph += field(5, weight, size)
    with open(path, "wb") as f:
        f.write(field(1, 8) + field(8, field(2, 13)) + field(7, graph, size))
        for _ in range(rows):
            f.write(piece)


def a_weight_stands_once():
    one_large_weight("large.onnx", 4096, 6144)
    small = peak_mib("--version")
    large = peak_mib("run", "large.onnx", "--input", "ones", "--threads", 1)
    check("a weight of 96 MiB stands in memory once", large < small + 96 * 1.5, f"{large:.0f} MiB")


def packed_weights_replace_plain_ones():
    crease("demo", "resnet50", "-o", "resnet50.onnx")
    weights = os.path.getsize("resnet50.onnx") / MIB
    run = ("run", "resnet50.onnx", "--input", "ones", "--threads", 1)
    exact, free, limited = peak_mib(*run, "--exact"), peak_mib(*run), peak_mib(*run, "--max-weights", int(weights))
    check("plain and packed weights do not stand side by side", exact < weights * 1.35, f"{exact:.0f} MiB")
    check("limited weights are smaller", limited < weights * 1.4 and limited <= free + 8,
          f"{limited:.0f} MiB, {free:.0f} without a limit")


main(a_weight_stands_once, packed_weights_replace_plain_ones)
