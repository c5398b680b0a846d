#ifndef CREASE_PASSES_FOLD_H
#define CREASE_PASSES_FOLD_H

#include "passes/affine.h"
#include "passes/pass.h"

/* Inside the folding pass. An attempt collects its edits in a plan and changes the model only when all of
 * them are possible, so that a fold into several nodes (the inputs of a Concat, the consumers of a
 * BatchNormalization) happens whole or not at all. New weights are new constants: a weight that others share
 * is never edited. */

typedef struct cr_edit cr_edit;

typedef struct cr_plan {
    cr_model *model;
    const cr_fold_settings *settings;
    cr_arena arena; /* affines and edits of this attempt */
    cr_edit *last;  /* newest first */
    cr_refusal refusal;
    bool reached;        /* a linear operator was found, whether or not it could take the affine */
    bool has_bn;         /* a BatchNormalization is among what is folded */
    const char *leaf;    /* code of the first operator that takes it: "conv", "gemm" ... */
    const char *through; /* code of the first operator passed on the way, or NULL */
} cr_plan;

void cr_plan_begin(cr_plan *plan, cr_model *model, const cr_fold_settings *settings);
void cr_plan_end(cr_plan *plan); /* drops what was not committed */
cr_edit *cr_plan_mark(const cr_plan *plan);
void cr_plan_rewind(cr_plan *plan, cr_edit *mark);

/* Input `input` of node becomes a new constant of this type and shape, called like `name`; *tensor is to be
 * filled. */
crease_status cr_plan_constant(cr_plan *plan, cr_node *node, int input, const char *name, crease_dtype dtype,
                               const cr_shape *shape, cr_tensor **tensor) CREASE_MUST_TEST;
crease_status cr_plan_set_float(cr_plan *plan, cr_node *node, const char *attribute,
                                float value) CREASE_MUST_TEST;
crease_status cr_plan_set_int(cr_plan *plan, cr_node *node, const char *attribute,
                              int64_t value) CREASE_MUST_TEST;
crease_status cr_plan_set_op(cr_plan *plan, cr_node *node, const char *op_type) CREASE_MUST_TEST;
crease_status cr_plan_commit(cr_plan *plan) CREASE_MUST_TEST;

/* For the report: the nodes that took new weights, and the coarsest rounding of those weights. */
crease_status cr_plan_into(cr_plan *plan, const char **names) CREASE_MUST_TEST;
double cr_plan_bound(const cr_plan *plan);
/* Add a line to the doc string of each of these nodes. */
crease_status cr_plan_note(cr_plan *plan, const char *note) CREASE_MUST_TEST;

/* ---- one family each. All set plan->refusal when they cannot, and then may leave edits behind for
 * rewinding. ---- */

/* Make the producer of value give affine(value); its other uses are checked. */
crease_status cr_fold_back(cr_plan *plan, cr_value *value, const cr_affine *affine,
                           int depth) CREASE_MUST_TEST;
/* Make every consumer of value, which is affine(x), work on x. */
crease_status cr_fold_ahead(cr_plan *plan, cr_value *value, const cr_affine *affine,
                            int depth) CREASE_MUST_TEST;

/* Into the weights of the operator whose output the affine follows. `taken` false: not an operator of this
 * family. */
crease_status cr_fold_into_conv(cr_plan *plan, cr_node *node, const cr_affine *affine,
                                bool *taken) CREASE_MUST_TEST;
crease_status cr_fold_into_gemm(cr_plan *plan, cr_node *node, const cr_affine *affine,
                                bool *taken) CREASE_MUST_TEST;
crease_status cr_fold_into_bn(cr_plan *plan, cr_node *node, const cr_affine *affine,
                              bool *taken) CREASE_MUST_TEST;
/* Into the weights of the operator whose input `input` the affine is. */
crease_status cr_fold_ahead_conv(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                 bool *taken) CREASE_MUST_TEST;
crease_status cr_fold_ahead_gemm(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                 bool *taken) CREASE_MUST_TEST;
crease_status cr_fold_ahead_bn(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                               bool *taken) CREASE_MUST_TEST;
/* Past operators that the affine commutes with. */
crease_status cr_fold_back_through(cr_plan *plan, cr_node *node, const cr_affine *affine, int depth,
                                   bool *taken) CREASE_MUST_TEST;
crease_status cr_fold_ahead_through(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                    int depth, bool *taken) CREASE_MUST_TEST;

/* ---- shared checks ---- */

/* The Add of a constant behind a MatMul by a constant: the only place for a shift, so that it must not move
 * on. */
bool cr_is_product_bias(const cr_node *node);
/* An operator that cr_fold_back_through knows. */
bool cr_is_passage(const cr_node *node);
/* An Identity, or a Dropout that does nothing at inference, whose other outputs nobody uses. */
bool cr_is_noop(const cr_node *node);

/* Inputs 1 and 2 of a linear operator are float constants (2 may be left out); else a refusal. */
bool cr_linear_is_constant(cr_plan *plan, const cr_node *node);
/* Refuses unless the affine has one pair for all elements or n pairs on `axis`. */
bool cr_channels_agree(cr_plan *plan, const cr_node *node, const cr_affine *affine, int axis, int64_t n);
/* The user's globs: this node may be folded or changed as an affine. */
bool cr_fold_chosen(const cr_fold_settings *settings, const cr_node *node);
bool cr_is_activation(const cr_node *node);
/* Value of the bias tensor for channel c; 0 without one. One element stands for all. */
double cr_bias_at(const cr_tensor *bias, int64_t c);

#endif
