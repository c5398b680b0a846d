#ifndef CREASE_CLI_IMAGE_H
#define CREASE_CLI_IMAGE_H

#include "cli/picture.h"
#include "cli/tensor.h"

#include <stddef.h>

/* How a picture becomes a network's input: sample p of channel c becomes (p * scale - mean[c]) / std[c]. */
typedef struct image_options {
    const char *preset; /* "imagenet", "unit" (the default), "raw"; single options overrule it */
    const char *layout; /* "nchw", "nhwc"; NULL: by the model's shape */
    const char *resize; /* "stretch" (the default) or "crop[:SHARE]": the centre, SHARE of the shorter side */
    const char *scale, *mean, *std; /* numbers, of mean and std one or one for each channel, with commas */
} image_options;

/* Rows for a command's option table. */
#define IMAGE_ARGS(o)                                                                                         \
    {                                                                                                         \
        "preset", 0, ARG_TEXT, &(o).preset, "NAME", "pictures: unit (p/255; the default), imagenet, raw",     \
        0,        0},                                                                                         \
        {"layout", 0, ARG_TEXT, &(o).layout, "NAME", "pictures: nchw or nhwc; else by the model's shape",     \
         0,        0},                                                                                        \
        {"resize", 0, ARG_TEXT, &(o).resize, "HOW", "pictures: stretch (the default) or crop[:SHARE]", 0, 0}, \
        {"scale", 0, ARG_TEXT, &(o).scale, "X", "pictures: multiply samples by X first", 0, 0},               \
        {"mean", 0, ARG_TEXT, &(o).mean, "M,..", "pictures: then subtract M, one or one a channel", 0, 0}, {  \
        "std", 0, ARG_TEXT, &(o).std, "D,..", "pictures: then divide by D, one or one a channel", 0, 0        \
    }

/* Whether the options are words and numbers that mean something, for a line that needs no picture after all.
 */
int image_check(const image_options *options);

/* Bring a picture into the type and shape that the model's input `want` (rank 3 or 4, one picture) has.
 * Dynamic height and width take the picture's own, a dynamic batch 1. Resizing is bilinear with half-pixel
 * centres, over a wider window when shrinking, so that no sample is skipped. Colour becomes gray by ITU-R
 * BT.601, gray becomes colour by repetition; alpha is dropped where the model has no fourth channel. */
int image_to_tensor(const char *source, const picture *p, const image_options *options,
                    const crease_value_info *want, tensor *out);

#endif
