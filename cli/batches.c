#define _GNU_SOURCE /* versionsort */

#include "cli/batches.h"
#include "cli/file.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the list of specs ---- */

static void add_spec(batch_source *s, char *spec) {
    s->specs = memory_grow(s->specs, &s->capacity, s->n_specs + 1, sizeof *s->specs);
    s->specs[s->n_specs++] = spec;
}

static bool is_data_set(const char *folder) {
    char *first = memory_format("%s/input_0.pb", folder);
    bool is = access(first, F_OK) == 0;
    free(first);
    return is;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int add_folder(batch_source *s, const char *prefix, const char *folder) {
    struct dirent **entries;
    int n = scandir(folder, &entries, is_visible, versionsort);
    if (n <= 0)
        return fail(CLI_INPUT, "%s: the folder has no files", folder);
    for (int i = 0; i < n; i++) {
        add_spec(s, memory_format("%s%s/%s", prefix, folder, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return CLI_OK;
}

static int list_specs(batch_source *s) {
    const arg_list *inputs = &s->options->inputs;
    int code = CLI_OK;
    for (size_t i = 0; i < inputs->n && !code; i++) {
        const char *option = inputs->items[i], *equals = strchr(option, '=');
        const char *spec = equals ? equals + 1 : option;
        char *prefix = memory_format("%.*s", equals ? (int)(equals - option) + 1 : 0, option);
        if (file_is_folder(spec) && !is_data_set(spec))
            code = add_folder(s, prefix, spec);
        else
            add_spec(s, memory_text(option));
        free(prefix);
    }
    return code;
}

int batches_open(const crease_model *model, const input_options *options, batch_source *source) {
    *source = (batch_source){.model = model, .options = options};
    return list_specs(source);
}

void batches_close(batch_source *source) {
    inputs_free(&source->current);
    for (size_t i = 0; i < source->n_specs; i++)
        free(source->specs[i]);
    free(source->specs);
}

/* ---- one round: a value for every input ---- */

/* A spec that may bring all inputs. */
static bool is_complete(const char *spec) {
    size_t length = strlen(spec);
    return !strchr(spec, '=') &&
           (file_is_folder(spec) || (length > 4 && strcmp(spec + length - 4, ".npz") == 0));
}

static int check_round(const batch_source *s, const char *spec) {
    const input_set *set = &s->current;
    for (size_t i = 0; i < set->n; i++) {
        const tensor *t = &set->list[i];
        if (t->rank == 0 || crease_dtype_bits(t->dtype) < 8)
            return fail(CLI_INPUT, "%s: input '%.200s' has no samples along a first axis", spec, t->name);
        if (t->dims[0] != set->list[0].dims[0])
            return fail(CLI_INPUT, "%s: input '%.200s' has %lld samples, '%.200s' has %lld", spec, t->name,
                        (long long)t->dims[0], set->list[0].name, (long long)set->list[0].dims[0]);
    }
    return CLI_OK;
}

static int next_round(batch_source *s) {
    size_t n = is_complete(s->specs[s->next]) ? 1 : crease_model_n_inputs(s->model);
    n = n < s->n_specs - s->next ? n : s->n_specs - s->next;
    input_options part = *s->options;
    part.inputs = (arg_list){(const char **)(uintptr_t)(s->specs + s->next), n, n};
    inputs_free(&s->current);
    s->taken = 0;
    int code = inputs_collect(s->model, &part, MISSING_FAILS, 1 + s->next, &s->current);
    if (!code)
        code = check_round(s, s->specs[s->next]);
    s->next += n;
    return code;
}

/* ---- batches ---- */

static bool fits(const tensor *a, const tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims + 1, b->dims + 1, (size_t)(a->rank - 1) * sizeof *a->dims) == 0;
}

static tensor *input_of(input_set *set, const char *name) {
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->list[i].name, name) == 0)
            return &set->list[i];
    return NULL;
}

/* Room for `size` samples of each input. */
static void make_batch(const input_set *like, int64_t size, input_set *out) {
    out->list = memory_take(like->n, sizeof *out->list);
    for (size_t i = 0; i < like->n; i++) {
        const tensor *t = &like->list[i];
        tensor *b = &out->list[out->n++];
        *b = *t;
        b->name = memory_text(t->name);
        b->dims[0] = 0;
        b->data = memory_take((size_t)size, t->bytes / (size_t)t->dims[0]);
        b->bytes = 0;
    }
}

/* n samples of the current round to the end of the batch. */
static int append(batch_source *s, input_set *out, int64_t n) {
    for (size_t i = 0; i < s->current.n; i++) {
        const tensor *t = &s->current.list[i];
        tensor *b = input_of(out, t->name);
        if (!b || !fits(t, b))
            return fail(CLI_INPUT,
                        "%s: input '%.200s': samples of different types or shapes cannot be joined",
                        s->specs[s->next - 1], t->name);
        size_t sample = t->bytes / (size_t)t->dims[0];
        memcpy((char *)b->data + b->bytes, (const char *)t->data + (size_t)s->taken * sample,
               (size_t)n * sample);
        b->bytes += (size_t)n * sample;
        b->dims[0] += n;
    }
    s->taken += n;
    return CLI_OK;
}

static int64_t left_in_round(const batch_source *s) {
    return s->current.n ? s->current.list[0].dims[0] - s->taken : 0;
}

int batches_next(batch_source *s, int64_t size, input_set *out, int64_t *n) {
    int code = CLI_OK;
    *out = (input_set){NULL, 0};
    *n = 0;
    while (!code && *n < size && (left_in_round(s) || s->next < s->n_specs)) {
        int64_t left = left_in_round(s), want = size - *n;
        if (left == 0) {
            code = next_round(s);
            continue;
        }
        if (!out->list)
            make_batch(&s->current, size, out);
        int64_t take = left < want ? left : want;
        code = append(s, out, take);
        *n += take;
    }
    return code;
}
