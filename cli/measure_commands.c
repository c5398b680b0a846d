#define _GNU_SOURCE
#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* crease verify and crease bench. */

/* ---- verify ---- */

static void print_entry(const crease_verify_entry *e, const char *kind) {
    printf("%-6s %-40s %s  max difference %.3g (%.3g of the largest magnitude)", kind, e->name,
           e->pass ? "ok  " : "FAIL", e->max_abs, e->max_rel);
    if (e->folded_error >= 0)
        printf("  against float64: unfolded %.3g, folded %.3g", e->unfolded_error, e->folded_error);
    if (e->top1 >= 0)
        printf("  top-1 %s", e->top1 ? "unchanged" : "CHANGED");
    printf("\n");
}

static void write_entry(const crease_verify_entry *e, bool first) {
    printf("%s\n  {\"name\": ", first ? "" : ",");
    json_string(stdout, e->name);
    printf(", \"pass\": %s, \"max_abs\": ", e->pass ? "true" : "false");
    json_number(stdout, e->max_abs);
    printf(", \"max_rel\": ");
    json_number(stdout, e->max_rel);
    printf(", \"bound\": ");
    if (e->bound > 0)
        json_number(stdout, e->bound);
    else
        printf("null");
    printf(", \"unfolded_error\": ");
    json_number(stdout, e->unfolded_error < 0 ? NAN : e->unfolded_error);
    printf(", \"folded_error\": ");
    json_number(stdout, e->folded_error < 0 ? NAN : e->folded_error);
    printf(", \"top1\": %s}", e->top1 < 0 ? "null" : e->top1 ? "true" : "false");
}

static int verify_once(const arguments *a, crease_model *m, crease_model *other, uint64_t seed, bool *pass,
                       bool last) {
    tensor *inputs;
    size_t n;
    int code = gather_inputs(m, a, true, seed, &inputs, &n);
    if (code)
        return code;
    crease_tensor *views = calloc(n + 1, sizeof *views);
    for (size_t i = 0; views && i < n; i++)
        views[i] = view_of(&inputs[i]);
    crease_options options = options_of(a);
    crease_verify_options v;
    crease_verify_options_init(&v);
    v.atol = a->atol;
    v.rtol = a->rtol;
    v.layers = a->layers;
    crease_verify_report *report = NULL;
    crease_status status = crease_verify(m, other, views, n, &options, &v, &report);
    free(views);
    free_inputs(inputs, n);
    if (status)
        return fail_status(status, NULL);
    *pass &= crease_verify_report_pass(report);
    crease_verify_entry e = {.struct_size = sizeof e};
    if (a->json && last) {
        printf("{\"schema\": \"crease.verify/1\", \"pass\": %s, \"outputs\": [", *pass ? "true" : "false");
        for (size_t i = 0; crease_verify_report_output_at(report, i, &e); i++)
            write_entry(&e, i == 0);
        printf("], \"layers\": [");
        for (size_t i = 0; crease_verify_report_layer_at(report, i, &e); i++)
            write_entry(&e, i == 0);
        printf("]}\n");
    } else if (!a->json) {
        for (size_t i = 0; crease_verify_report_layer_at(report, i, &e); i++)
            print_entry(&e, "layer");
        for (size_t i = 0; crease_verify_report_output_at(report, i, &e); i++)
            print_entry(&e, "output");
    }
    crease_verify_report_free(report);
    return EXIT_OK;
}

int command_verify(const arguments *a) {
    crease_model *m, *other = NULL;
    int code = load_model(a, 0, &m);
    if (code)
        return code;
    if (a->n_positional == 2)
        code = load_model(a, 1, &other);
    bool pass = true;
    int64_t runs = a->runs ? a->runs : 1;
    for (int64_t r = 0; code == EXIT_OK && r < runs; r++)
        code = verify_once(a, m, other, (uint64_t)(a->seed + r), &pass, r + 1 == runs);
    crease_model_free(other);
    crease_model_free(m);
    if (code == EXIT_OK && !pass)
        return fail(EXIT_MISMATCH, "%s: the outputs differ by more than %g of their largest magnitude",
                    a->positional[0], a->rtol);
    if (code == EXIT_OK && !a->json)
        printf("folded and unfolded agree\n");
    return code;
}

/* ---- bench ---- */

enum { MAX_SAMPLES = 4096, RESAMPLES = 1000 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct series {
    double ms[MAX_SAMPLES], median, least, mean, sigma, p90;
    int n;
} series;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_of(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void summarize(series *s) {
    static double sorted[MAX_SAMPLES];
    double sum = 0, squares = 0;
    memcpy(sorted, s->ms, (size_t)s->n * sizeof *sorted);
    s->median = median_of(sorted, s->n);
    s->least = sorted[0];
    s->p90 = sorted[(s->n - 1) * 9 / 10];
    for (int i = 0; i < s->n; i++)
        sum += s->ms[i];
    s->mean = sum / s->n;
    for (int i = 0; i < s->n; i++)
        squares += (s->ms[i] - s->mean) * (s->ms[i] - s->mean);
    s->sigma = s->n > 1 ? sqrt(squares / (s->n - 1)) : 0;
}

static double resample(const series *s, uint64_t *state) {
    static double drawn[MAX_SAMPLES];
    for (int i = 0; i < s->n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        drawn[i] = s->ms[(*state >> 33) % (uint64_t)s->n];
    }
    return median_of(drawn, s->n);
}

typedef struct ratio {
    double median, low, high;
} ratio;

/* a over b with a 95 % bootstrap interval (Efron 1979) of the ratio of medians; the seed is fixed. */
static ratio compare(const series *a, const series *b) {
    static double ratios[RESAMPLES];
    uint64_t state = 1;
    for (int i = 0; i < RESAMPLES; i++)
        ratios[i] = resample(a, &state) / resample(b, &state);
    qsort(ratios, RESAMPLES, sizeof *ratios, by_value);
    return (ratio){a->median / b->median, ratios[RESAMPLES * 25 / 1000], ratios[RESAMPLES * 975 / 1000]};
}

static int time_once(crease_session *session, series *s) {
    double start = now();
    crease_status status = crease_session_run(session);
    if (status)
        return fail_status(status, NULL);
    if (s && s->n < MAX_SAMPLES)
        s->ms[s->n++] = 1e3 * (now() - start);
    return EXIT_OK;
}

/* A, B and a second A in the order ABC CBA, so that drift falls on all alike. */
static int interleave(const arguments *a, crease_session *const s[3], series *out[3]) {
    int code = EXIT_OK;
    for (int i = 0; code == EXIT_OK && i < 6; i++)
        code = time_once(s[i % 3], NULL);
    double budget = a->seconds > 0 ? a->seconds : a->runs ? 1e9 : 3, start = now();
    int most = a->runs ? (int)(a->runs < MAX_SAMPLES ? a->runs : MAX_SAMPLES) : MAX_SAMPLES;
    for (int round = 0; code == EXIT_OK && round < most && (round < 5 || now() - start < budget); round++)
        for (int i = 0; code == EXIT_OK && i < 3; i++) {
            int which = round % 2 ? 2 - i : i;
            set_interruptible(s[which]);
            code = time_once(s[which], out[which]);
        }
    set_interruptible(NULL);
    for (int i = 0; code == EXIT_OK && i < 3; i++)
        summarize(out[i]);
    return code;
}

static void write_series(FILE *out, const char *name, const series *s) {
    fprintf(out,
            ", \"%s\": {\"median_ms\": %.6g, \"min_ms\": %.6g, \"mean_ms\": %.6g, \"sigma_ms\": %.6g, "
            "\"p90_ms\": %.6g, "
            "\"samples_ms\": [",
            name, s->median, s->least, s->mean, s->sigma, s->p90);
    for (int i = 0; i < s->n; i++)
        fprintf(out, "%s%.6g", i ? ", " : "", s->ms[i]);
    fprintf(out, "]}");
}

typedef struct result {
    const char *names[2];
    series *a, *b;
    ratio speedup;
    double noise, load_ms;
} result;

static int write_json(const arguments *a, const result *r) {
    char temporary[4096];
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    FILE *out = json_open(a->json, temporary, sizeof temporary);
    if (!out)
        return EXIT_BAD_INPUT;
    fprintf(out, "{\"schema\": \"crease.bench/1\", \"model\": ");
    json_string(out, a->positional[0]);
    fprintf(out, ", \"threads\": %" PRId64, a->threads);
    write_series(out, r->names[0], r->a);
    write_series(out, r->names[1], r->b);
    fprintf(out,
            ", \"speedup\": {\"median\": %.6g, \"ci95\": [%.6g, %.6g]}, \"noise\": %.6g, \"load_ms\": %.6g, "
            "\"peak_rss_mib\": %.6g, \"blas\": ",
            r->speedup.median, r->speedup.low, r->speedup.high, r->noise, r->load_ms,
            (double)usage.ru_maxrss / 1024);
    json_string(out, crease_build_info());
    fprintf(out, ", \"kernels\": ");
    json_string(out, crease_build_info());
    fprintf(out, "}\n");
    return json_close(out, a->json, temporary);
}

static void print_series(const char *name, const series *s) {
    printf("%-10s median %.3f ms  mean %.3f +- %.3f  p90 %.3f  min %.3f  (n = %d)\n", name, s->median,
           s->mean, s->sigma, s->p90, s->least, s->n);
}

static void print_result(const result *r) {
    print_series(r->names[0], r->a);
    print_series(r->names[1], r->b);
    bool inside = fabs(r->speedup.median - 1) <= r->noise || (r->speedup.low <= 1 && r->speedup.high >= 1);
    if (inside)
        printf("no difference measured: %.3fx [%.3f, %.3f], noise floor %.1f %%\n", r->speedup.median,
               r->speedup.low, r->speedup.high, 100 * r->noise);
    else
        printf("speedup %.3fx [%.3f, %.3f], noise floor %.1f %%\n", r->speedup.median, r->speedup.low,
               r->speedup.high, 100 * r->noise);
}

static int print_layers(crease_session *session, int64_t n) {
    crease_session_profile(session, true);
    for (int64_t i = 0; i < n; i++) {
        int code = time_once(session, NULL);
        if (code)
            return code;
    }
    crease_step step = {.struct_size = sizeof step};
    for (size_t i = 0; crease_session_step_at(session, i, &step); i++) {
        double seconds = step.n_runs ? step.seconds / (double)step.n_runs : 0;
        printf("%-18s %-40s %-12s %9.4f ms", step.op_type, step.node, step.algorithm, 1e3 * seconds);
        if (step.macs > 0 && seconds > 0)
            printf(" %7.1f GFLOP/s", 2e-9 * (double)step.macs / seconds);
        printf("%s%s\n", step.note[0] ? "  " : "", step.note);
    }
    return EXIT_OK;
}

static int bench(const arguments *a, crease_model *m, crease_model *other, double load_ms) {
    static series samples[3];
    crease_session *s[3] = {NULL, NULL, NULL};
    tensor *inputs;
    size_t n;
    int code = gather_inputs(m, a, true, (uint64_t)a->seed, &inputs, &n);
    if (code)
        return code;
    for (int i = 0; code == EXIT_OK && i < 3; i++) {
        crease_options options = options_of(a);
        options.fold = other != NULL || i == 1; /* two models: both as a user would run them */
        crease_status status = crease_session_create(other && i == 1 ? other : m, &options, &s[i]);
        code = status ? fail_status(status, a->positional[0]) : set_inputs(s[i], inputs, n);
    }
    free_inputs(inputs, n);
    if (code == EXIT_OK)
        code = interleave(a, s, (series *[3]){&samples[0], &samples[1], &samples[2]});
    if (code == EXIT_OK) {
        result r = {.names = {other ? "a" : "unfolded", other ? "b" : "folded"},
                    .a = &samples[0],
                    .b = &samples[1],
                    .speedup = compare(&samples[0], &samples[1]),
                    .load_ms = load_ms};
        r.noise = fabs(samples[0].median / samples[2].median - 1);
        if (!a->json || strcmp(a->json, "-") != 0)
            print_result(&r);
        if (a->json)
            code = write_json(a, &r);
        if (code == EXIT_OK && a->layers)
            code = print_layers(s[1], 10);
    }
    for (int i = 0; i < 3; i++)
        crease_session_free(s[i]);
    return code;
}

int command_bench(const arguments *a) {
    crease_model *m, *other = NULL;
    double start = now();
    int code = load_model(a, 0, &m);
    if (code)
        return code;
    double load_ms = 1e3 * (now() - start);
    if (a->n_positional == 2)
        code = load_model(a, 1, &other);
    if (code == EXIT_OK)
        code = bench(a, m, other, load_ms);
    crease_model_free(other);
    crease_model_free(m);
    return code;
}
