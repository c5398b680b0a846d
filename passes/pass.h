#ifndef CREASE_PASSES_PASS_H
#define CREASE_PASSES_PASS_H

#include "passes/report.h"

/* The rewrites of a model that keep it standard ONNX, so that the result can be saved. Each is one function
 * in one file whose head says what it turns into what and when it must not. The graphs of control-flow bodies
 * are treated like the main one. A model must be resolved and inferred (cr_model_resolve, cr_graph_infer) for
 * the passes to see operators and shapes. */

/* Which affines may be folded. */
typedef struct cr_fold_settings {
    const char *only, *keep; /* globs (fnmatch) on node names, or NULL: fold these alone; leave these */
    const bool *held;        /* [n_held] by node id: leave these, too; NULL: none */
    int n_held;
} cr_fold_settings;

/* passes/lift_invariants.c: bodies use what a Loop carries unchanged from outside */
crease_status cr_pass_lift_invariants(cr_model *model) CREASE_MUST_TEST;
/* passes/fold_constants.c: nodes whose inputs are all constant become constants; a BatchNormalization is
 * reported. report NULL: the model is to be run, not saved, and quantised weights become constants as well */
crease_status cr_pass_fold_constants(cr_model *model, cr_report *report) CREASE_MUST_TEST;
/* passes/drop_noops.c: Identity and inference-time Dropout disappear */
crease_status cr_pass_drop_noops(cr_model *model) CREASE_MUST_TEST;
/* passes/fold.c: affines move into neighbouring linear operators */
crease_status cr_pass_fold(cr_model *model, const cr_fold_settings *settings,
                           cr_report *report) CREASE_MUST_TEST;
/* A glob that matches no BatchNormalization, Mul, Add, Sub or Div is an ARGUMENT failure: a misspelled name
 * would otherwise be ignored without a word. */
crease_status cr_pass_check_globs(cr_model *model, const cr_fold_settings *settings) CREASE_MUST_TEST;

/* passes/lint.c: nothing changes; what is odd about the BatchNormalizations is reported */
crease_status cr_pass_lint(cr_model *model, cr_report *report) CREASE_MUST_TEST;

/* passes/sequences.c: sequences and optionals whose structure is fixed become the tensors they hold; nodes
 * that need others get an obstacle. For a model as loaded, which needs no inferred shapes here. */
crease_status cr_pass_resolve_sequences(cr_model *model) CREASE_MUST_TEST;

/* passes/optimize.c: all of them in order, from a model as loaded to one to be run or saved. settings NULL:
 * fold all. */
crease_status cr_optimize_fold(cr_model *model, const cr_fold_settings *settings,
                               cr_report *report) CREASE_MUST_TEST;

/* passes/widen_halves.c: float16 and bfloat16 become float32 inside, so that what is folded into weights is
 * not rounded to them. For a model that is run, not saved. */
crease_status cr_optimize_widen(cr_model *model) CREASE_MUST_TEST;

#endif
