#include "passes/fold.h"
#include "runtime/graph/attr.h"

#include <stdio.h>
#include <string.h>

/* before: Conv or ConvTranspose whose result a BatchNormalization and others use
 * after:  a copy of the convolution for the BatchNormalization alone, which takes it in
 * not:    where computing the convolution once more costs more than the pass over memory that the
 *         BatchNormalization is; matrix products, whose weights cost as much to read as the result
 * why:    the copy computes the same values.
 *
 * Everything is counted for one element of the result, in bytes of memory traffic. A core reads 16 to 30 GB/s
 * from outside its own caches and multiplies 60 to 90 times in a nanosecond, so that MACS_FOR_A_BYTE
 * multiplications take as long as a byte. A normalisation that stays reads and writes each element. A copy
 * multiplies, reads its share of the input and of the weights, and writes. If all consumers are
 * normalisations, the convolution itself takes the last of them, and one copy less is needed. */

enum { MACS_FOR_A_BYTE = 4 };

typedef struct price {
    double macs, bytes; /* of one more convolution */
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

/* Elements of the input for one of the result: channels, and strides where the sizes are not known. */
static crease_status input_ratio(const cr_node *conv, const cr_shape *w, int64_t group, double *ratio) {
    const int64_t *strides;
    int n;
    bool transposed = cr_node_is(conv, "ConvTranspose");
    CR_TRY(cr_attr_ints(conv, "strides", &strides, &n));
    double in = transposed ? (double)w->dims[0] : (double)w->dims[1] * (double)group,
           out = transposed ? (double)w->dims[1] * (double)group : (double)w->dims[0];
    *ratio = out > 0 ? in / out : 0;
    for (int i = 0; i < n; i++)
        *ratio = transposed ? *ratio / (double)strides[i] : *ratio * (double)strides[i];
    return CREASE_OK;
}

static double known_elements(const cr_shape *shape) {
    double n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dims[i] > 0 ? (double)shape->dims[i] : 1;
    return n;
}

static crease_status price_of(const cr_node *conv, price *p) {
    const cr_tensor *w = cr_stored_weight(conv);
    int64_t group, taps;
    double ratio, element = (double)crease_dtype_bits(cr_weight_dtype(conv)) / 8;
    CR_TRY(cr_attr_int(conv, "group", 1, &group));
    CR_TRY(input_ratio(conv, &w->shape, group, &ratio));
    if (!cr_shape_product(&w->shape, 2, w->shape.rank, &taps))
        taps = INT64_MAX;
    p->macs = (double)taps * (cr_node_is(conv, "Conv") ? (double)w->shape.dims[1]
                                                       : (double)w->shape.dims[0] / (double)group);
    double weights = (double)cr_shape_n(&w->shape) / known_elements(&conv->outputs[0]->shape);
    p->bytes = element * (1 + ratio + weights);
    p->saved = 2 * element;
    return CREASE_OK;
}

static void say_price(const price *p, const cr_node *conv, cr_refusal *refusal) {
    size_t used = strlen(refusal->detail);
    snprintf(refusal->detail + used, sizeof refusal->detail - used,
             "; %d more of '%.100s' would cost %.3g multiplications and %.3g bytes an element each, to save "
             "%.3g bytes %d times",
             p->copies, conv->name, p->macs, p->bytes, p->saved, p->folds);
}

static bool is_copyable(const cr_node *conv) {
    return conv && (cr_node_is(conv, "Conv") || cr_node_is(conv, "ConvTranspose")) &&
           (cr_is_quantized(conv) || cr_node_constant(conv, 1)) && cr_stored_weight(conv)->shape.rank >= 3;
}

crease_status cr_copy_pays(cr_plan *plan, const cr_value *shared, cr_refusal *refusal, bool *pays) {
    const cr_node *conv = shared->producer;
    price p = {0};
    *pays = false;
    bool elsewhere =
        strcmp(refusal->code, "several-consumers") == 0 || strcmp(refusal->code, "graph-output") == 0;
    if (!elsewhere || !is_copyable(conv) || (shared->n_uses < 2 && !shared->n_outputs))
        return CREASE_OK;
    CR_TRY(count_consumers(plan, shared, &p));
    CR_TRY(price_of(conv, &p));
    *pays = p.folds > 0 && p.copies * (p.macs / MACS_FOR_A_BYTE + p.bytes) < p.folds * p.saved;
    if (p.folds > 0 && !*pays)
        say_price(&p, conv, refusal);
    return CREASE_OK;
}
