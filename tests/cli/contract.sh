#!/usr/bin/env bash
# Exit codes, one line of error, no partial output. Usage: contract.sh PROGRAM
exe=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
model=$here/../../models/fashion/fashion.onnx
picture=$(ls "$here"/../../models/fashion/pictures/*-ankle-boot.png | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
passed=0 failed=0

expect() { # exit code, what, command...
    local want=$1 what=$2 got
    shift 2
    "$@" >out.txt 2>err.txt
    got=$?
    local lines bytes
    lines=$(wc -l <err.txt) bytes=$(wc -c <err.txt)
    if [ "$got" -ne "$want" ] || { [ "$want" -ne 0 ] && { [ "$lines" -ne 1 ] || [ "$bytes" -gt 512 ] || ! grep -q '^crease: ' err.txt; }; }; then
        echo "FAILED $what: exit $got, expected $want; $lines lines: $(head -c 300 err.txt)"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

: >empty.onnx
head -c 5000 "$model" >truncated.onnx
echo '<!DOCTYPE html><html></html>' >page.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' >pointer.onnx
head -c 4096 /dev/urandom >noise.onnx
expect 0 "version" "$exe" --version
expect 0 "help" "$exe" run --help
expect 2 "no command" "$exe"
expect 2 "unknown command" "$exe" frobnicate
expect 2 "unknown option" "$exe" run "$model" --frobnicate
expect 2 "missing value" "$exe" run "$model" --threads
for bad in empty truncated page pointer noise missing; do
    expect 3 "$bad model" "$exe" run $bad.onnx --output-dir d
done
expect 3 "missing input" "$exe" run "$model" --output-dir d
expect 3 "wrong input name" "$exe" run "$model" --input nobody=zeros --output-dir d
expect 3 "wrong shape" "$exe" run "$model" --input image=zeros --shape image=1x3x28x28 --output-dir d
expect 3 "missing file" "$exe" run "$model" --input image=nothing.npy --output-dir d
expect 3 "input that is no tensor" "$exe" run "$model" --input image=page.onnx --output-dir d
expect 3 "wrong type" "$exe" run "$model" --input "image=$here/../../models/fashion/heldout_labels.npy" --output-dir d
[ ! -e d ] && passed=$((passed + 1)) || { echo "FAILED: a failed run left files"; failed=$((failed + 1)); }
expect 0 "picture" "$exe" run "$model" --input "$picture" --output-dir d
[ -s d/output_0.npy ] && passed=$((passed + 1)) || { echo "FAILED: no output_0.npy"; failed=$((failed + 1)); }
expect 0 "unfolded" "$exe" run "$model" --input "image=$picture" --no-fold --threads 2 --output-dir d
expect 0 "fold" "$exe" fold "$model" -o folded.onnx --expect-folded 21
expect 1 "fold, other count" "$exe" fold "$model" -o other.onnx --expect-folded 3
[ ! -e other.onnx ] && passed=$((passed + 1)) || { echo "FAILED: an unexpected fold was written"; failed=$((failed + 1)); }
expect 0 "folded twice folds nothing" "$exe" fold folded.onnx -o twice.onnx --expect-folded 0
"$exe" fold "$model" -o again.onnx >/dev/null
cmp -s folded.onnx again.onnx && passed=$((passed + 1)) || { echo "FAILED: folding is not deterministic"; failed=$((failed + 1)); }
expect 2 "fold, unmatched name" "$exe" fold "$model" --dry-run --keep 'no-such-*'
expect 0 "verify" "$exe" verify -q "$model"
expect 0 "verify two files" "$exe" verify -q "$model" folded.onnx
expect 0 "bench" "$exe" bench -q "$model" --runs 3 --json bench.json
python3 -c "import json; r = json.load(open('bench.json')); assert r['schema'] == 'crease.bench/1' and r['speedup']['ci95']" 2>/dev/null &&
    passed=$((passed + 1)) || { echo "FAILED: bench.json"; failed=$((failed + 1)); }
expect 2 "demo, unknown name" "$exe" demo nothing -o x.onnx
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
