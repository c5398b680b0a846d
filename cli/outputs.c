#include "cli/outputs.h"
#include "cli/file.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/npy.h"
#include "cli/table.h"
#include "cli/tensor_pb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int outputs_get(crease_session *session, size_t index, crease_tensor *t) {
    *t = (crease_tensor){.struct_size = sizeof *t};
    crease_status status = crease_session_output(session, index, t);
    return status ? fail(CLI_RUN, "%s", crease_error_message()) : CLI_OK;
}

static int stage(const crease_tensor *t, const char *folder, size_t index) {
    blob head;
    bool npy = npy_can_hold(t->dtype);
    if (npy)
        npy_header(t, &head);
    else
        tensor_pb_header(t, &head);
    char *path = memory_format("%s/output_%zu.%s", folder, index, npy ? "npy" : "pb");
    int code = file_stage(path, head.data, head.bytes, t->data, t->dtype == CREASE_STRING ? 0 : t->bytes);
    free(path);
    free(head.data);
    return code;
}

int outputs_stage(crease_session *session, const char *folder) {
    crease_tensor t;
    for (size_t i = 0; i < crease_session_n_outputs(session); i++) {
        int code = outputs_get(session, i, &t);
        if (!code)
            code = stage(&t, folder, i);
        if (code)
            return code;
    }
    return CLI_OK;
}

/* ---- summary ---- */

enum { N_FIRST = 5 };

static void add_range(table *out, const crease_tensor *t, int64_t n) {
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double value = tensor_get(t->dtype, t->data, i);
        low = fmin(low, value);
        high = fmax(high, value);
        sum += value;
    }
    if (n == 0)
        low = high = NAN;
    table_cell(out, "%.6g", low);
    table_cell(out, "%.6g", high);
    table_cell(out, "%.6g", sum / (double)n);
}

static void add_first(table *out, const crease_tensor *t, int64_t n) {
    char text[32 * (N_FIRST + 1)] = "";
    size_t at = 0;
    for (int64_t i = 0; i < n && i < N_FIRST; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.6g", i ? " " : "",
                               tensor_get(t->dtype, t->data, i));
    table_cell(out, "%s%s", text, n > N_FIRST ? " ..." : "");
}

static void add_first_string(table *out, const crease_tensor *t, int64_t n) {
    const crease_string *strings = t->data;
    table_cell(out, "%.*s%s", n ? (int)(strings[0].bytes < 60 ? strings[0].bytes : 60) : 0,
               n ? strings[0].data : "", n > 1 ? " ..." : "");
}

static void add_output(table *out, const crease_tensor *t) {
    char shape[TENSOR_SHAPE_TEXT];
    int64_t n = 0;
    tensor_count(t->rank, t->dims, &n);
    table_cell(out, "%s", t->name);
    table_cell(out, "%s", crease_dtype_name(t->dtype));
    table_cell(out, "%s", tensor_shape_text(t->rank, t->dims, NULL, shape));
    if (tensor_is_number(t->dtype) && n > 0) {
        add_range(out, t, n);
        add_first(out, t, n);
        return;
    }
    for (int i = 0; i < 3; i++)
        table_cell(out, "-");
    if (t->dtype == CREASE_STRING)
        add_first_string(out, t, n);
    else
        table_cell(out, "-");
}

int outputs_summarise(crease_session *session) {
    static const char *const headers[] = {"output", "type",  "shape",        ">min",
                                          ">max",   ">mean", "first values", NULL};
    crease_tensor t;
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; i < crease_session_n_outputs(session); i++) {
        int code = outputs_get(session, i, &t);
        if (code)
            return code;
        add_output(&out, &t);
    }
    table_print(&out, 0);
    return CLI_OK;
}
