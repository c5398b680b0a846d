#include "include/crease/crease.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The trained network's file, and one image of zeros but for a ramp. */
typedef struct network {
    unsigned char *bytes;
    size_t n_bytes;
    float pixels[28 * 28];
    crease_tensor input;
} network;

static const int64_t image_dims[] = {1, 1, 28, 28};

static void read_network(network *n) {
    FILE *file = fopen(CREASE_SOURCE_DIR "/models/fashion/fashion.onnx", "rb");
    cr_assert(file);
    n->bytes = malloc(1 << 20);
    n->n_bytes = fread(n->bytes, 1, 1 << 20, file);
    fclose(file);
    for (int i = 0; i < 28 * 28; i++)
        n->pixels[i] = (float)i / (28 * 28);
    n->input =
        (crease_tensor){sizeof n->input, NULL, CREASE_FLOAT, 4, image_dims, n->pixels, sizeof n->pixels};
}

/* ---- an allocator that gives out at the n-th call ---- */

typedef struct counter {
    long left, live;
} counter;

static void *take(void *user, size_t bytes, size_t alignment) {
    counter *c = user;
    if (c->left-- <= 0)
        return NULL;
    c->live++;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment + alignment);
}

static void give(void *user, void *memory) {
    ((counter *)user)->live -= memory != NULL;
    free(memory);
}

/* Every stage on one model; the first failure ends it. */
static crease_status fold_measure_unfold(const network *n, crease_model *model) {
    crease_fold_options options;
    crease_model *folded = NULL;
    crease_fold_report *report = NULL;
    void *original = NULL;
    size_t bytes = 0;
    crease_fold_options_init(&options);
    options.inputs = &n->input;
    options.n_inputs = 1;
    options.max_error = 2e-8; /* holds some folds and leaves others */
    options.threads = 1;
    options.original = n->bytes;
    options.original_bytes = n->n_bytes;
    crease_status status = crease_fold(model, &options, &folded, &report);
    if (status == CREASE_OK)
        status = crease_unfold(folded, &original, &bytes);
    if (status == CREASE_OK)
        cr_assert(bytes == n->n_bytes && memcmp(original, n->bytes, bytes) == 0);
    crease_memory_free(original);
    crease_fold_report_free(report);
    crease_model_free(folded);
    return status;
}

static crease_status calibrate(const network *n, crease_model *model) {
    crease_calibrate_options options;
    crease_calibration *calibration = NULL;
    crease_model *calibrated = NULL;
    float *batch = calloc(2, sizeof n->pixels);
    memcpy(batch, n->pixels, sizeof n->pixels);
    const int64_t dims[] = {2, 1, 28, 28};
    crease_tensor input = {sizeof input, "image", CREASE_FLOAT, 4, dims, batch, 2 * sizeof n->pixels};
    crease_calibrate_options_init(&options);
    options.threads = 1;
    crease_status status = crease_calibration_create(model, &options, &calibration);
    if (status == CREASE_OK)
        status = crease_calibration_add(calibration, &input, 1);
    if (status == CREASE_OK)
        status = crease_calibration_finish(calibration, &calibrated);
    crease_calibration_free(calibration);
    crease_model_free(calibrated);
    free(batch);
    return status;
}

static crease_status all_stages(const network *n, counter *c) {
    crease_allocator allocator = {take, give, c};
    crease_options options;
    crease_model *model;
    crease_options_init(&options);
    options.allocator = &allocator;
    crease_status status = crease_model_load_memory(n->bytes, n->n_bytes, &options, &model);
    if (status == CREASE_OK)
        status = fold_measure_unfold(n, model);
    if (status == CREASE_OK)
        status = calibrate(n, model);
    crease_model_free(model);
    return status;
}

Test(fold, survives_an_allocator_that_fails) {
    network n;
    read_network(&n);
    counter whole = {.left = 1L << 40};
    cr_assert_eq(all_stages(&n, &whole), CREASE_OK, "%s", crease_error_message());
    cr_assert_eq(whole.live, 0);
    long total = (1L << 40) - whole.left;
    for (long at = 0; at < total; at += at / 12 + 1) {
        counter c = {.left = at};
        crease_status status = all_stages(&n, &c);
        /* the parser cannot tell a bad file from too little memory */
        cr_assert(status == CREASE_ERROR_MEMORY || status == CREASE_ERROR_MODEL, "call %ld of %ld: %s", at,
                  total, crease_status_name(status));
        cr_assert_eq(c.live, 0, "call %ld of %ld: %ld blocks are lost", at, total, c.live);
    }
    free(n.bytes);
}

/* ---- what the calls refuse ---- */

Test(fold, refuses_wrong_calls) {
    network n;
    crease_model *model, *folded;
    void *data;
    size_t bytes;
    read_network(&n);
    cr_assert_eq(crease_model_load_memory(n.bytes, n.n_bytes, NULL, &model), CREASE_OK);
    crease_fold_options options;
    crease_fold_options_init(&options);
    options.max_error = 1e-6;
    cr_assert_eq(crease_fold(model, &options, &folded, NULL), CREASE_ERROR_ARGUMENT,
                 "a limit without inputs");
    options.inputs = &n.input;
    options.n_inputs = 1;
    options.max_error = -1;
    cr_assert_eq(crease_fold(model, &options, &folded, NULL), CREASE_ERROR_ARGUMENT, "a negative limit");
    options.max_error = 0;
    n.input.name = "nobody";
    cr_assert_eq(crease_fold(model, &options, &folded, NULL), CREASE_ERROR_ARGUMENT, "an unknown input");
    options.inputs = NULL;
    options.original = "no model";
    options.original_bytes = 8;
    cr_assert_eq(crease_fold(model, &options, &folded, NULL), CREASE_ERROR_MODEL, "an original that is none");
    cr_assert_eq(crease_unfold(model, &data, &bytes), CREASE_ERROR_INPUT, "nothing to unfold");
    cr_assert_null(data);
    crease_model_free(model);
    free(n.bytes);
}

Test(calibrate, refuses_wrong_calls) {
    network n;
    crease_model *model, *calibrated;
    crease_calibration *calibration;
    crease_calibrate_options options;
    read_network(&n);
    cr_assert_eq(crease_model_load_memory(n.bytes, n.n_bytes, NULL, &model), CREASE_OK);
    crease_calibrate_options_init(&options);
    options.momentum = 2;
    cr_assert_eq(crease_calibration_create(model, &options, &calibration), CREASE_ERROR_ARGUMENT);
    cr_assert_eq(crease_calibration_create(model, NULL, &calibration), CREASE_OK);
    cr_assert_eq(crease_calibration_finish(calibration, &calibrated), CREASE_ERROR_ARGUMENT, "no batch");
    cr_assert_eq(crease_calibration_add(calibration, NULL, 0), CREASE_ERROR_INPUT, "no input");
    cr_assert_eq(crease_calibration_add(calibration, &n.input, 1), CREASE_ERROR_INPUT,
                 "one image has no variance behind the last layer");
    cr_assert_eq(crease_calibration_add(calibration, &n.input, 1), CREASE_ERROR_ARGUMENT, "after a failure");
    crease_calibration_free(calibration);
    crease_model_free(model);
    free(n.bytes);
}
