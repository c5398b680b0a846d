#!/usr/bin/env bash
# Print docs/operators.md from the program's own table. Usage: docs/operators.sh [PROGRAM] > docs/operators.md
set -euo pipefail
exe=${1:-$(dirname "$0")/../build/release/crease}
cat <<'HEAD'
# Operators

Written by `docs/operators.sh`; `./test.sh docs` fails where it is not current. One row for each behaviour: operator-set versions
in which it is valid, element types of its main input. Operators on sequences and optionals have no rows: loading turns them into
others ([architecture](architecture.md)).

HEAD
"$exe" ops --markdown
