#!/usr/bin/env python3
"""Hold runtime/ops against a promise of op.h: run reads no attributes. Followed is what every function that sees a cr_run
names, and what that names in turn: calls, and functions handed on as tasks, but not those of a table. Prints each way
from a run to an attribute; exits 1 if there are any.
"""
import collections
import pathlib
import re
import sys

OPS = pathlib.Path(__file__).resolve().parent.parent / 'runtime' / 'ops'
COMMENT = re.compile(r'/\*.*?\*/', re.S)
# As clang-format leaves a function: it begins at the left margin, and the brace that ends it stands there.
FUNCTION = re.compile(r'^(static )?\w[^;={}#]*?\b(\w+)\([^;{}]*\) \{\n.*?^\}$', re.M | re.S)
READS = re.compile(r'\bcr_attr_\w+\(|->attrs\b')


def functions():
    """Texts by (file, name); the file is None of those that others may call."""
    texts = {}
    for path in sorted(OPS.glob('*.[ch]')):
        code = COMMENT.sub('', path.read_text())
        found = list(FUNCTION.finditer(code))
        if len(found) != len(re.findall(r'^\}$', code, re.M)):
            sys.exit(f'{path.name}: not every function was found')
        texts.update({(path.name if m[1] else None, m[2]): m[0] for m in found})
    return texts


def ways_of_runs(texts):
    """How each function that a run may reach is reached, as a list of names."""
    ways = {key: [key[1]] for key, text in texts.items() if re.search(r'\bcr_run\b', text)}
    queue = collections.deque(ways)
    while queue:
        key = queue.popleft()
        for name in re.findall(r'\w+', texts[key]):
            other = (key[0], name) if (key[0], name) in texts else (None, name)
            if other in texts and other not in ways:
                ways[other] = ways[key] + [name]
                queue.append(other)
    return ways


def main():
    texts = functions()
    ways = ways_of_runs(texts)
    bad = [' > '.join(way) for key, way in ways.items() if READS.search(texts[key])]
    for way in sorted(bad):
        print(f'run reads an attribute: {way}')
    return 1 if bad or not ways else 0


if __name__ == '__main__':
    sys.exit(main())
