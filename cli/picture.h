#ifndef CREASE_CLI_PICTURE_H
#define CREASE_CLI_PICTURE_H

#include "cli/file.h"

/* A decoded PNG or JPEG: rows from the top, 8 bits a sample. */
typedef struct picture {
    int width, height;
    int channels; /* 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha; alpha is not premultiplied */
    unsigned char *samples;
} picture;

bool picture_is(const blob *file);

/* Palettes become colours, 16 bits become 8. An orientation noted in EXIF is not applied. Damaged, truncated
 * and CMYK files and pictures of more than 2^28 pixels are CLI_INPUT, with the line printed. */
int picture_read(const char *source, const blob *file, picture *out);
void picture_free(picture *p);

#endif
