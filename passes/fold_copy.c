#include "passes/fold.h"
#include "runtime/graph/attr.h"
#include "runtime/ops/infer.h"

#include <stdio.h>
#include <string.h>

/* before: Conv, ConvTranspose, Gemm or MatMul whose result a BatchNormalization and others use
 * after:  a copy of it for the BatchNormalization alone, which takes it in
 * not:    where computing it once more costs more than the pass over memory that the
 *         BatchNormalization is
 * why:    the copy computes the same values. Everything is counted for one element of the result,
 *         in bytes of memory traffic. A core reads 16 to 30 GB/s from outside its own caches and
 *         multiplies 60 to 90 times in a nanosecond, so that MACS_FOR_A_BYTE multiplications take
 *         as long as a byte. A normalisation that stays reads and writes each element. A copy
 *         multiplies, reads its share of the input and of the weights, and writes. If all consumers
 *         are normalisations, the original takes the last of them, and one copy less is needed. */

enum { MACS_FOR_A_BYTE = 4 };

typedef struct price {
    double macs, bytes; /* of one copy */
    double saved;       /* bytes, by one normalisation less */
    int copies, folds;
} price;

static crease_status is_foldable_bn(cr_plan *plan, cr_use use, bool *foldable) {
    cr_affine affine;
    cr_refusal no = {0};
    int data;
    *foldable = use.input == 0 && cr_node_is(use.node, "BatchNormalization") &&
                cr_fold_chosen(plan->settings, use.node);
    if (*foldable)
        CR_TRY(cr_affine_of(use.node, &plan->arena, &affine, &data, &no));
    *foldable &= !no.code;
    return CREASE_OK;
}

/* How many of the consumers would fold, and how many copies that takes. */
static crease_status count_consumers(cr_plan *plan, const cr_value *shared, price *p) {
    for (int i = 0; i < shared->n_uses; i++) {
        bool foldable;
        CR_TRY(is_foldable_bn(plan, shared->uses[i], &foldable));
        p->folds += foldable;
    }
    p->copies = p->folds - (p->folds == shared->n_uses && !shared->n_outputs);
    return CREASE_OK;
}

/* Products for one element of the result, and elements of the input for one, from the channels, and the
 * strides where sizes may not be known. */
static crease_status work_of_conv(const cr_node *conv, const cr_shape *w, double *macs, double *inputs) {
    const int64_t *strides;
    int n;
    int64_t group, taps;
    bool transposed = cr_node_is(conv, "ConvTranspose");
    CR_TRY(cr_attr_int(conv, "group", 1, &group));
    CR_TRY(cr_attr_ints(conv, "strides", &strides, &n));
    double rows = (double)w->dims[0], columns = (double)w->dims[1], groups = (double)group;
    if (!cr_shape_product(w, 2, w->rank, &taps))
        taps = INT64_MAX;
    *macs = (double)taps * (transposed ? rows / groups : columns);
    *inputs = transposed ? rows / (columns * groups) : columns * groups / rows;
    for (int i = 0; i < n; i++)
        *inputs = transposed ? *inputs / (double)strides[i] : *inputs * (double)strides[i];
    return CREASE_OK;
}

static crease_status work_of(const cr_node *node, const cr_shape *w, double *macs, double *inputs) {
    int64_t trans_b;
    if (cr_node_is(node, "Conv") || cr_node_is(node, "ConvTranspose"))
        return work_of_conv(node, w, macs, inputs);
    CR_TRY(cr_attr_int(node, "transB", 0, &trans_b));
    *macs = (double)w->dims[trans_b ? 1 : 0];
    *inputs = *macs / (double)w->dims[trans_b ? 0 : 1];
    return CREASE_OK;
}

static double known_elements(const cr_shape *shape) {
    double n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dims[i] > 0 ? (double)shape->dims[i] : 1;
    return n;
}

static crease_status price_of(const cr_node *node, price *p) {
    const cr_shape *w = &cr_stored_weight(node)->shape;
    double inputs, element = (double)crease_dtype_bits(cr_weight_dtype(node)) / 8;
    CR_TRY(work_of(node, w, &p->macs, &inputs));
    double weights = (double)cr_shape_n(w) / known_elements(&node->outputs[0]->shape);
    p->bytes = element * (1 + inputs + weights);
    p->saved = 2 * element;
    return CREASE_OK;
}

static void say_price(const price *p, const cr_node *node, cr_refusal *refusal) {
    size_t used = strlen(refusal->detail);
    snprintf(refusal->detail + used, sizeof refusal->detail - used,
             "; %d more of '%.100s' would cost %.3g multiplications and %.3g bytes an element each, to save "
             "%.3g bytes %d times",
             p->copies, node->name, p->macs, p->bytes, p->saved, p->folds);
}

static bool is_copyable(const cr_node *node) {
    if (!node || !cr_node_is_linear(node) || !(cr_is_quantized(node) || cr_node_constant(node, 1)))
        return false;
    const cr_shape *w = &cr_stored_weight(node)->shape;
    bool conv = cr_node_is(node, "Conv") || cr_node_is(node, "ConvTranspose");
    return (conv ? w->rank >= 3 : w->rank == 2) && cr_shape_n(w) > 0;
}

crease_status cr_copy_pays(cr_plan *plan, const cr_value *shared, cr_refusal *refusal, bool *pays) {
    const cr_node *node = shared->producer;
    price p = {0};
    *pays = false;
    bool elsewhere =
        strcmp(refusal->code, "several-consumers") == 0 || strcmp(refusal->code, "graph-output") == 0;
    if (!elsewhere || !is_copyable(node) || (shared->n_uses < 2 && !shared->n_outputs))
        return CREASE_OK;
    CR_TRY(count_consumers(plan, shared, &p));
    CR_TRY(price_of(node, &p));
    double cost = p.copies * (p.macs / MACS_FOR_A_BYTE + p.bytes), saved = p.folds * p.saved;
    *pays = cost < saved;
    if (!*pays)
        say_price(&p, node, refusal);
    return CREASE_OK;
}
