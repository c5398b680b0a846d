#include "runtime/kernels/move.h"

#include <stdbool.h>
#include <string.h>

void cr_nest_add(cr_nest *nest, int64_t n, int64_t from, int64_t to) {
    int last = nest->rank - 1;
    if (n == 1)
        return;
    bool continues =
        last >= 0 && n > 0 && nest->n[last] > 0 && nest->from[last] == n * from && nest->to[last] == n * to;
    if (continues) {
        nest->n[last] *= n;
    } else {
        last = nest->rank++;
        nest->n[last] = n;
    }
    nest->from[last] = from;
    nest->to[last] = to;
}

static void swap(int64_t *values, int a, int b) {
    int64_t kept = values[a];
    values[a] = values[b];
    values[b] = kept;
}

static void surround(cr_nest *nest) { /* a loop of one turn around all others */
    memmove(nest->n + 1, nest->n, (size_t)nest->rank * sizeof *nest->n);
    memmove(nest->from + 1, nest->from, (size_t)nest->rank * sizeof *nest->from);
    memmove(nest->to + 1, nest->to, (size_t)nest->rank * sizeof *nest->to);
    nest->n[0] = 1;
    nest->from[0] = nest->to[0] = nest->rank ? 0 : 1;
    nest->rank++;
}

/* The innermost loop writes along memory; where it does not read along memory too, the loop that does comes
 * next to it, so that the two make a plane to transpose in tiles. */
int64_t cr_nest_finish(cr_nest *nest) {
    int64_t rows = 1;
    while (nest->rank < 2)
        surround(nest);
    int inner = nest->rank - 1;
    for (int d = 0; d < inner - 1 && nest->from[inner] != 1; d++)
        if (nest->from[d] == 1) {
            swap(nest->n, d, inner - 1);
            swap(nest->from, d, inner - 1);
            swap(nest->to, d, inner - 1);
        }
    for (int d = 0; d < inner; d++)
        rows *= nest->n[d];
    return nest->n[inner] ? rows : 0;
}

int64_t cr_nest_row(const cr_nest *nest) {
    return nest->n[nest->rank - 1];
}

typedef struct plane {
    int64_t rows, columns, from_row, from_column, to_row, to_column;
} plane;

enum { TILE = 16 }; /* 16 rows of 16 elements of 8 bytes are 2 KB on each side */

typedef uint8_t __attribute__((may_alias)) element1;
typedef uint16_t __attribute__((may_alias)) element2;
typedef uint32_t __attribute__((may_alias)) element4;
typedef uint64_t __attribute__((may_alias)) element8;
typedef struct {
    uint64_t low, high;
} __attribute__((may_alias)) element16;

static void copy_rows(const plane *p, size_t element, const char *from, char *to) {
    for (int64_t r = 0; r < p->rows; r++)
        memcpy(to + r * p->to_row * (int64_t)element, from + r * p->from_row * (int64_t)element,
               (size_t)p->columns * element);
}

#define DEFINE_ELEMENT(T)                                                                                    \
    static void copy_tile_##T(const plane *p, const T *from, T *to, int64_t rows, int64_t columns) {         \
        for (int64_t r = 0; r < rows; r++)                                                                   \
            for (int64_t c = 0; c < columns; c++)                                                            \
                to[r * p->to_row + c * p->to_column] = from[r * p->from_row + c * p->from_column];           \
    }                                                                                                        \
    static void copy_plane_##T(const plane *p, const T *from, T *to) {                                       \
        if (p->from_row != 1) {                                                                              \
            copy_tile_##T(p, from, to, p->rows, p->columns);                                                 \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t r = 0; r < p->rows; r += TILE)                                                          \
            for (int64_t c = 0; c < p->columns; c += TILE)                                                   \
                copy_tile_##T(                                                                               \
                    p, from + r * p->from_row + c * p->from_column, to + r * p->to_row + c * p->to_column,   \
                    p->rows - r < TILE ? p->rows - r : TILE, p->columns - c < TILE ? p->columns - c : TILE); \
    }                                                                                                        \
    static void fill_##T(const void *value, T *to, int64_t n) {                                              \
        T one;                                                                                               \
        memcpy(&one, value, sizeof one);                                                                     \
        for (int64_t i = 0; i < n; i++)                                                                      \
            to[i] = one;                                                                                     \
    }                                                                                                        \
    static void pick_##T(const T *from, const int64_t *index, const void *outside, T *to, int64_t n) {       \
        T other;                                                                                             \
        memcpy(&other, outside, sizeof other);                                                               \
        for (int64_t i = 0; i < n; i++)                                                                      \
            to[i] = index[i] < 0 ? other : from[index[i]];                                                   \
    }
DEFINE_ELEMENT(element1)
DEFINE_ELEMENT(element2)
DEFINE_ELEMENT(element4)
DEFINE_ELEMENT(element8)
DEFINE_ELEMENT(element16)

/* Call verb_elementN(...) for the element's size. */
#define BY_SIZE(bytes, verb, ...)                                                                            \
    switch (bytes) {                                                                                         \
    case 1:                                                                                                  \
        verb##_element1(__VA_ARGS__);                                                                        \
        break;                                                                                               \
    case 2:                                                                                                  \
        verb##_element2(__VA_ARGS__);                                                                        \
        break;                                                                                               \
    case 4:                                                                                                  \
        verb##_element4(__VA_ARGS__);                                                                        \
        break;                                                                                               \
    case 8:                                                                                                  \
        verb##_element8(__VA_ARGS__);                                                                        \
        break;                                                                                               \
    default:                                                                                                 \
        verb##_element16(__VA_ARGS__);                                                                       \
        break;                                                                                               \
    }

static void copy_plane(const plane *p, size_t element, const void *from, void *to) {
    bool contiguous = p->from_column == 1 && p->to_column == 1;
    if (contiguous && (size_t)p->columns * element >= 32)
        copy_rows(p, element, from, to);
    else
        BY_SIZE(element, copy_plane, p, from, to);
}

void cr_nest_copy(const cr_nest *nest, size_t element, const void *from, void *to, int64_t begin,
                  int64_t end) {
    int outer = nest->rank - 2;
    int64_t rows = nest->n[outer];
    plane p = {.columns = nest->n[outer + 1],
               .from_row = nest->from[outer],
               .from_column = nest->from[outer + 1],
               .to_row = nest->to[outer],
               .to_column = nest->to[outer + 1]};
    for (int64_t row = begin; row < end; row += p.rows) {
        int64_t first = row % rows, rest = row / rows, source = first * p.from_row, target = first * p.to_row;
        for (int d = outer - 1; d >= 0; d--) {
            source += rest % nest->n[d] * nest->from[d];
            target += rest % nest->n[d] * nest->to[d];
            rest /= nest->n[d];
        }
        p.rows = rows - first < end - row ? rows - first : end - row;
        copy_plane(&p, element, (const char *)from + source * (int64_t)element,
                   (char *)to + target * (int64_t)element);
    }
}

void cr_fill(size_t element, const void *value, void *to, int64_t n) {
    BY_SIZE(element, fill, value, to, n);
}

void cr_pick(size_t element, const void *from, const int64_t *index, const void *outside, void *to,
             int64_t n) {
    BY_SIZE(element, pick, from, index, outside, to, n);
}
