#ifndef CREASE_RUNTIME_KERNELS_MOVE_H
#define CREASE_RUNTIME_KERNELS_MOVE_H

#include <stddef.h>
#include <stdint.h>

/* Data movement. Elements are bytes, 1, 2, 4, 8 or 16 of them, never values; strides and offsets count
 * elements. Source and destination do not overlap. Thread-safe on disjoint ranges. */

enum { CR_NEST_RANK = 32 };

/* A nest of loops that copies one element in each innermost turn; start from a zeroed one. A stride may be 0
 * (source only: a broadcast) or negative (a reversal). */
typedef struct cr_nest {
    int rank;
    int64_t n[CR_NEST_RANK], from[CR_NEST_RANK], to[CR_NEST_RANK];
} cr_nest;

/* One more loop inside those that are there, at most CR_NEST_RANK. Loops of one turn vanish and loops that
 * continue the one around them are merged with it. n >= 0. */
void cr_nest_add(cr_nest *nest, int64_t n, int64_t from, int64_t to);

/* Order the loops for speed; no loop is added afterwards. Gives the number of rows, the unit in which the
 * copy may be split; 0 when there is nothing to copy. */
int64_t cr_nest_finish(cr_nest *nest);

/* Copy rows [begin, end) of a finished nest. */
void cr_nest_copy(const cr_nest *nest, size_t element_bytes, const void *from, void *to, int64_t begin,
                  int64_t end);

/* Elements in one row of a finished nest. */
int64_t cr_nest_row(const cr_nest *nest);

/* n copies of one element. */
void cr_fill(size_t element_bytes, const void *value, void *to, int64_t n);

/* to[i] = from[index[i]], or *outside where the index is negative. */
void cr_pick(size_t element_bytes, const void *from, const int64_t *index, const void *outside, void *to,
             int64_t n);

#endif
