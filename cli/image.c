#include "cli/image.h"
#include "cli/args.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHANNELS = 4 };

/* ---- options ---- */

typedef struct recipe {
    double scale, mean[MAX_CHANNELS], std[MAX_CHANNELS];
    bool crop;
    double share; /* of the shorter side that a crop keeps */
} recipe;

/* The training set's statistics and the centre of 224 out of 256 pixels, as ImageNet classifiers are
 * evaluated. */
static const recipe imagenet = {
    1.0 / 255, {0.485, 0.456, 0.406, 0}, {0.229, 0.224, 0.225, 1}, true, 0.875,
};

static int read_preset(const char *name, crease_dtype dtype, recipe *r) {
    *r = (recipe){tensor_is_float(dtype) ? 1.0 / 255 : 1, {0}, {1, 1, 1, 1}, false, 1};
    if (!name || strcmp(name, "unit") == 0)
        return CLI_OK;
    if (strcmp(name, "imagenet") == 0)
        *r = imagenet;
    else if (strcmp(name, "raw") == 0)
        r->scale = 1;
    else
        return fail(CLI_USAGE, "--preset: '%s' is not one of unit, imagenet, raw", name);
    return CLI_OK;
}

/* Up to MAX_CHANNELS numbers, of which a standard deviation is none that is 0. */
static int read_list(const char *option, const char *text, double *values, int *n) {
    bool good = true;
    char *copy = memory_text(text), *next = copy;
    *n = 0;
    for (char *part; good && (part = strsep(&next, ",")); ++*n)
        good = *n < MAX_CHANNELS && args_number(part, -1e30, 1e30, &values[*n]);
    free(copy);
    if (!good)
        return fail(CLI_USAGE, "--%s: '%s' is not a list of up to %d numbers", option, text, MAX_CHANNELS);
    for (int i = 0; i < *n; i++)
        if (values[i] == 0 && strcmp(option, "std") == 0)
            return fail(CLI_USAGE, "--std: '%s' divides by zero", text);
    return CLI_OK;
}

/* "a" for all channels, or "a,b,c" for each. */
static int read_channels(const char *option, const char *text, int channels, double *values) {
    int n, code = read_list(option, text, values, &n);
    if (code)
        return code;
    if (n != 1 && n != channels)
        return fail(CLI_USAGE, "--%s: '%s' has %d numbers, the input has %d channels", option, text, n,
                    channels);
    for (int c = n; c < MAX_CHANNELS; c++)
        values[c] = values[n - 1];
    return CLI_OK;
}

static int read_resize(const char *text, recipe *r) {
    r->crop = strncmp(text, "crop", 4) == 0;
    r->share = 1;
    if (strcmp(text, "stretch") == 0 || strcmp(text, "crop") == 0)
        return CLI_OK;
    if (r->crop && text[4] == ':' && args_number(text + 5, 1e-6, 1, &r->share))
        return CLI_OK;
    return fail(CLI_USAGE, "--resize: '%s' is not stretch, crop or crop:SHARE with a share up to 1", text);
}

static int read_recipe(const image_options *o, crease_dtype dtype, int channels, recipe *r) {
    int code = read_preset(o->preset, dtype, r);
    if (!code && o->preset && strcmp(o->preset, "imagenet") == 0 && channels != 3 && !(o->mean && o->std))
        code = fail(CLI_USAGE, "--preset imagenet is for 3 channels, the input has %d", channels);
    if (!code && o->scale && !args_number(o->scale, -1e30, 1e30, &r->scale))
        code = fail(CLI_USAGE, "--scale: '%s' is not a number", o->scale);
    if (!code && o->mean)
        code = read_channels("mean", o->mean, channels, r->mean);
    if (!code && o->std)
        code = read_channels("std", o->std, channels, r->std);
    return code || !o->resize ? code : read_resize(o->resize, r);
}

static int check_layout(const char *layout) {
    if (!layout || strcmp(layout, "nchw") == 0 || strcmp(layout, "nhwc") == 0)
        return CLI_OK;
    return fail(CLI_USAGE, "--layout: '%s' is not nchw or nhwc", layout);
}

/* Whether lists of means and deviations fit the number of channels is left to the picture. */
int image_check(const image_options *options) {
    recipe r;
    int n;
    image_options plain = *options;
    plain.mean = plain.std = NULL;
    int code = read_recipe(&plain, CREASE_FLOAT, 3, &r);
    if (!code && options->mean)
        code = read_list("mean", options->mean, r.mean, &n);
    if (!code && options->std)
        code = read_list("std", options->std, r.std, &n);
    return code ? code : check_layout(options->layout);
}

/* ---- shape ---- */

/* Which axes of the input are what; n -1: rank 3, no batch axis. */
typedef struct axes {
    int n, c, h, w;
} axes;

static bool is_channels(int64_t dim) {
    return dim == 1 || dim == 3 || dim == 4;
}

static axes find_axes(const char *layout, const crease_value_info *want) {
    int first = want->rank - 3, last = want->rank - 1;
    bool nhwc = is_channels(want->dims[last]) && !is_channels(want->dims[first]);
    if (layout)
        nhwc = strcmp(layout, "nhwc") == 0;
    return nhwc ? (axes){first - 1, last, first, first + 1} : (axes){first - 1, first, first + 1, last};
}

static int choose_shape(const char *source, const picture *p, const image_options *o,
                        const crease_value_info *want, tensor *out, axes *a) {
    char text[TENSOR_SHAPE_TEXT];
    if ((want->rank != 3 && want->rank != 4) || !tensor_is_number(want->dtype))
        return fail(CLI_INPUT,
                    "%s: input '%s' (%s, %s) does not take a picture: rank 3 or 4 and a number type do",
                    source, want->name, crease_dtype_name(want->dtype),
                    tensor_shape_text(want->rank, want->dims, want->dim_names, text));
    *a = find_axes(o->layout, want);
    *out = (tensor){.dtype = want->dtype, .rank = want->rank};
    for (int i = 0; i < want->rank; i++)
        out->dims[i] = want->dims[i] >= 0 ? want->dims[i]
                       : i == a->c        ? (p->channels < 3 ? 1 : 3)
                       : i == a->h        ? p->height
                       : i == a->w        ? p->width
                                          : 1;
    if (!is_channels(out->dims[a->c]) || (a->n == 0 && out->dims[0] != 1) || out->dims[a->h] == 0 ||
        out->dims[a->w] == 0)
        return fail(CLI_INPUT, "%s: input '%s' of shape %s does not take one picture of 1, 3 or 4 channels",
                    source, want->name, tensor_shape_text(out->rank, out->dims, NULL, text));
    return CLI_OK;
}

/* ---- resizing along one axis: a triangle filter whose weights add up to 1 ---- */

typedef struct filter {
    int *first;      /* [n] first source sample of each target sample */
    int taps;        /* weights of each target sample, zeros included */
    double *weights; /* [n][taps] */
} filter;

/* The source range [begin, begin + length) of `source` samples onto n target samples. */
static filter make_filter(double begin, double length, int source, int64_t n) {
    double step = length / (double)n, radius = step > 1 ? step : 1;
    int taps = (int)ceil(2 * radius) + 1;
    taps = taps < source ? taps : source;
    filter f = {memory_take((size_t)n, sizeof *f.first), taps,
                memory_take((size_t)n * (size_t)taps, sizeof *f.weights)};
    for (int64_t i = 0; i < n; i++) {
        double centre = begin + ((double)i + 0.5) * step - 0.5, sum = 0, *weights = f.weights + i * taps;
        double first = fmin(fmax(ceil(centre - radius), 0), source - taps);
        f.first[i] = (int)first;
        for (int t = 0; t < taps; t++) {
            weights[t] = fmax(0, 1 - fabs(first + t - centre) / radius);
            sum += weights[t];
        }
        for (int t = 0; t < taps; t++)
            weights[t] /= sum;
    }
    return f;
}

static void free_filter(filter *f) {
    free(f->first);
    free(f->weights);
}

/* One plane [height][width] into [n_y][n_x]: along rows first, then along columns. */
static void resize(const float *plane, int width, int height, const filter *x, const filter *y, int64_t n_x,
                   int64_t n_y, float *out) {
    float *rows = memory_take((size_t)height * (size_t)n_x, sizeof *rows);
    for (int j = 0; j < height; j++)
        for (int64_t i = 0; i < n_x; i++) {
            const float *from = plane + (size_t)j * (size_t)width + x->first[i];
            double sum = 0;
            for (int t = 0; t < x->taps; t++)
                sum += x->weights[i * x->taps + t] * (double)from[t];
            rows[j * n_x + i] = (float)sum;
        }
    for (int64_t j = 0; j < n_y; j++)
        for (int64_t i = 0; i < n_x; i++) {
            const float *from = rows + y->first[j] * n_x + i;
            double sum = 0;
            for (int t = 0; t < y->taps; t++)
                sum += y->weights[j * y->taps + t] * (double)from[t * n_x];
            out[j * n_x + i] = (float)sum;
        }
    free(rows);
}

/* The part of the picture that a crop to the target's aspect ratio keeps, or all of it. */
static void make_filters(const picture *p, const recipe *r, int64_t n_x, int64_t n_y, filter *x, filter *y) {
    double width = p->width, height = p->height;
    if (r->crop) {
        double step = fmin(width / (double)n_x, height / (double)n_y) * r->share;
        width = step * (double)n_x;
        height = step * (double)n_y;
    }
    *x = make_filter((p->width - width) / 2, width, p->width, n_x);
    *y = make_filter((p->height - height) / 2, height, p->height, n_y);
}

/* ---- channels ---- */

/* Channel c of n wanted ones as a plane of samples. */
static void extract(const picture *p, int c, int n, float *plane) {
    bool colour = p->channels >= 3, alpha = p->channels % 2 == 0;
    for (size_t i = 0; i < (size_t)p->width * (size_t)p->height; i++) {
        const unsigned char *s = p->samples + i * (size_t)p->channels;
        if (c == 3)
            plane[i] = alpha ? s[p->channels - 1] : 255;
        else if (n == 1 && colour)
            plane[i] = (float)(0.299 * s[0] + 0.587 * s[1] + 0.114 * s[2]); /* luma of ITU-R BT.601 */
        else
            plane[i] = s[colour ? c : 0];
    }
}

static void place(const float *plane, const recipe *r, int c, const axes *a, tensor *out) {
    int64_t channels = out->dims[a->c], n_x = out->dims[a->w], n_y = out->dims[a->h];
    bool last = a->c > a->w;
    for (int64_t i = 0; i < n_x * n_y; i++)
        tensor_set(out->dtype, out->data, last ? i * channels + c : c * n_x * n_y + i,
                   ((double)plane[i] * r->scale - r->mean[c]) / r->std[c]);
}

int image_to_tensor(const char *source, const picture *p, const image_options *options,
                    const crease_value_info *want, tensor *out) {
    axes a = {0};
    recipe r;
    int code = choose_shape(source, p, options, want, out, &a);
    if (!code)
        code = read_recipe(options, out->dtype, (int)out->dims[a.c], &r);
    if (code)
        return code;
    if (!tensor_bytes(out->dtype, out->rank, out->dims, &out->bytes))
        return fail(CLI_INPUT, "%s: the shape of input '%s' overflows", source, want->name);
    filter x, y;
    int64_t n_x = out->dims[a.w], n_y = out->dims[a.h];
    out->data = memory_take(out->bytes, 1);
    make_filters(p, &r, n_x, n_y, &x, &y);
    float *plane = memory_take((size_t)p->width * (size_t)p->height, sizeof *plane);
    float *resized = memory_take((size_t)n_x * (size_t)n_y, sizeof *resized);
    for (int c = 0; c < out->dims[a.c]; c++) {
        extract(p, c, (int)out->dims[a.c], plane);
        resize(plane, p->width, p->height, &x, &y, n_x, n_y, resized);
        place(resized, &r, c, &a, out);
    }
    free(plane);
    free(resized);
    free_filter(&x);
    free_filter(&y);
    return CLI_OK;
}
