#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Det (ONNX 11, 22): the determinant of each square matrix, by elimination in double with partial pivoting.
 */

static crease_status det_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    const cr_shape *x = &infer->in[0]->shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    if (x->rank < 0)
        return CREASE_OK;
    if (x->rank < 2 || (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 2] >= 0 &&
                        x->dims[x->rank - 1] != x->dims[x->rank - 2]))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the input holds no square matrices");
    infer->out[0].shape = *x;
    infer->out[0].shape.rank -= 2;
    return CREASE_OK;
}

static crease_status det_prepare(cr_prepare *p) {
    const cr_shape *x = &p->in[0]->shape;
    size_t bytes;
    if (!cr_tensor_bytes(CREASE_DOUBLE, 0,
                         &(cr_shape){.rank = 2, .dims = {x->dims[x->rank - 1], x->dims[x->rank - 1]}},
                         &bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the matrices are too large");
    p->scratch_bytes = bytes;
    return CREASE_OK;
}

static void swap_rows(double *a, int64_t n, int64_t i, int64_t j) {
    for (int64_t k = 0; k < n; k++) {
        const double kept = a[i * n + k];
        a[i * n + k] = a[j * n + k];
        a[j * n + k] = kept;
    }
}

/* Determinant of a [n][n], which is overwritten. */
static double eliminate(double *a, int64_t n) {
    double det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t i = c + 1; i < n; i++)
            pivot = fabs(a[i * n + c]) > fabs(a[pivot * n + c]) ? i : pivot;
        if (a[pivot * n + c] == 0)
            return 0;
        if (pivot != c) {
            swap_rows(a, n, pivot, c);
            det = -det;
        }
        det *= a[c * n + c];
        for (int64_t i = c + 1; i < n; i++) {
            const double factor = a[i * n + c] / a[c * n + c];
            for (int64_t k = c; k < n; k++)
                a[i * n + k] -= factor * a[c * n + k];
        }
    }
    return det;
}

static crease_status det_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    const int64_t n = x->shape.dims[x->shape.rank - 1];
    double *a = r->scratch;
    for (int64_t m = 0, count = cr_shape_n(&r->out[0]->shape); m < count; m++) {
        for (int64_t i = 0; i < n * n; i++)
            a[i] = cr_load_float(x->dtype, x->data, m * n * n + i);
        cr_store_float(r->out[0]->dtype, r->out[0]->data, m, eliminate(a, n));
    }
    return CREASE_OK;
}

const cr_op cr_ops_matrix[] = {
    {"Det", 11, 0, CR_T_FLOATS, det_infer, det_prepare, det_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
