#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Operators on the matrices of the last two axes: Det, Trilu. */

/* ---- Det (ONNX 11, 22): elimination in double with partial pivoting ---- */

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

/* ---- Trilu (ONNX 14) ---- */

static crease_status trilu_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    return cr_infer_rank(infer, 0, 2, CR_MAX_RANK);
}

typedef struct trilu_job {
    const char *x;
    char *y;
    int64_t rows, columns, k;
    size_t element;
    bool upper;
} trilu_job;

static void trilu_task(void *context, int64_t begin, int64_t end, int thread) {
    const trilu_job *j = context;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t diagonal = row % j->rows + j->k + !j->upper;
        int64_t at = diagonal < 0 ? 0 : diagonal > j->columns ? j->columns : diagonal;
        size_t left = (size_t)at * j->element, all = (size_t)j->columns * j->element,
               base = (size_t)row * all;
        size_t keep = j->upper ? left : 0, n = j->upper ? all - left : left;
        memset(j->y + base, 0, keep);
        memcpy(j->y + base + keep, j->x + base + keep, n);
        memset(j->y + base + keep + n, 0, all - keep - n);
    }
}

static crease_status trilu_prepare(cr_prepare *p) {
    int64_t *upper;
    CR_TRY(CR_PREPARE_STATE(p, &upper));
    return cr_attr_int(p->node, "upper", 1, upper);
}

enum { TASK_ELEMENTS = 1 << 15 };

static crease_status trilu_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape;
    int64_t k = 0, n = cr_shape_n(x);
    if (r->n_in > 1 && r->in[1]) {
        if (r->in[1]->dtype != CREASE_INT64 || cr_shape_n(&r->in[1]->shape) != 1)
            return cr_node_fail(r->node, CREASE_ERROR_MODEL, "k is not one int64");
        k = cr_tensor_int(r->in[1], 0);
    }
    int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    k = k < -rows - 1 ? -rows - 1 : k > columns ? columns : k;
    trilu_job job = {r->in[0]->data,
                     r->out[0]->data,
                     rows,
                     columns,
                     k,
                     cr_element_bytes(r->in[0]->dtype),
                     *(const int64_t *)r->state != 0};
    if (n)
        cr_parallel_grain(r->pool, n / columns, TASK_ELEMENTS / columns + 1, trilu_task, &job);
    return CREASE_OK;
}

const cr_op cr_ops_matrix[] = {
    {"Det", 11, 0, CR_T_FLOATS, det_infer, det_prepare, det_run, 0, CR_OP_HALF, 0, NULL},
    {"Trilu", 14, 0, CR_T_BYTES, trilu_infer, trilu_prepare, trilu_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
