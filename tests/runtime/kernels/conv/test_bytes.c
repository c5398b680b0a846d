#include "runtime/kernels/conv/bytes.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <math.h>

#include "tests/runtime/kernels/guard.h"

/* Every algorithm beside plain sums in int64 and an epilogue in double, on random convolutions. */

enum { GUARD_BYTES = 4 * GUARD_FLOATS, L = CR_BYTES_LANES, ROUNDS = 120 };

typedef struct bytes_case {
    cr_bytes_conv conv;
    cr_bytes_epilogue epilogue;
    guarded input, weights, scale, bias, slope, residual;
    size_t outputs; /* elements, with lanes past the channels */
} bytes_case;

static int64_t blocks_of(int64_t channels) {
    return (channels + L - 1) / L;
}

static guarded random_bytes(size_t n) {
    guarded g = guarded_new((n + 3) / 4);
    for (size_t i = 0; i < 4 * g.n; i++)
        ((uint8_t *)g.data)[i] = (uint8_t)(random_chance(10) ? -random_int(0, 1) : random_int(0, 255));
    return g;
}

static cr_conv_geometry random_geometry(void) {
    cr_conv_geometry g = {.n = random_int(1, 2), .groups = 1};
    g.ic = random_int(1, 67);
    g.oc = random_int(1, 67);
    if (random_chance(30)) {
        g.groups = random_int(2, 40);
        g.ic = g.groups * random_int(1, random_chance(60) ? 1 : 8);
        g.oc = random_chance(60) ? g.ic : g.groups * random_int(1, 4);
    }
    const bool pointwise = random_chance(25);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool used = axis != CR_D || random_chance(15);
        g.kernel[axis] = used && !pointwise ? random_int(1, random_chance(80) ? 3 : 7) : 1;
        g.stride[axis] = used && random_chance(40) ? random_int(1, 3) : 1;
        g.dilation[axis] = used && random_chance(20) ? random_int(1, 3) : 1;
        g.pad[axis] = used && !pointwise ? random_int(0, 3) : 0;
        const int64_t reach = (g.kernel[axis] - 1) * g.dilation[axis] + 1, end = random_int(0, g.pad[axis]);
        const int64_t least = reach - g.pad[axis] - end;
        g.in[axis] = (least > 1 ? least : 1) + (used ? random_int(0, axis == CR_W ? 40 : 9) : 0);
        g.out[axis] = (g.in[axis] + g.pad[axis] + end - reach) / g.stride[axis] + 1;
    }
    return g;
}

/* None with steps, on which the rounding of a sum would fall either way. */
static cr_activation random_activation(const float *slope, bool clamp) {
    cr_activation act = {.kind = (cr_act)random_int(0, clamp ? CR_ACT_CLIP : CR_ACT_QUANTIZE - 1)};
    act.slope = slope;
    act.a = act.kind == CR_ACT_CLIP ? -0.75f : 0.2f;
    act.b = act.kind == CR_ACT_CLIP ? 0.75f : 0.5f;
    return act;
}

static cr_bytes_scaling random_scaling(void) {
    return (cr_bytes_scaling){0.004f + 0.01f * (1 + random_float()), (int)random_int(0, 255)};
}

static bytes_case case_of(const cr_conv_geometry *g, bool clamps) {
    bytes_case c = {.conv = {*g, (int)random_int(0, 255), random_chance(30), (int)random_int(1, 4)}};
    const size_t channels = (size_t)(blocks_of(g->oc) * L);
    c.outputs = (size_t)g->n * channels * (size_t)cr_conv_volume(g->out);
    c.input = random_bytes((size_t)(g->n * blocks_of(g->ic) * L * cr_conv_volume(g->in)));
    c.weights = random_bytes((size_t)(g->oc * (g->ic / g->groups) * cr_conv_volume(g->kernel)));
    c.residual = random_bytes(c.outputs);
    c.scale = random_buffer(channels);
    c.bias = random_buffer(channels);
    c.slope = random_buffer(channels);
    const double products = (double)(g->ic / g->groups * cr_conv_volume(g->kernel));
    for (size_t i = 0; i < channels; i++)
        c.scale.data[i] *= (float)(1 / (255 * 60 * sqrt(products)));
    cr_bytes_epilogue *e = &c.epilogue;
    *e = (cr_bytes_epilogue){.scale = c.scale.data, .bias = random_chance(80) ? c.bias.data : NULL};
    e->act = random_activation(c.slope.data, clamps);
    if (random_chance(50))
        e->residual = (const uint8_t *)c.residual.data;
    if (e->residual != NULL || random_chance(20))
        e->act_after = random_activation(c.slope.data, clamps);
    e->rounds = random_chance(30);
    e->round_low = random_chance(30) ? (int)random_int(0, 128) : 0;
    e->round_high = random_chance(30) ? (int)random_int(128, 255) : 255;
    e->rounded = random_scaling();
    e->residual_scaling = random_scaling();
    e->output = random_scaling();
    return c;
}

static void case_free(bytes_case *c) {
    guarded *const all[] = {&c->input, &c->weights, &c->scale, &c->bias, &c->slope, &c->residual};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_assert(guarded_intact(all[i]), "an input of the kernel was written");
        guarded_free(all[i]);
    }
}

/* In `parts` random parts, each with a poisoned workspace; in place if there is a residual, the output is
 * bytes and parts is even. */
static guarded run_case(const bytes_case *c, const cr_bytes_algorithm *algorithm, int parts) {
    const size_t output_bytes = c->outputs * (c->conv.output_float ? sizeof(float) : 1);
    guarded output = guarded_new((output_bytes + 3) / 4);
    guarded packed = guarded_new_aligned((algorithm->packed_bytes(&c->conv) + 3) / 4);
    guarded workspace = guarded_new_aligned((algorithm->workspace_bytes(&c->conv) + 3) / 4);
    cr_bytes_epilogue epilogue = c->epilogue;
    algorithm->pack(&c->conv, (const int8_t *)c->weights.data, packed.data);
    if (epilogue.residual != NULL && parts % 2 == 0 && !c->conv.output_float) {
        memcpy(output.data, epilogue.residual, output_bytes);
        epilogue.residual = (const uint8_t *)output.data;
    }
    const cr_bytes_args args = {(const uint8_t *)c->input.data, packed.data, output.data, &epilogue};
    const int64_t tasks = algorithm->tasks(&c->conv);
    for (int part = parts - 1; part >= 0; part--) {
        memset(workspace.data, (int)random_int(0, 255), workspace.n * sizeof(float));
        algorithm->run(&c->conv, &args, tasks * part / parts, tasks * (part + 1) / parts, workspace.data);
    }
    cr_assert(guarded_intact(&output) && guarded_intact(&packed) && guarded_intact(&workspace),
              "%s writes past its buffers, seed %llu", algorithm->name, (unsigned long long)test_seed_value);
    guarded_free(&packed);
    guarded_free(&workspace);
    return output;
}

/* ---- by the definition ---- */

typedef struct place {
    int64_t n, o, at[CR_CONV_RANK];
} place;

static int64_t sum_at(const bytes_case *c, const place *p) {
    const cr_conv_geometry *g = &c->conv.geometry;
    const uint8_t *x = (const uint8_t *)c->input.data;
    const int64_t group_ic = g->ic / g->groups, first = p->o / (g->oc / g->groups) * group_ic;
    const int8_t *w = (const int8_t *)c->weights.data + p->o * group_ic * cr_conv_volume(g->kernel);
    int64_t sum = 0;
    for (int64_t i = first; i < first + group_ic; i++)
        for (int64_t tap = 0; tap < cr_conv_volume(g->kernel); tap++, w++) {
            const int64_t taps[] = {tap / (g->kernel[CR_H] * g->kernel[CR_W]),
                                    tap / g->kernel[CR_W] % g->kernel[CR_H], tap % g->kernel[CR_W]};
            int64_t from = p->n * blocks_of(g->ic) + i / L;
            bool inside = true;
            for (int axis = 0; axis < CR_CONV_RANK; axis++) {
                const int64_t at =
                    p->at[axis] * g->stride[axis] - g->pad[axis] + taps[axis] * g->dilation[axis];
                inside = inside && at >= 0 && at < g->in[axis];
                from = from * g->in[axis] + at;
            }
            sum += inside ? (x[from * L + i % L] - c->conv.input_zero) * *w : 0;
        }
    return sum;
}

static double saturated(double v, cr_bytes_scaling to, int low, int high) {
    return fmin(fmax(rint(v / (double)to.scale) + to.zero, low), high);
}

enum { EITHER = 2 };
static const double slack = 1e-5;

/* What the output should be before it is rounded: either of two values where what is rounded before may fall
 * either way. */
static void values_at(const bytes_case *c, const place *p, size_t index, double values[EITHER]) {
    const cr_bytes_epilogue *e = &c->epilogue;
    const double sum = (double)sum_at(c, p) * (double)e->scale[p->o];
    const double biased = sum + (e->bias != NULL ? (double)e->bias[p->o] : 0);
    for (int i = 0; i < EITHER; i++) {
        double v = cr_activation_value(&e->act, biased, p->o);
        if (e->rounds)
            v = (saturated(v + (i == 0 ? -slack : slack), e->rounded, e->round_low, e->round_high) -
                 e->rounded.zero) *
                (double)e->rounded.scale;
        if (e->residual != NULL)
            v += (((const uint8_t *)c->residual.data)[index] - e->residual_scaling.zero) *
                 (double)e->residual_scaling.scale;
        values[i] = cr_activation_value(&e->act_after, v, p->o);
    }
}

static bool is_close(const bytes_case *c, const guarded *output, size_t index, double value) {
    const cr_bytes_scaling to = c->epilogue.output;
    if (c->conv.output_float)
        return fabs((double)output->data[index] - value) <= slack;
    const double y = ((const uint8_t *)output->data)[index];
    return y >= saturated(value - slack, to, 0, 255) && y <= saturated(value + slack, to, 0, 255);
}

static void check_values(const bytes_case *c, const char *name, const guarded *output) {
    const cr_conv_geometry *g = &c->conv.geometry;
    const int64_t volume = cr_conv_volume(g->out), width = g->out[CR_W];
    for (int64_t i = 0; i < g->n * g->oc * volume; i++) {
        const int64_t pixel = i % volume;
        const place p = {i / volume / g->oc,
                         i / volume % g->oc,
                         {pixel / (g->out[CR_H] * width), pixel / width % g->out[CR_H], pixel % width}};
        const size_t index = (size_t)(((p.n * blocks_of(g->oc) + p.o / L) * volume + pixel) * L + p.o % L);
        double values[EITHER];
        values_at(c, &p, index, values);
        cr_assert(is_close(c, output, index, values[0]) || is_close(c, output, index, values[1]),
                  "%s: not %g, at %lld of image %lld, channel %lld, seed %llu", name, values[0],
                  (long long)pixel, (long long)p.n, (long long)p.o, (unsigned long long)test_seed_value);
    }
}

/* Of lanes that are channels. */
static void check_same(const bytes_case *c, const guarded *a, const guarded *b, const char *what) {
    const int64_t oc = c->conv.geometry.oc, volume = cr_conv_volume(c->conv.geometry.out);
    const size_t size = c->conv.output_float ? sizeof(float) : 1;
    for (size_t i = 0; i < c->outputs; i++)
        if ((int64_t)i / L / volume % blocks_of(oc) * L + (int64_t)i % L < oc)
            cr_assert_eq(memcmp((const char *)a->data + i * size, (const char *)b->data + i * size, size), 0,
                         "%s differ at %zu, seed %llu", what, i, (unsigned long long)test_seed_value);
}

static void check_geometry(const cr_conv_geometry *g, bool clamps) {
    bytes_case c = case_of(g, clamps);
    guarded first = {0};
    for (const cr_bytes_algorithm *const *list = cr_bytes_algorithms(); *list != NULL; list++) {
        if ((*list)->refuses(&c.conv) != NULL)
            continue;
        guarded output = run_case(&c, *list, 1), parts = run_case(&c, *list, (int)random_int(2, 5));
        check_values(&c, (*list)->name, &output);
        check_same(&c, &output, &parts, "parts");
        c.conv.threads = 1 + c.conv.threads % 4;
        guarded others = run_case(&c, *list, 1);
        check_same(&c, &output, &others, "threads");
        if (clamps && first.memory != NULL)
            check_same(&c, &first, &output, "algorithms");
        guarded_free(&parts);
        guarded_free(&others);
        guarded_free(&first);
        first = output;
    }
    cr_assert_not_null(first.memory, "no algorithm accepts");
    guarded_free(&first);
    case_free(&c);
}

Test(bytes, clamps_give_the_same_bits_on_every_algorithm) {
    test_seed();
    for (int i = 0; i < test_rounds(ROUNDS); i++) {
        const cr_conv_geometry g = random_geometry();
        check_geometry(&g, true);
    }
}

Test(bytes, any_activation) {
    test_seed();
    for (int i = 0; i < test_rounds(ROUNDS); i++) {
        const cr_conv_geometry g = random_geometry();
        check_geometry(&g, false);
    }
}

/* Maps so large that they are cut into chunks, of which each has its own copy. */
Test(bytes, chunks) {
    test_seed();
    cr_conv_geometry g = {.n = 1, .groups = 1, .ic = 130, .oc = 20};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        g.in[axis] = g.out[axis] = axis == CR_D ? 1 : 61;
        g.kernel[axis] = axis == CR_D ? 1 : 3;
        g.pad[axis] = axis == CR_D ? 0 : 1;
        g.stride[axis] = g.dilation[axis] = 1;
    }
    check_geometry(&g, true);
    g.groups = g.ic = g.oc = 20;
    check_geometry(&g, true);
}

static cr_bytes_conv conv_of(int64_t ic, int64_t kernel) {
    cr_bytes_conv conv = {.geometry = {.n = 1, .groups = 1, .ic = ic, .oc = 1}, .threads = 1};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        conv.geometry.kernel[axis] = axis == CR_W ? kernel : 1;
        conv.geometry.in[axis] = axis == CR_W ? kernel : 1;
        conv.geometry.out[axis] = conv.geometry.stride[axis] = conv.geometry.dilation[axis] = 1;
    }
    return conv;
}

Test(bytes, sums_that_int32_cannot_hold_are_refused) {
    const char *why;
    const cr_bytes_conv most = conv_of(13158, 5), more = conv_of(65794, 1), many = conv_of(INT64_MAX / 2, 3);
    const cr_bytes_conv fits = conv_of(65793, 1);
    cr_assert_not_null(cr_bytes_choose(&most, &why));
    cr_assert_not_null(cr_bytes_choose(&fits, &why));
    cr_assert_null(cr_bytes_choose(&more, &why));
    cr_assert_not_null(strstr(why, "int32"));
    cr_assert_null(cr_bytes_choose(&many, &why));
}

/* The largest sums of either sign, exactly. */
Test(bytes, extreme_sums) {
    const int zeros[] = {0, 255};
    for (int i = 0; i < 2; i++) {
        cr_bytes_conv conv = conv_of(65793, 1);
        conv.input_zero = zeros[i];
        conv.output_float = true;
        bytes_case c = case_of(&conv.geometry, true);
        c.conv = conv;
        memset(c.input.data, 255 - zeros[i], c.input.n * sizeof(float));
        memset(c.weights.data, -128, c.weights.n * sizeof(float));
        c.epilogue = (cr_bytes_epilogue){.scale = c.scale.data};
        c.scale.data[0] = 1;
        for (const cr_bytes_algorithm *const *list = cr_bytes_algorithms(); *list != NULL; list++) {
            if ((*list)->refuses(&c.conv) != NULL)
                continue;
            guarded output = run_case(&c, *list, 1);
            cr_assert_eq(output.data[0], (float)((i == 0 ? -1 : 1) * (int64_t)65793 * 255 * 128), "%s: %g",
                         (*list)->name, (double)output.data[0]);
            guarded_free(&output);
        }
        case_free(&c);
    }
}

/* Values that int32 cannot hold, and what is no value. */
Test(bytes, huge_values_saturate) {
    const float scales[] = {1e30f, -1e30f, NAN};
    const int expected[] = {255, 0, 0};
    for (int i = 0; i < 6; i++) {
        const cr_bytes_conv conv = conv_of(4, 1);
        bytes_case c = case_of(&conv.geometry, true);
        c.conv = conv;
        memset(c.input.data, 255, c.input.n * sizeof(float));
        memset(c.weights.data, 127, c.weights.n * sizeof(float));
        c.epilogue = (cr_bytes_epilogue){.scale = c.scale.data, .output = {0.01f, 100}};
        c.epilogue.residual = i < 3 ? NULL : (const uint8_t *)c.residual.data;
        c.epilogue.residual_scaling = (cr_bytes_scaling){0.01f, 1};
        c.scale.data[0] = scales[i % 3];
        for (const cr_bytes_algorithm *const *list = cr_bytes_algorithms(); *list != NULL; list++) {
            if ((*list)->refuses(&c.conv) != NULL)
                continue;
            guarded output = run_case(&c, *list, 1);
            cr_assert_eq(*(const uint8_t *)output.data, expected[i % 3], "%s: %d of case %d", (*list)->name,
                         *(const uint8_t *)output.data, i);
            guarded_free(&output);
        }
        case_free(&c);
    }
}
