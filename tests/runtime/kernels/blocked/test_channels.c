#include "tests/runtime/kernels/blocked/check.h"

enum { MAX_SOURCES = 4, MAX_CHANNELS = 200 };

typedef struct gather_case {
    cr_channel_gather gather;
    cr_channel_source sources[MAX_SOURCES];
    cr_channel_ref map[MAX_CHANNELS];
    guarded data[MAX_SOURCES];
    int n_sources;
} gather_case;

static void gather_channels(const cr_blocked_kernels *kernels, const void *gather, const float *in,
                            float *out, int64_t begin, int64_t end) {
    (void)in;
    kernels->gather_channels(gather, out, begin, end);
}

static void make_sources(gather_case *c, int lanes) {
    c->n_sources = (int)random_int(1, MAX_SOURCES);
    c->gather.shape = random_shape(lanes);
    c->gather.sources = c->sources;
    c->gather.map = c->map;
    for (int s = 0; s < c->n_sources; s++) {
        cr_blocked_shape shape = c->gather.shape;
        shape.channels = c->sources[s].channels =
            random_chance(40) ? lanes * random_int(1, 3) : random_int(1, 50);
        c->data[s] = random_buffer(shape_floats(&shape));
        c->sources[s].data = c->data[s].data;
    }
}

static void check_gather(gather_case *c, int64_t channels, const cr_blocked_kernels *kernels) {
    c->gather.shape.channels = channels;
    const cr_blocked_shape *shape = &c->gather.shape;
    const kernel_check check = {.name = "gather_channels",
                                .kernel = gather_channels,
                                .arguments = &c->gather,
                                .in = &c->data[0],
                                .out_floats = shape_floats(shape),
                                .units = cr_blocked_vectors(shape),
                                .out_shape = *shape};
    check_kernel(&check, kernels);
    guarded whole = run_parts(&check, kernels, 1, false);
    for (size_t i = 0; i < whole.n; i++)
        cr_assert(lane_counts(shape, i) || whole.data[i] == 0, "lanes past the channels become 0");
    guarded_free(&whole);
    for (int s = 0; s < c->n_sources; s++) {
        cr_assert(guarded_intact(&c->data[s]));
        guarded_free(&c->data[s]);
    }
}

static void check_concat(const cr_blocked_kernels *kernels) {
    gather_case c;
    make_sources(&c, kernels->lanes);
    int64_t channels = 0;
    for (int s = 0; s < c.n_sources; s++) {
        const int64_t first = random_chance(60) ? 0 : random_int(0, c.sources[s].channels - 1); /* a slice */
        for (int64_t i = first; i < c.sources[s].channels; i++)
            c.map[channels++] = (cr_channel_ref){s, (int32_t)i};
    }
    check_gather(&c, channels, kernels);
}

Test(channels, concatenation) {
    for_each_kernels(60, check_concat);
}

static void check_shuffle(const cr_blocked_kernels *kernels) {
    gather_case c;
    make_sources(&c, kernels->lanes);
    const int64_t groups = random_int(1, 5), channels = c.sources[0].channels / groups * groups;
    for (int64_t i = 0; i < channels; i++)
        c.map[i] = (cr_channel_ref){0, (int32_t)(i % groups * (channels / groups) + i / groups)};
    if (channels == 0)
        c.map[0] = (cr_channel_ref){0, 0};
    check_gather(&c, channels > 0 ? channels : 1, kernels);
}

Test(channels, shuffle) {
    for_each_kernels(40, check_shuffle);
}

static void check_random(const cr_blocked_kernels *kernels) {
    gather_case c;
    make_sources(&c, kernels->lanes);
    const int64_t channels = random_int(1, 60);
    for (int64_t i = 0; i < channels; i++) {
        const int32_t source = (int32_t)random_int(0, c.n_sources - 1);
        c.map[i] = (cr_channel_ref){source, (int32_t)random_int(0, c.sources[source].channels - 1)};
    }
    check_gather(&c, channels, kernels);
}

Test(channels, any_choice) {
    for_each_kernels(40, check_random);
}
