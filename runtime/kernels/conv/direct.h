#ifndef CREASE_RUNTIME_KERNELS_CONV_DIRECT_H
#define CREASE_RUNTIME_KERNELS_CONV_DIRECT_H

#include "runtime/kernels/conv/conv.h"

/* Direct convolution into the blocked layout, from blocked ("direct") or plain input ("stem").
 *
 * The work is cut into tiles: neighbouring output pixels times one to three blocks of output channels, whose
 * sums stay in registers while a tile function runs over input channels and taps, broadcasting inputs against
 * vectors of weights. Taps that fall on padding are never computed: where the pixels of a tile see different
 * taps, the taps are cut into passes, each a box of taps that reach the same pixels, and the sums wait in
 * memory between passes. Plain input, whose passes would be short, is copied with its padding instead. So are
 * the pixels that a 1x1 kernel with strides reads: apart they fill a part of the caches' sets only.
 *
 * Where the output channels fill at most half of their last block, neighbouring pixels of a pointwise
 * convolution share its vector: the weights of that half stand in both. What ends up in the lanes past the
 * channels is finite, as conv.h asks.
 *
 * Packed weights: [output tile][input block][kd][kh][kw][lane of the input][lane of the output tile]. Groups
 * are blocks on the diagonal: an output tile is multiplied by the input blocks that its groups read (its
 * span), with zero weights between channels of different groups.
 *
 * Planning is plain C, shared by all instruction sets (direct.c, direct_input.c, direct_run.c,
 * direct_walk.c); what differs is a cr_direct_kernels. */

enum { CR_DIRECT_MAX_PIXELS = 14, CR_DIRECT_MAX_LANES = 16, CR_DIRECT_TILE_BLOCKS = 3 };

/* Where a tap reads and where its weights stand, in floats from those of the pass's first tap. */
typedef struct cr_direct_tap {
    ptrdiff_t input, weights;
    ptrdiff_t ahead; /* floats from its input to that of the next tile, which is fetched; 0: it is not */
} cr_direct_tap;

typedef struct cr_direct_pass {
    const float *input;      /* first tap of pixel 0, lane 0 of the first block of the span */
    const float *weights;    /* likewise */
    const ptrdiff_t *pixels; /* floats from the input of pixel 0 to that of pixel i */
    const ptrdiff_t *slots;  /* pixel i is pixel slots[i] of the tile */
    const cr_direct_tap *taps;
    int64_t n_taps;
    int64_t input_blocks;
    ptrdiff_t input_step, weights_step; /* floats from block to block */
    int64_t lanes;                      /* that every tap reads of a block, from lane 0 on, but for: */
    int64_t first_lane, last_lanes;     /* the first lane of the first block, the end of lanes in the last */
    const float *fetch, *fetch_end;     /* other weights, of which each tap of each block fetches some: */
    int64_t fetch_lines;                /* cache lines of them, until they end */
    const float *factors; /* scaling: of the lanes of the span, by which weights are multiplied */
    float *scaled;        /* likewise: where the weights then go, all that are read */
    /* Transforming: what is read is max(factor x + shift, floor), of the lanes of the span, and goes to
     * `kept`, which is as input and input_step are for the tiles that follow. */
    const float *shifts;
    float *kept;
    ptrdiff_t kept_step;
    float floor;

    /* Sums before the pass, slot s and output block b at start + s start_slot + b start_block. */
    const float *start;
    ptrdiff_t start_slot; /* 0: all pixels start from the same, the bias */
    ptrdiff_t start_block;
    /* Sums after it, slot s and output block b at sums + (b slots + s) L; or NULL: finish. */
    float *sums;

    /* To finish: y = min(max(sum + residual, low), high). Pixels and slots are the same then. */
    float *output;           /* of pixel 0 */
    const float *residual;   /* likewise, or NULL */
    const ptrdiff_t *places; /* floats from the output of pixel 0 to that of pixel i */
    ptrdiff_t place_step;    /* from one to the next, of pixels at a constant distance */
    ptrdiff_t output_block;
    ptrdiff_t output_ahead; /* floats to the output of the next tile, which is fetched; 0: it is not */
    float low, high;

    /* As many of these one after another: more than 1 only to finish, and not of pixels apart. */
    int64_t tiles;
    ptrdiff_t next_input, next_output; /* floats from one to the next */
} cr_direct_pass;

/* Moves fetch on, and input, output and residual if there are several tiles. */
typedef void cr_direct_tile(cr_direct_pass *pass);

/* Tile functions: for pixels anywhere, and for those at a constant distance: pixels[i] = i L or, of stride 2,
 * 2 i L; of plain input i or 2 i. Pointwise is together, with a single tap, first_lane 0 and start_slot 0;
 * halved is pointwise, for a tile whose last block is (cr_direct_plan.halved). An instruction set may have
 * none. Scaling and transforming are pointwise: out of scaling, of several pixels, weights come scaled for
 * the tiles that follow, out of transforming the input for the output tiles that follow. Those for plain
 * input are for some sizes only, the most pixels among them; of the others there is none. */
enum {
    CR_DIRECT_APART,
    CR_DIRECT_TOGETHER,
    CR_DIRECT_SKIPPING,
    CR_DIRECT_POINTWISE,
    CR_DIRECT_HALVED,
    CR_DIRECT_SCALING,
    CR_DIRECT_TRANSFORMING,
    CR_DIRECT_PLAIN,
    CR_DIRECT_PLAIN_SKIPPING,
    CR_DIRECT_KINDS
};

/* What an instruction set contributes. */
typedef struct cr_direct_kernels {
    int lanes;
    int slots;                              /* the most pixels of a tile */
    int tile_pixels[CR_DIRECT_TILE_BLOCKS]; /* the most where the largest tiles have so many blocks */
    double wide_work[2]; /* the work of a block among three over that among two: where tiles run through a
                            plane from row to row, and where they are cut from rows, which may be short */
    cr_direct_tile *const (*tiles[CR_DIRECT_KINDS])[CR_DIRECT_TILE_BLOCKS]; /* [pixels - 1][blocks - 1] */
    /* Applies an epilogue (its bias apart) to n vectors of sums of one block, whose lane 0 is `channel`, and
     * stores them at output + offset. Overwrites the sums. */
    void (*finish)(const cr_epilogue *epilogue, float *sums, int64_t n, int64_t channel, int64_t offset,
                   float *output);
    /* to = act(scale x + shift) for n vectors of one image and block, whose lane 0 is `channel`. */
    void (*transform)(const cr_prologue *prologue, int64_t image, int64_t channel, const float *from,
                      float *to, int64_t n);
    /* to = the weights of an input block and an output tile of so many blocks, [taps][L][blocks L], each lane
     * of the input times its factor. */
    void (*scale)(const float *factors, int64_t taps, int64_t blocks, const float *from, float *to);
} cr_direct_kernels;

/* An extent cut into parts that differ by one at most, the longer ones first. */
typedef struct cr_direct_cut {
    int64_t parts, size, longer; /* `longer` parts have size + 1 */
} cr_direct_cut;

/* Where the output pixels stand in the tensor: pixel i of an axis at first + i step of `extents`. Only the
 * phases of a transposed convolution leave gaps. */
typedef struct cr_direct_outputs {
    int64_t extents[CR_CONV_RANK], first[CR_CONV_RANK], step[CR_CONV_RANK];
} cr_direct_outputs;

/* Where weights stand before they are packed: floats from a group, an output channel of a group and an input
 * channel of a group to the next; along an axis tap i is tap first + i step of `kernel`. */
typedef struct cr_direct_weights {
    const float *data;
    int64_t group, output, input;
    int64_t kernel[CR_CONV_RANK], first[CR_CONV_RANK], step[CR_CONV_RANK];
} cr_direct_weights;

/* How a convolution is cut. Packing depends on the first part only. */
typedef struct cr_direct_plan {
    const cr_direct_kernels *kernels;
    int64_t in_lanes; /* of an input block: L, or 1 for plain input */
    int64_t in_blocks, out_blocks;
    int64_t taps;
    cr_direct_cut output_tiles; /* of output blocks */
    int64_t tile_blocks;        /* of the largest */
    bool halved;                /* the last block of the last tile, see above */
    int64_t span_blocks;        /* the widest span */
    int64_t block_weights;      /* floats of packed weights for each output block */

    cr_conv_geometry geometry; /* with a pointwise convolution flattened to one row of pixels */
    cr_direct_outputs outputs;
    cr_direct_cut rows, columns; /* of an output plane into tiles: whole rows, or parts of one row */
    int64_t pixel_tiles;         /* of an image */
    int64_t chunks;              /* the pixel tiles of an image are cut evenly into as many */
    bool padded;                 /* plain input is read from a copy of the chunk's part with its padding */
    bool gathered;           /* of the pixels that a 1x1 kernel with strides reads a copy is made, for each
                                chunk, and `geometry` is that of the copy */
    cr_conv_geometry source; /* the geometry before that */
} cr_direct_plan;

/* Part i of an extent. */
void cr_direct_part(const cr_direct_cut *cut, int64_t i, int64_t *begin, int64_t *end);

void cr_direct_make_plan(const cr_conv *conv, const cr_direct_kernels *kernels, cr_direct_plan *plan);

/* The input channels that an output tile reads. */
typedef struct cr_direct_span {
    int64_t begin, end; /* channels */
    int64_t first_block, blocks;
} cr_direct_span;
cr_direct_span cr_direct_span_of(const cr_conv_geometry *geometry, const cr_direct_plan *plan,
                                 int64_t output_tile);

/* The output pixels of tiles [begin, end), as the smallest box; and the input that they read, with the
 * padding among it if the plan is padded. */
typedef struct cr_direct_box {
    int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK];
} cr_direct_box;
cr_direct_box cr_direct_tile_box(const cr_direct_plan *plan, int64_t begin, int64_t end);
void cr_direct_next_tile(const cr_direct_plan *plan,
                         cr_direct_box *tile); /* box of one tile to that of the next */
cr_direct_box cr_direct_input_box(const cr_direct_plan *plan, const cr_direct_box *output);

/* As cr_direct_pack and cr_direct_run below, for other weights and outputs than usual. */
void cr_direct_pack_weights(const cr_conv *conv, const cr_direct_kernels *kernels,
                            const cr_direct_weights *weights, float *packed);
void cr_direct_run_plan(const cr_direct_plan *plan, const cr_conv_args *args, int64_t task_begin,
                        int64_t task_end, void *workspace);

/* What cr_conv_algorithm asks for. */
const char *cr_direct_refuses(const cr_conv *conv, const cr_direct_kernels *kernels);
const char *cr_stem_refuses(const cr_conv *conv, const cr_direct_kernels *kernels);
double cr_direct_cost(const cr_conv *conv, const cr_direct_kernels *kernels);
size_t cr_direct_packed_bytes(const cr_conv *conv, const cr_direct_kernels *kernels);
void cr_direct_pack(const cr_conv *conv, const cr_direct_kernels *kernels, const float *weights,
                    float *packed);
size_t cr_direct_workspace_bytes(const cr_conv *conv, const cr_direct_kernels *kernels);
int64_t cr_direct_tasks(const cr_conv *conv, const cr_direct_kernels *kernels);
void cr_direct_run(const cr_conv *conv, const cr_direct_kernels *kernels, const cr_conv_args *args,
                   int64_t task_begin, int64_t task_end, void *workspace);

#endif
