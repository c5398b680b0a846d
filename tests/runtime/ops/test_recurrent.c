#include "tests/runtime/ops/one.h"

/* RNN, GRU and LSTM against their definitions, one number after another, in float64. */

typedef struct layer {
    int kind, gates; /* 0 RNN, 1 GRU, 2 LSTM */
    int64_t steps, batch, input, hidden, directions;
    bool reverse, linear, coupled, batch_first;
    const double *x, *w, *r, *b, *h0, *c0, *peep;
    const int32_t *lengths;
} layer;

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* Row of gate g for unit u in a direction. */
static double input_part(const layer *l, int64_t d, int g, int64_t u, int64_t b, int64_t t) {
    const double *x = l->x + (l->batch_first ? b * l->steps + t : t * l->batch + b) * l->input;
    const double *w = l->w + ((d * l->gates + g) * l->hidden + u) * l->input;
    double sum = l->b[(d * 2 * l->gates + g) * l->hidden + u];
    for (int64_t i = 0; i < l->input; i++)
        sum += x[i] * w[i];
    return sum;
}

static double state_part(const layer *l, int64_t d, int g, int64_t u, const double *h) {
    const double *r = l->r + ((d * l->gates + g) * l->hidden + u) * l->hidden;
    double sum = l->b[(d * 2 * l->gates + l->gates + g) * l->hidden + u];
    for (int64_t i = 0; i < l->hidden; i++)
        sum += h[i] * r[i];
    return sum;
}

static void step_gru(const layer *l, int64_t d, int64_t b, int64_t t, double *h) {
    double reset[64], next[64];
    for (int64_t u = 0; u < l->hidden; u++)
        reset[u] = sigmoid(input_part(l, d, 1, u, b, t) + state_part(l, d, 1, u, h)) * h[u];
    for (int64_t u = 0; u < l->hidden; u++) {
        const double z = sigmoid(input_part(l, d, 0, u, b, t) + state_part(l, d, 0, u, h));
        const double r = sigmoid(input_part(l, d, 1, u, b, t) + state_part(l, d, 1, u, h));
        const double part = l->linear ? r * state_part(l, d, 2, u, h) : state_part(l, d, 2, u, reset);
        next[u] = (1 - z) * tanh(input_part(l, d, 2, u, b, t) + part) + z * h[u];
    }
    memcpy(h, next, (size_t)l->hidden * sizeof *h);
}

static void step_lstm(const layer *l, int64_t d, int64_t b, int64_t t, double *h, double *c) {
    double next[64];
    const double *p = l->peep + d * 3 * l->hidden;
    for (int64_t u = 0; u < l->hidden; u++) {
        double gate[4];
        for (int g = 0; g < 4; g++)
            gate[g] = input_part(l, d, g, u, b, t) + state_part(l, d, g, u, h);
        const double in = sigmoid(gate[0] + p[u] * c[u]);
        const double forget = l->coupled ? 1 - in : sigmoid(gate[2] + p[2 * l->hidden + u] * c[u]);
        c[u] = forget * c[u] + in * tanh(gate[3]);
        next[u] = sigmoid(gate[1] + p[l->hidden + u] * c[u]) * tanh(c[u]);
    }
    memcpy(h, next, (size_t)l->hidden * sizeof *h);
}

static void step_rnn(const layer *l, int64_t d, int64_t b, int64_t t, double *h) {
    double next[64];
    for (int64_t u = 0; u < l->hidden; u++)
        next[u] = tanh(input_part(l, d, 0, u, b, t) + state_part(l, d, 0, u, h));
    memcpy(h, next, (size_t)l->hidden * sizeof *h);
}

static void expect(const cr_tensor *got, int64_t at, double want) {
    const double x = ((const double *)got->data)[at];
    cr_assert_float_eq(x, want, 1e-12, "element %lld: %.17g, expected %.17g", (long long)at, x, want);
}

static void check_sequence(const layer *l, const cr_tensor *out, int64_t d, int64_t b) {
    double h[64], c[64];
    const int64_t state = (l->batch_first ? b * l->directions + d : d * l->batch + b) * l->hidden;
    memcpy(h, l->h0 + state, (size_t)l->hidden * sizeof *h);
    memcpy(c, l->c0 + state, (size_t)l->hidden * sizeof *c);
    for (int64_t s = 0; s < l->steps; s++) {
        const bool over = s >= l->lengths[b];
        const int64_t t = over ? s : l->reverse || d == 1 ? l->lengths[b] - 1 - s : s;
        if (!over && l->kind == 0)
            step_rnn(l, d, b, t, h);
        if (!over && l->kind == 1)
            step_gru(l, d, b, t, h);
        if (!over && l->kind == 2)
            step_lstm(l, d, b, t, h, c);
        const int64_t y =
            l->batch_first ? (b * l->steps + t) * l->directions + d : (t * l->directions + d) * l->batch + b;
        for (int64_t u = 0; u < l->hidden; u++)
            expect(&out[0], y * l->hidden + u, over ? 0 : h[u]);
    }
    for (int64_t u = 0; u < l->hidden; u++) {
        expect(&out[1], state + u, h[u]);
        if (l->kind == 2)
            expect(&out[2], state + u, c[u]);
    }
}

static const double *doubles(one *o, int i, int rank, const int64_t *dims) {
    double *data = one_input_at(o, i, CREASE_DOUBLE, rank, dims);
    for (int64_t k = 0; k < cr_shape_n(&o->in[i].shape); k++)
        data[k] = one_random(-0.8, 0.8);
    return data;
}

static void set_inputs(one *o, layer *l) {
    const int64_t d = l->directions, g = l->gates, n = l->hidden;
    const int64_t states[] = {l->batch_first ? l->batch : d, l->batch_first ? d : l->batch, n};
    l->x = doubles(
        o, 0, 3,
        (int64_t[]){l->batch_first ? l->batch : l->steps, l->batch_first ? l->steps : l->batch, l->input});
    l->w = doubles(o, 1, 3, (int64_t[]){d, g * n, l->input});
    l->r = doubles(o, 2, 3, (int64_t[]){d, g * n, n});
    l->b = doubles(o, 3, 2, (int64_t[]){d, 2 * g * n});
    int32_t *lengths = one_input_at(o, 4, CREASE_INT32, 1, &l->batch);
    for (int64_t b = 0; b < l->batch; b++)
        lengths[b] = b == 0 ? (int32_t)l->steps : (int32_t)one_random(0, (double)l->steps + 1);
    l->lengths = lengths;
    l->h0 = l->c0 = doubles(o, 5, 3, states);
    if (l->kind != 2)
        return;
    l->c0 = doubles(o, 6, 3, states);
    l->peep = doubles(o, 7, 2, (int64_t[]){d, 3 * n});
}

static void check_layer(int kind, const char *direction, int round) {
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    static const int64_t batches[] = {1, 3, 19};
    layer l = {.kind = kind,
               .gates = kind == 0   ? 1
                        : kind == 1 ? 3
                                    : 4,
               .steps = 1 + round % 4,
               .batch = batches[round % 3],
               .input = 1 + round % 5,
               .hidden = 1 + 7 * (round % 4),
               .directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1,
               .reverse = strcmp(direction, "reverse") == 0,
               .linear = round % 2 != 0,
               .coupled = round % 4 > 1,
               .batch_first = round % 3 == 2};
    one o = one_begin(names[kind], 14, kind == 2 ? 3 : 2);
    OK(cr_node_set_string(o.node, "direction", direction));
    OK(cr_node_set_int(o.node, "hidden_size", l.hidden));
    OK(cr_node_set_int(o.node, "layout", l.batch_first));
    if (kind == 1)
        OK(cr_node_set_int(o.node, "linear_before_reset", l.linear));
    if (kind == 2)
        OK(cr_node_set_int(o.node, "input_forget", l.coupled));
    set_inputs(&o, &l);
    OK(one_run(&o));
    for (int64_t d = 0; d < l.directions; d++)
        for (int64_t b = 0; b < l.batch; b++)
            check_sequence(&l, o.out, d, b);
    one_end(&o);
}

Test(recurrent, layers_follow_their_definitions) {
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    for (int kind = 0; kind < 3; kind++)
        for (int d = 0; d < 3; d++)
            for (int round = 0; round < 12; round++)
                check_layer(kind, directions[d], round);
}

/* Inputs of a layer in float32, and the same in float64. */
static void set_both(one *o, one *wide, int kind, const layer *l) {
    const int64_t d = l->directions, g = l->gates, n = l->hidden;
    const int64_t dims[][3] = {{l->steps, l->batch, l->input},
                               {d, g * n, l->input},
                               {d, g * n, n},
                               {d, 2 * g * n},
                               {l->batch},
                               {d, l->batch, n},
                               {d, l->batch, n},
                               {d, 3 * n}};
    static const int ranks[] = {3, 3, 3, 2, 1, 3, 3, 2};
    for (int i = 0; i < (kind == 2 ? 8 : 6); i++) {
        if (i == 4) {
            int32_t *lengths = one_input_at(o, i, CREASE_INT32, 1, dims[i]);
            for (int64_t b = 0; b < l->batch; b++)
                lengths[b] = b == 0 ? (int32_t)l->steps : (int32_t)one_random(0, (double)l->steps + 1);
            memcpy(one_input_at(wide, i, CREASE_INT32, 1, dims[i]), lengths,
                   (size_t)l->batch * sizeof *lengths);
            continue;
        }
        float *x = one_input_at(o, i, CREASE_FLOAT, ranks[i], dims[i]);
        double *y = one_input_at(wide, i, CREASE_DOUBLE, ranks[i], dims[i]);
        for (int64_t k = 0; k < cr_shape_n(&o->in[i].shape); k++)
            y[k] = (double)(x[k] = (float)one_random(-0.3, 0.3));
    }
}

/* A model that was made for this machine packs constant weights for products of several rows, of gates that
 * are whole vectors. */
static void check_packed(int kind, int64_t batch, int64_t hidden, int64_t input, bool linear) {
    static const char *const names[] = {"RNN", "GRU", "LSTM"};
    const int n_out = kind == 2 ? 3 : 2;
    const layer l = {.gates = kind == 0   ? 1
                              : kind == 1 ? 3
                                          : 4,
                     .steps = 5,
                     .batch = batch,
                     .input = input,
                     .hidden = hidden,
                     .directions = 2};
    one both[2] = {one_begin(names[kind], 14, n_out), one_begin(names[kind], 14, n_out)};
    for (int i = 0; i < 2; i++) {
        OK(cr_node_set_string(both[i].node, "direction", "bidirectional"));
        OK(cr_node_set_int(both[i].node, "hidden_size", hidden));
        if (kind == 1)
            OK(cr_node_set_int(both[i].node, "linear_before_reset", linear));
    }
    set_both(&both[0], &both[1], kind, &l);
    both[0].model->lowered = true;
    OK(one_run(&both[0]));
    OK(one_run(&both[1]));
    for (int i = 0; i < n_out; i++)
        for (int64_t k = 0; k < cr_shape_n(&both[0].out[i].shape); k++)
            cr_assert_float_eq((double)((const float *)both[0].out[i].data)[k],
                               ((const double *)both[1].out[i].data)[k], 3e-6,
                               "%s of %d sequences, %d units: output %d, element %d", names[kind], (int)batch,
                               (int)hidden, i, (int)k);
    one_end(&both[0]);
    one_end(&both[1]);
}

Test(recurrent, packed_weights_give_what_float64_gives) {
    static const int64_t batches[] = {1, 2, 3, 19}, sizes[] = {16, 48, 96, 37};
    for (int kind = 0; kind < 3; kind++)
        for (int b = 0; b < 4; b++)
            for (int n = 0; n < 4; n++)
                for (int linear = 0; linear < (kind == 1 ? 2 : 1); linear++)
                    check_packed(kind, batches[b], sizes[n], 7 + 61 * (b % 2), linear != 0);
}

/* One unit, one step: activations in their order, with alpha and beta consumed by those that have them. */
Test(recurrent, activations_take_their_parameters_in_order) {
    static const int64_t ones[] = {1, 1, 1};
    one o = one_begin("GRU", 14, 2);
    const cr_string names[] = {{"Affine", 6}, {"leakyrelu", 9}};
    OK(cr_node_set_attr(
        o.node, &(cr_attr){.name = "activations", .type = CR_ATTR_STRINGS, .n = 2, .strings = names}));
    OK(cr_node_set_floats(o.node, "activation_alpha", (float[]){0.5f, 0.25f}, 2));
    OK(cr_node_set_floats(o.node, "activation_beta", (float[]){0.125f}, 1));
    *(double *)one_input_at(&o, 0, CREASE_DOUBLE, 3, ones) = -1;
    memcpy(one_input_at(&o, 1, CREASE_DOUBLE, 3, (int64_t[]){1, 3, 1}), (double[]){0.5, 1, 2}, 24);
    memset(one_input_at(&o, 2, CREASE_DOUBLE, 3, (int64_t[]){1, 3, 1}), 0, 24);
    OK(one_run(&o));
    const double z = 0.5 * -0.5 + 0.125;
    expect(&o.out[1], 0, (1 - z) * 0.25 * -2);
    one_end(&o);
}

Test(recurrent, the_clip_bounds_what_gates_are_applied_to) {
    static const int64_t ones[] = {1, 1, 1};
    one o = one_begin("RNN", 14, 2);
    OK(cr_node_set_float(o.node, "clip", 0.5f));
    *(double *)one_input_at(&o, 0, CREASE_DOUBLE, 3, ones) = -3;
    *(double *)one_input_at(&o, 1, CREASE_DOUBLE, 3, ones) = 1;
    *(double *)one_input_at(&o, 2, CREASE_DOUBLE, 3, ones) = 1;
    OK(one_run(&o));
    expect(&o.out[0], 0, tanh(-0.5));
    one_end(&o);
}

Test(recurrent, shapes_that_do_not_fit_are_refused) {
    static const struct {
        int input, rank;
        int64_t dims[3];
    } wrong[] = {{0, 2, {2, 3}},  {1, 3, {1, 8, 4}}, {1, 3, {2, 12, 3}}, {2, 3, {1, 12, 4}},
                 {3, 2, {1, 12}}, {4, 1, {3}},       {5, 3, {1, 2, 4}},  {5, 3, {2, 2, 3}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        one o = one_begin("GRU", 14, 2);
        const int64_t dims[6][3] = {{2, 2, 3}, {1, 9, 3}, {1, 9, 3}, {1, 18}, {2}, {1, 2, 3}};
        static const int ranks[] = {3, 3, 3, 2, 1, 3};
        for (int k = 0; k < 6; k++) {
            const bool bad = k == wrong[i].input;
            void *data = one_input_at(&o, k, k == 4 ? CREASE_INT32 : CREASE_DOUBLE,
                                      bad ? wrong[i].rank : ranks[k], bad ? wrong[i].dims : dims[k]);
            memset(data, 0, cr_buffer_bytes(o.in[k].buffer));
        }
        cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "case %zu", i);
        one_end(&o);
    }
}

Test(recurrent, a_length_outside_of_the_steps_is_refused) {
    for (int32_t length = -1; length < 4; length += 4) {
        one o = one_begin("RNN", 14, 1);
        for (int k = 0; k < 3; k++)
            memset(one_input_at(&o, k, CREASE_FLOAT, 3, k ? (int64_t[]){1, 1, 1} : (int64_t[]){2, 1, 1}), 0,
                   k ? 4 : 8);
        *(int32_t *)one_input_at(&o, 4, CREASE_INT32, 1, (int64_t[]){1}) = length;
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}
