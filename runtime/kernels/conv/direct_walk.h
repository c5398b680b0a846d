#ifndef CREASE_RUNTIME_KERNELS_CONV_DIRECT_WALK_H
#define CREASE_RUNTIME_KERNELS_CONV_DIRECT_WALK_H

#include "runtime/kernels/conv/direct_input.h"

/* Tiles of pixels of one output tile, one after another: what all of them have in common is set up once, what
 * differs is handed to the tile functions in a cr_direct_pass. */

/* Taps of one axis that reach the same outputs of a tile. */
typedef struct cr_direct_reach {
    int64_t begin, end;         /* taps */
    int64_t out_begin, out_end; /* outputs */
} cr_direct_reach;

/* A box of taps as the tile functions want it. */
typedef struct cr_direct_taps {
    cr_direct_tap *taps;
    int64_t n, lanes;
    cr_direct_box box;
} cr_direct_taps;

typedef struct cr_direct_pixels {
    ptrdiff_t offsets[CR_DIRECT_MAX_PIXELS], slots[CR_DIRECT_MAX_PIXELS], places[CR_DIRECT_MAX_PIXELS];
    int64_t rows, columns, slot_row; /* what they were made for */
    int kind;                        /* of tile functions */
} cr_direct_pixels;

/* Outputs of each block of the tile that stand in their place, but for `epilogue`. An activation has a long
 * way through the processor: a few tiles' at once cost less than each tile's after it, and are still in the
 * nearest cache. */
typedef struct cr_direct_unfinished {
    bool any; /* epilogue */
    cr_epilogue epilogue;
    int64_t offset, n; /* vectors from there on */
} cr_direct_unfinished;

typedef struct cr_direct_walk {
    const cr_direct_plan *plan;
    const cr_conv_args *args;
    bool in_registers; /* the epilogue, or all of it that is not left unfinished */
    cr_direct_unfinished unfinished;
    bool apart;                           /* outputs with gaps */
    bool large_output;                    /* not in a second-level cache, and no gaps */
    cr_direct_box interior;               /* the outputs that all taps reach */
    float *sums;                          /* [blocks][slots][L] */
    float *transformed;                   /* input: by the prologue, or padded; or scaled weights */
    bool scales_weights;                  /* that is the prologue */
    bool transforms;                      /* the tiles at hand do */
    cr_direct_reach *reach[CR_CONV_RANK]; /* of each tap of an axis; begin and end unused */
    cr_direct_reach *runs[CR_CONV_RANK];  /* of the tile at hand */
    /* of this image, chunk and output tile */
    cr_direct_view input;
    cr_direct_view kept;      /* of the output tiles after one that transforms */
    int64_t n, block, blocks; /* output blocks of the tile */
    bool halved;              /* the last of them */
    const float *span_input;  /* input.data of the first block of the span */
    ptrdiff_t input_first;    /* floats from there to where the first tap reads for output 0 */
    ptrdiff_t input_step[CR_CONV_RANK], tap_step[CR_CONV_RANK]; /* from output to output, tap to tap */
    int64_t output_first, output_step[CR_CONV_RANK]; /* floats from the tensor's to output 0, and onward */
    const float *weights, *bias, *interior_bias;
    cr_direct_pass pass;
    cr_direct_tile *const (*tiles)[CR_DIRECT_TILE_BLOCKS]; /* for the pixels of the pass */
    cr_direct_taps all_taps, some_taps;                    /* of interior tiles; of the pass at hand */
    cr_direct_pixels all_pixels, some_pixels; /* likewise; fewer pixels in a row or fewer rows are a prefix */
} cr_direct_walk;

/* The pixels of the largest tile, and of those that are a prefix of it, for the view of a chunk. */
void cr_direct_walk_chunk(cr_direct_walk *walk);
/* The taps, places and steps of an output tile, whose block, weights, biases and view are set; the first of a
 * chunk fetches an input that no cache holds. */
void cr_direct_walk_output_tile(cr_direct_walk *walk, bool is_first);
/* What all interior tiles have in common, whose pixels all taps reach. */
void cr_direct_walk_inside(cr_direct_walk *walk);
/* Runs a tile and, in the same call, perhaps some after it that differ from it in their place only, `most` at
 * most. Returns how many, with the last of them in place. */
int64_t cr_direct_walk_tiles(cr_direct_walk *walk, cr_direct_box *tile, int64_t most);
/* Finishes outputs that wait for their activation. */
void cr_direct_walk_finish(cr_direct_walk *walk);

/* The bias of an output pixel, for the blocks of the tile. */
const float *cr_direct_walk_bias(const cr_direct_walk *walk, int64_t d, int64_t y, int64_t x);
bool cr_direct_box_inside(const cr_direct_box *box, const cr_direct_box *outer);

#endif
