#!/usr/bin/env bash
# docs/folding.md explains every code that the passes report, and no other, and the generated networks give every reason.
# Prints the offenders; exits 1 if there are any.
cd "$(dirname "$0")/.." || exit 2
status=0

# Codes stand first among the literals of the calls that report; passages have theirs beside the operator.
codes=$(cat passes/*.c | tr '\n' ' ' | grep -oP \
    '(?:cr_refuse|cr_report_kept|cr_report_find|find_channels|refuse_fused)\([^";]*"\K[a-z0-9-]+(?=")')
passages=$(grep -ohP '^\s*\{"[A-Z]\w+", "\K[a-z-]+(?=", )' passes/fold_through.c)
[ "$(wc -w <<<"$codes")" -gt 20 ] && [ "$(wc -w <<<"$passages")" -gt 10 ] || { echo "no codes found"; exit 2; }
for code in $(sort -u <<<"$codes $passages"); do
    grep -q "\`$code\`" docs/folding.md || { echo "docs/folding.md does not explain $code"; status=1; }
done

# The first cells of the tables of reasons and findings.
explained=$(sed -n '/^## Reasons/,/^## Numbers/s/^| \(`[^|]*\) |.*/\1/p' docs/folding.md | grep -oP '`\K[a-z0-9-]+(?=`)')
for code in $explained; do
    grep -q "\"$code\"" passes/*.c || { echo "docs/folding.md explains $code, which nothing reports"; status=1; }
done

# not-affine: a BatchNormalization without input or output is no valid ONNX, and does not run.
reasons=$(sed -n '/^## Reasons/,/^## Findings/s/^| \(`[^|]*\) |.*/\1/p' docs/folding.md | grep -oP '`\K[a-z0-9-]+(?=`)')
for code in $(grep -vx not-affine <<<"$reasons"); do
    grep -q "\"$code\"" tests/passes/generated/test_generated.c || { echo "no generated network must give $code"; status=1; }
done
exit $status
