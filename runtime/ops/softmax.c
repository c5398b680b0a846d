#include "runtime/ops/infer.h"

#include <math.h>

/* Softmax, LogSoftmax and Hardmax (1 at the first largest element, 0 elsewhere): until opset 12 over
 * everything from `axis` on, from 13 on along one axis. */
enum { NORMAL, LOG, HARD };

static crease_status softmax_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    bool flat = r->op->until != 0;
    int axis = 0, rank = x->shape.rank;
    int64_t value, n = cr_shape_n(&x->shape), outer = 1, extent = 1, inner = 1;
    CR_TRY(cr_attr_int(r->node, "axis", flat ? 1 : -1, &value));
    if (n == 0)
        return CREASE_OK;
    if (rank)
        CR_TRY(cr_axis_resolve(flat && value == rank ? rank - 1 : value, rank, r->node->name, &axis));
    for (int d = 0; d < rank; d++)
        *(d < axis ? &outer : d == axis || flat ? &extent : &inner) *= x->shape.dims[d];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t base = o * extent * inner + i;
            double high = -INFINITY, sum = 0;
            for (int64_t k = 0; k < extent; k++)
                high = fmax(high, cr_load_float(x->dtype, x->data, base + k * inner));
            for (int64_t k = 0; k < extent; k++)
                sum += exp(cr_load_float(x->dtype, x->data, base + k * inner) - high);
            bool found = false;
            for (int64_t k = 0; k < extent; k++) {
                double u = cr_load_float(x->dtype, x->data, base + k * inner) - high;
                bool first = !found && u == 0;
                found |= first;
                cr_store_float(x->dtype, r->out[0]->data, base + k * inner,
                               r->op->variant == LOG    ? u - log(sum)
                               : r->op->variant == HARD ? first
                                                        : exp(u) / sum);
            }
        }
    return CREASE_OK;
}

const cr_op cr_ops_softmax[] = {
    {"Softmax", 1, 12, CR_T_FLOATS, cr_infer_same, NULL, softmax_run, NORMAL, CR_OP_HALF, 0, NULL},
    {"Softmax", 13, 0, CR_T_FLOATS, cr_infer_same, NULL, softmax_run, NORMAL, CR_OP_HALF, 0, NULL},
    {"LogSoftmax", 1, 12, CR_T_FLOATS, cr_infer_same, NULL, softmax_run, LOG, CR_OP_HALF, 0, NULL},
    {"LogSoftmax", 13, 0, CR_T_FLOATS, cr_infer_same, NULL, softmax_run, LOG, CR_OP_HALF, 0, NULL},
    {"Hardmax", 1, 12, CR_T_FLOATS, cr_infer_same, NULL, softmax_run, HARD, CR_OP_HALF, 0, NULL},
    {"Hardmax", 13, 0, CR_T_FLOATS, cr_infer_same, NULL, softmax_run, HARD, CR_OP_HALF, 0, NULL},
    {0},
};
