"""Fashion-MNIST as its four IDX files, read into arrays."""

import gzip
import struct
from pathlib import Path

import numpy as np

DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"  # package dataset-fashion-mnist of Debian and Ubuntu
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
UNSIGNED_BYTES = 8


def read_idx(path):
    """The array of an IDX file: 0, 0, type, rank, then each size as big-endian uint32, then the elements."""
    data = gzip.decompress(Path(path).read_bytes())
    zero, kind, rank = struct.unpack_from(">HBB", data)
    if zero != 0 or kind != UNSIGNED_BYTES:
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder, part):
    """Pictures uint8 [N, 1, 28, 28] and labels int64 [N] of `part`: "train", or "t10k", which is held out."""
    images = read_idx(Path(folder) / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(Path(folder) / f"{part}-labels-idx1-ubyte.gz")
    return images[:, None], labels.astype(np.int64)


def to_input(images):
    """What the network takes: float32 in 0..1."""
    return images.astype(np.float32) / np.float32(255)
