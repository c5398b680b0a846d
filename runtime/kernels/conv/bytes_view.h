#ifndef CREASE_RUNTIME_KERNELS_CONV_BYTES_VIEW_H
#define CREASE_RUNTIME_KERNELS_CONV_BYTES_VIEW_H

#include "runtime/kernels/conv/bytes.h"
#include "runtime/kernels/conv/direct.h"

/* How a convolution of bytes is cut into tiles of pixels, chunks of tiles and blocks of output channels; and
 * what they read: the tensor, or a copy of the part that a chunk reads, with padding that holds the zero
 * point. The copy costs one or two hundredths of the arithmetic, and leaves no tile that is not alike. */

/* Of cr_direct_plan only geometry, rows, columns, pixel_tiles, chunks and padded are in use. */
typedef cr_direct_plan cr_bytes_pixels;

/* Tiles of up to so many pixels; chunks of all blocks of the input, each of which is split in `parts` tasks.
 */
cr_bytes_pixels cr_bytes_cut_pixels(const cr_bytes_conv *conv, int64_t tile_pixels, int64_t parts);

/* Tiles that are whole rows; chunks of up to so many bytes of one block, which is a task. */
cr_bytes_pixels cr_bytes_cut_rows(const cr_bytes_conv *conv, int64_t chunk_bytes);

/* The tiles of a chunk. */
void cr_bytes_chunk(const cr_bytes_pixels *pixels, int64_t chunk, int64_t *begin, int64_t *end);

typedef struct cr_bytes_view {
    const uint8_t *data;
    ptrdiff_t
        first; /* from there to what the first tap reads for output 0 of block 0, which may lie outside */
    ptrdiff_t step[CR_CONV_RANK], block_step;
} cr_bytes_view;

/* Of one image and one chunk, for blocks [first, end). */
cr_bytes_view cr_bytes_view_of(const cr_bytes_conv *conv, const cr_bytes_pixels *pixels, const uint8_t *input,
                               int64_t image, int64_t chunk, int64_t first, int64_t end, uint8_t *copy);

/* Bytes of the copy of the largest chunk, of so many blocks; SIZE_MAX if that cannot be said. */
size_t cr_bytes_copy_bytes(const cr_bytes_pixels *pixels, int64_t blocks);

#endif
