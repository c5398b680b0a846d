#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* crease run: one run, outputs to files or a summary. */

static double value_at(const crease_tensor *t, int64_t i) {
    switch (t->dtype) {
    case CREASE_FLOAT:
        return (double)((const float *)t->data)[i];
    case CREASE_DOUBLE:
        return ((const double *)t->data)[i];
    case CREASE_INT64:
        return (double)((const int64_t *)t->data)[i];
    case CREASE_INT32:
        return ((const int32_t *)t->data)[i];
    case CREASE_INT8:
        return ((const int8_t *)t->data)[i];
    case CREASE_UINT8:
    case CREASE_BOOL:
        return ((const uint8_t *)t->data)[i];
    default:
        return NAN;
    }
}

static int64_t count(const crease_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

static void summarize(const crease_tensor *t) {
    int64_t n = count(t);
    printf("%s: %s [", t->name, crease_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        printf("%s%" PRId64, i ? ", " : "", t->dims[i]);
    printf("]");
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = value_at(t, i);
        low = v < low ? v : low;
        high = v > high ? v : high;
        sum += v;
    }
    if (n)
        printf("  min %.6g  max %.6g  mean %.6g ", low, high, sum / (double)n);
    for (int64_t i = 0; i < n && i < 5; i++)
        printf("%s %.6g", i ? "," : " first", value_at(t, i));
    printf("\n");
}

static int write_outputs(crease_session *session, const crease_model *model, const char *folder) {
    char path[4096];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail(EXIT_BAD_INPUT, "%s: %s", folder, strerror(errno));
    for (size_t i = 0; i < crease_model_n_outputs(model); i++) {
        crease_tensor t = {.struct_size = sizeof t};
        crease_status status = crease_session_output(session, i, &t);
        if (status)
            return fail_status(status, NULL);
        bool npy = npy_can_hold(t.dtype);
        snprintf(path, sizeof path, "%s/output_%zu.%s", folder, i, npy ? "npy" : "pb");
        int code = npy ? write_npy(path, &t) : write_tensor_proto(path, &t);
        if (code)
            return code;
    }
    return EXIT_OK;
}

/* ---- --top ---- */

static int read_labels(const char *path, bytes *file, const char **lines, int64_t most, int64_t *n) {
    *n = 0;
    int code = path ? read_file(path, file) : EXIT_OK;
    if (code || !path)
        return code;
    file->data[file->n] = 0;
    for (char *at = (char *)file->data; *at && *n < most;) {
        lines[(*n)++] = at;
        at += strcspn(at, "\r\n");
        while (*at == '\r' || *at == '\n')
            *at++ = 0;
    }
    return EXIT_OK;
}

/* Probability where the outputs are none yet: softmax over the row. */
static void print_top(const crease_tensor *t, int64_t k, const char **labels, int64_t n_labels) {
    int64_t classes = t->rank ? t->dims[t->rank - 1] : 1, rows = classes ? count(t) / classes : 0;
    for (int64_t row = 0; row < rows; row++) {
        double high = -INFINITY, low = INFINITY, sum = 0, total = 0;
        for (int64_t c = 0; c < classes; c++) {
            double v = value_at(t, row * classes + c);
            high = fmax(high, v);
            low = fmin(low, v);
            sum += v;
        }
        bool probabilities = low >= 0 && fabs(sum - 1) < 1e-3;
        for (int64_t c = 0; c < classes; c++)
            total += exp(value_at(t, row * classes + c) - high);
        double last = INFINITY;
        int64_t last_class = -1;
        for (int64_t place = 0; place < k && place < classes; place++) {
            int64_t best = -1;
            for (int64_t c = 0; c < classes; c++) {
                double v = value_at(t, row * classes + c);
                bool after = v < last || (v == last && c > last_class);
                if (after && (best < 0 || v > value_at(t, row * classes + best)))
                    best = c;
            }
            if (best < 0)
                break;
            last = value_at(t, row * classes + best);
            last_class = best;
            printf("%6.2f %%  %s%s(class %" PRId64 ", score %.4f)\n",
                   100 * (probabilities ? last : exp(last - high) / total),
                   best < n_labels ? labels[best] : "", best < n_labels ? "  " : "", best, last);
        }
    }
}

static int top(crease_session *session, const arguments *a) {
    enum { MAX_LABELS = 100000 };
    bytes file = {0};
    int64_t n_labels = 0;
    crease_tensor t = {.struct_size = sizeof t};
    const char **labels = calloc(MAX_LABELS, sizeof *labels);
    int code = labels ? read_labels(a->labels, &file, labels, MAX_LABELS, &n_labels)
                      : fail(EXIT_RUNTIME, "out of memory");
    if (code == EXIT_OK) {
        crease_status status = crease_session_output(session, 0, &t);
        if (status)
            code = fail_status(status, NULL);
        else
            print_top(&t, a->top, labels, n_labels);
    }
    free(labels);
    free(file.data);
    return code;
}

/* ---- --profile ---- */

static int write_profile(crease_session *session, const char *path) {
    char temporary[4096];
    FILE *out = json_open(path, temporary, sizeof temporary);
    if (!out)
        return EXIT_BAD_INPUT;
    crease_step step = {.struct_size = sizeof step};
    fprintf(out, "{\"schema\": \"crease.profile/1\", \"steps\": [");
    for (size_t i = 0; crease_session_step_at(session, i, &step); i++) {
        fprintf(out, "%s\n  {\"node\": ", i ? "," : "");
        json_string(out, step.node);
        fprintf(out, ", \"op\": ");
        json_string(out, step.op_type);
        fprintf(out, ", \"algorithm\": ");
        json_string(out, step.algorithm);
        fprintf(out, ", \"note\": ");
        json_string(out, step.note);
        fprintf(out, ", \"macs\": %" PRId64 ", \"runs\": %" PRId64 ", \"ms\": ", step.macs, step.n_runs);
        json_number(out, 1e3 * step.seconds);
        fprintf(out, "}");
    }
    fprintf(out, "\n]}\n");
    return json_close(out, path, temporary);
}

static int run(crease_model *model, const arguments *a, crease_session *session) {
    tensor *inputs;
    size_t n;
    int code = gather_inputs(model, a, false, 0, &inputs, &n);
    if (code)
        return code;
    code = set_inputs(session, inputs, n);
    free_inputs(inputs, n);
    if (code)
        return code;
    crease_session_profile(session, a->profile != NULL);
    set_interruptible(session);
    crease_status status = crease_session_run(session);
    set_interruptible(NULL);
    if (status)
        return fail_status(status, NULL);
    if (a->output_dir)
        code = write_outputs(session, model, a->output_dir);
    if (code == EXIT_OK && a->profile)
        code = write_profile(session, a->profile);
    if (code == EXIT_OK && a->top)
        code = top(session, a);
    crease_tensor t = {.struct_size = sizeof t};
    for (size_t i = 0; code == EXIT_OK && !a->output_dir && !a->top && i < crease_model_n_outputs(model); i++)
        if (crease_session_output(session, i, &t) == CREASE_OK)
            summarize(&t);
    return code;
}

int command_run(const arguments *a) {
    crease_model *model;
    crease_session *session;
    int code = load_model(a, 0, &model);
    if (code)
        return code;
    crease_options options = options_of(a);
    crease_status status = crease_session_create(model, &options, &session);
    code = status ? fail_status(status, a->positional[0]) : run(model, a, session);
    crease_session_free(session);
    crease_model_free(model);
    return code;
}
