#include "runtime/kernels/remap.h"
#include "runtime/kernels/move.h"

#include <string.h>

/* First element of the source row of a row of y; negative: there is none. */
static int64_t source_row(const cr_remap *m, int64_t row) {
    int64_t at = 0, stride = m->in[m->rank - 1];
    for (int d = m->rank - 2; d >= 0; d--) {
        int64_t from = m->source[d][row % m->out[d]];
        if (from < 0)
            return -1;
        at += from * stride;
        stride *= m->in[d];
        row /= m->out[d];
    }
    return at;
}

static void make_row(const cr_remap *m, const char *from, const void *filler, char *to) {
    size_t element = m->element_bytes;
    int64_t columns = m->out[m->rank - 1], left = m->inner_begin, right = m->inner_end;
    const int64_t *source = m->source[m->rank - 1];
    cr_pick(element, from, source, filler, to, left);
    if (right > left)
        memcpy(to + (size_t)left * element, from + (size_t)source[left] * element,
               (size_t)(right - left) * element);
    cr_pick(element, from, source + right, filler, to + (size_t)right * element, columns - right);
}

void cr_remap_rows(const cr_remap *m, const void *x, const void *filler, void *y, int64_t begin,
                   int64_t end) {
    size_t element = m->element_bytes;
    int64_t columns = m->out[m->rank - 1], last = -1;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = source_row(m, row);
        char *to = (char *)y + (size_t)(row * columns) * element;
        if (at < 0)
            cr_fill(element, filler, to, columns);
        else if (at == last) /* repeated, as in enlarging */
            memcpy(to, to - (size_t)columns * element, (size_t)columns * element);
        else
            make_row(m, (const char *)x + (size_t)at * element, filler, to);
        last = at;
    }
}
