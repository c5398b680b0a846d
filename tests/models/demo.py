#!/usr/bin/env python3
"""Demo networks are valid ONNX, fold as a hand count says, and folded and unfolded agree."""
import json
import os
import subprocess
import sys
import tempfile

import onnx

exe = os.path.abspath(sys.argv[1])
# BatchNormalization nodes of the published architectures that stand behind a convolution or linear layer of their own
FOLDED = {"resnet18": 20, "resnet50": 53, "mobilenet_v2": 52, "vgg16_bn": 13, "squeezenet1_1": 0}
passed = 0
with tempfile.TemporaryDirectory() as out:
    for name, folded in FOLDED.items():
        path = os.path.join(out, name + ".onnx")
        subprocess.run([exe, "demo", name, "-o", path], check=True)
        onnx.checker.check_model(path)
        done = subprocess.run([exe, "fold", path, "--dry-run", "--json"], capture_output=True, text=True, check=True)
        report = json.loads(done.stdout)
        assert report["folded"] == folded and report["kept"] == 0, (name, report["folded"], report["kept"])
        if name in ("resnet18", "mobilenet_v2", "squeezenet1_1"):  # the float64 judge takes its time
            subprocess.run([exe, "verify", path, "--runs", "1"], check=True, stdout=subprocess.DEVNULL)
        os.remove(path)
        passed += 1
print(f"{passed} passed, 0 failed")
