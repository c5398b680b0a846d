#include "runtime/kernels/select.h"

#include <string.h>

bool cr_is_nonzero(crease_dtype dtype, const void *data, int64_t i) {
    size_t bytes = cr_element_bytes(dtype);
    const unsigned char *element = (const unsigned char *)data + (size_t)i * bytes;
    unsigned any = element[bytes - 1] & (cr_dtype_is_float(dtype) ? 0x7fU : 0xffU); /* not the sign */
    for (size_t b = 0; b + 1 < bytes; b++)
        any |= element[b];
    return any != 0;
}

int64_t cr_count_nonzero(crease_dtype dtype, const void *data, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += cr_is_nonzero(dtype, data, i);
    return count;
}

/* ---- keys: unsigned integers in the order of the values ---- */

enum { SIGN_BIT = 63 };

static uint64_t signed_key(int64_t value) {
    return (uint64_t)value ^ (1ULL << SIGN_BIT);
}

/* IEEE 754 numbers are ordered like sign and magnitude. */
static uint64_t float_key(double value) {
    uint64_t bits;
    if (value != value)
        return UINT64_MAX;
    value = value == 0 ? 0 : value;
    memcpy(&bits, &value, sizeof bits);
    return bits >> SIGN_BIT ? ~bits : bits | 1ULL << SIGN_BIT;
}

static uint64_t key_of(crease_dtype dtype, const void *x, int64_t i) {
    switch (dtype) {
    case CREASE_FLOAT:
        return float_key((double)((const float *)x)[i]);
    case CREASE_INT8:
        return signed_key(((const int8_t *)x)[i]);
    case CREASE_INT16:
        return signed_key(((const int16_t *)x)[i]);
    case CREASE_INT32:
        return signed_key(((const int32_t *)x)[i]);
    case CREASE_INT64:
        return signed_key(((const int64_t *)x)[i]);
    case CREASE_UINT8:
        return ((const uint8_t *)x)[i];
    case CREASE_UINT16:
        return ((const uint16_t *)x)[i];
    case CREASE_UINT32:
        return ((const uint32_t *)x)[i];
    case CREASE_UINT64:
        return ((const uint64_t *)x)[i];
    default:
        return float_key(cr_load_float(dtype, x, i));
    }
}

/* ---- a heap whose top is the worst of the candidates kept ---- */

/* Without branches, which nothing could predict. */
static inline bool is_worse(const cr_candidate *a, const cr_candidate *b) {
    return (a->key < b->key) | ((a->key == b->key) & (a->index > b->index));
}

static void sift_down(cr_candidate *heap, int64_t n, int64_t i) {
    cr_candidate moved = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && is_worse(&heap[child + 1], &heap[child]);
        if (!is_worse(&heap[child], &moved))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

/* The k best of a line in order, best first; k >= 1. */
static void best_of_line(crease_dtype dtype, uint64_t flip, const void *x, int64_t first, int64_t stride,
                         int64_t n, int64_t k, cr_candidate *heap) {
    for (int64_t i = 0; i < k; i++)
        heap[i] = (cr_candidate){key_of(dtype, x, first + i * stride) ^ flip, i};
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sift_down(heap, k, i);
    for (int64_t i = k; i < n; i++) {
        cr_candidate next = {key_of(dtype, x, first + i * stride) ^ flip, i};
        if (is_worse(&heap[0], &next)) {
            heap[0] = next;
            sift_down(heap, k, 0);
        }
    }
    for (int64_t left = k - 1; left > 0; left--) { /* the worst goes last */
        cr_candidate worst = heap[0];
        heap[0] = heap[left];
        heap[left] = worst;
        sift_down(heap, left, 0);
    }
}

void cr_top_k(crease_dtype dtype, bool largest, const void *x, void *values, int64_t *indices, int64_t n,
              int64_t k, int64_t inner, cr_candidate *workspace, int64_t begin, int64_t end) {
    size_t element = cr_element_bytes(dtype);
    for (int64_t line = begin; k > 0 && line < end; line++) {
        int64_t outer = line / inner, column = line % inner, first = outer * n * inner + column;
        best_of_line(dtype, largest ? 0 : UINT64_MAX, x, first, inner, n, k, workspace);
        for (int64_t i = 0; i < k; i++) {
            int64_t to = (outer * k + i) * inner + column, from = first + workspace[i].index * inner;
            if (values)
                memcpy((char *)values + (size_t)to * element, (const char *)x + (size_t)from * element,
                       element);
            if (indices)
                indices[to] = workspace[i].index;
        }
    }
}
