#!/usr/bin/env python3
"""Write the held-out samples beside the model, and measure its accuracy with ONNX Runtime.

    python3 samples.py [--data FOLDER] [MODEL_FOLDER]

Samples are taken in the order of the data set, whether the network gets them right or not.
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import numpy_helper
from PIL import Image, ImageDraw

import dataset

PICTURES = 2  # of each class, as PNG files
HELDOUT = 40  # of each class, as .npy arrays
ZOOM = 4  # of the overview


def first_of_each_class(labels, count):
    """Indices of the first `count` samples of every class, in the order of the data set."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(len(dataset.LABELS))]))


def open_model(path):
    """As exported: without the optimisations of ONNX Runtime, which would fold the batch normalisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options)


def compute_logits(session, images):
    parts = [session.run(["logits"], {"image": dataset.to_input(images[i:i + 500])})[0]
             for i in range(0, len(images), 500)]
    return np.concatenate(parts)


def print_accuracy(name, logits, labels):
    correct = int((logits.argmax(1) == labels).sum())
    print(f"{name}: {correct} of {len(labels)} right, {100 * correct / len(labels):.2f} %")


def write_pictures(folder, images, labels, indices):
    """One PNG file a sample, INDEX-CLASS-NAME.png: index in the held-out set, class from 0 and its name."""
    folder.mkdir(exist_ok=True)
    for i in indices:
        name = dataset.LABELS[labels[i]].lower().replace("/", "-").replace(" ", "-")
        Image.fromarray(images[i, 0]).save(folder / f"{i:05}-{labels[i]}-{name}.png", optimize=True)


def write_overview(path, images, labels, indices):
    """All pictures enlarged on one sheet, a column a class, the class's name above it."""
    cell, top = 28 * ZOOM, 16
    sheet = Image.new("L", (cell * len(dataset.LABELS), top + cell * PICTURES))
    draw = ImageDraw.Draw(sheet)
    for label, name in enumerate(dataset.LABELS):
        draw.text((cell * label + cell // 2, top // 2), name, fill=255, anchor="mm")
        for row, i in enumerate(i for i in indices if labels[i] == label):
            picture = Image.fromarray(images[i, 0]).resize((cell, cell), Image.Resampling.NEAREST)
            sheet.paste(picture, (cell * label, top + cell * row))
    sheet.save(path, optimize=True)


def write_test_data(folder, images, logits):
    """The layout of ONNX's own backend tests."""
    folder.mkdir(exist_ok=True)
    image = numpy_helper.from_array(dataset.to_input(images), "image")
    (folder / "input_0.pb").write_bytes(image.SerializeToString())
    (folder / "output_0.pb").write_bytes(numpy_helper.from_array(logits, "logits").SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=dataset.DEBIAN_FOLDER, help="folder of the four IDX files")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    folder = options.folder

    images, labels = dataset.load(options.data, "t10k")
    logits = compute_logits(open_model(folder / "fashion.onnx"), images)
    heldout = first_of_each_class(labels, HELDOUT)
    print_accuracy("whole held-out set", logits, labels)
    print_accuracy("heldout_images.npy", logits[heldout], labels[heldout])

    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in dataset.LABELS))
    np.save(folder / "heldout_images.npy", dataset.to_input(images[heldout]))
    np.save(folder / "heldout_labels.npy", labels[heldout])
    pictures = first_of_each_class(labels, PICTURES)
    print_accuracy("pictures", logits[pictures], labels[pictures])
    write_pictures(folder / "pictures", images, labels, pictures)
    write_overview(folder / "overview.png", images, labels, pictures)
    tests = first_of_each_class(labels, 1)
    write_test_data(folder / "test_data_set_0", images[tests], logits[tests])


if __name__ == "__main__":
    main()
