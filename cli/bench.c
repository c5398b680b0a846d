#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/measure.h"
#include "cli/message.h"
#include "cli/payoff.h"
#include "cli/stats.h"
#include "cli/steps.h"
#include "cli/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* crease bench: is B faster than A, by how much, and how sure is that? */

/* A, a second session like A that shows what chance alone does, and B. */
enum { A, A2, B, N_SESSIONS };
static const int forms[] = {A, B};
enum { N_FORMS = 2 };

typedef struct bench_options {
    engine_options engine;
    input_options input;
    const char *models[2]; /* the second may be NULL */
    const char *json;
    uint64_t seed;
    measure_plan plan;
    bool fold, layers, verbose;
} bench_options;

typedef struct bench {
    const bench_options *options;
    const char *names[N_SESSIONS];
    input_set inputs;
    crease_session *sessions[N_SESSIONS];
    series series[N_SESSIONS];
    stats stats[N_SESSIONS];
    stats_ratio speedup;
    payoff payoff;          /* of one model */
    crease_machine machine; /* with layers */
    double noise;           /* how far from 1 the 95 % interval of A to A reaches */
    double load_ms;         /* B from its file to a session that is ready */
    double peak_rss_mib;    /* of this process when B had run and A was not yet there */
} bench;

static int parse(int argc, char **argv, bench_options *o) {
    const arg_option options[] = {
        INPUT_ARGS(o->input),
        {"runs", 'n', ARG_INT, &o->plan.runs, "N", "runs of each form, instead of a time", 1, 1 << 24},
        {"time", 't', ARG_NUMBER, &o->plan.seconds, "S", "seconds to measure (3)", 0, 1e6},
        {"seed", 0, ARG_SEED, &o->seed, "S", "of random inputs (1)", 0, 0},
        {"json", 0, ARG_TEXT, &o->json, "FILE", "the result as JSON; - is standard output", 0, 0},
        {"layers", 0, ARG_FLAG, &o->layers, NULL, "then profile both, and show the slowest steps", 0, 0},
        {"verbose", 'v', ARG_FLAG, &o->verbose, NULL, "with --layers: all steps, and why not otherwise", 0,
         0},
        {"fold", 0, ARG_FLAG, &o->fold, NULL, "two models: fold both first; else they run as they are", 0, 0},
        ENGINE_ARGS(o->engine),
        {0},
    };
    const arg_command command = {"bench",
                                 "MODEL [MODEL2]",
                                 "Measure a model unfolded and folded, or two models, by runs that "
                                 "take turns. The speedup comes with its 95 %\n"
                                 "bootstrap interval, and with the noise: how far from 1 the same model, "
                                 "measured twice that way, may be.",
                                 INPUT_HELP "Inputs that are not given are random.\n",
                                 1,
                                 2,
                                 options};
    return args_parse(&command, argc, argv, o->models);
}

/* ---- sessions ---- */

/* Takes the model over. */
static int add_session(bench *b, int which, crease_model *model) {
    const bench_options *o = b->options;
    const char *path = which == B && o->models[1] ? o->models[1] : o->models[0];
    bool fold = o->models[1] ? o->fold : which == B;
    int code = engine_session_of(path, &model, &o->engine, fold, &b->sessions[which]);
    return code ? code : inputs_bind(&b->inputs, b->sessions[which]);
}

static double peak_rss_mib(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : NAN;
}

static int prepare_b(bench *b) {
    const bench_options *o = b->options;
    const char *path = o->models[1] ? o->models[1] : o->models[0];
    crease_model *model;
    double begin = measure_now();
    int code = engine_load(path, &o->engine, &model);
    double load_seconds = measure_now() - begin;
    if (code)
        return code;
    code = inputs_collect(model, &o->input, MISSING_RANDOM, o->seed, &b->inputs);
    if (code) {
        crease_model_free(model);
        return code;
    }
    begin = measure_now();
    code = add_session(b, B, model);
    b->load_ms = 1e3 * (load_seconds + measure_now() - begin);
    if (code)
        return code;
    crease_status status = interrupt_run(b->sessions[B]);
    return status ? fail_file(path, status) : CLI_OK;
}

static int prepare_a(bench *b) {
    crease_model *model;
    int code = engine_load(b->options->models[0], &b->options->engine, &model);
    if (code)
        return code;
    code = add_session(b, A, crease_model_retain(model));
    if (code) {
        crease_model_free(model);
        return code;
    }
    return add_session(b, A2, model);
}

/* B comes first and alone, so that time and memory to be ready are its own. */
static int prepare(bench *b) {
    int code = prepare_b(b);
    b->peak_rss_mib = peak_rss_mib();
    return code ? code : prepare_a(b);
}

static bool is_measured(const bench *b) {
    bool one_inside = b->speedup.low <= 1 && b->speedup.high >= 1;
    return !one_inside && fabs(b->speedup.median - 1) > b->noise;
}

static int evaluate(bench *b) {
    for (int i = 0; i < N_SESSIONS; i++)
        b->stats[i] = stats_of(b->series[i].ms, b->series[i].n);
    const series *a = &b->series[A];
    b->speedup = stats_compare(a->ms, b->series[B].ms, a->n, a->turn);
    stats_ratio same = stats_compare(a->ms, b->series[A2].ms, a->n, a->turn);
    b->noise = fmax(fabs(same.high - 1), fabs(1 - same.low));
    if (b->options->models[1])
        return CLI_OK;
    int code = payoff_find(b->sessions[A], b->sessions[B], engine_threads(&b->options->engine), &b->payoff);
    b->payoff.measured_ms = b->stats[A].median - b->stats[B].median;
    b->payoff.is_measured = is_measured(b);
    return code;
}

/* ---- results ---- */

static void print_result(const bench *b) {
    static const char *const headers[] = {"", ">median ms", ">min", ">mean", ">sigma", ">p90", ">runs", NULL};
    table out;
    table_begin(&out, headers);
    for (int i = 0; i < N_FORMS; i++) {
        const stats *s = &b->stats[forms[i]];
        table_cell(&out, "%s", b->names[forms[i]]);
        table_cell(&out, "%.4f", s->median);
        table_cell(&out, "%.4f", s->min);
        table_cell(&out, "%.4f", s->mean);
        table_cell(&out, "%.4f", s->sigma);
        table_cell(&out, "%.4f", s->p90);
        table_cell(&out, "%zu", b->series[forms[i]].n);
    }
    table_print(&out, 0);
    const stats_ratio *r = &b->speedup;
    if (is_measured(b))
        printf("speedup %.3fx [%.3f, %.3f], noise %.1f %%\n", r->median, r->low, r->high, 100 * b->noise);
    else
        printf("no difference measured: %.3fx [%.3f, %.3f], noise %.1f %%\n", r->median, r->low, r->high,
               100 * b->noise);
    if (!b->options->models[1])
        payoff_print(&b->payoff);
    printf("%d threads, ready in %.1f ms, %.1f MiB at most, kernels %s, BLAS %s\n",
           engine_threads(&b->options->engine), b->load_ms, b->peak_rss_mib, crease_kernels_name(),
           crease_blas_name());
}

static void write_form(json *j, const bench *b, int which) {
    const stats *s = &b->stats[which];
    json_begin_object(j, b->names[which]);
    json_number(j, "median_ms", s->median);
    json_number(j, "min_ms", s->min);
    json_number(j, "mean_ms", s->mean);
    json_number(j, "sigma_ms", s->sigma);
    json_number(j, "p90_ms", s->p90);
    json_integer(j, "n", (int64_t)b->series[which].n);
    json_begin_array(j, "samples_ms");
    for (size_t i = 0; i < b->series[which].n; i++)
        json_number(j, NULL, b->series[which].ms[i]);
    json_end_array(j);
    if (b->options->layers)
        steps_write(j, "layers", b->sessions[which], &b->machine);
    json_end_object(j);
}

static int write_result(const bench *b) {
    const bench_options *o = b->options;
    json j = {0};
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.bench/1");
    json_text(&j, "model", o->models[0]);
    if (o->models[1])
        json_text(&j, "model2", o->models[1]);
    json_integer(&j, "threads", engine_threads(&o->engine));
    write_form(&j, b, A);
    write_form(&j, b, B);
    json_begin_object(&j, "speedup");
    json_number(&j, "median", b->speedup.median);
    json_begin_array(&j, "ci95");
    json_number(&j, NULL, b->speedup.low);
    json_number(&j, NULL, b->speedup.high);
    json_end_array(&j);
    json_boolean(&j, "measured", is_measured(b));
    json_end_object(&j);
    json_number(&j, "noise", b->noise);
    if (!o->models[1])
        payoff_write(&j, "folding", &b->payoff);
    if (o->layers) {
        json_number(&j, "peak_gflops", b->machine.gflops);
        json_number(&j, "gb_per_second", b->machine.gb_per_second);
    }
    json_number(&j, "load_ms", b->load_ms);
    json_number(&j, "peak_rss_mib", b->peak_rss_mib);
    json_text(&j, "blas", crease_blas_name());
    json_text(&j, "kernels", crease_kernels_name());
    json_text(&j, "build", crease_build_info());
    json_end_object(&j);
    return json_write(&j, o->json);
}

enum { PROFILED_RUNS = 10, STEPS_SHOWN = 25 };

/* The bandwidth is that of a pass over all that the folded network touches. */
static int measure_machine(bench *b) {
    crease_memory memory = {.struct_size = sizeof memory};
    crease_session_get_memory(b->sessions[B], &memory);
    b->machine.struct_size = sizeof b->machine;
    crease_status status = crease_measure_machine(engine_threads(&b->options->engine),
                                                  memory.weight_bytes + memory.arena_bytes, &b->machine);
    return status ? fail_status(status) : CLI_OK;
}

/* Apart from the measurement, which the clock of every step would disturb. */
static int profile(bench *b) {
    crease_session *sessions[N_FORMS];
    series unused[N_FORMS] = {0};
    measure_plan plan = {.runs = PROFILED_RUNS};
    for (int i = 0; i < N_FORMS; i++) {
        sessions[i] = b->sessions[forms[i]];
        crease_session_profile(sessions[i], true);
    }
    int code = measure_interleaved(sessions, N_FORMS, &plan, unused);
    free(unused[0].ms);
    free(unused[1].ms);
    return code ? code : measure_machine(b);
}

static int run_bench(bench *b) {
    const bench_options *o = b->options;
    bool to_stdout = o->json && strcmp(o->json, "-") == 0;
    int code = prepare(b);
    if (!code)
        code = measure_interleaved(b->sessions, N_SESSIONS, &o->plan, b->series);
    if (!code)
        code = evaluate(b);
    if (!code && o->layers)
        code = profile(b);
    if (!code && o->json)
        code = write_result(b);
    if (code || to_stdout)
        return code;
    print_result(b);
    for (int i = 0; o->layers && i < N_FORMS; i++) {
        printf("\n%s\n", b->names[forms[i]]);
        steps_print(b->sessions[forms[i]], &b->machine, o->verbose ? 0 : STEPS_SHOWN);
    }
    return CLI_OK;
}

int bench_command(int argc, char **argv) {
    bench_options o = {.seed = 1, .plan = {.seconds = 3}};
    bench b = {.options = &o, .names = {"unfolded", "unfolded", "folded"}};
    int code = parse(argc, argv, &o);
    if (o.models[1]) {
        b.names[A] = b.names[A2] = "a";
        b.names[B] = "b";
    }
    if (!code)
        code = run_bench(&b);
    for (int i = 0; i < N_SESSIONS; i++) {
        crease_session_free(b.sessions[i]);
        free(b.series[i].ms);
    }
    inputs_free(&b.inputs);
    inputs_options_free(&o.input);
    return code;
}
