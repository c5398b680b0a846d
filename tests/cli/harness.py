"""What the Python scripts beside it share: the program, checks, a folder to work in. sys.argv[1] is the program."""
import json
import os
import subprocess
import sys
import tempfile

EXE = os.path.abspath(sys.argv[1])
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FASHION = os.path.join(REPOSITORY, "models", "fashion")
passed, failures = 0, []


def check(what, good, detail=""):
    global passed
    if good:
        passed += 1
    else:
        failures.append(what)
        print("FAILED", what, detail)


def crease(*arguments, expect=0):
    """Run the program; its exit code is checked. Gives what it wrote to standard output and error."""
    done = subprocess.run([EXE, *map(str, arguments)], capture_output=True, text=True)
    check(f"crease {' '.join(map(str, arguments))[:150]} exits with {expect}", done.returncode == expect,
          f"not {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout, done.stderr


def crease_json(*arguments, expect=0):
    out, _ = crease(*arguments, expect=expect)
    try:
        return json.loads(out)
    except ValueError:
        check("JSON from crease " + " ".join(map(str, arguments))[:150], False, out[:200])
        return {}


def same_bytes(a, b):
    with open(a, "rb") as x, open(b, "rb") as y:
        return x.read() == y.read()


def main(*tests):
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for test in tests:
            test()
        os.chdir("/")
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(bool(failures))
