#include "runtime/kernels/gather.h"

#include <string.h>

static int64_t index_at(const void *indices, bool wide, int64_t i) {
    return wide ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
}

int64_t cr_check_indices(const void *indices, bool wide, int64_t n, int64_t extent) {
    for (int64_t i = 0; i < n; i++) {
        int64_t index = index_at(indices, wide, i);
        if (index < -extent || index >= extent)
            return i;
    }
    return n;
}

void cr_gather_rows(const void *x, const void *indices, bool wide, void *y, int64_t extent, int64_t n,
                    size_t row, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        int64_t index = index_at(indices, wide, i % n);
        index += index < 0 ? extent : 0;
        memcpy((char *)y + (size_t)i * row, (const char *)x + (size_t)(i / n * extent + index) * row, row);
    }
}

/* ---- elements: by rows along the last axis ---- */

/* Index elements that stand side by side: the k-th, whose index is i, speaks of element
 * at + k * step + i * stride of the data. */
typedef struct run_of {
    int64_t first, n; /* index elements */
    int64_t at, step, stride, extent;
} run_of;

/* The index elements from `first` to the end of their row, or to `end`. */
static run_of run_from(const cr_elements *e, int64_t first, int64_t end) {
    const int last = e->rank - 1;
    const int64_t column = first % e->n[last], left = e->n[last] - column;
    run_of run = {.first = first,
                  .n = left < end - first ? left : end - first,
                  .step = last == e->axis ? 0 : e->stride[last],
                  .stride = e->stride[e->axis],
                  .extent = e->extent};
    int64_t rest = first / e->n[last];
    run.at = column * run.step;
    for (int d = last - 1; d >= 0; d--) {
        run.at += d == e->axis ? 0 : rest % e->n[d] * e->stride[d];
        rest /= e->n[d];
    }
    return run;
}

static int64_t element_of(const run_of *run, const void *indices, bool wide, int64_t k) {
    const int64_t index = index_at(indices, wide, run->first + k);
    return run->at + k * run->step + (index + (index < 0 ? run->extent : 0)) * run->stride;
}

typedef struct element_copy {
    const void *from, *indices;
    void *to;
    bool wide;
    bool scatter; /* from the row to the elements that it speaks of; else the other way round */
} element_copy;

static inline void copy_each(const element_copy *c, const run_of *run, size_t bytes) {
    for (int64_t k = 0; k < run->n; k++) {
        const size_t row = (size_t)(run->first + k), at = (size_t)element_of(run, c->indices, c->wide, k);
        memcpy((char *)c->to + (c->scatter ? at : row) * bytes,
               (const char *)c->from + (c->scatter ? row : at) * bytes, bytes);
    }
}

static void copy_run(const element_copy *c, const run_of *run, size_t bytes) {
    switch (bytes) { /* a constant one is a move, not a call */
    case 4:
        copy_each(c, run, 4);
        break;
    case 8:
        copy_each(c, run, 8);
        break;
    default:
        copy_each(c, run, bytes);
    }
}

void cr_gather_elements(const cr_elements *e, size_t element, const void *x, const void *indices, bool wide,
                        void *y, int64_t begin, int64_t end) {
    const element_copy copy = {x, indices, y, wide, false};
    while (begin < end) {
        const run_of run = run_from(e, begin, end);
        copy_run(&copy, &run, element);
        begin += run.n;
    }
}

#define FOR_EACH(T, expression)                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        T a = ((const T *)to)[i], b = ((const T *)from)[i];                                                  \
        ((T *)to)[i] = (T)(expression);                                                                      \
    }                                                                                                        \
    break

#define DEFINE_COMBINE(T, U) /* U: where sums and products may wrap around */                                \
    static void combine_##T(cr_reduction reduction, const void *from, void *to, int64_t n) {                 \
        switch (reduction) {                                                                                 \
        case CR_REDUCE_ADD:                                                                                  \
            FOR_EACH(T, (U)a + (U)b);                                                                        \
        case CR_REDUCE_MUL:                                                                                  \
            FOR_EACH(T, (U)a *(U)b);                                                                         \
        case CR_REDUCE_MAX:                                                                                  \
            FOR_EACH(T, a > b ? a : b);                                                                      \
        default:                                                                                             \
            FOR_EACH(T, a < b ? a : b);                                                                      \
        }                                                                                                    \
    }
DEFINE_COMBINE(float, float)
DEFINE_COMBINE(double, double)
DEFINE_COMBINE(int8_t, uint32_t)
DEFINE_COMBINE(int16_t, uint32_t)
DEFINE_COMBINE(int32_t, uint32_t)
DEFINE_COMBINE(int64_t, uint64_t)
DEFINE_COMBINE(uint8_t, uint32_t)
DEFINE_COMBINE(uint16_t, uint32_t)
DEFINE_COMBINE(uint32_t, uint32_t)
DEFINE_COMBINE(uint64_t, uint64_t)

static void combine_half(cr_reduction reduction, crease_dtype dtype, const void *from, void *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float a = (float)cr_load_float(dtype, to, i), b = (float)cr_load_float(dtype, from, i);
        combine_float(reduction, &b, &a, 1);
        cr_store_float(dtype, to, i, (double)a);
    }
}

static void combine_bool(cr_reduction reduction, const uint8_t *from, uint8_t *to, int64_t n) {
    bool either = reduction == CR_REDUCE_ADD || reduction == CR_REDUCE_MAX;
    for (int64_t i = 0; i < n; i++)
        to[i] = either ? to[i] || from[i] : to[i] && from[i];
}

void cr_combine(cr_reduction reduction, crease_dtype dtype, const void *from, void *to, int64_t n) {
    if (reduction == CR_REDUCE_NONE) {
        memcpy(to, from, (size_t)n * cr_element_bytes(dtype));
        return;
    }
    switch (dtype) {
    case CREASE_DOUBLE:
        combine_double(reduction, from, to, n);
        break;
    case CREASE_FLOAT16:
    case CREASE_BFLOAT16:
        combine_half(reduction, dtype, from, to, n);
        break;
    case CREASE_INT8:
        combine_int8_t(reduction, from, to, n);
        break;
    case CREASE_INT16:
        combine_int16_t(reduction, from, to, n);
        break;
    case CREASE_INT32:
        combine_int32_t(reduction, from, to, n);
        break;
    case CREASE_INT64:
        combine_int64_t(reduction, from, to, n);
        break;
    case CREASE_UINT8:
        combine_uint8_t(reduction, from, to, n);
        break;
    case CREASE_UINT16:
        combine_uint16_t(reduction, from, to, n);
        break;
    case CREASE_UINT32:
        combine_uint32_t(reduction, from, to, n);
        break;
    case CREASE_UINT64:
        combine_uint64_t(reduction, from, to, n);
        break;
    case CREASE_BOOL:
        combine_bool(reduction, from, to, n);
        break;
    default:
        combine_float(reduction, from, to, n);
        break;
    }
}

void cr_scatter_elements(const cr_elements *e, cr_reduction reduction, crease_dtype dtype,
                         const void *updates, const void *indices, bool wide, void *y, int64_t n) {
    const size_t element = cr_element_bytes(dtype);
    const element_copy copy = {updates, indices, y, wide, true};
    for (int64_t begin = 0; begin < n;) {
        const run_of run = run_from(e, begin, n);
        if (reduction == CR_REDUCE_NONE)
            copy_run(&copy, &run, element);
        else
            for (int64_t k = 0; k < run.n; k++)
                cr_combine(reduction, dtype, (const char *)updates + (size_t)(begin + k) * element,
                           (char *)y + (size_t)element_of(&run, indices, wide, k) * element, 1);
        begin += run.n;
    }
}
