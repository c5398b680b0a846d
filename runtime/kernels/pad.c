#include "runtime/kernels/pad.h"
#include "runtime/kernels/move.h"

#include <string.h>

/* First element of the source row of a row of y; negative: the row is padding. */
static int64_t source_row(const cr_padding *p, int64_t row) {
    int64_t at = 0, stride = p->in[p->rank - 1];
    for (int d = p->rank - 2; d >= 0; d--) {
        int64_t from = p->source[d][row % p->out[d]];
        if (from < 0)
            return -1;
        at += from * stride;
        stride *= p->in[d];
        row /= p->out[d];
    }
    return at;
}

void cr_pad_rows(const cr_padding *p, const void *x, const void *fill, void *y, int64_t begin, int64_t end) {
    size_t element = p->element_bytes;
    int64_t columns = p->out[p->rank - 1], left = p->inner_begin, right = p->inner_end;
    const int64_t *source = p->source[p->rank - 1];
    for (int64_t row = begin; row < end; row++) {
        int64_t at = source_row(p, row);
        char *to = (char *)y + (size_t)(row * columns) * element;
        if (at < 0) {
            cr_fill(element, fill, to, columns);
            continue;
        }
        const char *from = (const char *)x + (size_t)at * element;
        cr_pick(element, from, source, fill, to, left);
        if (right > left)
            memcpy(to + (size_t)left * element, from + (size_t)source[left] * element,
                   (size_t)(right - left) * element);
        cr_pick(element, from, source + right, fill, to + (size_t)right * element, columns - right);
    }
}
