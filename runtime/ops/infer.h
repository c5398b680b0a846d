#ifndef CREASE_RUNTIME_OPS_INFER_H
#define CREASE_RUNTIME_OPS_INFER_H

#include "runtime/ops/op.h"

/* ---- shape rules shared by operator families ---- */

/* Output 0 has the type, shape and layout of input 0. */
crease_status cr_infer_same(cr_infer *infer);
/* All inputs broadcast (ONNX multidirectional), type of input 0. */
crease_status cr_infer_broadcast(cr_infer *infer);

/* Input i, which must be present and of a known type; fails with MODEL. */
crease_status cr_infer_need(const cr_infer *infer, int i) CREASE_MUST_TEST;
/* Inputs i and j must have the same element type where both are known. */
crease_status cr_infer_same_type(const cr_infer *infer, int i, int j) CREASE_MUST_TEST;
/* Known rank of input i must lie in [low, high]. */
crease_status cr_infer_rank(const cr_infer *infer, int i, int low, int high) CREASE_MUST_TEST;
/* Contents of an integer input (int32 or int64), NULL when left out or not known yet: *left_out tells which.
 * Fails with MODEL for other types. */
crease_status cr_infer_list(const cr_infer *infer, int i, const cr_tensor **list,
                            bool *left_out) CREASE_MUST_TEST;
/* Copied, at most CR_MAX_RANK of them, scalar or 1-D: *known is false when they are not known yet; left out:
 * *known is true and *n -1. */
crease_status cr_infer_ints(const cr_infer *infer, int i, int64_t values[CR_MAX_RANK], int *n,
                            bool *known) CREASE_MUST_TEST;

/* The checks of runtime/base/shape.h, whose sentence names the node. */
crease_status cr_node_check_shape(const cr_node *node, const cr_shape *shape,
                                  crease_status status) CREASE_MUST_TEST; /* may be unknown */
crease_status cr_node_broadcast(const cr_node *node, const cr_shape *a, const cr_shape *b,
                                cr_shape *out) CREASE_MUST_TEST;
/* An axis that the node states for a known rank, made non-negative; fails with MODEL. */
crease_status cr_node_axis(const cr_node *node, int64_t stated, int rank, int *axis) CREASE_MUST_TEST;
/* The same of attribute "axis". */
crease_status cr_axis_attr(const cr_node *node, int64_t otherwise, int rank, int *axis) CREASE_MUST_TEST;

/* ---- the whole graph ---- */

/* Infer every node of `graph` (and of branches in it) in order and record types and shapes in the values;
 * small constant results are not computed here. Unsupported nodes leave their outputs unknown. A
 * contradiction between what the model declares and what is inferred is a MODEL failure. */
crease_status cr_graph_infer(cr_graph *graph) CREASE_MUST_TEST;

/* The same without touching the graph: infos [model->n_values] by value id, where inputs may be made concrete
 * before the walk. Small results of constant inputs (shape arithmetic) are computed: known holds them, infos
 * points to them. */
typedef struct cr_infer_walk {
    cr_heap *heap;
    cr_info *infos;
    cr_tensor *known;
    int n, capacity;       /* of both */
    int rounds;            /* that bodies were inferred in anew, for cr_control_settle */
    unsigned char *steady; /* by node id, a bit for each of its bodies (cr_graph.steady); NULL: not noted */
} cr_infer_walk;
/* Note whether what was found of a body, in the last walk through it, holds for all its runs. The walk itself
 * notes whether it got through; operators that repeat their body say so again. */
void cr_infer_walk_note(const cr_infer_walk *walk, const cr_graph *body, bool steady);
crease_status cr_infer_walk_begin(cr_infer_walk *walk, const cr_model *model, cr_heap *heap) CREASE_MUST_TEST;
crease_status cr_infer_walk_graph(cr_infer_walk *walk, const cr_graph *graph) CREASE_MUST_TEST;
/* One node, of a graph that may have gained values since; infos may move. */
crease_status cr_infer_walk_node(cr_infer_walk *walk, const cr_node *node) CREASE_MUST_TEST;
/* Room for values that the model has gained. */
crease_status cr_infer_walk_extend(cr_infer_walk *walk, const cr_model *model) CREASE_MUST_TEST;
void cr_infer_walk_end(cr_infer_walk *walk); /* releases known and infos */

/* Infer one node from given inputs: checks types against the row, calls its infer, checks the results for
 * size. */
crease_status cr_node_infer(const cr_node *node, const cr_info *const *in, cr_info *out) CREASE_MUST_TEST;

/* Conv, ConvTranspose, Gemm, MatMul: sums of products of the data by weights, and perhaps a bias. */
bool cr_node_is_linear(const cr_node *node);

/* Such a node's input 0 as it may well be, where only constant weights, input 1, are known: what is unknown
 * of *x is set. false: they do not tell. */
bool cr_node_guess_input(const cr_node *node, const cr_info *weights, cr_info *x);

/* Multiply-accumulates of a node for concrete shapes (Conv, ConvTranspose, Gemm, MatMul and their fused
 * forms); -1: not known; 0: none. */
int64_t cr_node_macs(const cr_node *node, const cr_info *const *in, const cr_info *out);

#endif
