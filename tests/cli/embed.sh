#!/usr/bin/env bash
# The example that embeds the library computes what the program computes. Usage: embed.sh PROGRAM, with embed beside it
. "$(dirname "$(realpath "$0")")/check.bash"
embed=$(dirname "$exe")/embed

check "embed runs" "$embed" "$model" >embed.txt
check "ten logits" test "$(wc -w <embed.txt)" -eq 11
"$exe" run "$model" --input zeros >run.txt
# the summary prints the first five values with as many digits
first=$(cut -d' ' -f2-6 embed.txt)
check "the same values: $first" grep -qF -- "$first ..." run.txt
: >empty.onnx
"$embed" empty.onnx 2>err.txt
check "a bad model is a failure" test $? -eq 1
check "with the library's sentence" grep -q '^embed: .*empty.onnx' err.txt
finish
