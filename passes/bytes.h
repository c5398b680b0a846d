#ifndef CREASE_PASSES_BYTES_H
#define CREASE_PASSES_BYTES_H

#include "passes/lower.h"
#include "runtime/ops/bytes.h"

/* Shared by the files that turn quantised floats of the blocked layout into bytes: lower_bytes.c, which is
 * the pass, and bytes_functions.c. */

/* The values of a tensor as bytes from 0 to high. */
typedef struct cr_grid {
    cr_bytes_scaling scaling;
    int high;
} cr_grid;

/* What stands for a value of floats. */
typedef struct cr_as_bytes {
    cr_value *value;    /* the same as bytes; NULL: there is none */
    cr_grid grid;       /* of that */
    const float *table; /* NULL, or the value of each byte of `root`, which is another value's bytes */
    cr_value *root;
} cr_as_bytes;

typedef struct cr_bytes {
    cr_graph *graph; /* whose nodes are to compute on bytes */
    cr_arena *arena;
    cr_as_bytes *of; /* by id */
    size_t n;        /* values that existed when the pass began */
} cr_bytes;

bool cr_has_bytes(const cr_bytes *bytes, const cr_value *value);
/* Whether the last thing that a node does to its result is to quantise it to a grid. */
crease_status cr_quantises(const cr_node *node, cr_grid *grid, bool *does) CREASE_MUST_TEST;
/* Bytes for a value that its producer quantises, made by ToBytes if there are none yet; *has false: they
 * cannot be.
 */
crease_status cr_need_bytes(cr_bytes *bytes, cr_value *value, bool *has) CREASE_MUST_TEST;
/* A new node of ours in front of `before`, whose output is bytes in the shape and with the name of `like`. */
crease_status cr_add_bytes_node(cr_node *before, const char *op, cr_value *const *inputs, int n,
                                const cr_value *like, cr_value **fresh) CREASE_MUST_TEST;
/* The same, and those are the bytes of `value`. */
crease_status cr_add_bytes(cr_bytes *bytes, cr_node *before, const char *op, cr_value *const *inputs, int n,
                           const cr_value *value, const cr_grid *grid) CREASE_MUST_TEST;

/* passes/bytes_functions.c: gives bytes to what a node computes of bytes element by element, or joins. */
crease_status cr_bytes_of_functions(cr_bytes *bytes, cr_node *node) CREASE_MUST_TEST;

#endif
