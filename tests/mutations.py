#!/usr/bin/env python3
"""Take the preconditions of the folding passes away, one at a time, and require that some test fails.

Usage: tests/mutations.py [--file GLOB] [--only N[,N...]] [--list] [--jobs N] [--table FILE]

Every mutant is compiled into one program at once, each behind a number that CREASE_MUTANT chooses at run time, so that
there is one build and then one run of the tests for each. That run leaves out the unit tests and the generated networks
in which what the mutant changes has the changed value anyway, as a first run without any mutant finds out: on these the
two programs do the same. What is changed is found by rule, so that new code is covered:

  condition   if (A) ...        the branch is never taken
  term        A && B            one operand is always true
  way         A || B            one operand is always false
  step        a &= B, a |= B    B has no effect
  answer      return A          a function of type bool says true

tests/mutations.txt lists the mutants that no test can tell from the original, each with the reason. A mutant that
survives and is not listed there is a failure, as is a line there that fits no survivor.
"""
import argparse
import bisect
import concurrent.futures
import fnmatch
import glob
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, 'build', 'mutations')
SHIM_FOLDER = os.path.join(BUILD, 'shim')
SOURCES = ['passes/affine.c', 'passes/plan.c', 'passes/drop_noops.c', 'passes/fold*.c']
TESTS = ['tests/passes/generated/*.c', 'tests/passes/test_fold*.c'] + [
    f'tests/passes/test_{name}.c' for name in ('affine', 'bad_parameters', 'drop_noops', 'lint', 'optimize')]
GENERATED = 'tests/passes/generated/test_generated.c'
FLAGS = ['-std=gnu11', '-O1', '-g0', '-w', '-fno-math-errno', '-fno-trapping-math']
LIBRARIES = ['-lprotobuf-c', '-lpthread', '-lm', '-ldl']
TOKEN = re.compile(r'''(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^\#[^\n]*)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<word>[A-Za-z_]\w*|\.?\d[\w.]*)|(?P<sign>&&|\|\||[|&+*/%^-]=|[=!<>]=|<<|>>|->|\+\+|--|.)''',
                   re.S | re.M | re.X)
SEPARATORS = {';', ',', '=', '?', ':', 'return', 'else', '&=', '|=', '+=', '-=', '*=', '/=', '%=', '^='}
OPEN, CLOSE = {'(': ')', '[': ']', '{': '}'}, {')', ']', '}'}


class Mutant:
    def __init__(self, number, path, line, kind, text):
        self.number, self.path, self.line, self.kind = number, path, line, kind
        self.text = ' '.join(text.split())
        self.fate = None  # not judged yet; '': survives

    def name(self):
        return f'{self.path}: {self.kind}: {self.text}'


class File:
    """One source file and the places in it that can be changed."""

    def __init__(self, path):
        self.path = path
        self.text = open(os.path.join(ROOT, path)).read()
        self.lines = [m.start() for m in re.finditer('\n', self.text)]
        self.tokens = [(m.group(), m.start(), m.end()) for m in TOKEN.finditer(self.text) if not m.group('skip')]
        self.found = []  # (begin, end, depth, kind)
        self.match = self.brackets()
        self.expressions()
        self.conditions()
        self.answers()

    def brackets(self):
        match, stack = {}, []
        for i, (t, _, _) in enumerate(self.tokens):
            if t in OPEN:
                stack.append(i)
            elif t in CLOSE:
                match[stack.pop()] = i
        return match

    def add(self, first, last, depth, kind):
        """Tokens first to last, both included."""
        self.found.append((self.tokens[first][1], self.tokens[last][2], depth, kind))

    def split(self, first, last, sign):
        """Ranges of tokens between the signs of this level."""
        parts, begin, i = [], first, first
        while i <= last:
            if i in self.match:
                i = self.match[i]
            elif self.tokens[i][0] == sign:
                parts.append((begin, i - 1))
                begin = i + 1
            i += 1
        return parts + [(begin, last)]

    def segment(self, first, last, in_for):
        ways = self.split(first, last, '||')
        for way in ways:
            terms = self.split(*way, '&&')
            if len(ways) > 1:
                self.add(*way, 1, 'way')
            for term in terms:
                if len(terms) > 1 and not (in_for and self.bounds(*term)):
                    self.add(*term, 2, 'term')

    def bounds(self, first, last):
        """Whether the term keeps a loop inside its array."""
        return any(t in ('<', '>', '<=', '>=') for t, _, _ in self.tokens[first:last + 1])

    def level(self, first, last, in_for):
        """Expressions between the separators of one level of brackets, and inside of the brackets."""
        begin, i, after = first, first, ''
        while i <= last + 1:
            t = self.tokens[i][0] if i <= last else ';'
            if t in SEPARATORS or t == '{' or i > last:
                if begin <= i - 1 and after != 'case':
                    self.segment(begin, i - 1, in_for)
                    if after in ('&=', '|='):
                        self.add(begin, i - 1, 0, 'step' + after)
                begin, after = i + 1, t
            if i <= last and i in self.match:
                end = self.match[i]
                self.level(i + 1, end - 1, t == '(' and self.tokens[i - 1][0] == 'for')
                if t == '{':
                    begin, after = end + 1, ''
                i = end
            i += 1

    def expressions(self):
        for i in self.bodies():
            self.level(i + 1, self.match[i] - 1, False)

    def bodies(self):
        """Opening braces of functions."""
        return [i for i in self.match if self.tokens[i][0] == '{' and self.tokens[i - 1][0] == ')'
                and self.text[self.tokens[self.match[i]][1] - 1] == '\n']

    def conditions(self):
        for i, (t, _, _) in enumerate(self.tokens):
            if t == 'if':
                self.add(i + 2, self.match[i + 1] - 1, -1, 'condition')

    def answers(self):
        for body in self.bodies():
            start = self.text.rfind('\n\n', 0, self.tokens[body][1])
            head = self.text[start:self.tokens[body][1]]
            if not re.search(r'^(static )?bool \w+\(', head, re.M):
                continue
            for i in range(body, self.match[body]):
                if self.tokens[i][0] == 'return' and self.tokens[i + 1][0] not in ('true', 'false'):
                    end = next(k for k in range(i, len(self.tokens)) if self.tokens[k][0] == ';')
                    self.add(i + 1, end - 1, -1, 'answer')

    def line(self, at):
        return bisect.bisect_left(self.lines, at) + 1

    def mutants(self, first):
        self.found.sort(key=lambda f: (f[0], f[2], -f[1]))
        return [Mutant(first + i, self.path, self.line(b), k.rstrip('&|='), self.text[b:e])
                for i, (b, e, _, k) in enumerate(self.found)]

    def instrumented(self, first):
        edits = []
        for i, (begin, end, depth, kind) in enumerate(self.found):
            on = f'cr_mutant == {first + i}'
            whole = kind in ('term', 'answer', 'step&=')
            other = f'cr_differs[{first + i}] = 1'
            opening = f'(({on}) || ((' if whole else f'(!({on}) && (('
            edits.append((begin, 1, depth, -end, opening))
            edits.append((end, 0, -depth, -begin, f') ? 1 : ({other}, 0)))' if whole else f') ? ({other}, 1) : 0))'))
        out, at = ['extern int cr_mutant;\nextern unsigned char cr_differs[];\n'], 0
        for position, _, _, _, text in sorted(edits):
            out += [self.text[at:position], text]
            at = position
        return ''.join(out + [self.text[at:]])


def run(command, **more):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **more)
    if result.returncode:
        sys.exit(f'{" ".join(command[:6])} ...\n{result.stdout}{result.stderr}')
    return result.stdout


def compile_all(sources):
    """[(source, object)] in parallel; the objects."""
    launcher = ['ccache'] if shutil.which('ccache') else []
    includes = [f'-I{SHIM_FOLDER}', '-I.', f'-I{BUILD}/proto', f'-DCREASE_SOURCE_DIR="{ROOT}"']

    def one(pair):
        os.makedirs(os.path.dirname(pair[1]), exist_ok=True)
        run(launcher + ['cc'] + FLAGS + includes + ['-c', pair[0], '-o', pair[1]])
        return pair[1]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, sources))


# Criterion starts a process for each test, which would take most of the time. This runs them in one: those that the
# standard input lists, until one fails. The generated networks of a test are tests of their own here.
SHIM = '''#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct shim_test {
    const char *suite, *name;
    void (*run)(void);
    struct shim_test *next;
} shim_test;
extern shim_test **shim_end;
_Noreturn void shim_fail(void);
#define Test(s, n)                                                         \\
    static void s##_##n(void);                                             \\
    __attribute__((constructor)) static void s##_##n##_add(void) {         \\
        static shim_test t = {#s, #n, s##_##n, NULL};                      \\
        *shim_end = &t;                                                    \\
        shim_end = &t.next;                                                \\
    }                                                                      \\
    static void s##_##n(void)
#define cr_assert(condition, ...) ((condition) ? (void)0 : shim_fail())
#define cr_assert_not(condition, ...) cr_assert(!(condition))
#define cr_assert_null(pointer, ...) cr_assert(!(pointer))
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b))
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b))
#define cr_assert_str_eq(a, b, ...) cr_assert(shim_equal(a, b))
#define cr_assert_fail(...) shim_fail()
static inline int shim_equal(const char *a, const char *b) {
    return a && b && strcmp(a, b) == 0;
}
'''

# Without arguments the names of the tests; 'record': what differs in each test; 'judge': the first that fails.
RUNNER = '''#include "criterion/criterion.h"
int cr_mutant;
unsigned char cr_differs[N_MUTANTS + 1];
static shim_test *first, *current;
shim_test **shim_end = &first;
static char line[256];
void shim_fail(void) {
    printf("[FAIL] %s\\n", line);
    fflush(stdout);
    _Exit(1);
}
static void tell(void) {
    printf("%s", line);
    for (int i = 1; i <= N_MUTANTS; i++)
        if (cr_differs[i])
            printf(" %d", i);
    printf("\\n");
    memset(cr_differs, 0, sizeof cr_differs);
}
static void run(int record) {
    char suite[64], name[128], seed[32];
    int n = sscanf(line, "%63[^/]/%127[^/]/%31s", suite, name, seed);
    for (current = first; current; current = current->next)
        if (n >= 2 && strcmp(current->suite, suite) == 0 && strcmp(current->name, name) == 0) {
            if (n == 3)
                setenv("CREASE_TEST_SEED", seed, 1);
            current->run();
            unsetenv("CREASE_TEST_SEED");
            if (record)
                tell();
            return;
        }
    shim_fail();
}
int main(int argc, char **argv) {
    const char *text = getenv("CREASE_MUTANT");
    cr_mutant = text ? atoi(text) : 0;
    for (current = first; argc < 2 && current; current = current->next)
        printf("%s/%s\\n", current->suite, current->name);
    while (argc > 1 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\\n")] = 0;
        run(strcmp(argv[1], "record") == 0);
    }
    return 0;
}
'''


def build(files, firsts):
    run(['cmake', '-S', '.', '-B', BUILD, '-DCMAKE_BUILD_TYPE=Release', '-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG'])
    run(['cmake', '--build', BUILD, '--target', 'crease_static'])
    generated = os.path.join(BUILD, 'mutants')
    shutil.rmtree(generated, ignore_errors=True)
    os.makedirs(os.path.join(generated, 'passes'))
    pairs = []
    for f, first in zip(files, firsts):
        path = os.path.join(generated, f.path)
        open(path, 'w').write(f.instrumented(first))
        pairs.append((path, path + '.o'))
    os.makedirs(os.path.join(SHIM_FOLDER, 'criterion'), exist_ok=True)
    open(os.path.join(SHIM_FOLDER, 'criterion', 'criterion.h'), 'w').write(SHIM)
    runner = os.path.join(generated, 'runner.c')
    open(runner, 'w').write(RUNNER.replace('N_MUTANTS', str(firsts[-1] + len(files[-1].found))))
    pairs.append((runner, runner + '.o'))
    tests = [t for pattern in TESTS for t in glob.glob(pattern, root_dir=ROOT)]
    pairs += [(t, os.path.join(BUILD, 'objects', t + '.o')) for t in sorted(tests)]
    program = os.path.join(BUILD, 'test_mutants')
    run(['cc'] + compile_all(pairs) + [os.path.join(BUILD, 'libcrease.a')] + LIBRARIES + ['-o', program])
    return program


def all_tests(program):
    """Names of the unit tests, and of every generated network."""
    text = open(os.path.join(ROOT, GENERATED)).read()
    graphs = dict(re.findall(r'Test\(generated, (\w+)\) {\s*run\(\(kind\){\w+, \.graphs = (\d+)', text))
    tests = []
    for name in run([program]).split():
        kind = name.removeprefix('generated/')
        tests += [name] if kind == name else [f'{name}/{seed}' for seed in range(int(graphs[kind]))]
    return tests


def test(program, number, limit, tests, mode='judge'):
    """Code and output, None as code where it did not end in time."""
    process = subprocess.Popen([program, mode], cwd=ROOT, env=dict(os.environ, CREASE_MUTANT=str(number)),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               start_new_session=True)
    try:
        log, _ = process.communicate('\n'.join(tests) + '\n', timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return None, ''
    return process.returncode, log


def record(program, tests):
    """Mutant -> the tests in which it makes a difference, unit tests first, as an unmutated run tells."""
    differs = {}
    code, log = test(program, 0, 3600, sorted(tests, key=lambda t: t.startswith('generated/')), 'record')
    if code:
        sys.exit(f'the tests fail without any mutant: {log.splitlines()[-1]}')
    for line in log.splitlines():
        name, *numbers = line.split()
        for number in numbers:
            differs.setdefault(int(number), []).append(name)
    return differs


def judge(program, mutant, limit, tests):
    code, log = test(program, mutant.number, limit, tests) if tests else (0, '')
    failed = re.search(r'\[FAIL\] (\S+)', log)
    mutant.fate = '' if code == 0 else 'does not end' if code is None else failed.group(1) if failed else 'crash'
    if not mutant.fate:
        print(f'survives: {mutant.number} {mutant.path}:{mutant.line}: {mutant.kind}: {mutant.text} '
              f'(differs in {len(tests)} tests, as {tests[:3]})', flush=True)


def judge_all(program, mutants, limit, differs, jobs):
    """In any order, so that an interrupted run says something of every file."""
    order = list(mutants)
    random.Random(1).shuffle(order)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            for future in [pool.submit(judge, program, m, limit, differs.get(m.number, [])) for m in order]:
                future.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=True, cancel_futures=True)


def known():
    """Mutants that change nothing a test could see: name -> reason."""
    names = {}
    for line in open(os.path.join(ROOT, 'tests', 'mutations.txt')):
        if line.strip() and not line.startswith('#'):
            name, _, reason = line.strip().partition(' -- ')
            names[name] = reason
    return names


def table(mutants, equivalent):
    rows = ['| file | taken away | noticed | cannot be noticed | survive |', '|---|---|---|---|---|']
    for path in sorted({m.path for m in mutants}) + ['all']:
        of = [m for m in mutants if path in (m.path, 'all')]
        survivors = [m for m in of if not m.fate]
        same = sum(m.name() in equivalent for m in survivors)
        rows.append(f'| {path} | {len(of)} | {len(of) - len(survivors)} | {same} | {len(survivors) - same} |')
    return '\n'.join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--file', default='*')
    parser.add_argument('--only', default='')
    parser.add_argument('--list', action='store_true', help='print the mutants and stop')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--table', help='write the result table here')
    arguments = parser.parse_args()
    paths = sorted({p for s in SOURCES for p in glob.glob(s, root_dir=ROOT)})
    files, firsts, mutants = [File(p) for p in paths], [], []
    for f in files:
        firsts.append(len(mutants) + 1)
        mutants += f.mutants(firsts[-1])
    only = {int(n) for n in arguments.only.split(',') if n}
    chosen = [m for m in mutants if fnmatch.fnmatch(m.path, '*' + arguments.file) and (not only or m.number in only)]
    if arguments.list:
        for m in chosen:
            print(f'{m.number:4} {m.path}:{m.line}: {m.kind}: {m.text}')
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    program = build(files, firsts)
    start = time.time()
    differs = record(program, all_tests(program))
    limit = 10 + 5 * (time.time() - start)
    judge_all(program, chosen, limit, differs, arguments.jobs)
    judged = [m for m in chosen if m.fate is not None]
    equivalent = known()
    survivors = {m.name() for m in judged if not m.fate}
    unknown = survivors - set(equivalent)
    stale = set() if len(judged) < len(mutants) else set(equivalent) - survivors
    for name in sorted(stale):
        print(f'tests/mutations.txt names no survivor: {name}')
    text = table(judged, equivalent)
    print(text)
    if arguments.table:
        open(arguments.table, 'w').write(text + '\n')
    print(f'{len(judged)} of {len(mutants)} mutants judged, {len(unknown)} survive, {len(stale)} stale lines, {time.time() - start:.0f} s')
    return 1 if unknown or stale else 0


if __name__ == '__main__':
    sys.exit(main())
