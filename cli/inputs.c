#define _GNU_SOURCE /* memmem */
#include "cli/inputs.h"
#include "cli/file.h"
#include "cli/generate.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/npy.h"
#include "cli/npz.h"
#include "cli/tensor_pb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct collector {
    const crease_model *model;
    const input_options *options;
    uint64_t seed;
    input_set *set;
    size_t capacity;
} collector;

/* ---- names ---- */

static bool find_input(const crease_model *model, const char *name, size_t bytes, crease_value_info *info) {
    info->struct_size = sizeof *info;
    for (size_t i = 0; crease_model_input_at(model, i, info); i++)
        if (strlen(info->name) == bytes && memcmp(info->name, name, bytes) == 0)
            return true;
    return false;
}

static int fail_no_input(const crease_model *model, const char *name) {
    char names[256] = "none";
    crease_value_info info = {.struct_size = sizeof info};
    size_t at = 0;
    for (size_t i = 0; at < sizeof names && crease_model_input_at(model, i, &info); i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", info.name);
    return fail(CLI_INPUT, "the model has no input '%.100s'; its inputs: %s", name, names);
}

static bool is_given(const input_set *set, const char *name) {
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->list[i].name, name) == 0)
            return true;
    return false;
}

static bool next_input(const collector *c, crease_value_info *info) {
    info->struct_size = sizeof *info;
    for (size_t i = 0; crease_model_input_at(c->model, i, info); i++)
        if (!is_given(c->set, info->name))
            return true;
    return false;
}

/* Takes over t (on failure too). */
static int add(collector *c, const char *name, tensor *t) {
    char *copy = memory_text(name);
    if (is_given(c->set, copy)) {
        tensor_free(t);
        int code = fail(CLI_USAGE, "input '%.200s' is given twice", copy);
        free(copy);
        return code;
    }
    free(t->name);
    t->name = copy;
    c->set->list = memory_grow(c->set->list, &c->capacity, c->set->n + 1, sizeof *c->set->list);
    c->set->list[c->set->n++] = *t;
    return CLI_OK;
}

/* ---- shapes ---- */

static int parse_dims(const char *option, const char *text, int64_t *dims, int *rank) {
    char *copy = memory_text(text), *next = copy;
    bool good = true;
    *rank = 0;
    for (char *part; good && *text && (part = strsep(&next, "x,")); ++*rank)
        good = *rank < TENSOR_MAX_RANK && args_int(part, 0, INT64_MAX, &dims[*rank]);
    free(copy);
    return good ? CLI_OK
                : fail(CLI_USAGE, "--shape %s: '%s' is not a shape such as 1x3x224x224", option, text);
}

/* --shape for input `want`: its dims are put in `dims`, and want points there. */
static int apply_shape(const collector *c, crease_value_info *want, int64_t *dims) {
    for (size_t i = 0; i < c->options->shapes.n; i++) {
        const char *option = c->options->shapes.items[i], *equals = strchr(option, '=');
        bool mine = equals ? strlen(want->name) == (size_t)(equals - option) &&
                                 memcmp(want->name, option, (size_t)(equals - option)) == 0
                           : crease_model_n_inputs(c->model) == 1;
        if (!mine)
            continue;
        int code = parse_dims(option, equals ? equals + 1 : option, dims, &want->rank);
        if (code)
            return code;
        want->dims = dims;
    }
    return CLI_OK;
}

static int check_shapes(const collector *c) {
    crease_value_info info;
    for (size_t i = 0; i < c->options->shapes.n; i++) {
        const char *option = c->options->shapes.items[i], *equals = strchr(option, '=');
        if (!equals && crease_model_n_inputs(c->model) != 1)
            return fail(CLI_USAGE, "--shape %s: the model has %zu inputs, so NAME= is needed", option,
                        crease_model_n_inputs(c->model));
        if (equals && !find_input(c->model, option, (size_t)(equals - option), &info)) {
            char *name = memory_format("%.*s", (int)(equals - option), option);
            int code = fail_no_input(c->model, name);
            free(name);
            return code;
        }
    }
    return CLI_OK;
}

/* A tensor of the input's type and shape, its contents still zero. */
static int shape_input(const collector *c, const crease_value_info *input, tensor *out) {
    crease_value_info want = *input;
    int64_t dims[TENSOR_MAX_RANK];
    char text[TENSOR_SHAPE_TEXT];
    int code = apply_shape(c, &want, dims);
    if (code)
        return code;
    tensor_shape_text(want.rank, want.dims, want.dim_names, text);
    *out = (tensor){.dtype = want.dtype, .rank = want.rank};
    if (want.rank < 0 || want.rank > TENSOR_MAX_RANK)
        return fail(CLI_INPUT, "input '%.200s' has a shape of unknown rank: give --shape", want.name);
    for (int i = 0; i < want.rank; i++) {
        out->dims[i] = want.dims[i] < 0 && i == 0 ? 1 : want.dims[i];
        if (out->dims[i] < 0)
            return fail(CLI_INPUT, "input '%.200s' has the dynamic shape %s: give --shape %.100s=...",
                        want.name, text, want.name);
    }
    if (!crease_dtype_bits(out->dtype))
        return fail(CLI_INPUT, "input '%.200s' is of type %s, for which no data are made up: give a file",
                    want.name, crease_dtype_name(out->dtype));
    if (!tensor_bytes(out->dtype, out->rank, out->dims, &out->bytes))
        return fail(CLI_INPUT, "input '%.200s': a tensor of shape %s is too large", want.name, text);
    out->data = memory_take(out->bytes, 1);
    return CLI_OK;
}

/* ---- SPEC ---- */

static int make_input(collector *c, const crease_value_info *want, generator kind, uint64_t seed) {
    tensor t;
    int code = shape_input(c, want, &t);
    if (!code)
        code = generate(want->name, kind, seed, &t);
    return code ? code : add(c, want->name, &t);
}

static int read_raw(collector *c, const crease_value_info *want, const char *path) {
    tensor t;
    blob file;
    int code = shape_input(c, want, &t);
    if (code)
        return code;
    code = file_read(path, &file);
    if (!code && file.bytes != t.bytes) {
        code = fail(CLI_INPUT, "%s: has %zu bytes, input '%.200s' needs %zu", path, file.bytes, want->name,
                    t.bytes);
        free(file.data);
    }
    if (code) {
        tensor_free(&t);
        return code;
    }
    free(t.data);
    t.data = file.data;
    return add(c, want->name, &t);
}

/* What a file that is no tensor looks like. */
static const char *guess(const blob *file) {
    size_t n = file->bytes < 512 ? file->bytes : 512;
    if (n == 0)
        return "is empty";
    if (n >= 7 && memcmp(file->data, "version https://git-lfs", n < 23 ? n : 23) == 0)
        return "is a Git LFS pointer: the file itself was not fetched";
    if (memmem(file->data, n, "<html", 5) || memmem(file->data, n, "<!DOCTYPE", 9) ||
        memmem(file->data, n, "<HTML", 5))
        return "is a web page";
    return "is none of .npy, .npz, TensorProto .pb, PNG and JPEG";
}

static int parse_tensor(const char *path, const blob *file, tensor *out) {
    if (npy_is(file))
        return npy_read(path, file, out);
    bool recognised;
    int code = tensor_pb_read(path, file, out, &recognised);
    return recognised ? code : fail(CLI_INPUT, "%s: %s", path, guess(file));
}

int inputs_read_tensor(const char *path, tensor *out) {
    blob file;
    int code = file_read(path, &file);
    if (code)
        return code;
    code = parse_tensor(path, &file, out);
    free(file.data);
    return code;
}

static int use_picture(collector *c, const crease_value_info *input, const char *path, const blob *file) {
    picture p;
    tensor t = {0};
    int64_t dims[TENSOR_MAX_RANK];
    crease_value_info want = *input;
    int code = apply_shape(c, &want, dims);
    if (!code)
        code = picture_read(path, file, &p);
    if (code)
        return code;
    code = image_to_tensor(path, &p, &c->options->image, &want, &t);
    picture_free(&p);
    return code ? code : add(c, want.name, &t);
}

/* name NULL: each array goes to the input of its name, or a single one to the next input. */
static int use_archive(collector *c, const char *name, const char *path, const blob *file) {
    tensor *list;
    size_t n, used = 0;
    crease_value_info info;
    int code = npz_read(path, file, &list, &n);
    for (size_t i = 0; i < n && !code; i++) {
        const char *own = list[i].name, *target = name && (n == 1 || strcmp(own, name) == 0) ? name : own;
        bool wanted = name ? target == name : find_input(c->model, own, strlen(own), &info);
        if (!wanted && !name && n == 1 && next_input(c, &info)) {
            wanted = true;
            target = info.name;
        }
        if (!wanted)
            continue;
        used++;
        code = add(c, target, &list[i]);
        list[i] = (tensor){0};
    }
    for (size_t i = 0; i < n; i++)
        tensor_free(&list[i]);
    free(list);
    if (!code && !used)
        code = name ? fail(CLI_INPUT, "%s: has no array named '%s'", path, name)
                    : fail(CLI_INPUT, "%s: has no array named as an input of the model", path);
    return code;
}

static int use_tensor(collector *c, const char *name, const char *path, const blob *file) {
    tensor t = {0};
    crease_value_info info;
    int code = parse_tensor(path, file, &t);
    if (code) {
        tensor_free(&t);
        return code;
    }
    if (name)
        return add(c, name, &t);
    if (t.name && find_input(c->model, t.name, strlen(t.name), &info))
        return add(c, info.name, &t);
    if (next_input(c, &info))
        return add(c, info.name, &t);
    tensor_free(&t);
    return fail(CLI_USAGE, "--input %s: all %zu inputs of the model are given already", path,
                crease_model_n_inputs(c->model));
}

/* want NULL: a name that only the session may know, such as an initializer that can be overridden. */
static int use_file(collector *c, const char *name, const crease_value_info *want, const char *path) {
    blob file;
    int code = file_read(path, &file);
    if (code)
        return code;
    if (picture_is(&file))
        code = want ? use_picture(c, want, path, &file) : fail_no_input(c->model, name);
    else if (npz_is(&file))
        code = use_archive(c, name, path, &file);
    else
        code = use_tensor(c, name, path, &file);
    free(file.data);
    return code;
}

/* input_N.pb belongs to the N-th input; when there are more files than inputs, each goes by its tensor's
 * name. */
static int use_folder(collector *c, const char *folder) {
    size_t n = 0, n_inputs = crease_model_n_inputs(c->model);
    crease_value_info info = {.struct_size = sizeof info};
    int code = CLI_OK;
    for (bool more = true; more; n += more) {
        char *path = memory_format("%s/input_%zu.pb", folder, n);
        more = access(path, F_OK) == 0;
        free(path);
    }
    for (size_t i = 0; i < n && !code; i++) {
        tensor t = {0};
        char *path = memory_format("%s/input_%zu.pb", folder, i);
        code = inputs_read_tensor(path, &t);
        if (!code && n > n_inputs && !t.name)
            code = fail(CLI_INPUT, "%s: the tensor has no name, and the model has only %zu inputs", path,
                        n_inputs);
        if (!code) {
            crease_model_input_at(c->model, i, &info);
            code = add(c, n > n_inputs ? t.name : info.name, &t);
        }
        free(path);
    }
    return code || n ? code : fail(CLI_INPUT, "%s: the folder has no input_0.pb", folder);
}

/* random, random:SEED, zeros, ones; false: none of them. */
static bool parse_generator(const char *spec, uint64_t *seed, generator *kind) {
    *kind = strcmp(spec, "zeros") == 0  ? GENERATE_ZEROS
            : strcmp(spec, "ones") == 0 ? GENERATE_ONES
                                        : GENERATE_RANDOM;
    if (*kind != GENERATE_RANDOM || strcmp(spec, "random") == 0)
        return true;
    return strncmp(spec, "random:", 7) == 0 && args_seed(spec + 7, seed);
}

static int use_spec(collector *c, const char *name, const char *spec) {
    crease_value_info info;
    generator kind;
    uint64_t seed = c->seed;
    bool found = name ? find_input(c->model, name, strlen(name), &info) : next_input(c, &info);
    bool generated = parse_generator(spec, &seed, &kind), raw = strncmp(spec, "raw:", 4) == 0;
    if ((generated || raw) && !found)
        return name ? fail_no_input(c->model, name)
                    : fail(CLI_USAGE, "--input %s: all %zu inputs of the model are given already", spec,
                           crease_model_n_inputs(c->model));
    if (generated)
        return make_input(c, &info, kind, seed);
    if (raw)
        return read_raw(c, &info, spec + 4);
    if (strncmp(spec, "random:", 7) == 0)
        return fail(CLI_USAGE, "--input %s: '%s' is not a seed, a whole number from 0", spec, spec + 7);
    if (!name && file_is_folder(spec))
        return use_folder(c, spec);
    return use_file(c, name, found ? &info : NULL, spec);
}

/* ---- all ---- */

static int use_option(collector *c, const char *option) {
    const char *equals = strchr(option, '=');
    if (!equals)
        return use_spec(c, NULL, option);
    if (!equals[1])
        return fail(CLI_USAGE, "--input %s: nothing follows the name", option);
    char *name = memory_format("%.*s", (int)(equals - option), option);
    int code = use_spec(c, name, equals + 1);
    free(name);
    return code;
}

/* An input is missing: perhaps because a name is misspelt. */
static int fail_missing(const collector *c, const char *name) {
    crease_value_info info;
    for (size_t i = 0; i < c->set->n; i++)
        if (!find_input(c->model, c->set->list[i].name, strlen(c->set->list[i].name), &info))
            return fail_no_input(c->model, c->set->list[i].name);
    return fail(CLI_INPUT, "input '%.200s' is missing: give --input %.200s=FILE", name, name);
}

int inputs_collect(const crease_model *model, const input_options *options, missing_input missing,
                   uint64_t seed, input_set *out) {
    *out = (input_set){NULL, 0};
    collector c = {model, options, seed, out, 0};
    int code = image_check(&options->image);
    if (!code)
        code = check_shapes(&c);
    for (size_t i = 0; i < options->inputs.n && !code; i++)
        code = use_option(&c, options->inputs.items[i]);
    crease_value_info info;
    while (!code && next_input(&c, &info)) {
        if (missing == MISSING_FAILS)
            return fail_missing(&c, info.name);
        if (missing == MISSING_RANDOM)
            note("input '%s' is not given: random numbers, seed %" PRIu64, info.name, seed);
        code = make_input(&c, &info, GENERATE_RANDOM, seed);
    }
    return code;
}

void inputs_free(input_set *set) {
    for (size_t i = 0; i < set->n; i++)
        tensor_free(&set->list[i]);
    free(set->list);
    *set = (input_set){NULL, 0};
}

int inputs_bind(const input_set *set, crease_session *session) {
    for (size_t i = 0; i < set->n; i++) {
        const tensor *t = &set->list[i];
        crease_status status =
            crease_session_bind_input(session, t->name, t->dtype, t->rank, t->dims, t->data);
        if (status == CREASE_ERROR_ARGUMENT) /* a wrong name is a wrong input here, not a wrong call */
            status = CREASE_ERROR_INPUT;
        if (status)
            return fail_status(status);
    }
    return CLI_OK;
}

crease_tensor *inputs_views(const input_set *set) {
    crease_tensor *views = memory_take(set->n, sizeof *views);
    for (size_t i = 0; i < set->n; i++)
        views[i] = tensor_view(&set->list[i]);
    return views;
}

void inputs_options_free(input_options *options) {
    free(options->inputs.items);
    free(options->shapes.items);
}

const char *inputs_folder(const input_options *options) {
    for (size_t i = 0; i < options->inputs.n; i++)
        if (!strchr(options->inputs.items[i], '=') && file_is_folder(options->inputs.items[i]))
            return options->inputs.items[i];
    return NULL;
}
