#ifndef CREASE_RUNTIME_KERNELS_CONV_CONV_H
#define CREASE_RUNTIME_KERNELS_CONV_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/kernels/activation.h"

/* Convolution (ONNX Conv), float32: what every algorithm is told and what it must do.
 *
 * A convolution of rank 1, 2 or 3 is written as rank 3 with leading extents of 1. Geometry is resolved:
 * auto_pad is gone, output extents are given, so end pads are implied by them.
 *
 * Two memory layouts exist:
 *   plain    [N][C][D][H][W]
 *   blocked  [N][ceil(C / L)][D][H][W][L], L = lanes of the kernel table in use (4, 8 or 16).
 *            Lanes past C hold finite values that nothing may depend on; weights for them are packed as zero.
 * Buffers are aligned to 64 bytes unless they belong to the caller of the library; kernels use unaligned
 * loads. */

enum { CR_D, CR_H, CR_W, CR_CONV_RANK };

typedef struct cr_conv_geometry {
    int64_t n, groups;
    int64_t ic, oc; /* all channels, both divisible by groups */
    int64_t in[CR_CONV_RANK], out[CR_CONV_RANK], kernel[CR_CONV_RANK];
    int64_t stride[CR_CONV_RANK], dilation[CR_CONV_RANK], pad[CR_CONV_RANK]; /* pad: at the begin */
} cr_conv_geometry;

/* y = act_after(act(acc + bias) + residual); each part optional. Applied in registers, before the only store.
 */
typedef struct cr_epilogue {
    const float *bias;     /* [oc rounded up to lanes], or NULL */
    cr_activation act;     /* before the residual */
    const float *residual; /* layout and shape of the output, may be the output itself; or NULL */
    cr_activation act_after;
} cr_epilogue;

/* x' = act(scale[c] x + shift[c]) as the input is read; padding taps stay 0 (the padding belongs to the
 * convolution, not to the affine). scale and shift are [n or 1][ic rounded up to lanes]; shift NULL: zeros,
 * scale NULL: no prologue. */
typedef struct cr_prologue {
    const float *scale, *shift;
    int64_t batch_stride; /* floats from one batch item's scale and shift to the next; 0: shared */
    cr_activation act;
} cr_prologue;

typedef struct cr_conv {
    cr_conv_geometry geometry;
    bool transposed;                    /* ONNX ConvTranspose, see below */
    int lanes;                          /* of the blocked side(s); 0: both sides plain */
    bool input_blocked, output_blocked; /* a stem reads plain and writes blocked */
    bool has_prologue;
    bool has_residual;
    bool has_border_bias;
    bool exact; /* refuse algorithms that do not sum products of floats (Winograd, AMX) */
    int threads;
    double memory_rate; /* bytes that a core gets from memory in a cycle, for cost(); 0: this processor's */
    double byte_cost;   /* of packed weights, in the units of cost(): what a byte must save to be worth it */
} cr_conv;

/* What bytes from memory cost, in the units of cost(). */
double cr_conv_memory_cost(const cr_conv *conv, double bytes);

/* Transposed: output o of an axis sums over the inputs i and taps t with i stride + t dilation - pad = o. in
 * and out are the extents of the operator's input and output, output_padding and end pads are implied by the
 * latter; weights are [ic][oc/groups][kd][kh][kw]. There is no border bias, and the functions under
 * "geometry" are not for it. */

typedef struct cr_conv_args {
    const float *input;
    const void *packed; /* what pack() wrote */
    float *output;
    const cr_epilogue *epilogue;
    const cr_prologue *prologue; /* NULL: none */
    /* Border correction: replaces epilogue->bias. [cr_conv_border_rows][oc rounded up to lanes], a row for
     * each border class of an output pixel; NULL: none. */
    const float *border_bias;
    /* [n][blocks][depth][height][L]: the mean of each row of the output, in the blocked layout; NULL: not
     * wanted. Only of algorithms that have row_means. */
    float *row_means;
} cr_conv_args;

/* ---- geometry ---- */

int64_t cr_conv_volume(const int64_t extents[CR_CONV_RANK]); /* their product */

/* Whether each output pixel reads the input pixel at its own place and no other. Then flattening makes one
 * row of all pixels; other geometries stay. */
bool cr_conv_is_pointwise(const cr_conv_geometry *geometry);
void cr_conv_flatten(cr_conv_geometry *geometry);

/* The taps [*begin, *end) of an axis that read inside the input for an output position; empty if none does.
 */
void cr_conv_taps(const cr_conv_geometry *geometry, int axis, int64_t out, int64_t *begin, int64_t *end);

/* The other way about: the output positions [*begin, *end) for which a tap reads inside the input. Neither
 * end grows with the tap. */
void cr_conv_reach(const cr_conv_geometry *geometry, int axis, int64_t tap, int64_t *begin, int64_t *end);

/* Output positions of an axis that see the same taps form a border class: numbered from 0 in order of
 * position, below cr_conv_border_classes (some numbers may stay unused). The class of a pixel, the row of its
 * border bias, is (class_d classes_h + class_h) classes_w + class_w. */
int64_t cr_conv_border_class(const cr_conv_geometry *geometry, int axis, int64_t out);
int64_t cr_conv_border_classes(const cr_conv_geometry *geometry, int axis);
int64_t cr_conv_border_rows(const cr_conv_geometry *geometry);
int64_t cr_conv_border_row(const cr_conv_geometry *geometry, int64_t d, int64_t y, int64_t x);

/* Fills the rows of cr_conv_args.border_bias: bias[o] + the sum of tap_sums[o][tap] over the taps inside, in
 * double. For Conv(s x + t) with zero padding tap_sums[o][tap] = sum over i of W[o][i][tap] t[i]: the
 * affine's shift as each output pixel sees it. tap_sums is [oc][kd][kh][kw]; bias is [oc] or NULL; channels
 * past oc get 0. */
void cr_conv_border_bias(const cr_conv_geometry *geometry, int lanes, const float *bias,
                         const float *tap_sums, float *rows);

/* ---- threads ---- */

/* How threads share maps, in every layer alike, so that a thread finds in its own caches what it wrote in the
 * layer before: fetching that from another core's takes as long as much of the arithmetic. Where the planes
 * of channel blocks are large, a thread has the same rows of all; small planes are dealt out whole, since the
 * prefetchers of two cores would fight about what lies around each border. */

/* The least number of equal parts of an image such that the parts of n images, counted one image after
 * another, are equally many for all threads. */
int64_t cr_conv_shares(int64_t n, int threads);

/* How many strips of rows the planes of n images are cut into: cr_conv_shares, or 1 for small planes. Tasks
 * are numbered (image, strip, channel block). */
int64_t cr_conv_strips(int64_t n, int64_t rows, int64_t row_bytes, int threads);

/* ---- algorithms ---- */

/* One algorithm. Rows stand in an ordered list; the cost model picks among those that accept.
 * All functions are pure; run() is called concurrently for disjoint task ranges with one workspace per
 * thread, and gives the same bits however the range is split. Numbers only: no allocation, no failure, no CPU
 * test inside. */
typedef struct cr_conv_algorithm {
    const char *name;
    /* NULL: accepted; otherwise why not, a constant string for the report. */
    const char *(*refuses)(const cr_conv *conv);
    /* Predicted time in arbitrary but common units: cycles of one core at peak. */
    double (*cost)(const cr_conv *conv);
    /* Bytes of packed weights; pack() fills them from weights [oc][ic/groups][kd][kh][kw], or transposed
     * [ic][oc/groups][kd][kh][kw]. Packing depends on the weights, channel counts, groups, kernel extents and
     * strides only, never on input extents, so packed weights survive a change of input shape. */
    size_t (*packed_bytes)(const cr_conv *conv);
    void (*pack)(const cr_conv *conv, const float *weights, void *packed);
    /* Bytes of workspace for each thread. */
    size_t (*workspace_bytes)(const cr_conv *conv);
    int64_t (*tasks)(const cr_conv *conv);
    void (*run)(const cr_conv *conv, const cr_conv_args *args, int64_t task_begin, int64_t task_end,
                void *workspace);
    bool row_means; /* run() can give them: of rows that are in the nearest cache when it finishes them */
} cr_conv_algorithm;

/* Plain loops in double for every layout, geometry and option: the judge of the others and the last of every
 * list. */
extern const cr_conv_algorithm cr_conv_reference;

#endif
