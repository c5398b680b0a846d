#include "cli/cli.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* From --input SPEC and --shape to one tensor for each model input. */

/* ---- made-up data ---- */

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Sum of uniforms: near enough to normal for test data, without tails that overflow a network. */
static double next_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += (double)(next_random(state) >> 11) * 0x1p-53;
    return sum;
}

static void set_element(tensor *t, int64_t i, double value) {
    switch (t->dtype) {
    case CREASE_FLOAT:
        ((float *)t->data)[i] = (float)value;
        break;
    case CREASE_DOUBLE:
        ((double *)t->data)[i] = value;
        break;
    case CREASE_INT64:
        ((int64_t *)t->data)[i] = (int64_t)fabs(value);
        break;
    case CREASE_INT32:
        ((int32_t *)t->data)[i] = (int32_t)fabs(value);
        break;
    case CREASE_FLOAT16: /* one exponent for all: 1 + fraction, or zero */
        ((uint16_t *)t->data)[i] =
            (uint16_t)(value == 0 ? 0 : (value < 0 ? 0xb800 : 0x3800) | ((int)(fabs(value) * 99) & 0x3ff));
        break;
    default:
        if (crease_dtype_bits(t->dtype) == 8)
            ((unsigned char *)t->data)[i] = (unsigned char)(fabs(value) >= 1);
    }
}

/* --shape NAME=1x3x224 for this input, else its own shape with dynamic dimensions as 1. */
static int shape_for(const arguments *a, const crease_value_info *want, tensor *t) {
    size_t n = strlen(want->name);
    for (int i = 0; i < a->n_shapes; i++) {
        const char *spec = a->shapes[i];
        if (strncmp(spec, want->name, n) != 0 || spec[n] != '=')
            continue;
        char *at = (char *)(uintptr_t)spec + n;
        for (t->rank = 0; *at && t->rank < MAX_RANK;) {
            const char *digits = at + 1;
            t->dims[t->rank++] = strtoll(digits, &at, 10);
            if (at == digits || (*at && *at != 'x'))
                return fail(EXIT_USAGE, "--shape: '%s' is not NAME=1x3x224x224", spec);
        }
        return EXIT_OK;
    }
    if (want->rank < 0)
        return fail(EXIT_BAD_INPUT, "input '%s' has an unknown rank: give it a shape with --shape %s=...",
                    want->name, want->name);
    t->rank = want->rank;
    for (int i = 0; i < t->rank; i++)
        t->dims[i] = want->dims[i] < 0 ? 1 : want->dims[i];
    return EXIT_OK;
}

enum filling { ZEROS, ONES, RANDOM };

static int make_up(const arguments *a, const crease_value_info *want, enum filling filling, uint64_t seed,
                   tensor *t) {
    t->dtype = want->dtype ? want->dtype : CREASE_FLOAT;
    int code = shape_for(a, want, t);
    if (code == EXIT_OK)
        code = tensor_allocate(t, want->name);
    if (code)
        return code;
    uint64_t state = seed;
    for (int64_t i = 0, n = tensor_n(t); filling != ZEROS && i < n; i++)
        set_element(t, i, filling == ONES ? 1 : next_normal(&state));
    return EXIT_OK;
}

/* ---- files ---- */

static int from_file(const char *path, const arguments *a, const crease_value_info *want, tensor *t) {
    bytes file;
    int code = read_file(path, &file);
    if (code)
        return code;
    if (is_picture(&file))
        code = parse_picture(path, &file, a, want, t);
    else if (file.n >= 6 && memcmp(file.data, "\x93NUMPY", 6) == 0)
        code = parse_npy(path, &file, t);
    else
        code = parse_tensor_proto(path, &file, t);
    free(file.data);
    return code;
}

static int from_raw(const char *path, const arguments *a, const crease_value_info *want, tensor *t) {
    bytes file;
    int code = read_file(path, &file);
    if (code)
        return code;
    code = make_up(a, want, ZEROS, 0, t);
    if (code == EXIT_OK && file.n != t->bytes) {
        code =
            fail(EXIT_BAD_INPUT, "%s: %zu bytes, input '%s' needs %zu", path, file.n, want->name, t->bytes);
        tensor_free(t);
    }
    if (code == EXIT_OK)
        memcpy(t->data, file.data, file.n);
    free(file.data);
    return code;
}

static int from_spec(const char *spec, const arguments *a, const crease_value_info *want, tensor *t) {
    int code;
    if (strcmp(spec, "zeros") == 0 || strcmp(spec, "ones") == 0)
        code = make_up(a, want, spec[0] == 'z' ? ZEROS : ONES, 0, t);
    else if (strncmp(spec, "random", 6) == 0 && (spec[6] == 0 || spec[6] == ':'))
        code = make_up(a, want, RANDOM, spec[6] ? strtoull(spec + 7, NULL, 10) : (uint64_t)a->seed, t);
    else if (strncmp(spec, "raw:", 4) == 0)
        code = from_raw(spec + 4, a, want, t);
    else
        code = from_file(spec, a, want, t);
    snprintf(t->name, sizeof t->name, "%s", want->name);
    return code;
}

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* input_N.pb of an ONNX test data set for the N-th input. */
static int from_folder(const char *folder, const crease_model *model, const arguments *a, tensor *inputs,
                       bool *given) {
    char path[4096];
    crease_value_info want = {.struct_size = sizeof want};
    for (size_t i = 0; crease_model_input_at(model, i, &want); i++) {
        snprintf(path, sizeof path, "%s/input_%zu.pb", folder, i);
        int code = from_spec(path, a, &want, &inputs[i]);
        if (code)
            return code;
        given[i] = true;
    }
    return EXIT_OK;
}

/* ---- all of them ---- */

static int input_index(const crease_model *model, const char *spec, const bool *given, size_t *index,
                       const char **rest) {
    crease_value_info want = {.struct_size = sizeof want};
    const char *equals = strchr(spec, '=');
    size_t n = equals ? (size_t)(equals - spec) : 0;
    for (*index = 0; crease_model_input_at(model, *index, &want); ++*index)
        if (equals && strlen(want.name) == n && memcmp(want.name, spec, n) == 0) {
            *rest = equals + 1;
            return EXIT_OK;
        }
    if (equals)
        return fail(EXIT_BAD_INPUT, "--input: the model has no input '%.*s'", (int)n, spec);
    *rest = spec;
    for (*index = 0; *index < crease_model_n_inputs(model); ++*index)
        if (!given[*index])
            return EXIT_OK;
    return fail(EXIT_USAGE, "--input '%s': the model has only %zu inputs", spec,
                crease_model_n_inputs(model));
}

static int gather(const crease_model *model, const arguments *a, bool random, uint64_t seed, tensor *inputs,
                  bool *given) {
    crease_value_info want = {.struct_size = sizeof want};
    for (int i = 0; i < a->n_inputs; i++) {
        size_t index;
        const char *rest;
        if (is_folder(a->inputs[i])) {
            int code = from_folder(a->inputs[i], model, a, inputs, given);
            if (code)
                return code;
            continue;
        }
        int code = input_index(model, a->inputs[i], given, &index, &rest);
        if (code)
            return code;
        if (given[index])
            return fail(EXIT_USAGE, "--input '%s': that input is given twice", a->inputs[i]);
        crease_model_input_at(model, index, &want);
        code = from_spec(rest, a, &want, &inputs[index]);
        if (code)
            return code;
        given[index] = true;
    }
    for (size_t i = 0; crease_model_input_at(model, i, &want); i++) {
        if (given[i])
            continue;
        if (!random)
            return fail(EXIT_BAD_INPUT, "input '%s' is missing: give --input %s=FILE", want.name, want.name);
        say("crease: input '%s' is not given: random data, seed %" PRIu64 "\n", want.name, seed);
        int code = make_up(a, &want, RANDOM, seed + i, &inputs[i]);
        if (code)
            return code;
        snprintf(inputs[i].name, sizeof inputs[i].name, "%s", want.name);
    }
    return EXIT_OK;
}

int gather_inputs(const crease_model *model, const arguments *a, bool random, uint64_t seed, tensor **inputs,
                  size_t *n) {
    *n = crease_model_n_inputs(model);
    *inputs = calloc(*n + 1, sizeof **inputs);
    bool *given = calloc(*n + 1, sizeof *given);
    int code = *inputs && given ? gather(model, a, random, seed, *inputs, given)
                                : fail(EXIT_RUNTIME, "out of memory");
    free(given);
    if (code) {
        free_inputs(*inputs, *n);
        *inputs = NULL;
    }
    return code;
}

void free_inputs(tensor *inputs, size_t n) {
    for (size_t i = 0; inputs && i < n; i++)
        tensor_free(&inputs[i]);
    free(inputs);
}

int set_inputs(crease_session *session, const tensor *inputs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        crease_status status = crease_session_set_input(session, inputs[i].name, inputs[i].dtype,
                                                        inputs[i].rank, inputs[i].dims, inputs[i].data);
        if (status)
            return fail_status(status, NULL);
    }
    return EXIT_OK;
}
