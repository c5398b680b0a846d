#include "cli/cli.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

/* Pictures as network inputs: decode, resize, scale, arrange. */

typedef struct picture {
    int width, height, channels; /* 1 or 3 */
    unsigned char *pixels;       /* [height][width][channels] */
} picture;

enum { MAX_SIDE = 16384 };

static bool is_png(const bytes *file) {
    return file->n > 8 && memcmp(file->data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

bool is_picture(const bytes *file) {
    return is_png(file) || (file->n > 3 && memcmp(file->data, "\xff\xd8\xff", 3) == 0);
}

static int decode_png(const char *path, const bytes *file, picture *p) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, file->data, file->n))
        return fail(EXIT_BAD_INPUT, "%s: %s", path, image.message);
    bool color = image.format & PNG_FORMAT_FLAG_COLOR;
    image.format = color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    if (image.width > MAX_SIDE || image.height > MAX_SIDE) {
        png_image_free(&image);
        return fail(EXIT_BAD_INPUT, "%s: the picture is larger than %d pixels a side", path, MAX_SIDE);
    }
    *p = (picture){(int)image.width, (int)image.height, color ? 3 : 1, malloc(PNG_IMAGE_SIZE(image))};
    png_color black = {0, 0, 0};
    if (p->pixels && png_image_finish_read(&image, &black, p->pixels, 0, NULL))
        return EXIT_OK;
    free(p->pixels);
    png_image_free(&image);
    return fail(EXIT_BAD_INPUT, "%s: %s", path, image.message[0] ? image.message : "out of memory");
}

typedef struct jpeg_failure {
    struct jpeg_error_mgr manager;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
} jpeg_failure;

static void on_jpeg_error(j_common_ptr info) {
    jpeg_failure *failure = (jpeg_failure *)(void *)info->err;
    info->err->format_message(info, failure->message);
    longjmp(failure->back, 1);
}

static void on_jpeg_message(j_common_ptr info) {
    (void)info;
}

static int decode_jpeg(const char *path, const bytes *file, picture *p) {
    struct jpeg_decompress_struct info;
    jpeg_failure failure;
    unsigned char *volatile pixels = NULL;
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = on_jpeg_error;
    failure.manager.output_message = on_jpeg_message;
    if (setjmp(failure.back)) {
        jpeg_destroy_decompress(&info);
        free(pixels);
        return fail(EXIT_BAD_INPUT, "%s: %s", path, failure.message);
    }
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, file->data, file->n);
    jpeg_read_header(&info, TRUE);
    info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&info);
    size_t row = (size_t)info.output_width * (size_t)info.output_components;
    if (info.output_width <= MAX_SIDE && info.output_height <= MAX_SIDE)
        pixels = malloc(row * info.output_height);
    while (pixels && info.output_scanline < info.output_height) {
        JSAMPROW line = pixels + row * info.output_scanline;
        jpeg_read_scanlines(&info, &line, 1);
    }
    *p = (picture){(int)info.output_width, (int)info.output_height, info.output_components, pixels};
    jpeg_destroy_decompress(&info);
    return pixels ? EXIT_OK : fail(EXIT_BAD_INPUT, "%s: the picture is too large", path);
}

/* ---- resizing: triangle filter, half-pixel centres, widened when shrinking so that nothing is skipped ----
 */

static double sample(const picture *p, int channel, double x, double y, double scale_x, double scale_y) {
    double rx = scale_x > 1 ? scale_x : 1, ry = scale_y > 1 ? scale_y : 1, sum = 0, total = 0;
    for (int j = (int)(y - ry); j <= (int)(y + ry) + 1; j++)
        for (int i = (int)(x - rx); i <= (int)(x + rx) + 1; i++) {
            double dx = (i > x ? i - x : x - i) / rx, dy = (j > y ? j - y : y - j) / ry;
            if (dx >= 1 || dy >= 1)
                continue;
            int cx = i < 0           ? 0
                     : i >= p->width ? p->width - 1
                                     : i,
                cy = j < 0            ? 0
                     : j >= p->height ? p->height - 1
                                      : j;
            double weight = (1 - dx) * (1 - dy);
            sum += weight * p->pixels[((size_t)cy * (size_t)p->width + (size_t)cx) * (size_t)p->channels +
                                      (size_t)channel];
            total += weight;
        }
    return total > 0 ? sum / total : 0;
}

/* Channel c of n at a place of the target: gray is repeated, colour is weighted to gray (ITU-R BT.601). */
static double pixel(const picture *p, int c, int n, double x, double y, double sx, double sy) {
    if (p->channels == 1)
        return sample(p, 0, x, y, sx, sy);
    if (n == 1)
        return 0.299 * sample(p, 0, x, y, sx, sy) + 0.587 * sample(p, 1, x, y, sx, sy) +
               0.114 * sample(p, 2, x, y, sx, sy);
    return sample(p, c < 3 ? c : 2, x, y, sx, sy);
}

/* ---- arranging ---- */

typedef struct recipe {
    double scale, mean[4], std[4];
} recipe;

static bool parse_list(const char *text, double values[4]) {
    char *end;
    for (int i = 0; i < 4; i++) {
        values[i] = strtod(text, &end);
        if (end == text)
            return false;
        if (*end == 0) {
            for (int j = i + 1; j < 4; j++)
                values[j] = values[i];
            return true;
        }
        text = end + 1;
    }
    return false;
}

static int make_recipe(const arguments *a, recipe *r) {
    *r = (recipe){a->scale, {0, 0, 0, 0}, {1, 1, 1, 1}};
    if (a->preset && strcmp(a->preset, "imagenet") == 0)
        *r = (recipe){1.0 / 255, {0.485, 0.456, 0.406, 0}, {0.229, 0.224, 0.225, 1}};
    else if (a->preset && strcmp(a->preset, "raw") == 0)
        r->scale = 1;
    else if (a->preset && strcmp(a->preset, "unit") != 0)
        return fail(EXIT_USAGE, "--preset: '%s' is not imagenet, unit or raw", a->preset);
    if ((a->mean && !parse_list(a->mean, r->mean)) || (a->std && !parse_list(a->std, r->std)))
        return fail(EXIT_USAGE, "--mean and --std take up to 4 numbers separated by commas");
    return EXIT_OK;
}

static int choose_shape(const char *path, const arguments *a, const crease_value_info *want, const picture *p,
                        tensor *t, bool *channels_last) {
    if (want->rank != 4 || (want->dtype != CREASE_FLOAT && want->dtype != CREASE_UINT8))
        return fail(EXIT_BAD_INPUT, "%s: input '%s' does not take a picture (float32 or uint8 of rank 4)",
                    path, want->name);
    *channels_last = a->layout ? strcmp(a->layout, "NHWC") == 0
                               : (want->dims[3] == 3 || want->dims[3] == 1) && want->dims[1] > 4;
    int ci = *channels_last ? 3 : 1, hi = *channels_last ? 1 : 2, wi = hi + 1;
    t->dtype = want->dtype;
    t->rank = 4;
    t->dims[0] = 1;
    t->dims[ci] = want->dims[ci] > 0 ? want->dims[ci] : p->channels;
    t->dims[hi] = want->dims[hi] > 0 ? want->dims[hi] : p->height;
    t->dims[wi] = want->dims[wi] > 0 ? want->dims[wi] : p->width;
    if (t->dims[ci] > 4 || (want->dims[0] > 1))
        return fail(EXIT_BAD_INPUT, "%s: input '%s' does not have the shape of one picture", path,
                    want->name);
    return tensor_allocate(t, path);
}

static void arrange(const picture *p, const recipe *r, bool channels_last, tensor *t) {
    int64_t channels = t->dims[channels_last ? 3 : 1], h = t->dims[channels_last ? 1 : 2],
            w = t->dims[channels_last ? 2 : 3];
    double sx = (double)p->width / (double)w, sy = (double)p->height / (double)h;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++)
            for (int64_t c = 0; c < channels; c++) {
                double value = pixel(p, (int)c, (int)channels, ((double)x + 0.5) * sx - 0.5,
                                     ((double)y + 0.5) * sy - 0.5, sx, sy);
                int64_t at = channels_last ? (y * w + x) * channels + c : (c * h + y) * w + x;
                if (t->dtype == CREASE_UINT8)
                    ((unsigned char *)t->data)[at] = (unsigned char)(value + 0.5);
                else
                    ((float *)t->data)[at] = (float)((value * r->scale - r->mean[c]) / r->std[c]);
            }
}

int parse_picture(const char *path, const bytes *file, const arguments *a, const crease_value_info *want,
                  tensor *t) {
    picture p;
    recipe r;
    bool channels_last;
    int code = make_recipe(a, &r);
    if (code == EXIT_OK)
        code = is_png(file) ? decode_png(path, file, &p) : decode_jpeg(path, file, &p);
    if (code)
        return code;
    code = choose_shape(path, a, want, &p, t, &channels_last);
    if (code == EXIT_OK)
        arrange(&p, &r, channels_last, t);
    free(p.pixels);
    return code;
}
