#include "runtime/api/model.h"
#include "tests/passes/small.h"

/* Parameters of a BatchNormalization that no training gives, but a file may hold: the fold is refused with
 * its reason, and the network loads and runs all the same where ONNX defines what it computes. */

typedef struct outcome {
    const char *found; /* pattern or reason; a constant string of the report */
    bool refused;      /* the model is none */
    int64_t dims[4];
    double first; /* element of the output */
} outcome;

static void run(crease_model *model, outcome *o) {
    crease_session *session;
    crease_tensor t = {.struct_size = sizeof t};
    float x[6 * 4 * 4];
    crease_options options;
    crease_options_init(&options);
    options.threads = 1;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)i / 8;
    OK(crease_session_create(model, &options, &session));
    OK(crease_session_set_input(session, NULL, CREASE_FLOAT, 4, (int64_t[]){1, 3, 4, 4}, x));
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &t));
    for (int d = 0; d < 4; d++)
        o->dims[d] = t.dims[d];
    o->first = t.bytes ? (double)((const float *)t.data)[0] : 0;
    crease_session_free(session);
}

static cr_value *floats(small *s, int rank, const int64_t *dims, float value) {
    cr_shape shape = cr_shape_of(rank, dims);
    cr_value *v;
    cr_tensor *t;
    OK(cr_graph_new_constant(s->model->graph, "p", CREASE_FLOAT, &shape, &v, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        ((float *)t->data)[i] = value;
    return v;
}

/* x [1, 3, 4, 4] -> Conv 1x1 to `channels` -> BN whose parameters have these lengths and values. */
static outcome judge(int64_t channels, const int64_t lengths[4], const float values[4],
                     crease_fold_entry *e) {
    small s = small_begin(15, DIMS(1, 3, 4, 4));
    crease_model *model, *folded;
    crease_fold_report *report;
    outcome o = {0};
    static char found[64];
    s.x->dtype = CREASE_FLOAT;
    cr_value *in[5] = {small_node(&s, "Conv", "conv", IN(s.x, floats(&s, DIMS(channels, 3, 1, 1), 0.5F)))};
    for (int i = 0; i < 4; i++)
        in[i + 1] = floats(&s, DIMS(lengths[i]), values[i]);
    small_output(&s, small_node(&s, "BatchNormalization", "bn", 5, in));
    o.refused = cr_model_publish(s.model, &model) != CREASE_OK;
    s.model = NULL;
    if (!o.refused) {
        OK(crease_fold(model, NULL, &folded, &report));
        cr_assert(crease_fold_report_entry_at(report, 0, e));
        snprintf(found, sizeof found, "%s", e->folded ? e->pattern : e->reason);
        o.found = found;
        run(folded, &o);
        crease_fold_report_free(report);
        crease_model_free(folded);
        crease_model_free(model);
    }
    small_end(&s);
    return o;
}

Test(bad_parameters, values) {
    static const struct {
        float values[4];
        const char *expected;
        double first; /* conv gives 0.5 (x0 + x16 + x32) / 8 = 3 */
    } cases[] = {
        {{1, 0, 0, 1}, "conv-bn", 3},
        {{NAN, 0, 0, 1}, "non-finite", NAN},
        {{1, INFINITY, 0, 1}, "non-finite", INFINITY},
        {{1, 0, -INFINITY, 1}, "non-finite", INFINITY},
        {{1, 0, 0, NAN}, "non-finite", NAN},
        {{2, 7, 0, INFINITY}, "non-finite", 7}, /* nothing is left of x */
        {{1, 0, 0, -1}, "variance-not-positive", NAN},
        {{1, 0, 0, -0x1p-149F}, "conv-bn", 3 / sqrt(1e-5)}, /* epsilon outweighs it */
        {{1, 0, 0, 0x1p-149F}, "conv-bn", 3 / sqrt(1e-5)},
        {{1, 0, 0, 0}, "conv-bn", 3 / sqrt(1e-5)},
        {{3e38F, 0, 0, 0}, "overflow", INFINITY},
        {{0, 5, 1, 1}, "conv-bn", 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        crease_fold_entry e = {.struct_size = sizeof e};
        outcome o = judge(2, (int64_t[]){2, 2, 2, 2}, cases[i].values, &e);
        cr_assert_not(o.refused);
        cr_assert_str_eq(o.found, cases[i].expected, "case %zu: %s", i, o.found);
        double wanted = cases[i].first;
        bool same = isfinite(wanted) ? fabs(o.first - wanted) <= 1e-4 * fabs(wanted)
                    : isnan(wanted)  ? isnan(o.first)
                                     : isinf(o.first);
        cr_assert(same, "case %zu: %g, expected %g", i, o.first, wanted);
    }
}

/* No lengths but the channels of the data are a model. */
Test(bad_parameters, lengths) {
    static const float values[4] = {1, 0, 0, 1};
    for (int i = 0; i < 4; i++)
        for (int64_t length = 0; length <= 4; length++) {
            crease_fold_entry e = {.struct_size = sizeof e};
            int64_t lengths[4] = {2, 2, 2, 2};
            lengths[i] = length;
            cr_assert_eq(judge(2, lengths, values, &e).refused, length != 2);
        }
}

Test(bad_parameters, zero_channels) {
    crease_fold_entry e = {.struct_size = sizeof e};
    outcome o = judge(0, (int64_t[]){0, 0, 0, 0}, (float[]){1, 0, 0, 1}, &e);
    cr_assert_not(o.refused);
    cr_assert_str_eq(o.found, "no-channels");
    cr_assert_eq(o.dims[1], 0);
}
