#!/usr/bin/env bash
# Hold every #include "..." against the floors of docs/architecture.md. Prints the offenders; exits 1 if there are any.
cd "$(dirname "$0")/.." || exit 2
git rev-parse HEAD >/dev/null || exit 2 # the files are found through git

allowed() { # room of the includer, included path
    case "$1" in
    include) false ;;
    runtime/base) [[ $2 =~ ^(include|runtime/base)/ ]] ;;
    runtime/graph) [[ $2 =~ ^(include|runtime/base|runtime/graph)/ ]] ;;
    runtime/kernels) [[ $2 =~ ^(include|runtime/base|runtime/kernels)/ ]] ;;
    runtime/ops) [[ $2 =~ ^(include|runtime/(base|graph|kernels|ops))/ ]] ;;
    runtime/exec) [[ $2 =~ ^(include|runtime/(base|graph|kernels|ops|exec))/ ]] ;;
    proto) [[ $2 =~ ^(include|runtime/(base|graph)|proto)/ || $2 == onnx.pb-c.h ]] ;;
    passes) [[ $2 =~ ^(include|runtime/(base|graph|ops)|passes)/ ]] ;;
    runtime/api) [[ $2 =~ ^(include|runtime|proto|passes)/ ]] ;;
    models) [[ $2 =~ ^(include|runtime/(base|graph|ops|api)|models)/ ]] ;;
    cli) [[ $2 =~ ^(include|cli)/ || $2 == models/demo.h ]] ;;
    examples) [[ $2 =~ ^include/ ]] ;;
    bench) [[ $2 =~ ^(include|runtime/(base|kernels)|bench)/ ]] ;;
    *) true ;;
    esac
}

status=0
while IFS=: read -r file included; do
    case "$file" in runtime/*) room=$(cut -d/ -f1-2 <<<"$file") ;; *) room=${file%%/*} ;; esac
    if ! allowed "$room" "$included"; then
        echo "$file includes $included"
        status=1
    fi
done < <(git ls-files '*.c' '*.h' | xargs grep -H '^#include "' | sed -E 's/^([^:]*):#include "([^"]*)".*/\1:\2/')

# What is spoken outside the library is spoken in one place each.
for rule in 'protobuf-c/:^proto/' 'immintrin.h:^runtime/kernels/(x86/|vec)' 'arm_neon.h:^runtime/kernels/(arm/|vec)'; do
    found=$(git grep -lE "#include <${rule%%:*}" -- '*.c' '*.h' | grep -vE "${rule#*:}|^tests/|^bench/")
    [ -z "$found" ] || { echo "only ${rule#*:} may include ${rule%%:*}: $found"; status=1; }
done

# Every source is built, once, and nothing that is gone.
listed=$(cat cmake/sources.cmake <(sed 's|^  |  tests/|' tests/CMakeLists.txt) <(sed 's|^  |  bench/|' bench/CMakeLists.txt) |
    grep -oE '^  [a-z0-9_/]+\.c' | tr -d ' ' | sort)
kept=$(git ls-files 'runtime/*.c' 'proto/*.c' 'passes/*.c' 'cli/*.c' 'models/*.c' 'tests/**/test_*.c' 'bench/**/*_bench.c' | sort)
if [ "$listed" != "$kept" ]; then
    echo "CMake's lists (<) and the tree (>) differ:"
    diff <(echo "$listed") <(echo "$kept")
    status=1
fi
exit $status
