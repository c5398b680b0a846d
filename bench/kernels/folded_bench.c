/* What a convolution pays for what was folded into it, against the same convolution bare.
 *
 *     folded_bench [--network NAME] [--threads N] [--pairs N]              (CREASE_CPU picks the kernels)
 *
 * bias      bias and ReLU, the epilogue of a folded Conv -> BN -> ReLU
 * border    a bias for each kind of border, an affine absorbed from before a padded convolution
 * prologue  scale, shift and ReLU as the input is read, BN -> ReLU -> Conv
 * pass      the same as a pass over memory of its own before the bare convolution
 *
 * Bare and folded run in turns, each with the algorithm that the cost model chooses for it. A cell is the
 * median of the ratios of neighbouring runs, and the interval that holds the median in 95 of 100 cases (order
 * statistics). The last line of a network adds up the least times of its layers, as often as it has them. '-'
 * where nothing applies. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/conv_layers.h"
#include "runtime/base/clock.h"
#include "runtime/base/threads.h"
#include "runtime/kernels/conv/algorithms.h"
#include "runtime/kernels/conv/execute.h"

enum { BARE, BIAS, BORDER, PROLOGUE, PASS, N_KINDS };
static const char *const kind_names[N_KINDS] = {"bare", "bias", "border", "prologue", "pass"};

typedef struct bench_options {
    const char *network;
    int threads, pairs;
} bench_options;

/* One way to run a layer. */
typedef struct way {
    cr_conv conv;
    const cr_conv_algorithm *algorithm;
    cr_conv_work work;
    cr_conv_args args;
    void *packed, *workspace;
    bool pass;
    double least, total; /* seconds: of one run, of a network */
} way;

typedef struct bench {
    bench_options options;
    cr_pool *pool;
    float *input, *before, *weights, *output, *channels, *rows; /* before: what the pass reads */
    int64_t n_input;
    cr_epilogue none, folded;
    cr_prologue prologue;
    way ways[N_KINDS];
    double *ratios;
} bench;

static int64_t rounded(int64_t channels, int lanes) {
    return (channels + lanes - 1) / lanes * lanes;
}

/* ---- a layer ---- */

static cr_conv conv_of(const conv_layer *layer, int lanes, int threads) {
    cr_conv c = {.lanes = lanes, .output_blocked = lanes > 0, .input_blocked = lanes > 0 && layer->ic > 4};
    c.threads = threads;
    layer_geometry(layer, &c.geometry);
    return c;
}

static void make_data(bench *b, const cr_conv *c) {
    const cr_conv_geometry *g = &c->geometry;
    const int lanes = c->lanes > 0 ? c->lanes : 1;
    const int64_t oc = rounded(g->oc, lanes), ic = rounded(g->ic, lanes), most = oc > ic ? oc : ic;
    b->n_input = ic * g->in[CR_H] * g->in[CR_W];
    b->input = bench_floats(b->n_input, 1);
    b->before = bench_floats(b->n_input, 1);
    b->weights = bench_floats(g->oc * (g->ic / g->groups) * g->kernel[CR_H] * g->kernel[CR_W], 1);
    b->output = bench_floats(oc * g->out[CR_H] * g->out[CR_W], 1);
    b->channels = bench_floats(most, 1);
    b->rows = bench_floats(cr_conv_border_rows(g) * oc, 1);
    b->none = (cr_epilogue){0};
    b->folded = (cr_epilogue){.bias = b->channels, .act = {.kind = CR_ACT_RELU}};
    b->prologue = (cr_prologue){.scale = b->channels, .shift = b->channels, .act = {.kind = CR_ACT_RELU}};
}

/* A stem, whose input is plain, has no prologue, and without padding there is no border. */
static bool applies(int kind, const conv_layer *layer) {
    return kind <= BIAS || (layer->ic > 4 && (kind != BORDER || layer->pad > 0));
}

static void make_way(bench *b, int kind, const cr_conv *bare) {
    way *w = &b->ways[kind];
    const double total = w->total;
    *w = (way){.conv = *bare, .least = INFINITY, .total = total, .pass = kind == PASS};
    w->conv.has_border_bias = kind == BORDER;
    w->conv.has_prologue = kind == PROLOGUE;
    w->algorithm = cr_conv_choose(cr_conv_algorithms(cr_cpu_isa()), &w->conv, NULL);
    w->packed = bench_allocate(w->algorithm->packed_bytes(&w->conv));
    w->algorithm->pack(&w->conv, b->weights, w->packed);
    if (!cr_conv_plan_work(w->algorithm, &w->conv, &w->work))
        exit(5);
    w->workspace = bench_allocate(w->work.workspace_bytes);
    w->args = (cr_conv_args){.input = b->input, .packed = w->packed, .output = b->output};
    w->args.epilogue = kind == BIAS ? &b->folded : &b->none;
    w->args.border_bias = kind == BORDER ? b->rows : NULL;
    w->args.prologue = kind == PROLOGUE ? &b->prologue : NULL;
}

static void free_layer(bench *b) {
    for (int kind = 0; kind < N_KINDS; kind++) {
        free(b->ways[kind].packed);
        free(b->ways[kind].workspace);
        b->ways[kind].packed = b->ways[kind].workspace = NULL;
    }
    float *all[] = {b->input, b->before, b->weights, b->output, b->channels, b->rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* ---- time ---- */

/* ReLU(s x + t), which compilers make vectors of. */
static void pass_part(void *context, int64_t begin, int64_t end, int thread) {
    const bench *b = context;
    const float s = b->channels[0], t = b->channels[1];
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const float y = s * b->before[i] + t;
        b->input[i] = y > 0 ? y : 0;
    }
}

static double seconds_of(bench *b, way *w, int times) {
    const double begin = cr_clock_seconds();
    for (int i = 0; i < times; i++) {
        if (w->pass)
            cr_parallel_grain(b->pool, b->n_input, 4096, pass_part, b);
        cr_conv_execute(b->pool, &w->work, &w->args, w->workspace, w->work.workspace_bytes);
    }
    const double time = (cr_clock_seconds() - begin) / times;
    w->least = fmin(w->least, time);
    return time;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs of at least 50 microseconds, so that the clock does not matter. */
static void compare(bench *b, way *folded) {
    enum { SETTLE = 3 };
    way *bare = &b->ways[BARE];
    const int n = b->options.pairs, times = 1 + (int)(50e-6 / seconds_of(b, bare, 1));
    for (int i = -SETTLE; i < n; i++) {
        const bool first = i % 2 != 0;
        double x = first ? seconds_of(b, bare, times) : 0, y = seconds_of(b, folded, times);
        x = first ? x : seconds_of(b, bare, times);
        if (i >= 0)
            b->ratios[i] = y / x;
    }
    qsort(b->ratios, (size_t)n, sizeof *b->ratios, ascending);
    const int half = (int)(0.98 * sqrt(n)), low = n / 2 - half, high = n / 2 + half;
    printf("  %-10s %.3f [%.3f, %.3f]", folded->algorithm->name, b->ratios[n / 2],
           b->ratios[low > 0 ? low : 0], b->ratios[high < n ? high : n - 1]);
}

static void bench_layer(bench *b, const conv_layer *layer) {
    const cr_conv bare = conv_of(layer, cr_conv_lanes(cr_cpu_isa()), b->options.threads);
    make_data(b, &bare);
    make_way(b, BARE, &bare);
    const int64_t *kernel = bare.geometry.kernel;
    printf("%4d->%-4d %dx%d s%d %3d %-5s %-10s", layer->ic, layer->oc, (int)kernel[CR_H], (int)kernel[CR_W],
           layer->stride, layer->in, layer->groups > 1 ? "group" : "", b->ways[BARE].algorithm->name);
    for (int kind = BIAS; kind < N_KINDS; kind++) {
        if (applies(kind, layer)) {
            make_way(b, kind, &bare);
            compare(b, &b->ways[kind]);
        } else {
            printf("  %-33s", "-");
        }
    }
    printf("\n");
    fflush(stdout);
    for (int kind = 0; kind < N_KINDS; kind++)
        b->ways[kind].total += layer->count * b->ways[applies(kind, layer) ? kind : BARE].least;
    free_layer(b);
}

static void end_network(bench *b, const char *name) {
    printf("%s: bare %.3f ms", name, 1e3 * b->ways[BARE].total);
    for (int kind = BIAS; kind < N_KINDS; kind++)
        printf(", %s %.3f", kind_names[kind], b->ways[kind].total / b->ways[BARE].total);
    printf(" of it\n\n");
    for (int kind = 0; kind < N_KINDS; kind++)
        b->ways[kind].total = 0;
}

static void bench_networks(bench *b) {
    const size_t n = sizeof conv_layers / sizeof *conv_layers;
    for (size_t i = 0; i < n; i++) {
        const conv_layer *layer = &conv_layers[i];
        if (layer->transposed || (b->options.network && strcmp(layer->network, b->options.network) != 0))
            continue;
        bench_layer(b, layer);
        if (i + 1 == n || strcmp(layer->network, conv_layers[i + 1].network) != 0 ||
            conv_layers[i + 1].transposed)
            end_network(b, layer->network);
    }
}

static bool parse(int argc, char **argv, bench_options *options) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--network") == 0)
            options->network = argv[i + 1];
        else if (strcmp(argv[i], "--threads") == 0)
            options->threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--pairs") == 0)
            options->pairs = atoi(argv[i + 1]);
        else
            return false;
    return argc % 2 == 1 && options->threads > 0 && options->pairs > 0;
}

int main(int argc, char **argv) {
    bench b = {.options = {.threads = 1, .pairs = 101}};
    cr_heap *heap = NULL;
    if (!parse(argc, argv, &b.options)) {
        fprintf(stderr, "usage: folded_bench [--network NAME] [--threads N] [--pairs N]\n");
        return 2;
    }
    if (cr_heap_create(NULL, 0, &heap) != CREASE_OK ||
        cr_pool_create(heap, b.options.threads, &b.pool) != CREASE_OK)
        return 5;
    b.ratios = bench_allocate((size_t)b.options.pairs * sizeof *b.ratios);
    printf("kernels %s, %d threads; the columns: bias, border, prologue, pass\n\n", cr_isa_name(cr_cpu_isa()),
           b.options.threads);
    bench_networks(&b);
    free(b.ratios);
    cr_pool_destroy(b.pool);
    cr_heap_release(heap);
    return 0;
}
