#!/usr/bin/env bash
# Exit codes, one line for each failure, no partial output. Usage: contract.sh PROGRAM
. "$(dirname "$(realpath "$0")")/check.bash"
fashion=$repository/models/fashion

# ---- usage ----
expect 0 "version" "$exe" --version
check "version names kernels and BLAS" grep -q 'kernels .*BLAS ' out.txt
expect 0 "version, no core forced" env -u OPENBLAS_CORETYPE "$exe" --version
check "no word of a forced core" bash -c "! grep -q OPENBLAS_CORETYPE out.txt"
expect 0 "version, core forced" env OPENBLAS_CORETYPE=Nehalem "$exe" --version
check "the forced core and the one that fits are named" grep -qE 'BLAS (none|.*Nehalem( by OPENBLAS_CORETYPE, .* fits)?\))' out.txt
expect 0 "help" "$exe" --help
for command in run fold unfold verify calibrate bench inspect ops demo; do
    expect 0 "$command --help" "$exe" $command --help
    check "$command in the help" grep -q "usage: crease $command" out.txt
    mv out.txt help.txt
    expect 0 "help $command" "$exe" help $command
    check "the same help" cmp -s help.txt out.txt
    expect 2 "$command, unknown option" "$exe" $command --frobnicate
    says --frobnicate
done
expect 2 "no command" "$exe"
expect 2 "unknown command" "$exe" frobnicate
expect 2 "no model" "$exe" run
expect 2 "missing value" "$exe" run "$model" --threads
expect 2 "bad number" "$exe" run "$model" --threads two
expect 2 "number out of range" "$exe" run "$model" --threads -1
expect 2 "flag with a value" "$exe" run "$model" --no-fold=yes
expect 2 "too many arguments" "$exe" run "$model" "$model"
expect 2 "unknown algorithm" "$exe" run "$model" --input zeros --algorithm winograd
says "winograd4, "
expect 2 "an empty model name" "$exe" run "" --input zeros
expect 2 "an empty output name" "$exe" fold "$model" -o ""
says --output
expect 2 "an empty input" "$exe" run "$model" --input ""
expect 2 "an input of nothing" "$exe" run "$model" --input image=
says image=
for option in "--mean 1,two" "--mean 1,2,3,4,5" "--std 1,0" "--scale x" "--resize crop:2"; do
    # shellcheck disable=SC2086
    expect 2 "$option, even without a picture" "$exe" run "$model" --input zeros $option
    says "${option%% *}"
done
expect 2 "fold without output" "$exe" fold "$model"
expect 2 "demo without output" "$exe" demo resnet18
expect 2 "demo without a name" "$exe" demo -o x.onnx
expect 2 "ops in two forms" "$exe" ops --json --markdown
expect 2 "a report in two places" "$exe" fold "$model" -o x.onnx --json --report x.json
says x.json
for report in x.onnx ./x.onnx "$work/x.onnx"; do
    expect 2 "a model and its report in one file" "$exe" fold "$model" -o x.onnx --report "$report"
    says x.onnx
done
expect 2 "an output and a profile in one file" "$exe" run "$model" --input zeros -d x --profile x/../x/output_0.npy
check "none of them was written" test ! -e x.onnx -a ! -e x
expect 2 "demo, unknown name" "$exe" demo nothing -o x.onnx
says "no demo network 'nothing'; 'crease demo' lists them"

# ---- bad models ----
: >empty.onnx
head -c 5000 "$model" >truncated.onnx
echo '<!DOCTYPE html><html></html>' >page.onnx
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' >pointer.onnx
head -c 4096 /dev/urandom >noise.onnx
cp "$picture" picture.onnx
mkdir folder.onnx
for command in "run --input ones --output-dir d" "fold -o out.onnx --report report.json" verify "bench --runs 1" inspect; do
    for bad in empty truncated page pointer noise picture missing folder; do
        # shellcheck disable=SC2086
        expect 3 "$command: $bad model" "$exe" ${command%% *} $bad.onnx ${command#"${command%% *}"}
        says $bad.onnx
    done
done
odd=$(printf 'odd\n\033[31mname')
expect 3 "control characters in a file name" "$exe" run "$odd"
expect 3 "a very long file name" "$exe" run "$(printf 'x%.0s' {1..3000})"

# ---- models that crease cannot run ----
one_node_model unknown.onnx "Frob" "the node" x
expect 4 "unknown operator" "$exe" run unknown.onnx --input ones --output-dir d
says Frob
says "the node"
expect 4 "bench of it" "$exe" bench unknown.onnx --runs 1
expect 4 "verify of it" "$exe" verify unknown.onnx
expect 0 "inspect of it" "$exe" inspect unknown.onnx
check "inspect lists it" grep -q 'Frob.*the node' out.txt
one_node_model strange.onnx "$(printf 'Fr\nob')" "$(printf 'a\033[31mb')" x
expect 4 "control characters in a model" "$exe" run strange.onnx --input ones
expect 0 "inspect of them" "$exe" inspect strange.onnx
check "inspect escapes them" bash -c "! LC_ALL=C grep -q $'\033' out.txt"
one_node_model identity.onnx Identity same x
expect 0 "the same model with a known operator" "$exe" run identity.onnx --input ones

one_node_model named.onnx Identity same other
expect 3 "verify of two, the second with other inputs" "$exe" verify identity.onnx named.onnx
says "the second model: the model has no input 'x'"
says named.onnx

# ---- bad inputs ----
run=("$exe" run "$model" --output-dir d)
expect 3 "missing input" "${run[@]}"
says image
expect 3 "wrong input name" "${run[@]}" --input nobody=zeros
says nobody
expect 3 "wrong input name, a file" "${run[@]}" --input "nobody=$fashion/heldout_images.npy"
says nobody
expect 3 "wrong shape" "${run[@]}" --input image=zeros --shape image=1x3x28x28
says image
expect 3 "wrong rank" "${run[@]}" --input image=zeros --shape image=28x28
expect 3 "wrong type" "${run[@]}" --input "image=$fashion/heldout_labels.npy"
says int64
expect 3 "missing file" "${run[@]}" --input image=nothing.npy
says nothing.npy
expect 3 "a shape that overflows" "${run[@]}" --input zeros --shape 9999999999x1x9999999999x28
expect 5 "a shape beyond memory" "${run[@]}" --input zeros --shape 9999999999x1x28x28
for bad in empty page pointer noise; do
    expect 3 "$bad input" "${run[@]}" --input image=$bad.onnx
    says $bad.onnx
done
expect 3 "labels that are not there" "$exe" run "$model" --input zeros --top 1 --labels nothing.txt
expect 5 "memory limit" "${run[@]}" --input zeros --max-memory 1
check "failed runs leave no file" test ! -e d -a ! -e out.onnx -a ! -e report.json

# ---- outputs that cannot be written ----
expect 5 "output folder in a file" "$exe" run "$model" --input zeros --output-dir empty.onnx/d
expect 5 "output folder is a file" "$exe" run "$model" --input zeros --output-dir empty.onnx
mkdir -p blocked/output_0.npy
expect 5 "output file is a folder" "$exe" run "$model" --input zeros --output-dir blocked
says output_0.npy
expect 5 "profile on a full disk" "$exe" run "$model" --input zeros --output-dir full --profile /dev/full
check "a failed profile leaves no outputs" test ! -e full
expect 5 "model in a folder that is not there" "$exe" fold "$model" -o nowhere/out.onnx --report report.json
check "a failed fold leaves no report" test ! -e report.json
"$exe" inspect "$model" >/dev/full 2>err.txt
check "standard output on a full disk" test $? -eq 5
check "nothing temporary is left" test -z "$(find . -name '*.tmp' -o -name '.crease*')"

# ---- what works ----
expect 0 "picture" "$exe" run "$model" --input "$picture" --output-dir d
check "output_0.npy" test -s d/output_0.npy
expect 0 "picture by name" "$exe" run "$model" --input="image=$picture" --no-fold --threads 2 --output-dir unfolded
expect 0 "folder made with its parents, file overwritten" "$exe" run "$model" -i "$picture" -d a/b/c
expect 0 "again" "$exe" run "$model" -i "$picture" -d a/b/c
check "the same bytes again" cmp -s d/output_0.npy a/b/c/output_0.npy
expect 0 "top" "$exe" run "$model" -i "$picture" --top 3 --labels "$fashion/labels.txt"
check "the boot is a boot" bash -c "sed -n 2p out.txt | grep -q 'Ankle boot'"
expect 0 "summary" "$exe" run "$model" -i "$picture"
check "names the output" grep -q 'logits .*1x10' out.txt
expect 0 "fold" "$exe" fold "$model" -o folded.onnx --expect-folded 21
check "one line for each normalisation" test "$(grep -c ' folded ' out.txt)" -eq 21
expect 1 "fold, other count" "$exe" fold "$model" -o other.onnx --report other.json --expect-folded 3
check "an unexpected fold is not written" test ! -e other.onnx -a ! -e other.json
expect 0 "dry run" "$exe" fold "$model" -o dry.onnx --dry-run
check "a dry run writes nothing" test ! -e dry.onnx
expect 0 "folded twice folds nothing" "$exe" fold folded.onnx -o twice.onnx --expect-folded 0
check "a model without normalisations says how to export them" grep -q TrainingMode.PRESERVE out.txt
"$exe" fold "$model" -o again.onnx >/dev/null
check "folding is deterministic" cmp -s folded.onnx again.onnx
ln -s again.onnx link.onnx
expect 0 "fold onto a link" "$exe" fold "$model" -o link.onnx --only '*stem*'
expect 2 "fold, unmatched name" "$exe" fold "$model" --dry-run --keep 'no-such-*'
expect 0 "fold, measured" "$exe" fold "$model" -o measured.onnx --measure -q
expect 0 "verify" "$exe" verify "$model" --runs 2
check "random inputs are said" grep -q "input 'image' is not given" err.txt
expect 0 "verify, layers" "$exe" verify -q "$model" --layers --input "$fashion/test_data_set_0"
check "-q keeps stderr empty" test ! -s err.txt
expect 0 "verify two files" "$exe" verify -q "$model" folded.onnx
expect 1 "verify, no tolerance" "$exe" verify -q "$model" --rtol 0
expect 0 "verify, absolute tolerance" "$exe" verify -q "$model" --rtol 0 --atol 1
"$exe" demo resnet18 -o r1.onnx && "$exe" demo resnet18 --seed 2 -o r2.onnx
expect 1 "verify two networks" "$exe" verify -q r1.onnx r2.onnx
expect 0 "bench" "$exe" bench -q "$model" --runs 3
expect 0 "bench, all layers" "$exe" bench -q "$model" --runs 3 --threads 1 --layers -v
check "bench says why folding pays or not" grep -q "21 of 21 batch normalisations folded: " out.txt
check "and shows the roofline" grep -q "the roofline of " out.txt
expect 0 "bench, tuned" "$exe" bench -q "$model" --runs 3 --tune
expect 0 "run, tuned" "$exe" run -q "$model" --input zeros --tune-cache choices --output-dir tuned1
check "choices are kept" grep -q "^crease-tune 1" choices
cp choices choices.before
expect 0 "run, tuned again" "$exe" run -q "$model" --input zeros --tune-cache choices --output-dir tuned2
check "kept choices are used, so that results repeat" cmp tuned1/output_0.npy tuned2/output_0.npy
check "and nothing is written" cmp choices choices.before
head -c 100 "$model" >choices
expect 0 "run, wrong choices" "$exe" run -q "$model" --input zeros --tune-cache choices
expect 3 "run, choices nowhere" "$exe" run -q "$model" --input zeros --tune-cache no-folder/choices
expect 3 "run, choices in a folder" "$exe" run -q "$model" --input zeros --tune-cache .
expect 0 "bench two files, layers" "$exe" bench -q "$model" folded.onnx --runs 3 --layers
expect 0 "demo, names" "$exe" demo
check "nine of them" test "$(wc -l <out.txt)" -eq 9
expect 0 "ops" "$exe" ops
check "Conv runs" grep -q '^Conv ' out.txt
expect 0 "ops, Markdown" "$exe" ops --markdown
check "a Markdown table" test "$(sed -n 2p out.txt)" = "|---|---|---|"

# ---- interruption ----
# a background job ignores SIGINT, and so does everything below a shell that was itself started so
env --default-signal=INT "$exe" bench -q "$model" --time 30 >out.txt 2>err.txt &
sleep 2 # loaded machines start late
kill -INT $!
wait $!
check "SIGINT ends with 130" test $? -eq 130
check "and one line" one_line
finish
