#include "cli/picture.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

static const uint64_t max_pixels = (uint64_t)1 << 28;

static bool is_png(const blob *file) {
    return file->bytes >= 8 && memcmp(file->data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

bool picture_is(const blob *file) {
    return is_png(file) || (file->bytes >= 3 && memcmp(file->data, "\xff\xd8\xff", 3) == 0);
}

void picture_free(picture *p) {
    free(p->samples);
    *p = (picture){0};
}

static int fail_large(const char *source, uint64_t width, uint64_t height) {
    return fail(CLI_INPUT, "%s: a picture of %" PRIu64 " x %" PRIu64 " pixels is too large", source, width,
                height);
}

/* ---- PNG ---- */

static int read_png(const char *source, const blob *file, picture *out) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, file->data, file->bytes))
        return fail(CLI_INPUT, "%s: the PNG is damaged: %s", source, image.message);
    if ((uint64_t)image.width * image.height > max_pixels) {
        png_image_free(&image);
        return fail_large(source, image.width, image.height);
    }
    /* 16-bit samples are gamma-coded like 8-bit ones, which libpng does not take for granted */
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;
    *out = (picture){(int)image.width, (int)image.height, (int)PNG_IMAGE_PIXEL_CHANNELS(image.format),
                     memory_take(PNG_IMAGE_SIZE(image), 1)};
    if (png_image_finish_read(&image, NULL, out->samples, 0, NULL))
        return CLI_OK;
    picture_free(out);
    return fail(CLI_INPUT, "%s: the PNG is damaged: %s", source, image.message);
}

/* ---- JPEG ---- */

typedef struct jpeg {
    struct jpeg_error_mgr errors; /* first: libjpeg knows this part alone */
    struct jpeg_decompress_struct decoder;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
    unsigned char *samples;
} jpeg;

static void on_error(j_common_ptr info) {
    jpeg *j = (jpeg *)(void *)info->err;
    info->err->format_message(info, j->message);
    longjmp(j->back, 1);
}

/* libjpeg fills what a truncated file lacks with gray and warns: for an input of a network that is an error.
 */
static void on_message(j_common_ptr info, int level) {
    int code = info->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
        on_error(info);
}

static void decode(jpeg *j, const blob *file, picture *out) {
    struct jpeg_decompress_struct *d = &j->decoder;
    jpeg_mem_src(d, file->data, file->bytes);
    jpeg_read_header(d, TRUE);
    *out = (picture){.width = (int)d->image_width, .height = (int)d->image_height};
    if ((uint64_t)d->image_width * d->image_height > max_pixels)
        return;
    if (d->jpeg_color_space == JCS_CMYK || d->jpeg_color_space == JCS_YCCK) {
        snprintf(j->message, sizeof j->message, "CMYK colours are not supported");
        longjmp(j->back, 1);
    }
    d->out_color_space = d->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(d);
    size_t row = (size_t)d->output_width * (size_t)d->output_components;
    j->samples = memory_take(d->output_height, row);
    while (d->output_scanline < d->output_height) {
        JSAMPROW line = j->samples + row * d->output_scanline;
        jpeg_read_scanlines(d, &line, 1);
    }
    jpeg_finish_decompress(d);
    out->channels = d->output_components;
}

static int read_jpeg(const char *source, const blob *file, picture *out) {
    jpeg *j = memory_take(1, sizeof *j); /* on the heap: its fields keep their values across longjmp */
    j->decoder.err = jpeg_std_error(&j->errors);
    j->errors.error_exit = on_error;
    j->errors.emit_message = on_message;
    int code = CLI_OK;
    if (setjmp(j->back) == 0) {
        jpeg_create_decompress(&j->decoder);
        decode(j, file, out);
    } else {
        code = fail(CLI_INPUT, "%s: the JPEG cannot be read: %s", source, j->message);
        free(j->samples);
        j->samples = NULL;
    }
    jpeg_destroy_decompress(&j->decoder);
    out->samples = j->samples;
    free(j);
    if (!code && !out->samples)
        return fail_large(source, (uint64_t)out->width, (uint64_t)out->height);
    return code;
}

int picture_read(const char *source, const blob *file, picture *out) {
    *out = (picture){0};
    return is_png(file) ? read_png(source, file, out) : read_jpeg(source, file, out);
}
