#ifndef CREASE_MODELS_BUILDER_H
#define CREASE_MODELS_BUILDER_H

#include "runtime/graph/graph.h"

/* Writing a network in a few lines. The first failure sticks in `status`; after it every call does nothing
 * and gives NULL, so that network code needs no checks. Values are [N, C, H, W] unless a name says otherwise.
 */
typedef struct builder {
    cr_model *model;
    cr_graph *graph;
    uint64_t random; /* state of the generator */
    crease_status status;
    int n_nodes; /* for names */
} builder;

typedef struct conv_spec {
    int out, kernel, stride, pad, groups; /* groups 0: 1 */
    bool bias;
    float gain; /* second moment of the output over that of the input; 0: 2, right before a ReLU */
} conv_spec;

int64_t channels(const cr_value *x);
cr_value *input(builder *b, int channels, int size);
void output(builder *b, cr_value *x);

cr_value *conv(builder *b, cr_value *x, conv_spec spec);
cr_value *conv_transpose(builder *b, cr_value *x, int out, int kernel, int stride);
cr_value *batch_norm(builder *b, cr_value *x, float gamma); /* scales around gamma */
cr_value *relu(builder *b, cr_value *x);
cr_value *relu6(builder *b, cr_value *x);
cr_value *sigmoid(builder *b, cr_value *x);
cr_value *silu(builder *b, cr_value *x); /* Sigmoid, Mul: what exporters write */
cr_value *hard_sigmoid(builder *b, cr_value *x);
cr_value *hard_swish(builder *b, cr_value *x);
cr_value *add(builder *b, cr_value *x, cr_value *y);
cr_value *mul(builder *b, cr_value *x, cr_value *y);
cr_value *concat(builder *b, cr_value *const *parts, int n);
cr_value *max_pool(builder *b, cr_value *x, int kernel, int stride, int pad);
cr_value *max_pool_ceil(builder *b, cr_value *x, int kernel, int stride);
cr_value *average_pool(builder *b, cr_value *x, int kernel, int stride);
cr_value *global_average_pool(builder *b, cr_value *x);
cr_value *flatten(builder *b, cr_value *x);
cr_value *gemm(builder *b, cr_value *x, int64_t in, int64_t out, float gain); /* x [N, in] */

#endif
