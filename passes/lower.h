#ifndef CREASE_PASSES_LOWER_H
#define CREASE_PASSES_LOWER_H

#include "passes/extents.h"
#include "runtime/graph/graph.h"
#include "runtime/ops/blocked.h"

/* Lowering: from a model in ONNX's operators to one made for this machine, which a session runs and nobody
 * saves. Nodes become operators of the domain "crease" (runtime/ops/blocked.h) on the channel-blocked layout,
 * with activations, residuals and affines fused into their neighbours. What goes into a body of control flow
 * and comes out of it is in the plain layout. */

typedef struct cr_lower_settings {
    int lanes;  /* of the blocked layout, at least 4 */
    bool bytes; /* quantised convolutions compute on bytes: worth it where cr_cpu_sums_bytes() */
    bool fold;  /* affines may be absorbed by convolutions; else each is a pass of its own */
    bool exact; /* with `convolution` what the session will be told, for estimates */
    const char *convolution;
} cr_lower_settings;

/* passes/lower.c: all of the below in order. The model must be resolved and inferred. */
crease_status cr_optimize_lower(cr_model *model, const cr_lower_settings *settings) CREASE_MUST_TEST;

/* passes/expand_quantized.c: products of quantised tensors become those of floats between DequantizeLinear
 * and QuantizeLinear, and products of integers that become floats those of floats */
crease_status cr_pass_expand_quantized(cr_graph *graph) CREASE_MUST_TEST;
/* passes/lower_quantized.c: QuantizeLinear and DequantizeLinear behind each other become crease.Activation;
 * and, once other activations are lowered, clamps and repetitions join it */
crease_status cr_pass_lower_quantized(cr_graph *graph) CREASE_MUST_TEST;
crease_status cr_pass_merge_quantized(cr_graph *graph) CREASE_MUST_TEST;
/* passes/lower_bytes.c: notes convolutions by int8 weights while they are known as such; and, once the layout
 * is chosen and epilogues are fused, has them compute on bytes */
crease_status cr_pass_note_bytes(cr_graph *graph) CREASE_MUST_TEST;
crease_status cr_pass_use_bytes(cr_graph *graph) CREASE_MUST_TEST;
bool cr_wants_bytes(const cr_node *conv, const cr_value *x); /* for x to be its input as bytes */
/* passes/widen_halves.c: float16 and bfloat16 are computed in float32 throughout */
crease_status cr_pass_widen_halves(cr_graph *graph) CREASE_MUST_TEST;
/* passes/cancel_transposes.c: operators between a Transpose and its reverse compute on what was not
 * transposed */
crease_status cr_pass_cancel_transposes(cr_graph *graph) CREASE_MUST_TEST;
/* passes/tidy_shapes.c: means and maxima over pixels become pools */
crease_status cr_pass_tidy_shapes(cr_graph *graph) CREASE_MUST_TEST;
/* passes/known_lists.c: bounds computed from known extents become constants */
crease_status cr_pass_known_lists(cr_graph *graph) CREASE_MUST_TEST;
/* passes/split_phases.c: a ConvTranspose to few channels becomes a Conv to those of all phases */
crease_status cr_pass_split_phases(cr_graph *graph, int lanes) CREASE_MUST_TEST;
/* passes/fuse_pad.c: Pad becomes part of the windows behind it */
crease_status cr_pass_fuse_pad(cr_graph *graph) CREASE_MUST_TEST;
/* passes/share_concat.c: a Concat begins with the result of an earlier one */
crease_status cr_pass_share_concat(cr_graph *graph) CREASE_MUST_TEST;
/* passes/lower_activation.c: activations, spelled out or not, become crease.Activation */
crease_status cr_pass_lower_activations(cr_graph *graph) CREASE_MUST_TEST;
/* passes/choose_layout.c: what can, computes in the blocked layout */
crease_status cr_pass_choose_layout(cr_graph *graph, int lanes) CREASE_MUST_TEST;
/* passes/merge_channels.c: shuffles, concatenations and splits behind each other become one choice */
crease_status cr_pass_merge_channels(cr_graph *graph) CREASE_MUST_TEST;
/* passes/fuse_elementwise.c: activations join the affine or the sum before them */
crease_status cr_pass_fuse_elementwise(cr_graph *graph) CREASE_MUST_TEST;
/* passes/fuse_prologue.c: affines, and scales that are computed, join the convolution behind them */
crease_status cr_pass_fuse_prologue(cr_graph *graph, bool fold) CREASE_MUST_TEST;
/* passes/fuse_epilogue.c: activations and residuals join the convolution before them */
crease_status cr_pass_fuse_epilogue(cr_graph *graph) CREASE_MUST_TEST;
/* passes/fuse_means.c: means over pixels take the means of rows from the convolution before them */
crease_status cr_pass_fuse_means(cr_graph *graph) CREASE_MUST_TEST;
/* passes/fuse_gemm.c: biases, residuals and activations join the product by a constant before them */
crease_status cr_pass_fuse_gemm(cr_graph *graph) CREASE_MUST_TEST;
/* passes/merge_siblings.c: convolutions of one value that differ in their weights alone become one, where
 * that saves */
crease_status cr_pass_merge_siblings(cr_graph *graph, const cr_lower_settings *settings) CREASE_MUST_TEST;

/* ---- bodies (passes/lower_bodies.c) ---- */

typedef crease_status cr_lower_stage(cr_graph *graph, const cr_lower_settings *settings);
/* Call stage for the main graph, then for all bodies whose values are what they state. */
crease_status cr_lower_graphs(cr_model *model, cr_lower_stage *stage,
                              const cr_lower_settings *settings) CREASE_MUST_TEST;
/* Between these two, the graph has no node that uses a value of another graph, but for constants and what its
 * own bodies use. The nodes that stand for such values have no row, so that shapes cannot be inferred. */
crease_status cr_body_part(cr_graph *graph) CREASE_MUST_TEST;
crease_status cr_body_join(cr_graph *graph) CREASE_MUST_TEST;

/* ---- shared ---- */

bool cr_is_ours(const cr_node *node, const char *op_type); /* in the domain "crease" */
bool cr_is_pair(const cr_node *node); /* our sums, differences, products and extremes of two */
/* Attributes NAME, NAME_a, NAME_b and NAME_c; see runtime/ops/blocked.h. */
crease_status cr_node_set_activation(cr_node *node, const char *name,
                                     const cr_activation *activation) CREASE_MUST_TEST;
/* Give `to` the activation "act" of `from` under `name`, and the slope at input `from_slope`, if there is
 * one, at input `slope`; from_slope -1: there is none. */
crease_status cr_node_take_activation(cr_node *to, const char *name, int slope, const cr_node *from,
                                      int from_slope) CREASE_MUST_TEST;
/* Whether the node has an activation under `name`. */
bool cr_node_has_activation(const cr_node *node, const char *name);
/* Call visit for every wanted node of the graph, in the order in which they stand before any of the
 * calls moves one, with the extents as they are then. */
crease_status cr_lower_each(const cr_graph *graph, bool (*wanted)(const cr_node *node),
                            crease_status (*visit)(const cr_extents *extents,
                                                   cr_node *node)) CREASE_MUST_TEST;
/* A new value of float32 in the shape and with the name of another, which may be of a graph around. */
crease_status cr_value_like(cr_graph *graph, const cr_value *like, cr_value **value) CREASE_MUST_TEST;
/* The operand of a node of two that is not `own`; own itself where both are. */
cr_value *cr_node_other_operand(const cr_node *node, const cr_value *own);
/* The node that alone uses output 0, in the same graph; NULL: none, or several. */
cr_node *cr_node_only_user(const cr_node *node);

#endif
