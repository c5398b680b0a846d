#!/usr/bin/env bash
# The six-call example runs on the trained network. Usage: embed.sh BUILD
set -eu
here=$(dirname "$(realpath "$0")")
"$1/embed" "$here/../../models/fashion/fashion.onnx" | grep -q '^logits: 40 bytes'
echo "1 passed, 0 failed"
