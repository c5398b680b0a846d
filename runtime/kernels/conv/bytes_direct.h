#ifndef CREASE_RUNTIME_KERNELS_CONV_BYTES_DIRECT_H
#define CREASE_RUNTIME_KERNELS_CONV_BYTES_DIRECT_H

#include "runtime/kernels/conv/bytes_finish.h"
#include "runtime/kernels/conv/bytes_view.h"

/* Direct convolution of bytes: what direct.h does with floats, with words of four channels in place of input
 * channels. A tile is up to 14 neighbouring output pixels times one or two blocks of output channels, whose
 * int32 sums stay in registers while each word of its pixels is broadcast against a vector of weights, four
 * for each output channel.
 *
 * Packed weights: int32 [oc rounded up to 16], the sums to start from, -input_zero times the sum of the
 * weights; then int8 [output tile][input block][tap][word of the block][output lane of the tile][4]. Groups
 * are blocks on the diagonal, as in direct.h; words that no group of a tile reads are left out. */

enum {
    CR_BYTES_WORD = 4,
    CR_BYTES_WORDS = CR_BYTES_LANES / CR_BYTES_WORD, /* of a block */
    CR_BYTES_PIXELS = 14,
    CR_BYTES_BLOCKS = 2
};

typedef struct cr_bytes_pass {
    int64_t pixels, blocks;   /* of the tile */
    const uint8_t *input;     /* of the first tap of pixel 0, the first block of the span */
    const ptrdiff_t *offsets; /* bytes from the input of pixel 0 to that of pixel i */
    ptrdiff_t distance;       /* the same for each pixel from the one before; 0: not the same */
    const ptrdiff_t *taps;    /* bytes from the input of the first tap */
    int64_t n_taps;
    int64_t input_blocks;
    ptrdiff_t input_step;           /* bytes from block to block */
    int64_t first_word, last_words; /* the first of the first block, the end of those of the last */
    const int8_t *weights;
    const int32_t *start;            /* of each output channel of the tile */
    const int8_t *fetch, *fetch_end; /* other weights, of which each tap of each block fetches some: */
    int64_t fetch_lines;             /* cache lines of them, until they end */

    const cr_bytes_finish *finish;
    int64_t channel;        /* the first of the tile */
    void *output;           /* the tensor */
    int64_t offset;         /* elements to pixel 0 of the first block */
    ptrdiff_t output_block; /* elements from block to block */
} cr_bytes_pass;

/* What an instruction set contributes. */
typedef struct cr_bytes_direct_kernels {
    void (*tile)(const cr_bytes_pass *pass);
} cr_bytes_direct_kernels;

const char *cr_bytes_direct_refuses(const cr_bytes_conv *conv);
size_t cr_bytes_direct_packed_bytes(const cr_bytes_conv *conv);
void cr_bytes_direct_pack(const cr_bytes_conv *conv, const int8_t *weights, void *packed);
size_t cr_bytes_direct_workspace_bytes(const cr_bytes_conv *conv);
int64_t cr_bytes_direct_tasks(const cr_bytes_conv *conv);
void cr_bytes_direct_run(const cr_bytes_conv *conv, const cr_bytes_direct_kernels *kernels,
                         const cr_bytes_args *args, int64_t task_begin, int64_t task_end, void *workspace);

extern const cr_bytes_algorithm cr_bytes_direct_plain;
#if defined __x86_64__ || defined __i386__
extern const cr_bytes_algorithm cr_bytes_direct_avx512vnni;
#endif

#endif
