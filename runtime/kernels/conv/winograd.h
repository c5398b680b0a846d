#ifndef CREASE_RUNTIME_KERNELS_CONV_WINOGRAD_H
#define CREASE_RUNTIME_KERNELS_CONV_WINOGRAD_H

#include "runtime/kernels/conv/conv.h"

/* Winograd's minimal filtering, blocked -> blocked, any padding and size.
 *
 *     Y = A' [ sum over channels of (G g G') * (B' d B) ] A
 *
 * of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015): a tile of outputs is a
 * transform of element-wise products of transformed filters and transformed inputs. The products of each
 * element are a matrix product over channels. Each axis has a scheme of its own, so A, B and G are those of
 * one axis and act on rows and columns in turn.
 *
 * Two things are more general than in the paper. A filter can be cut into pieces, each with inputs of its
 * own: the even and the odd taps of stride 2, which meet the even and the odd inputs, or two parts of a long
 * filter. And where pieces need a column of A in common, their products are summed in one element, as further
 * terms of its matrix product; so an axis has more terms (rows of B' and G) than points (columns of A').
 *
 *   scheme     outputs  taps  stride  terms  points
 *   F1_1         1       1      1       1    the axis is left alone, for filters of one dimension
 *   F2_3         2       3      1       4    0, 1, -1, infinity
 *   F4_3         4       3      1       6    0, 2/3, -2/3, 3/2, -3/2, infinity
 *   F2_5         2       5      1       6    the same
 *   F3_7         3       7      1      11    the same; taps 0 to 3 on all, 4 to 6 on the finite points
 *   F2_3_S2      2       3      2       5    0, 1, infinity; the odd tap on 0 and infinity
 *   F4_3_S2      4       3      2       9    0, 3/4, -3/4, 2, infinity; the odd tap on all but 2
 *
 * Points: rounding errors grow with the spread of the powers of the points. Among 0, a, -a, b, -b and
 * infinity, whose transforms share even and odd parts, a = 2/3 and b = 1 / a leave 0.45 times the error (root
 * of mean squares; 0.25 times the largest) of Lavin and Gray's 1 and 2 for a few operations more in A';
 * compare Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
 * Networks" (2018), and Alam et al., "Winograd Convolution for Deep Neural Networks: Efficient Point
 * Selection" (2022). Those of F4_3_S2 were found in the same way.
 *
 * Filters are transformed in double and rounded once (those that are kept as taps in float, each time, which
 * adds up to a third of the error). The error relative to the largest output, measured on
 * random data of 64 to 512 channels, is 1e-6 to 3e-6 for F4_3 and F2_5 in two dimensions, 2e-6 to 5e-6 for
 * F4_3_S2, 1e-6 to 2e-6 in one dimension and about 1e-6 for the others; direct summation has 0.5e-6 to 2e-6.
 */
typedef enum cr_winograd_scheme {
    CR_F1_1,
    CR_F2_3,
    CR_F4_3,
    CR_F2_5,
    CR_F3_7,
    CR_F2_3_S2,
    CR_F4_3_S2,
    CR_WINOGRAD_SCHEMES
} cr_winograd_scheme;

enum {
    CR_WINOGRAD_MAX_OUTPUTS = 4,
    CR_WINOGRAD_MAX_TAPS = 7,
    CR_WINOGRAD_MAX_INPUTS = 9,
    CR_WINOGRAD_MAX_TERMS = 11,
    CR_WINOGRAD_MAX_POINTS = 6,
    /* of both axes */
    CR_WINOGRAD_MAX_ALL_TAPS = 25,
    CR_WINOGRAD_MAX_ALL_INPUTS = 81,
    CR_WINOGRAD_MAX_ALL_TERMS = 81,
    CR_WINOGRAD_MAX_ALL_POINTS = 36
};

typedef struct cr_winograd_axis {
    int outputs, taps, stride, inputs; /* inputs = (outputs - 1) stride + taps */
    int points;
    int term[CR_WINOGRAD_MAX_POINTS + 1]; /* point p sums terms [term[p], term[p + 1]) */
} cr_winograd_axis;

static const cr_winograd_axis cr_winograd_axes[CR_WINOGRAD_SCHEMES] = {
    [CR_F1_1] = {1, 1, 1, 1, 1, {0, 1}},
    [CR_F2_3] = {2, 3, 1, 4, 4, {0, 1, 2, 3, 4}},
    [CR_F4_3] = {4, 3, 1, 6, 6, {0, 1, 2, 3, 4, 5, 6}},
    [CR_F2_5] = {2, 5, 1, 6, 6, {0, 1, 2, 3, 4, 5, 6}},
    [CR_F3_7] = {3, 7, 1, 9, 6, {0, 2, 4, 6, 8, 10, 11}},
    [CR_F2_3_S2] = {2, 3, 2, 5, 3, {0, 2, 3, 5}},
    [CR_F4_3_S2] = {4, 3, 2, 9, 5, {0, 2, 4, 6, 7, 9}},
};

/* G: [term][tap]. */
extern const double cr_winograd_filters[CR_WINOGRAD_SCHEMES][CR_WINOGRAD_MAX_TERMS][CR_WINOGRAD_MAX_TAPS];

/* What an algorithm keeps of the filters: their terms, which are up to four times as many (nine with stride
 * 2), or the taps as they are, whose terms it computes in float as often as it needs them. That is for few
 * tiles, which spend more time on fetching terms from memory than on computing with them, and for little
 * memory. */
typedef enum cr_winograd_packs { CR_PACKS_TERMS, CR_PACKS_TAPS } cr_winograd_packs;

/* An algorithm on an instruction set. */
typedef struct cr_winograd {
    cr_winograd_scheme y, x;
    cr_winograd_packs packs;
    int micro_rows; /* of the register tile */
} cr_winograd;

static inline int cr_winograd_terms(const cr_winograd_axis *axis) {
    return axis->term[axis->points];
}

/* Floats of what is packed for one input channel and one output channel. */
static inline int64_t cr_winograd_packed_terms(const cr_winograd *winograd) {
    const cr_winograd_axis *y = &cr_winograd_axes[winograd->y], *x = &cr_winograd_axes[winograd->x];
    return winograd->packs == CR_PACKS_TAPS ? y->taps * x->taps : cr_winograd_terms(y) * cr_winograd_terms(x);
}

/* How a convolution is cut. Tiles are numbered over (n, y, x); a chunk of them is transformed, multiplied and
 * transformed back while it stays in the second-level cache. An element is a pair of points, and has as many
 * terms as pairs of theirs. */
typedef struct cr_winograd_plan {
    const cr_winograd_axis *y, *x;
    int elements, terms; /* of a tile */
    int64_t tiles_y, tiles_x, tiles;
    int64_t in_blocks, out_blocks;
    int64_t out_groups;    /* pairs of output blocks, the last may be single */
    int64_t chunk, chunks; /* tiles in a chunk; every chunk but the last is full */
    int64_t splits;        /* tasks a chunk is cut into by output groups; each transforms the input anew */
    int64_t slab; /* input channels whose terms are computed at a time: all, or a multiple of lanes */
} cr_winograd_plan;

void cr_winograd_make_plan(const cr_conv *conv, const cr_winograd *winograd, cr_winograd_plan *plan);

/* What cr_conv_algorithm asks for, common to all instruction sets. */
const char *cr_winograd_refuses(const cr_conv *conv, const cr_winograd *winograd);
double cr_winograd_cost(const cr_conv *conv, const cr_winograd *winograd);
size_t cr_winograd_packed_bytes(const cr_conv *conv, const cr_winograd *winograd);
size_t cr_winograd_workspace_bytes(const cr_conv *conv, const cr_winograd *winograd);
int64_t cr_winograd_tasks(const cr_conv *conv, const cr_winograd *winograd);

/* Of an algorithm that packs taps: floats from one term of a slab's filters to the next, likewise. */
int64_t cr_winograd_term_floats(const cr_conv *conv, const cr_winograd_plan *plan);

/* Floats of an element of so many terms of the transformed input of a chunk; of an element of the products:
 * one vector more than the data, so that the elements of a tile never share a cache set. */
int64_t cr_winograd_input_floats(const cr_conv *conv, const cr_winograd_plan *plan, int terms);
int64_t cr_winograd_product_floats(const cr_conv *conv, const cr_winograd_plan *plan);

/* X(about, row, scheme of y, scheme of x, what it packs) for each algorithm; the row is its name too. */
#define CR_WINOGRAD_ROWS(X, about)                                                                           \
    X(about, winograd2, CR_F2_3, CR_F2_3, CR_PACKS_TERMS)                                                    \
    X(about, winograd4, CR_F4_3, CR_F4_3, CR_PACKS_TERMS)                                                    \
    X(about, winograd_5x5, CR_F2_5, CR_F2_5, CR_PACKS_TERMS)                                                 \
    X(about, winograd_1x3, CR_F1_1, CR_F4_3, CR_PACKS_TERMS)                                                 \
    X(about, winograd_3x1, CR_F4_3, CR_F1_1, CR_PACKS_TERMS)                                                 \
    X(about, winograd_1x7, CR_F1_1, CR_F3_7, CR_PACKS_TERMS)                                                 \
    X(about, winograd_7x1, CR_F3_7, CR_F1_1, CR_PACKS_TERMS)                                                 \
    X(about, winograd2_s2, CR_F2_3_S2, CR_F2_3_S2, CR_PACKS_TERMS)                                           \
    X(about, winograd4_s2, CR_F4_3_S2, CR_F4_3_S2, CR_PACKS_TERMS)                                           \
    X(about, winograd2_taps, CR_F2_3, CR_F2_3, CR_PACKS_TAPS)                                                \
    X(about, winograd4_taps, CR_F4_3, CR_F4_3, CR_PACKS_TAPS)                                                \
    X(about, winograd2_s2_taps, CR_F2_3_S2, CR_F2_3_S2, CR_PACKS_TAPS)                                       \
    X(about, winograd4_s2_taps, CR_F4_3_S2, CR_F4_3_S2, CR_PACKS_TAPS)

#define CR_WINOGRAD_DECLARE(suffix, row, y, x, packs) extern const cr_conv_algorithm cr_conv_##row##_##suffix;
CR_WINOGRAD_ROWS(CR_WINOGRAD_DECLARE, generic)
CR_WINOGRAD_ROWS(CR_WINOGRAD_DECLARE, avx2)
CR_WINOGRAD_ROWS(CR_WINOGRAD_DECLARE, avx512)
CR_WINOGRAD_ROWS(CR_WINOGRAD_DECLARE, neon)

#endif
