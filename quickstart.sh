#!/usr/bin/env bash
# One command on a fresh Debian 12 or Ubuntu 24.04: packages, build, and the main job on a real network and real pictures.
set -euo pipefail
cd "$(dirname "$0")"
. .ci/packages.sh

echo "== 1. packages"
crease_install "${crease_build_packages[@]}"
echo "== 2. build (build/release/crease)"
cmake --preset release >/dev/null
cmake --build build/release | tail -n 1
crease=build/release/crease
model=models/fashion/fashion.onnx
"$crease" --version

echo "== 3. classify pictures of clothing that the network never saw"
for picture in models/fashion/pictures/*-ankle-boot.png models/fashion/pictures/*-trouser.png; do
    echo "$picture"
    "$crease" run "$model" --input "$picture" --top 3 --labels models/fashion/labels.txt
done
echo "== 4. batch normalisations folded"
"$crease" fold "$model" -o build/fashion-folded.onnx | tail -n 1
echo "== 5. folded and unfolded agree"
"$crease" verify -q "$model"
echo "== 6. what folding buys here (one thread)"
"$crease" bench -q "$model" --threads 1 --time 2
