/* Times convolution of bytes on the layers of known networks, against four times the measured peak of float
 * multiply-adds.
 *
 *     bytes_bench [--network NAME | --layer IC,OC,KERNEL,STRIDE,PAD,IN,GROUPS] [--algorithm NAME]
 *                 [--threads N] [--seconds S] [--cold 1] [--residual 1] [--act 1] (CREASE_CPU picks the
 * kernels)
 *
 * For each layer and algorithm: the least time of interleaved runs, operations counted as direct summation
 * without padding skipped, and their share of the peak of the threads used. '*' marks what is chosen; the sum
 * of its times over a network's layers ends the network. --cold clears the caches of the weights before each
 * run, as the other layers of a network do. Outputs are bytes behind a ReLU; --act: behind SiLU;
 * --residual: with one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/conv_layers.h"
#include "runtime/base/clock.h"
#include "runtime/kernels/conv/bytes.h"
#include "runtime/kernels/peak.h"

enum { MAX_ALGORITHMS = 8, FLOAT_LANES = 4 };

typedef struct bench_options {
    const char *network, *layer, *algorithm;
    int threads, cold, residual, act;
    double seconds;
} bench_options;

typedef struct trial {
    const cr_bytes_algorithm *algorithm;
    cr_bytes_work work;
    cr_bytes_args args;
    void *packed, *workspace;
    double best; /* seconds */
} trial;

typedef struct bench {
    const bench_options *options;
    cr_bytes_conv conv;
    cr_pool *pool;
    double peak; /* operations a second of one thread */
    uint8_t *input, *output, *residual;
    int8_t *weights;
    float *scale;
    cr_bytes_epilogue epilogue;
    trial trials[MAX_ALGORITHMS];
    int n_trials;
} bench;

static size_t blocked(int64_t channels, int64_t pixels) {
    return (size_t)((channels + CR_BYTES_LANES - 1) / CR_BYTES_LANES * CR_BYTES_LANES * pixels);
}

static void make_conv(bench *b, const conv_layer *layer) {
    b->conv = (cr_bytes_conv){.input_zero = 100, .threads = b->options->threads};
    layer_geometry(layer, &b->conv.geometry);
}

static void make_data(bench *b) {
    const cr_conv_geometry *g = &b->conv.geometry;
    const size_t channels = blocked(g->oc, 1), outputs = blocked(g->oc, cr_conv_volume(g->out));
    b->input = bench_bytes(blocked(g->ic, cr_conv_volume(g->in)));
    b->output = bench_bytes(outputs);
    b->residual = bench_bytes(outputs);
    b->weights = bench_bytes((size_t)(g->oc * (g->ic / g->groups) * cr_conv_volume(g->kernel)));
    b->scale = bench_bytes(channels * sizeof(float));
    for (size_t i = 0; i < channels; i++)
        b->scale[i] = 1e-4f;
    b->epilogue = (cr_bytes_epilogue){.scale = b->scale, .bias = b->scale, .output = {0.02f, 0}};
    if (b->options->residual)
        b->epilogue.residual = b->residual;
    b->epilogue.residual_scaling = (cr_bytes_scaling){0.02f, 7};
    const cr_activation act = {.kind = b->options->act ? CR_ACT_SILU : CR_ACT_RELU};
    *(b->options->residual ? &b->epilogue.act_after : &b->epilogue.act) = act;
}

static void make_trial(bench *b, const cr_bytes_algorithm *algorithm) {
    trial *t = &b->trials[b->n_trials++];
    *t = (trial){.algorithm = algorithm, .best = INFINITY};
    t->packed = bench_bytes(algorithm->packed_bytes(&b->conv));
    algorithm->pack(&b->conv, b->weights, t->packed);
    if (!cr_bytes_plan_work(algorithm, &b->conv, &t->work))
        exit(5);
    t->workspace = bench_bytes(t->work.workspace_bytes);
    t->args = (cr_bytes_args){b->input, t->packed, b->output, &b->epilogue};
}

static void run_once(bench *b, trial *t) {
    if (b->options->cold)
        bench_clear_caches(t->packed, t->algorithm->packed_bytes(&b->conv));
    const double begin = cr_clock_seconds();
    cr_bytes_execute(b->pool, &t->work, &t->args, t->workspace, t->work.workspace_bytes);
    const double time = cr_clock_seconds() - begin;
    t->best = time < t->best ? time : t->best;
}

static void report(const bench *b, const conv_layer *layer, const trial *t, bool chosen) {
    const cr_conv_geometry *g = &b->conv.geometry;
    const double operations = 2.0 * (double)(g->oc * (g->ic / g->groups)) *
                              (double)(cr_conv_volume(g->out) * cr_conv_volume(g->kernel));
    printf("%-14s %4d->%-4d %dx%d s%d %3dx%-3d %-6s%-16s%c %9.4f ms %7.1f GOP/s %6.1f %% of peak\n",
           layer->network, layer->ic, layer->oc, (int)g->kernel[CR_H], (int)g->kernel[CR_W], layer->stride,
           (int)g->out[CR_H], (int)g->out[CR_W], layer->groups > 1 ? "group" : "", t->algorithm->name,
           chosen ? '*' : ' ', t->best * 1e3, operations / t->best * 1e-9,
           100 * operations / t->best / (b->peak * b->options->threads));
}

static void free_layer(bench *b) {
    for (int i = 0; i < b->n_trials; i++) {
        free(b->trials[i].packed);
        free(b->trials[i].workspace);
    }
    b->n_trials = 0;
    free(b->input);
    free(b->output);
    free(b->residual);
    free(b->weights);
    free(b->scale);
}

static bool is_wanted(const bench *b, const cr_bytes_algorithm *algorithm, const cr_bytes_algorithm *chosen) {
    const char *name = b->options->algorithm;
    return name != NULL ? strcmp(algorithm->name, name) == 0 && algorithm->refuses(&b->conv) == NULL
                        : algorithm == chosen;
}

/* Seconds of what is chosen, or of the algorithm asked for. */
static double bench_layer(bench *b, const conv_layer *layer) {
    const char *why;
    make_conv(b, layer);
    make_data(b);
    const cr_bytes_algorithm *chosen = cr_bytes_choose(&b->conv, &why);
    for (const cr_bytes_algorithm *const *list = cr_bytes_algorithms(); *list != NULL; list++)
        if (is_wanted(b, *list, chosen))
            make_trial(b, *list);
    const double begin = cr_clock_seconds();
    for (int round = 0; round < 5 || cr_clock_seconds() - begin < b->options->seconds; round++)
        for (int i = 0; i < b->n_trials; i++)
            run_once(b, &b->trials[i]);
    double time = 0;
    for (int i = 0; i < b->n_trials; i++) {
        report(b, layer, &b->trials[i], b->trials[i].algorithm == chosen);
        time = b->trials[i].best;
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
        if (layer->transposed || (b->options->network && strcmp(layer->network, b->options->network) != 0))
            continue;
        total += layer->count * bench_layer(b, layer);
        if (i + 1 == n || strcmp(layer->network, conv_layers[i + 1].network) != 0) {
            printf("%-14s all layers %.2f ms\n\n", layer->network, total * 1e3);
            total = 0;
        }
    }
}

static bool bench_one(bench *b) {
    conv_layer layer = {.network = "layer", .count = 1};
    if (sscanf(b->options->layer, "%d,%d,%d,%d,%d,%d,%d", &layer.ic, &layer.oc, &layer.kernel, &layer.stride,
               &layer.pad, &layer.in, &layer.groups) < 7)
        return false;
    bench_layer(b, &layer);
    return true;
}

static bool parse(int argc, char **argv, bench_options *options) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--network") == 0)
            options->network = value;
        else if (strcmp(name, "--layer") == 0)
            options->layer = value;
        else if (strcmp(name, "--algorithm") == 0)
            options->algorithm = value;
        else if (strcmp(name, "--threads") == 0)
            options->threads = atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            options->seconds = atof(value);
        else if (strcmp(name, "--cold") == 0)
            options->cold = atoi(value);
        else if (strcmp(name, "--residual") == 0)
            options->residual = atoi(value);
        else if (strcmp(name, "--act") == 0)
            options->act = atoi(value);
        else
            return false;
    }
    return argc % 2 == 1 && options->threads > 0;
}

int main(int argc, char **argv) {
    bench_options options = {.threads = 1, .seconds = 0.1};
    bench b = {.options = &options};
    cr_heap *heap = NULL;
    if (!parse(argc, argv, &options)) {
        fprintf(stderr,
                "usage: bytes_bench [--network NAME | --layer IC,OC,KERNEL,STRIDE,PAD,IN,GROUPS]"
                " [--algorithm NAME] [--threads N] [--seconds S] [--cold 1] [--residual 1] [--act 1]\n");
        return 2;
    }
    if (cr_heap_create(NULL, 0, &heap) != CREASE_OK ||
        cr_pool_create(heap, options.threads, &b.pool) != CREASE_OK)
        return 5;
    b.peak = FLOAT_LANES * cr_peak_flops(cr_cpu_isa());
    printf("kernels %s, %d threads, peak of one %.1f GOP/s\n\n", cr_isa_name(cr_cpu_isa()), options.threads,
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
