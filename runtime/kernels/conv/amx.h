#ifndef CREASE_RUNTIME_KERNELS_CONV_AMX_H
#define CREASE_RUNTIME_KERNELS_CONV_AMX_H

#include "runtime/kernels/conv/clamp.h"

/* Direct convolution on a processor's tiles of bfloat16 (Intel AMX), blocked -> blocked.
 *
 * A float is the sum of three bfloat16, its high, middle and low part, each 8 bits of what the one before
 * leaves; the middle one rounded to nearest, so that low parts have either sign. Of the nine products of the
 * parts of two floats six are summed: high with all, middle with high and middle, low with high; as Henry,
 * Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision
 * Computations" (2019), do with matrices. The others add up to 2^-23 of a product at most. Sums are float32,
 * about as near to the exact ones as those of direct.h, and do not depend on how work is split. An infinity
 * among inputs or weights gives NaN, as it may in Winograd's transforms; parts that are subnormal, as some of
 * numbers below 2^-110 are, count as 0.
 *
 * What a chunk of output pixels reads is copied with its padding, and split: for each pair of channel blocks
 * a record of 32 high, 32 middle and 32 low parts for each pixel. Pixels of a tile are records at a constant
 * distance, so rows of outputs follow each other without a break: each is as long as what its copy needs, and
 * the outputs that stand for no pixel are computed and dropped. Rows share their padding with the next one's.
 *
 * Packed weights: [output block][pair of input blocks][kd][kh][kw][channel][16 outputs], as floats. Those of
 * two output blocks are split while the first two tiles of pixels are multiplied by them, beneath the
 * products, and are kept for the other tiles of the chunk: in place of parts, half as many bytes more, only
 * floats come from memory. Chunks of three or four tiles are multiplied whole by one output block after
 * another, for which nothing need be kept. */

enum {
    CR_AMX_LANES = 16,               /* of a block, and outputs of a tile */
    CR_AMX_PIXELS = 16,              /* of a tile */
    CR_AMX_UNIT = 2 * CR_AMX_PIXELS, /* of which parts of a row have whole numbers */
    CR_AMX_CHANNELS = 2 * CR_AMX_LANES,
    CR_AMX_ROWS = 4, /* tiles of pixels, of a pass with one block of outputs */
    CR_AMX_PARTS = 3,
    CR_AMX_RECORD = CR_AMX_PARTS * CR_AMX_CHANNELS, /* numbers for a pixel: high, middle and low parts */
    CR_AMX_TILE =
        CR_AMX_CHANNELS * CR_AMX_LANES /* weights of a tap, a pair of blocks and a block of outputs */
};

/* Where a tap reads and where its weights stand, in numbers from those of the first. */
typedef struct cr_amx_tap {
    ptrdiff_t input, weights;
} cr_amx_tap;

typedef struct cr_amx_pass {
    const uint16_t *input; /* of pixel 0, the first tap and the first pair of blocks */
    const float *weights;  /* likewise, of the first block of outputs */
    ptrdiff_t pixel_step;  /* numbers from pixel to pixel */
    const cr_amx_tap *taps;
    int64_t n_taps, pairs;
    ptrdiff_t input_step, weights_step; /* numbers from pair to pair */
    ptrdiff_t block_step;               /* numbers from the weights of a block of outputs to the next */
    uint16_t *parts;                    /* of the weights: [pair][tap][block of outputs][part][CR_AMX_TILE] */
    const float *fetch;                 /* other weights, of which each tap of each pair fetches so many */
    int64_t fetch_lines;                /* cache lines */
} cr_amx_pass;

/* What the processor contributes. Nothing fails or allocates. */
typedef struct cr_amx_kernels {
    void (*begin)(void); /* before multiply is called in a thread, and after: tiles are the thread's state */
    void (*end)(void);
    /* Records of n pixels, `step` floats apart, of two blocks of which the first `channels` lanes count; the
     * second may be NULL if those are no more than the first has. Channels c and 16 + c stand side by side.
     */
    void (*split)(const float *first, const float *second, int64_t n, ptrdiff_t step, int channels,
                  uint16_t *records);
    /* Sums over all taps and pairs: [columns][rows 16 pixels][16 outputs]. rows and columns, the tiles of
     * pixels and of outputs, are 1 or 2: splits the weights to pass->parts, or finds them there. Or rows are
     * 3 or 4 and columns 1: splits them, and needs room for two steps. */
    void (*multiply)(int rows, int columns, bool splits, const cr_amx_pass *pass, float *sums);
    /* Applies an epilogue, which clamp is if it applies, to n sums of a block whose lane 0 is `channel`, and
     * stores them next to each other at output + offset. Overwrites the sums. */
    void (*finish)(const cr_epilogue *epilogue, const cr_clamp_epilogue *clamp, float *sums, int64_t n,
                   int64_t channel, int64_t offset, float *output);
    /* to = act(scale x + shift) for n vectors of one image and block, whose lane 0 is `channel`. */
    void (*transform)(const cr_prologue *prologue, int64_t image, int64_t channel, const float *from,
                      float *to, int64_t n);
} cr_amx_kernels;

/* How a convolution is cut. Chunks are parts of the rows of each output plane, or of the columns where there
 * is a single row. Of the input a chunk has planes, one for each tap along the depth; those have phases, the
 * rows with the same remainder by the stride; and each tap along the height reads rows that follow each other
 * in one of them. */
typedef struct cr_amx_plan {
    cr_conv_geometry geometry; /* with a pointwise convolution flattened to one row of pixels */
    int64_t in_blocks, in_pairs, out_blocks, out_pairs, taps;
    bool by_columns;           /* chunks are parts of a row */
    int64_t parts;             /* of an output plane */
    int64_t phases, more_rows; /* of a plane; rows of a phase beyond those of the outputs */
    int64_t source_step,
        copied_step;         /* pixels along a row from output to output: in the input, in the copy */
    int64_t widest, tallest; /* chunk */
} cr_amx_plan;

void cr_amx_make_plan(const cr_conv *conv, cr_amx_plan *plan);

/* Rows of outputs and of the copy, in chunks of so many rows and columns from column x on. */
typedef struct cr_amx_row {
    int64_t pitch;  /* outputs from row to row */
    int64_t copied; /* pixels of a row of the copy */
    int64_t lead;   /* of those: padding before what is inside the input */
    int64_t inside;
} cr_amx_row;
cr_amx_row cr_amx_row_of(const cr_amx_plan *plan, int64_t x, int64_t rows, int64_t columns);

/* Pixels past those of the last pair that tiles read for outputs that are dropped, or as padding. */
int64_t cr_amx_pixels_past(const cr_amx_plan *plan);

/* Numbers of the largest chunk's copy, with those past it. */
int64_t cr_amx_copy_numbers(const cr_amx_plan *plan);

/* What cr_conv_algorithm asks for. */
const char *cr_amx_refuses(const cr_conv *conv);
double cr_amx_cost(const cr_conv *conv);
size_t cr_amx_packed_bytes(const cr_conv *conv);
void cr_amx_pack(const cr_conv *conv, const float *weights, void *packed);
size_t cr_amx_workspace_bytes(const cr_conv *conv);
int64_t cr_amx_tasks(const cr_conv *conv);
void cr_amx_run(const cr_conv *conv, const cr_amx_kernels *kernels, const cr_conv_args *args,
                int64_t task_begin, int64_t task_end, void *workspace);

/* Only for processors that cr_cpu_has_amx(). */
extern const cr_conv_algorithm cr_conv_amx;
extern const cr_amx_kernels cr_amx_kernels_x86;

#endif
