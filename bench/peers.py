#!/usr/bin/env python3
"""crease beside other runtimes, on the same models and machine. Needs Python 3.9 and what is to be measured.

    bench/peers.py [--crease EXE] [--threads 1,2] [--rounds 4] [--seconds 2] [--shape NAME=1x3x224x224] [--real-time] [MODEL...]

MODEL is a name of `crease demo` or a path; resnet50 and mobilenet_v2 by default. Every measurement is a fresh process that
loads, warms up and runs for --seconds; the runtimes take turns, --rounds times, so that whatever else the machine does hits
all alike. A cell shows the best run of all rounds and the median of the rounds' medians, in ms; a ratio is crease's best run
over the peer's, so that below 1 crease is faster. --real-time runs every process at real-time priority (chrt), which keeps
whatever else the machine does out of it and needs the right to do so.

Measured where they are found, never installed: ONNX Runtime from PyPI (onnxruntime, in the Python that runs this) or from npm
(onnxruntime-node, found by Node.js from here or below ORT_NODE_DIR), OpenVINO from PyPI. The table is Markdown on standard
output; progress and what was left out go to standard error."""
import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WARM_UP = 3

# ---- what runs in a process of its own: `peers.py --child RUNTIME MODEL THREADS SECONDS INPUTS` prints {"version", "ms": []} ----


def arrays(inputs):
    """Uniform numbers for [{"name", "dims"}]; all inputs are float32."""
    import numpy as np
    generator = np.random.default_rng(1)
    return {i["name"]: generator.random(i["dims"], dtype=np.float32) for i in inputs}


def timed(run, seconds):
    for _ in range(WARM_UP):
        run()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def child_onnxruntime(model, threads, seconds, inputs):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = arrays(inputs)
    return onnxruntime.__version__, timed(lambda: session.run(None, feed), seconds)


def child_openvino(model, threads, seconds, inputs):
    import openvino
    core = openvino.Core()
    network = core.read_model(model)
    network.reshape({i["name"]: i["dims"] for i in inputs})
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(network, "CPU", settings).create_infer_request()
    feed = arrays(inputs)
    return openvino.__version__, timed(lambda: request.infer(feed), seconds)


CHILD_NODE = """
const [root, model, threads, seconds, inputs, warm] = process.argv.slice(1);
const ort = require(root), ms = () => Number(process.hrtime.bigint()) / 1e6;
(async () => {
  const s = await ort.InferenceSession.create(model, {executionProviders: ['cpu'], intraOpNumThreads: +threads, interOpNumThreads: 1});
  const feed = {};
  for (const i of JSON.parse(inputs)) {
    const x = new Float32Array(i.dims.reduce((a, b) => a * b, 1)).map(() => Math.random());
    feed[i.name] = new ort.Tensor('float32', x, i.dims);
  }
  for (let i = 0; i < +warm; i++) await s.run(feed);
  const times = [], end = ms() + 1e3 * +seconds;
  while (!times.length || ms() < end) { const t = ms(); await s.run(feed); times.push(ms() - t); }
  console.log(JSON.stringify({version: ort.env.versions?.node || ort.env.versions?.common, ms: times}));
})().catch(e => { console.error(e.message); process.exit(1); });
"""

# ---- runtimes: (title, measure(model, threads, seconds, inputs) -> (version, times)) ----


PRIORITY = []  # in front of every command that is measured


def run_child(command):
    done = subprocess.run(PRIORITY + command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    result = json.loads(done.stdout.strip().splitlines()[-1])
    return result["version"], result["ms"]


def python_peer(name):
    def measure(model, threads, seconds, inputs):
        return run_child([sys.executable, os.path.abspath(__file__), "--child", name, model, str(threads), str(seconds),
                          json.dumps(inputs)])
    return measure


def find_node_package():
    """The folder of onnxruntime-node, or None. ORT_NODE_DIR is that folder or one whose node_modules holds it."""
    given = os.environ.get("ORT_NODE_DIR")
    if not shutil.which("node"):
        return None
    if given and os.path.basename(os.path.normpath(given)) == "onnxruntime-node":
        return os.path.abspath(given)
    script = "console.log(require.resolve('onnxruntime-node', {paths: process.argv.slice(1)}))"
    places = [os.path.abspath(p) for p in (given, os.getcwd(), HERE) if p]
    found = subprocess.run(["node", "-e", script, "--", *places], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def node_peer(root):
    def measure(model, threads, seconds, inputs):
        return run_child(["node", "-e", CHILD_NODE, "--", root, model, str(threads), str(seconds), json.dumps(inputs),
                          str(WARM_UP)])
    return measure


def peers():
    found = []
    if importlib.util.find_spec("onnxruntime"):
        found.append(("ONNX Runtime", python_peer("onnxruntime")))
    else:
        root = find_node_package()
        if root:
            found.append(("ONNX Runtime", node_peer(root)))
    if importlib.util.find_spec("openvino"):
        found.append(("OpenVINO", python_peer("openvino")))
    for title in ("ONNX Runtime", "OpenVINO"):
        if title not in (t for t, _ in found):
            print(f"{title} is not installed: left out", file=sys.stderr)
    return found


class Crease:
    """Folded and unfolded come from one process, which lets them take turns."""

    def __init__(self, exe, shapes):
        self.exe, self.shapes = exe, [word for shape in shapes for word in ("--shape", shape)]

    def call(self, *arguments):
        done = subprocess.run([*PRIORITY, self.exe, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def inputs(self, model):
        """Names and dims; a dynamic dimension is 1 unless --shape says otherwise."""
        given = dict(s.rsplit("=", 1) for s in self.shapes[1::2])
        made = []
        for i in json.loads(self.call("inspect", model, "--json"))["inputs"]:
            if i["dtype"] != "float32":
                raise RuntimeError(f"input '{i['name']}' is {i['dtype']}: only float32 is measured here")
            dims = [d if isinstance(d, int) and d >= 0 else 1 for d in i["dims"]]
            made.append({"name": i["name"], "dims": [int(d) for d in given[i["name"]].split("x")] if i["name"] in given else dims})
        return made

    def measure(self, model, threads, seconds, inputs):
        shapes = [w for i in inputs for w in ("--shape", f"{i['name']}={'x'.join(map(str, i['dims']))}")]
        # three sessions take turns: one of them is there for the noise floor
        report = json.loads(self.call("bench", model, "-q", "--threads", str(threads), "--time", str(3 * seconds), "--json", "-",
                                      *shapes))
        return report["build"], report["folded"]["samples_ms"], report["unfolded"]["samples_ms"]


# ---- measuring ----


def measure_all(crease, others, model, threads, options, versions):
    """{column: [times of a round, ...]}"""
    inputs, rounds = crease.inputs(model), {}
    for number in range(options.rounds):
        versions["crease"], folded, unfolded = crease.measure(model, threads, options.seconds, inputs)
        rounds.setdefault("crease, folded", []).append(folded)
        rounds.setdefault("unfolded", []).append(unfolded)
        for title, measure in others:
            try:
                versions[title], times = measure(model, threads, options.seconds, inputs)
                rounds.setdefault(title, []).append(times)
            except RuntimeError as error:
                print(f"{title} on {model}: {error}", file=sys.stderr)
        print(f"{os.path.basename(model)}, {threads} threads, round {number + 1} of {options.rounds}", file=sys.stderr)
    return rounds


def summary(rounds):
    """Best of all runs, median of the rounds' medians."""
    return min(min(r) for r in rounds), statistics.median(statistics.median(r) for r in rounds)


def row(name, threads, rounds, columns):
    best = {column: summary(r)[0] for column, r in rounds.items()}
    cells = [name, str(threads)]
    for column in columns:
        cells.append("{:.2f} / {:.2f} ms".format(*summary(rounds[column])) if column in rounds else "-")
    for column in columns[2:]:
        cells.append(f"{best['crease, folded'] / best[column]:.2f}" if column in best else "-")
    return "| " + " | ".join(cells) + " |"


def print_table(rows, columns, versions):
    heads = ["network", "threads", *columns, *(f"crease : {c}" for c in columns[2:])]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    print("\n".join(rows))
    named = [version if title == "crease" else f"{title} {version}" for title, version in versions.items()]
    print("\nBest / median. " + "; ".join(named) + ".")


def model_file(crease, model, folder):
    if os.path.exists(model):
        return os.path.abspath(model)
    path = os.path.join(folder, model + ".onnx")
    crease.call("demo", model, "-o", path)
    return path


def name_of(model):
    """Of a collection with a folder for each network, the folder's name."""
    path = os.path.splitext(model)[0]
    return os.path.basename(os.path.dirname(path) if os.path.basename(path) == "model" else path)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["resnet50", "mobilenet_v2"], metavar="MODEL")
    parser.add_argument("--crease", default=os.path.join(HERE, "..", "build", "release", "crease"), metavar="EXE")
    parser.add_argument("--threads", default="1,2", help="thread counts, with commas")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2, help="per process and runtime")
    parser.add_argument("--real-time", action="store_true", help="run what is measured at real-time priority")
    parser.add_argument("--shape", action="append", default=[], metavar="NAME=DxD")
    return parser.parse_args()


def main():
    options = arguments()
    if options.real_time:
        PRIORITY.extend(["chrt", "-f", "20"])
    crease, others, versions, rows = Crease(os.path.abspath(options.crease), options.shape), peers(), {}, []
    columns = ["crease, folded", "unfolded", *(title for title, _ in others)]
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            path = model_file(crease, model, folder)
            for threads in map(int, options.threads.split(",")):
                rounds = measure_all(crease, others, path, threads, options, versions)
                rows.append(row(name_of(model), threads, rounds, columns))
    print_table(rows, columns, versions)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        name, model_path, n, duration, wanted = sys.argv[2:7]
        version, milliseconds = globals()["child_" + name](model_path, int(n), float(duration), json.loads(wanted))
        print(json.dumps({"version": version, "ms": milliseconds}))
    else:
        try:
            main()
        except RuntimeError as failure:
            sys.exit(f"peers.py: {failure}")
