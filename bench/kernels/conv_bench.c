/* Times every convolution algorithm on the layers of known networks, against the measured peak of
 * multiply-adds.
 *
 *     conv_bench [--network NAME | --layer IC,OC,KERNEL,STRIDE,PAD,IN,GROUPS,TRANSPOSED,FLAT]
 *                [--algorithm NAME]
 *                [--threads N] [--seconds S] [--cold 1] [--act NAME]       (CREASE_CPU picks the kernels)
 *
 * For each layer and algorithm: the least time of interleaved runs, GFLOP/s counted as direct summation
 * without padding skipped, its share of the peak of the threads used, the predicted cost over the measured
 * one, and the largest error relative to the largest output, on the first and the last output channel. '*'
 * marks what the cost model chooses; the sum of its times over a network's layers ends the network. --cold
 * clears the caches of the weights before each run, as the other layers of a network do. --act: the
 * activation behind it, relu unless another of `activations` below is named. */
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
#include "runtime/kernels/peak.h"

enum { MAX_ALGORITHMS = 24 };

typedef struct bench_options {
    const char *network, *layer, *algorithm;
    int threads, cold;
    double seconds;
    cr_activation act;
} bench_options;

static const struct {
    const char *name;
    cr_activation act;
} activations[] = {
    {"none", {.kind = CR_ACT_NONE}},           {"relu", {.kind = CR_ACT_RELU}},
    {"relu6", {.kind = CR_ACT_CLIP, .b = 6}},  {"silu", {.kind = CR_ACT_SILU}},
    {"hardswish", {.kind = CR_ACT_HARDSWISH}}, {"gelu", {.kind = CR_ACT_GELU}},
};

/* ---- one layer ---- */

/* A layer made ready for one algorithm. */
typedef struct trial {
    const cr_conv_algorithm *algorithm;
    cr_conv_work work;
    cr_conv_args args;
    void *packed, *workspace;
    double best; /* seconds */
} trial;

typedef struct bench {
    const bench_options *options;
    cr_conv conv;
    cr_pool *pool;
    double peak; /* flops a second of one thread */
    float *input, *weights, *output, *bias, *scale;
    cr_epilogue epilogue;
    cr_prologue prologue;
    trial trials[MAX_ALGORITHMS];
    int n_trials;
} bench;

static int64_t blocks(int64_t channels, int lanes) {
    return (channels + lanes - 1) / lanes;
}

static void run_once(bench *b, trial *t) {
    if (b->options->cold)
        bench_clear_caches(t->packed, t->algorithm->packed_bytes(&b->conv));
    const double begin = cr_clock_seconds();
    cr_conv_execute(b->pool, &t->work, &t->args, t->workspace, t->work.workspace_bytes);
    const double time = cr_clock_seconds() - begin;
    t->best = time < t->best ? time : t->best;
}

static void make_conv(bench *b, const conv_layer *layer, int lanes) {
    b->conv = (cr_conv){.lanes = lanes, .output_blocked = true, .threads = b->options->threads};
    b->conv.input_blocked = layer->ic > 4;
    b->conv.has_prologue = layer->prologue;
    b->conv.transposed = layer->transposed;
    layer_geometry(layer, &b->conv.geometry);
}

static void make_data(bench *b) {
    const cr_conv_geometry *g = &b->conv.geometry;
    const int lanes = b->conv.lanes;
    const int64_t in_area = g->in[CR_H] * g->in[CR_W], out_area = g->out[CR_H] * g->out[CR_W];
    b->input = bench_floats(blocks(g->ic, lanes) * lanes * in_area, 1);
    b->weights = bench_floats(g->oc * (g->ic / g->groups) * g->kernel[CR_H] * g->kernel[CR_W], 1);
    b->output = bench_floats(blocks(g->oc, lanes) * lanes * out_area, 0);
    b->bias = bench_floats(blocks(g->oc, lanes) * lanes, 1);
    b->scale = bench_floats(blocks(g->ic, lanes) * lanes, 1);
    b->epilogue = (cr_epilogue){.bias = b->bias, .act = b->options->act};
    b->prologue = (cr_prologue){.scale = b->scale, .shift = b->scale, .act = {.kind = CR_ACT_RELU}};
}

static void make_trial(bench *b, const cr_conv_algorithm *algorithm) {
    trial *t = &b->trials[b->n_trials++];
    *t = (trial){.algorithm = algorithm, .best = INFINITY};
    t->packed = bench_allocate(algorithm->packed_bytes(&b->conv));
    algorithm->pack(&b->conv, b->weights, t->packed);
    if (!cr_conv_plan_work(algorithm, &b->conv, &t->work))
        exit(5);
    t->workspace = bench_allocate(t->work.workspace_bytes);
    t->args =
        (cr_conv_args){.input = b->input, .packed = t->packed, .output = b->output, .epilogue = &b->epilogue};
    t->args.prologue = b->conv.has_prologue ? &b->prologue : NULL;
}

static void free_layer(bench *b) {
    for (int i = 0; i < b->n_trials; i++) {
        free(b->trials[i].packed);
        free(b->trials[i].workspace);
    }
    b->n_trials = 0;
    free(b->input);
    free(b->weights);
    free(b->output);
    free(b->bias);
    free(b->scale);
}

/* Against the reference, on the first and the last output channel. */
static double error_of(bench *b, trial *t) {
    const cr_conv_geometry *g = &b->conv.geometry;
    const int lanes = b->conv.lanes;
    const int64_t area = g->out[CR_H] * g->out[CR_W], floats = blocks(g->oc, lanes) * lanes * area;
    const int64_t channels[] = {0, g->oc - 1};
    cr_conv_args args = t->args;
    args.packed = b->weights; /* as the reference packs them */
    args.output = bench_allocate((size_t)floats * sizeof(float));
    run_once(b, t);
    double error = 0, largest = 0;
    for (int i = 0; i < 2; i++) {
        const int64_t c = channels[i];
        cr_conv_reference.run(&b->conv, &args, c, c + 1, NULL);
        for (int64_t p = 0; p < area; p++) {
            const int64_t at = (c / lanes * area + p) * lanes + c % lanes;
            error = fmax(error, fabs((double)t->args.output[at] - (double)args.output[at]));
            largest = fmax(largest, fabs((double)args.output[at]));
        }
    }
    free(args.output);
    return error / largest;
}

static void report(bench *b, const conv_layer *layer, trial *t, const cr_conv_algorithm *chosen) {
    const cr_conv_geometry *g = &b->conv.geometry;
    const int64_t *positions = layer->transposed ? g->in : g->out;
    const double flops = 2.0 * (double)(g->oc * (g->ic / g->groups)) *
                         (double)(positions[CR_H] * positions[CR_W]) *
                         (double)(g->kernel[CR_H] * g->kernel[CR_W]);
    const double peak = b->peak * b->options->threads,
                 cycle = 4.0 * b->conv.lanes; /* flops of a cycle at peak */
    const double measured = t->best * peak / cycle;
    printf("%-14s %4d->%-4d %dx%d s%d %3dx%-3d %-6s%-10s%c %9.4f ms %7.1f GFLOP/s %6.1f %% of peak  cost "
           "%5.2f  error "
           "%.1e\n",
           layer->network, layer->ic, layer->oc, (int)g->kernel[CR_H], (int)g->kernel[CR_W], layer->stride,
           (int)g->out[CR_H], (int)g->out[CR_W],
           layer->transposed   ? "transp"
           : layer->groups > 1 ? "group"
                               : "",
           t->algorithm->name, t->algorithm == chosen ? '*' : ' ', t->best * 1e3, flops / t->best * 1e-9,
           100 * flops / t->best / peak, t->algorithm->cost(&b->conv) / measured, error_of(b, t));
}

/* Seconds of the chosen algorithm. */
static double bench_layer(bench *b, const conv_layer *layer, const cr_conv_algorithm *const *list) {
    make_conv(b, layer, cr_conv_lanes(cr_cpu_isa()));
    make_data(b);
    for (; *list != NULL && b->n_trials < MAX_ALGORITHMS; list++) {
        const bool wanted = b->options->algorithm != NULL ? strcmp((*list)->name, b->options->algorithm) == 0
                                                          : *list != &cr_conv_reference;
        if (wanted && (*list)->refuses(&b->conv) == NULL)
            make_trial(b, *list);
    }
    const double begin = cr_clock_seconds();
    for (int round = 0; round < 5 || cr_clock_seconds() - begin < b->options->seconds; round++)
        for (int i = 0; i < b->n_trials; i++)
            run_once(b, &b->trials[i]);
    const cr_conv_algorithm *chosen = b->n_trials > 0 ? b->trials[0].algorithm : NULL;
    double time = 0;
    for (int i = 1; i < b->n_trials; i++)
        if (b->trials[i].algorithm->cost(&b->conv) < chosen->cost(&b->conv))
            chosen = b->trials[i].algorithm;
    for (int i = 0; i < b->n_trials; i++) {
        report(b, layer, &b->trials[i], chosen);
        time = b->trials[i].algorithm == chosen ? b->trials[i].best : time;
    }
    fflush(stdout);
    free_layer(b);
    return time;
}

static void bench_networks(bench *b) {
    const size_t n = sizeof conv_layers / sizeof *conv_layers;
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        const conv_layer *layer = &conv_layers[i];
        if (b->options->network != NULL && strcmp(layer->network, b->options->network) != 0)
            continue;
        total += layer->count * bench_layer(b, layer, cr_conv_algorithms(cr_cpu_isa()));
        if (i + 1 == n || strcmp(layer->network, conv_layers[i + 1].network) != 0) {
            printf("%-14s all layers %.2f ms\n\n", layer->network, total * 1e3);
            total = 0;
        }
    }
}

static bool bench_one(bench *b) {
    conv_layer layer = {.network = "layer", .count = 1};
    if (sscanf(b->options->layer, "%d,%d,%d,%d,%d,%d,%d,%d,%d", &layer.ic, &layer.oc, &layer.kernel,
               &layer.stride, &layer.pad, &layer.in, &layer.groups, &layer.transposed, &layer.flat) < 7)
        return false;
    bench_layer(b, &layer, cr_conv_algorithms(cr_cpu_isa()));
    return true;
}

static bool find_activation(const char *name, cr_activation *act) {
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) {
            *act = activations[i].act;
            return true;
        }
    return false;
}

static bool parse(int argc, char **argv, bench_options *options) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--network") == 0)
            options->network = value;
        else if (strcmp(name, "--layer") == 0)
            options->layer = value;
        else if (strcmp(name, "--cold") == 0)
            options->cold = atoi(value);
        else if (strcmp(name, "--algorithm") == 0)
            options->algorithm = value;
        else if (strcmp(name, "--threads") == 0)
            options->threads = atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            options->seconds = atof(value);
        else if (strcmp(name, "--act") != 0 || !find_activation(value, &options->act))
            return false;
    }
    return argc % 2 == 1 && options->threads > 0;
}

int main(int argc, char **argv) {
    bench_options options = {.threads = 1, .seconds = 0.1, .act = {.kind = CR_ACT_RELU}};
    bench b = {.options = &options};
    cr_heap *heap = NULL;
    if (!parse(argc, argv, &options)) {
        fprintf(
            stderr,
            "usage: conv_bench [--network NAME | --layer IC,OC,KERNEL,STRIDE,PAD,IN,GROUPS,TRANSPOSED,FLAT]"
            " [--algorithm NAME] [--threads N] [--seconds S] [--cold 1] [--act NAME]\n");
        return 2;
    }
    if (cr_heap_create(NULL, 0, &heap) != CREASE_OK ||
        cr_pool_create(heap, options.threads, &b.pool) != CREASE_OK)
        return 5;
    b.peak = cr_peak_flops(cr_cpu_isa());
    printf("kernels %s, %d threads, peak of one %.1f GFLOP/s\n\n", cr_isa_name(cr_cpu_isa()), options.threads,
           b.peak * 1e-9);
    bool ok = true;
    if (options.layer != NULL)
        ok = bench_one(&b);
    else
        bench_networks(&b);
    cr_pool_destroy(b.pool);
    cr_heap_release(heap);
    return ok ? 0 : 2;
}
