#!/usr/bin/env python3
"""'crease unfold' gives back what was folded, and nothing else. Usage: unfold.py PROGRAM (numpy, onnx)"""
import base64
import os

import numpy as np
import onnx
from onnx import numpy_helper

from harness import FASHION, check, crease, main, same_bytes

MODEL = os.path.join(FASHION, "fashion.onnx")


def stored(model):
    return next(p for p in model.metadata_props if p.key == "crease.originals")


def with_stored(change):
    """The folded file with other stored text."""
    model = onnx.load("folded.onnx")
    stored(model).value = change(stored(model).value)
    onnx.save(model, "changed.onnx")


def with_original(change):
    """The folded file whose stored model was edited."""
    def edit(text):
        original = onnx.ModelProto.FromString(base64.b64decode(text))
        change(original)
        return base64.b64encode(original.SerializeToString()).decode()
    with_stored(edit)


def test_round_trip():
    crease("fold", MODEL, "-o", "folded.onnx", "--keep-originals", "--expect-folded", 21)
    crease("unfold", "folded.onnx", "-o", "back.onnx")
    check("the trained network, byte for byte", same_bytes(MODEL, "back.onnx"))
    onnx.checker.check_model(onnx.load("folded.onnx"))
    for name in ("mobilenet_v2", "densenet121"):
        crease("demo", name, "-o", "demo.onnx")
        crease("fold", "demo.onnx", "-o", "demo_folded.onnx", "--keep-originals")
        crease("unfold", "demo_folded.onnx", "-o", "back.onnx")
        check(f"{name}, byte for byte", same_bytes("demo.onnx", "back.onnx"))
        size = os.path.getsize("demo_folded.onnx") / os.path.getsize("demo.onnx")
        check(f"{name}: what is shared is stored once", size < 2.4, size)
    text = stored(onnx.load("demo_folded.onnx")).value
    references = [t for t in onnx.ModelProto.FromString(base64.b64decode(text)).graph.initializer if t.external_data]
    check("densenet121 shares weights with its folded form", references)


def test_only_what_was_folded():
    crease("fold", MODEL, "-o", "plain.onnx")
    _, err = crease("unfold", "plain.onnx", "-o", "back2.onnx", expect=3)
    check("a file without its original says so", "no original" in err, err)
    crease("fold", "folded.onnx", "-o", "twice.onnx", "--keep-originals")
    check("nothing folded, nothing stored anew", same_bytes("folded.onnx", "twice.onnx"))
    crease("fold", MODEL, "-o", "part.onnx", "--keep-originals", "--only", "*stem*")
    crease("fold", "part.onnx", "-o", "rest.onnx", "--keep-originals")
    crease("unfold", "rest.onnx", "-o", "part_back.onnx")
    check("folded in two steps, unfolded one", same_bytes("part.onnx", "part_back.onnx"))
    crease("unfold", "part_back.onnx", "-o", "back.onnx")
    check("and the other", same_bytes(MODEL, "back.onnx"))
    crease("unfold", "rest.onnx", expect=2)
    crease("demo", "squeezenet1_1", "-o", "demo.onnx")
    crease("fold", "demo.onnx", "-o", "demo_folded.onnx", "--keep-originals", "--expect-folded", 0)
    crease("unfold", "demo_folded.onnx", "-o", "back.onnx")
    check("without normalisations, too", same_bytes("demo.onnx", "back.onnx"))


def test_hostile():
    def weight(original):
        return next(t for t in original.graph.initializer if t.external_data)

    crease("demo", "densenet121", "-o", "demo.onnx")
    crease("fold", "demo.onnx", "-o", "folded.onnx", "--keep-originals")
    cases = {
        "empty": lambda: with_stored(lambda text: ""),
        "no base64": lambda: with_stored(lambda text: text[:-4] + "*A=="),
        "odd length": lambda: with_stored(lambda text: text[:-1]),
        "padding inside": lambda: with_stored(lambda text: "AA==" + text),
        "truncated": lambda: with_stored(lambda text: text[:len(text) // 8 * 4]),
        "no model": lambda: with_stored(lambda text: base64.b64encode(b"<html></html>").decode()),
        "no graph": lambda: with_original(lambda m: m.ClearField("graph")),
        "another name": lambda: with_original(lambda m: setattr(weight(m), "name", "nobody")),
        "another hash": lambda: with_original(lambda m: setattr(weight(m).external_data[0], "value", "0")),
        "other dims": lambda: with_original(lambda m: weight(m).dims.append(2)),
        "negative dims": lambda: with_original(lambda m: weight(m).dims.__setitem__(0, -1)),
        "another type": lambda: with_original(lambda m: setattr(weight(m), "data_type", 6)),
        "twice": lambda: with_original(lambda m: m.graph.initializer.append(weight(m))),
        "a hundred times": lambda: with_original(lambda m: m.graph.initializer.extend([weight(m)] * 100)),
        "bytes as well": lambda: with_original(lambda m: setattr(weight(m), "raw_data", b"1234")),
        "a file outside": lambda: with_original(lambda m: (setattr(weight(m).external_data[0], "key", "location"), setattr(
            weight(m).external_data[0], "value", "/etc/passwd"), setattr(weight(m), "data_location", 1))),
        "nodes that use nothing": lambda: with_original(lambda m: m.graph.node[0].input.__setitem__(1, "nobody")),
    }
    for what, make in cases.items():
        make()
        crease("unfold", "changed.onnx", "-o", "hostile.onnx", expect=3)
        check(f"{what}: nothing is written", not os.path.exists("hostile.onnx"))
    model = onnx.load("folded.onnx")
    names = {t.name for t in onnx.ModelProto.FromString(base64.b64decode(stored(model).value)).graph.initializer
             if t.external_data}
    shared = next(i for i in model.graph.initializer if i.name in names)
    shared.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(shared) * np.float32(2), shared.name))
    onnx.save(model, "changed.onnx")
    _, err = crease("unfold", "changed.onnx", "-o", "hostile.onnx", expect=3)
    check("a weight changed since is named", shared.name in err, err)


main(test_round_trip, test_only_what_was_folded, test_hostile)
