#!/usr/bin/env python3
"""Write trained parameters as an ONNX model whose BatchNormalization nodes are kept.

    python3 export.py fashion.pt -o fashion.onnx

The exporter folds them by default when the network is in evaluation mode. TrainingMode.PRESERVE without
constant folding leaves the graph as it was trained.
"""

import argparse
from collections import Counter

import onnx
import torch

from network import FashionNet


def export(network, path):
    """The tracing exporter (dynamo=False), since it is the one that honours TrainingMode.PRESERVE."""
    torch.onnx.export(
        network.eval(), torch.zeros(1, 1, 28, 28), path,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, dynamo=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parameters")
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args()

    network = FashionNet()
    network.load_state_dict(torch.load(options.parameters, weights_only=True))
    export(network, options.output)
    model = onnx.load(options.output)
    onnx.checker.check_model(model, full_check=True)
    for operator, count in sorted(Counter(node.op_type for node in model.graph.node).items()):
        print(f"{count:3} {operator}")


if __name__ == "__main__":
    main()
