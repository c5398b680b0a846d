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
    bool copied;         /* into a copy of the operator, made for this */
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
/* The producer of input `input` gets a twin if others use it, so that it may be changed. */
crease_status cr_plan_own_producer(cr_plan *plan, cr_node *node, int input) CREASE_MUST_TEST;
/* The edit planned last changes the producer of input `input` of its node instead. */
void cr_plan_behind(cr_plan *plan, int input);
/* `node` takes the affine in, whether or not that changes anything; code: "conv", "gemm" ...; every element
 * of its result is a sum of at most k products and a bias. */
crease_status cr_plan_leaf(cr_plan *plan, cr_node *node, const char *code, int64_t k) CREASE_MUST_TEST;
crease_status cr_plan_commit(cr_plan *plan) CREASE_MUST_TEST;

/* For the report, after the commit: the nodes that took it in, the code of the first of them, and the
 * coarsest bounds, as crease_fold_entry states them. */
crease_status cr_plan_into(cr_plan *plan, const char **names) CREASE_MUST_TEST;
const char *cr_plan_leaf_code(const cr_plan *plan);
cr_fold_bound cr_plan_bound(const cr_plan *plan);
/* Add a line to the doc string of each of these nodes. */
crease_status cr_plan_note(cr_plan *plan, const char *note) CREASE_MUST_TEST;

/* A node like `node` with a result of its own, before `before`; called `name`, or name_2 ... where a node has
 * that name. */
crease_status cr_copy_node(const cr_node *node, cr_node *before, const char *name,
                           cr_node **copy) CREASE_MUST_TEST;

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
/* Past operators that the affine commutes with; back, a passage. */
crease_status cr_fold_back_through(cr_plan *plan, cr_node *node, const cr_affine *affine,
                                   int depth) CREASE_MUST_TEST;
crease_status cr_fold_ahead_through(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                    int depth, bool *taken) CREASE_MUST_TEST;

/* Whether a copy of the linear operator that makes `shared` costs less than the passes over memory that it
 * saves. Where it would be possible but does not pay, refusal->detail says what it would cost. */
crease_status cr_copy_pays(cr_plan *plan, const cr_value *shared, cr_refusal *refusal,
                           bool *pays) CREASE_MUST_TEST;

/* ---- quantised weights (fold_quantized.c) ---- */

/* The weights are DequantizeLinear of constants, and so is the bias, or it is constant or absent. */
bool cr_is_quantized(const cr_node *node);
/* The weights as the file has them: the constant, or what is dequantised. Its shape is that of the weights.
 */
const cr_tensor *cr_stored_weight(const cr_node *node);
crease_dtype cr_weight_dtype(const cr_node *node); /* after dequantising */
/* The bias as floats, NULL without one. */
crease_status cr_bias_of(cr_plan *plan, const cr_node *node, int input,
                         const cr_tensor **bias) CREASE_MUST_TEST;
/* Scale the n output channels, which lie on `axis` of the weights. */
crease_status cr_scale_quantized(cr_plan *plan, cr_node *node, int axis, int64_t n, const cr_affine *affine,
                                 cr_fit *fit) CREASE_MUST_TEST;

/* ---- shared checks ---- */

/* The Add of a constant behind a MatMul by a constant: the only place for a shift, so that it must not move
 * on. */
bool cr_is_product_bias(const cr_node *node);
/* One that cr_fold_back_through knows. */
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
