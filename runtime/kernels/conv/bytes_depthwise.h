#ifndef CREASE_RUNTIME_KERNELS_CONV_BYTES_DEPTHWISE_H
#define CREASE_RUNTIME_KERNELS_CONV_BYTES_DEPTHWISE_H

#include "runtime/kernels/conv/bytes_finish.h"
#include "runtime/kernels/conv/bytes_view.h"

/* Depthwise convolution of bytes: one channel to a group. A word is four neighbouring taps of a kernel row in
 * place of four channels: of four pixels side by side, 64 bytes, the bytes of each channel make one. Input is
 * always a copy, with room behind it, since words reach past the taps.
 *
 * Packed weights: int32 [channels rounded up to 16], the sums to start from, as in bytes_direct.h; then
 * int8 [block][kernel row][word of the row][16][4], 0 past the kernel. */

enum { CR_BYTES_TAPS = 4 /* of a word */, CR_BYTES_ROWS = 2 };

/* Up to CR_BYTES_ROWS rows of outputs of one block. */
typedef struct cr_bytes_rows {
    int64_t rows, pixels;
    const uint8_t *input;   /* of the first tap of the first pixel */
    ptrdiff_t tap_row;      /* bytes from a row of taps to the next */
    ptrdiff_t down, across; /* bytes from the input of an output to that of the next */
    int64_t kernel_rows, words;
    int64_t stride;        /* if kernel rows are neighbours, of the outputs' rows; otherwise 0 */
    const int8_t *weights; /* of the block */
    const int32_t *start;

    const cr_bytes_finish *finish;
    int64_t channel;
    void *output;       /* the tensor */
    int64_t offset;     /* elements to the first pixel */
    int64_t output_row; /* elements from row to row */
} cr_bytes_rows;

/* What an instruction set contributes. It may read 3 pixels `across` and a word past the last taps. */
typedef void cr_bytes_depthwise_rows(const cr_bytes_rows *rows);

const char *cr_bytes_depthwise_refuses(const cr_bytes_conv *conv);
size_t cr_bytes_depthwise_packed_bytes(const cr_bytes_conv *conv);
void cr_bytes_depthwise_pack(const cr_bytes_conv *conv, const int8_t *weights, void *packed);
size_t cr_bytes_depthwise_workspace_bytes(const cr_bytes_conv *conv);
int64_t cr_bytes_depthwise_tasks(const cr_bytes_conv *conv);
void cr_bytes_depthwise_run(const cr_bytes_conv *conv, cr_bytes_depthwise_rows *rows,
                            const cr_bytes_args *args, int64_t task_begin, int64_t task_end, void *workspace);

extern const cr_bytes_algorithm cr_bytes_depthwise_plain;
#if defined __x86_64__ || defined __i386__
extern const cr_bytes_algorithm cr_bytes_depthwise_avx512vnni;
#endif

#endif
