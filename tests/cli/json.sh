#!/usr/bin/env bash
# Every JSON report is valid and has the fields that other programs rely on. Usage: json.sh PROGRAM
. "$(dirname "$(realpath "$0")")/check.bash"
command -v python3 >/dev/null || { echo "json.sh needs python3" >&2; exit 2; }

holds() { # file, expression in r that must be true
    check "$1: $2" python3 -c "
import json, sys
def no(constant): raise ValueError(constant)
r = json.load(open(sys.argv[1], encoding='utf-8'), parse_constant=no)
sys.exit(not ($2))" "$1"
}

expect 0 fold "$exe" fold "$model" -o folded.onnx --report fold.json --measure
holds fold.json "r['schema'] == 'crease.fold/1' and r['folded'] == 21 and r['kept'] == 0 and len(r['entries']) == 21"
holds fold.json "all(set(e) == {'name', 'op', 'status', 'into', 'pattern', 'reason', 'detail', 'bound', 'measured'} for e in r['entries'])"
holds fold.json "all(e['status'] == 'folded' and e['into'] and e['pattern'] and e['reason'] is None for e in r['entries'])"
holds fold.json "all(e['measured'] < 1e-4 for e in r['entries'] if e['measured'] is not None)"
holds fold.json "sum(e['measured'] is not None for e in r['entries']) >= 19"
holds fold.json "all(set(f) == {'node', 'code', 'detail'} and f['code'] and f['detail'] for f in r['findings'])"
expect 0 "fold, folded already" "$exe" fold folded.onnx --dry-run --json
cp out.txt none.json
holds none.json "[f['code'] for f in r['findings']] == ['no-batch-norm'] and r['findings'][0]['node'] is None"
expect 0 "fold, kept" "$exe" fold "$model" --dry-run --json --keep '*stem*'
cp out.txt kept.json
holds kept.json "r['folded'] + r['kept'] == 21 and r['kept'] >= 1"
holds kept.json "all(e['reason'] and e['into'] is None and e['bound'] is None for e in r['entries'] if e['status'] == 'kept')"

expect 0 verify "$exe" verify "$model" --json --layers --runs 2
cp out.txt verify.json
holds verify.json "r['schema'] == 'crease.verify/1' and r['pass'] is True and r['runs'] == 2"
holds verify.json "[o['name'] for o in r['outputs']] == ['logits'] and len(r['layers']) >= 19"
holds verify.json "all({'name', 'max_abs', 'max_rel', 'bound', 'top1'} <= set(o) for o in r['outputs'] + r['layers'])"
holds verify.json "0 < r['outputs'][0]['max_rel'] < 1e-5 and r['outputs'][0]['top1'] is True"
expect 1 "verify, failing" "$exe" verify "$model" --json --rtol 0
cp out.txt failing.json
holds failing.json "r['pass'] is False and r['outputs'][0]['pass'] is False"

expect 0 bench "$exe" bench "$model" --runs 5 --threads 1 --layers --json bench.json
holds bench.json "r['schema'] == 'crease.bench/1' and r['threads'] == 1 and r['load_ms'] > 0 and r['peak_rss_mib'] > 1"
holds bench.json "all(r[f]['min_ms'] <= r[f]['median_ms'] <= r[f]['p90_ms'] and len(r[f]['samples_ms']) == 5 for f in ('unfolded', 'folded'))"
holds bench.json "abs(sum(r['folded']['samples_ms']) / 5 - r['folded']['mean_ms']) < 1e-6"
holds bench.json "r['speedup']['ci95'][0] <= r['speedup']['median'] <= r['speedup']['ci95'][1] and r['noise'] >= 0"
holds bench.json "r['blas'] and r['kernels'] and r['folded']['layers'][0]['runs'] >= 10"
holds bench.json "r['peak_gflops'] > 0.1 and r['gb_per_second'] > 0.1"
holds bench.json "all(0 <= s['ms'] <= s['mean_ms'] for f in ('unfolded', 'folded') for s in r[f]['layers'])"
holds bench.json "all(0 < s['of_peak'] < 16 and s['gflops'] > 0 for s in r['folded']['layers'] if s['macs'])"
holds bench.json "r['folding']['batch_norms'] == r['folding']['folded'] == 21"
holds bench.json "0 <= r['folding']['bytes_saved'] and (r['folding']['predicted_ms'] > 0) == (r['folding']['bytes_saved'] > 0)"
expect 0 "bench, two models" "$exe" bench "$model" folded.onnx --runs 5 --json -
cp out.txt two.json
holds two.json "'folding' not in r and 'unfolded' not in r and r['a']['n'] == r['b']['n'] == 5"

expect 0 run "$exe" run "$model" --input zeros --output-dir d --profile profile.json
holds profile.json "r['schema'] == 'crease.profile/1' and sum(s['op'] == 'Conv' for s in r['steps']) == 19"
holds profile.json "all(s['ms'] >= 0 and s['runs'] == 1 for s in r['steps'])"

expect 0 inspect "$exe" inspect "$model" --json --nodes
cp out.txt inspect.json
holds inspect.json "r['schema'] == 'crease.inspect/1' and r['opset'] == 17 and r['unsupported'] == []"
holds inspect.json "r['inputs'] == [{'name': 'image', 'dtype': 'float32', 'dims': ['batch', 1, 28, 28]}]"
holds inspect.json "{o['op']: o['nodes'] for o in r['operators']}['Conv'] == 19 and len(r['nodes']) == r['n_nodes']"
holds inspect.json "r['batch_norms']['n'] == 21 and r['batch_norms']['folded'] == 21"

expect 0 ops "$exe" ops --json
cp out.txt ops.json
holds ops.json "r['schema'] == 'crease.ops/1' and any(o['name'] == 'Conv' and 'float32' in o['types'] for o in r['operators'])"

# names that JSON must escape: quotes, control characters, bytes that are not UTF-8
one_node_model odd.onnx Identity "$(printf 'say "a\\b"\ttab')" x
expect 0 "odd names" "$exe" inspect odd.onnx --json --nodes
cp out.txt odd.json
holds odd.json "r['nodes'][0]['name'] == 'say \"a\\\\b\"\ttab'"
LC_ALL=C sed 's/say/s\xffy/' odd.onnx >broken.onnx
if "$exe" inspect broken.onnx --json --nodes >broken.json 2>/dev/null; then
    holds broken.json "r['nodes'][0]['name'].startswith('s\ufffdy')"
fi
finish
