#ifndef CREASE_RUNTIME_KERNELS_BLOCKED_BLOCKED_H
#define CREASE_RUNTIME_KERNELS_BLOCKED_BLOCKED_H

#include "runtime/base/cpu.h"
#include "runtime/kernels/conv/conv.h"

/* Kernels on the blocked layout [n][ceil(channels / L)][pixels][L] (see conv/conv.h) other than convolution,
 * float32.
 *
 * Work is a range of units of the output, so that callers can split it; any split gives the same bits:
 *   vector  one pixel of one channel block, numbered (n blocks + block) pixels + pixel
 *   line    one output row of one channel block, numbered ((n blocks + block) depth + z) height + y
 *   plane   one channel block of one image, numbered n blocks + block
 * No kernel allocates, fails or depends on lanes past the channels of its inputs. Those of its output are
 * finite wherever those of the inputs are. Input and output do not overlap, except that they may be the same
 * buffer where it is said. Where several NaN or a NaN and a number compete for max and min, which one wins is
 * not specified. */

typedef struct cr_blocked_shape {
    int64_t n, channels, pixels; /* pixels: over all spatial axes */
    int lanes;
} cr_blocked_shape;

int64_t cr_blocked_blocks(const cr_blocked_shape *shape); /* channel blocks of an image */
int64_t
cr_blocked_vectors(const cr_blocked_shape *shape); /* how many units of that kind; times lanes: floats */

/* ---- pooling: ONNX MaxPool, AveragePool, GlobalAveragePool ---- */

typedef struct cr_pooling {
    cr_conv_geometry
        geometry; /* n, ic = channels; groups and oc are not read. ceil_mode is in the output extents */
    int64_t pad_end[CR_CONV_RANK];
    bool count_include_pad;
    int lanes;
} cr_pooling;

int64_t cr_pooling_lines(const cr_pooling *pool);

/* ---- elementwise ---- */

typedef enum cr_binary_op {
    CR_BINARY_ADD,
    CR_BINARY_SUB,          /* a - b */
    CR_BINARY_SUB_REVERSED, /* b - a */
    CR_BINARY_MUL,
    CR_BINARY_MAX,
    CR_BINARY_MIN,
    CR_BINARY_OP_COUNT
} cr_binary_op;

typedef enum cr_operand {
    CR_OPERAND_SAME,     /* shape and layout of a */
    CR_OPERAND_CHANNELS, /* one value for each channel: rows of [channels rounded up to lanes], see
                            batch_stride */
    CR_OPERAND_PIXELS,   /* one value for each pixel: [n or 1][pixels], plain */
    CR_OPERAND_SCALAR,   /* b[0] */
    CR_OPERAND_COUNT
} cr_operand;

typedef struct cr_binary {
    cr_binary_op op;
    cr_operand operand;
    const float *b;
    int64_t batch_stride; /* CHANNELS, PIXELS: floats from the values of one image to the next; 0: shared */
    cr_activation act;    /* of the result */
} cr_binary;

/* ---- rearrangement ---- */

/* Output channel c is channel map[c].channel of sources[map[c].source]: concatenation, slices, splits,
 * shuffles and any other choice of channels, with images and pixels as they are. Lanes past the channels
 * become 0. */
typedef struct cr_channel_source {
    const float *data; /* blocked */
    int64_t channels;
} cr_channel_source;

typedef struct cr_channel_ref {
    int32_t source;
    int32_t channel;
} cr_channel_ref;

typedef struct cr_channel_gather {
    cr_blocked_shape shape; /* of the output */
    const cr_channel_source *sources;
    const cr_channel_ref *map; /* [channels] */
} cr_channel_gather;

/* Output pixel (z, y, x) is input pixel (index[CR_D][z], index[CR_H][y], index[CR_W][x]), or `fill` if one of
 * them is negative: nearest resize, padding of any mode, crops, steps and flips. */
typedef struct cr_pixel_gather {
    int64_t n, channels;
    int lanes;
    int64_t in[CR_CONV_RANK], out[CR_CONV_RANK];
    const int32_t *index[CR_CONV_RANK]; /* [out], each below in */
    float fill;
} cr_pixel_gather;

/* Linear interpolation along every axis: x -> (1 - weight) x[low] + weight x[high]. */
typedef struct cr_linear_axis {
    const int32_t *low, *high; /* [out], each in [0, in) */
    const float *weight;       /* [out] */
} cr_linear_axis;

typedef struct cr_linear_resize {
    int64_t n, channels;
    int lanes;
    int64_t in[CR_CONV_RANK], out[CR_CONV_RANK];
    cr_linear_axis axis[CR_CONV_RANK];
} cr_linear_resize;

/* ---- the table ---- */

typedef struct cr_blocked_kernels {
    int lanes;

    /* Lines. A window without a pixel gives minus infinity, as in pool.h. */
    void (*max_pool)(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end);
    /* Lines. The sum in order of the taps, times the reciprocal of the count: 2 ulp beyond the sum. A window
     * without a pixel gives 0. */
    void (*average_pool)(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end);
    /* Planes; output [n][blocks][1][L]. Summed in several chains and steps: some 2 ulp of the mean magnitude.
     */
    void (*global_average)(const cr_blocked_shape *shape, const float *in, float *out, int64_t begin,
                           int64_t end);

    /* Vectors; in place allowed: act(x); act(scale x + shift); act(a op b), in place of either operand of
     * that shape. */
    void (*activate)(const cr_blocked_shape *shape, const cr_activation *act, const float *in, float *out,
                     int64_t begin, int64_t end);
    void (*affine)(const cr_blocked_shape *shape, const cr_prologue *affine, const float *in, float *out,
                   int64_t begin, int64_t end);
    void (*binary)(const cr_blocked_shape *shape, const cr_binary *binary, const float *a, float *out,
                   int64_t begin, int64_t end);

    /* Vectors of the blocked side. Lanes past the channels become 0. */
    void (*to_blocked)(const cr_blocked_shape *shape, const float *plain, float *blocked, int64_t begin,
                       int64_t end);
    void (*to_plain)(const cr_blocked_shape *shape, const float *blocked, float *plain, int64_t begin,
                     int64_t end);

    /* Vectors of the output. */
    void (*gather_channels)(const cr_channel_gather *gather, float *out, int64_t begin, int64_t end);
    /* Lines. */
    void (*gather_pixels)(const cr_pixel_gather *gather, const float *in, float *out, int64_t begin,
                          int64_t end);
    void (*resize_linear)(const cr_linear_resize *resize, const float *in, float *out, int64_t begin,
                          int64_t end);
} cr_blocked_kernels;

/* The kernels of an instruction set; NULL for CR_ISA_PLAIN and sets that this build has none for. */
const cr_blocked_kernels *cr_blocked(cr_isa isa);

/* Plain loops for any number of lanes; its `lanes` is 0. The judge of the others. */
extern const cr_blocked_kernels cr_blocked_reference;

extern const cr_blocked_kernels cr_blocked_generic, cr_blocked_avx2, cr_blocked_avx512, cr_blocked_neon;

/* max_pool of bytes, of whatever instruction set the file is compiled for. A window without a pixel gives 0.
 */
enum { CR_POOL_BYTES_LANES = 16 };
void cr_max_pool_bytes(const cr_pooling *pool, const uint8_t *in, uint8_t *out, int64_t begin, int64_t end);

#endif
