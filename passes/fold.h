#ifndef CREASE_PASSES_FOLD_H
#define CREASE_PASSES_FOLD_H

#include "passes/report.h"

/* Fold every BatchNormalization that can be folded exactly, with standard operators only, and report each
 * one. conv-bn, conv-transpose-bn, gemm-bn    the producer's weights take s, its bias (b - mean) s + beta
 *   bn-conv                                the consumer's weights take s, its bias sum W t; no padding, sole
 * consumer Kept, with a reason: several-consumers, graph-output, training-mode, extra-outputs,
 * overridable-initializer, not-constant, non-finite, variance-not-positive, overflow, axis-mismatch,
 * spatial-0, no-linear-neighbour, padded-border, kept-by-name. only, keep: globs on node names, or NULL; one
 * that matches no BatchNormalization is an ARGUMENT failure. */
crease_status cr_pass_fold(cr_model *model, const char *only, const char *keep,
                           crease_fold_report *report) CREASE_MUST_TEST;

#endif
