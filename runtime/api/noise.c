#include "runtime/api/noise.h"
#include "runtime/api/walk.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Lane 0 is exact; then come the lanes of each kind of noise. */
enum { N_PROBES = 3, N_LANES = 1 + 2 * N_PROBES };

typedef enum kind { KERNELS, FOLDING } kind;

static const double SAFETY = 4;
/* Winograd's transforms add and subtract multiples of what they are given: those of two dimensions leave up
 * to 4 times the error of direct summation, twice that to be safe. */
static const double WINOGRAD = 8;
/* Functions such as exp and tanh are good to a few units in the last place. */
static const double FUNCTION_ULPS = 4;

typedef struct prober {
    const cr_noise *settings;
    const cr_model *wide, *narrow;
    cr_eval eval;
    cr_arena arena; /* of the node at hand */
    cr_walk lanes[N_LANES];
    double *bounds[2]; /* by kind */
    uint64_t random;
} prober;

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t random_bits(prober *p) {
    uint64_t z = p->random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* ---- evaluating ---- */

static crease_status square(prober *p, const cr_tensor *from, cr_tensor *to) {
    CR_TRY(cr_tensor_create(p->eval.heap, CREASE_DOUBLE, &from->shape, to));
    const double *x = from->data;
    double *y = to->data;
    for (int64_t i = 0, n = cr_shape_n(&from->shape); i < n; i++)
        y[i] = x[i] * x[i];
    return CREASE_OK;
}

/* The node on squared inputs: sum (w x)^2 for a linear operator. */
static crease_status eval_squared(prober *p, const cr_node *node, const cr_tensor *const *in,
                                  cr_tensor *out) {
    cr_tensor *squares;
    const cr_tensor **ports;
    CR_TRY(CR_ARENA_NEW(&p->arena, &squares, (size_t)node->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(&p->arena, &ports, (size_t)node->n_inputs + 1));
    crease_status status = CREASE_OK;
    for (int i = 0; i < node->n_inputs && status == CREASE_OK; i++) {
        bool wide = in[i] && in[i]->dtype == CREASE_DOUBLE;
        ports[i] = wide ? &squares[i] : in[i];
        status = wide ? square(p, in[i], &squares[i]) : CREASE_OK;
    }
    if (status == CREASE_OK)
        status = cr_eval_node(&p->eval, node, ports, out);
    for (int i = 0; i < node->n_inputs; i++)
        cr_tensor_release(&squares[i]);
    return status;
}

/* A batch normalisation at 0: its shift. */
static crease_status eval_at_zero(prober *p, const cr_node *node, const cr_tensor *const *in,
                                  cr_tensor *out) {
    const cr_tensor **ports;
    cr_tensor zero;
    CR_TRY(CR_ARENA_NEW(&p->arena, &ports, (size_t)node->n_inputs + 1));
    CR_TRY(cr_tensor_create(p->eval.heap, CREASE_DOUBLE, &in[0]->shape, &zero));
    memset(zero.data, 0, (size_t)cr_shape_n(&zero.shape) * sizeof(double));
    memcpy(ports, in, (size_t)node->n_inputs * sizeof *ports);
    ports[0] = &zero;
    crease_status status = cr_eval_node(&p->eval, node, ports, out);
    cr_tensor_release(&zero);
    return status;
}

/* ---- the rounding error of one node ---- */

/* Results that are some of the inputs, or stand in the model, unrounded. */
static bool is_movement(const cr_node *node) {
    static const char *const names[] = {"Relu",   "MaxPool", "GlobalMaxPool", "Transpose",
                                        "Pad",    "Clip",    "Max",           "Min",
                                        "Gather", "Slice",   "Abs",           "DepthToSpace"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cr_node_is(node, names[i]))
            return true;
    return node->n_inputs == 0 || node->op->flags & (CR_OP_VIEW | CR_OP_JOIN | CR_OP_PART);
}

/* Whether an algorithm of runtime/kernels/conv/winograd.h is for the kernel and strides of a convolution. */
static bool may_be_winograd(const prober *p, const cr_node *node, const cr_tensor *const *in) {
    static const int64_t kernels[][3] = {{3, 3, 2}, {5, 5, 1}, {1, 3, 1},
                                         {3, 1, 1}, {1, 7, 1}, {7, 1, 1}}; /* h, w, largest stride */
    const int64_t *strides;
    int n;
    if (p->settings->exact || !cr_node_is(node, "Conv") || in[1]->shape.rank < 3 || in[1]->shape.rank > 4 ||
        cr_attr_ints(node, "strides", &strides, &n) != CREASE_OK)
        return false;
    const int64_t *last = &in[1]->shape.dims[in[1]->shape.rank - 1],
                  h = in[1]->shape.rank == 4 ? last[-1] : 1;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        bool fits = h == kernels[i][0] && *last == kernels[i][1];
        for (int s = 0; s < n; s++)
            fits = fits && strides[s] <= kernels[i][2];
        if (fits)
            return true;
    }
    return false;
}

/* alpha and beta of a Gemm are not squared with its inputs. */
static double factor_of(const cr_node *node) {
    float alpha, beta;
    if (!cr_node_is(node, "Gemm") || cr_attr_float(node, "alpha", 1, &alpha) != CREASE_OK ||
        cr_attr_float(node, "beta", 1, &beta) != CREASE_OK)
        return 1;
    return fmax(1, fmax(fabs((double)alpha), fabs((double)beta)));
}

static double terms_of(const cr_node *node, const cr_tensor *const *in, const cr_tensor *out) {
    cr_info infos[4], result = {.dtype = out->dtype, .shape = out->shape};
    const cr_info *ports[4] = {NULL};
    for (int i = 0; i < node->n_inputs && i < 4; i++)
        if (in[i]) {
            infos[i] = (cr_info){.dtype = in[i]->dtype, .shape = in[i]->shape, .known = in[i]};
            ports[i] = &infos[i];
        }
    int64_t n = cr_shape_n(&out->shape), macs = cr_node_macs(node, ports, &result);
    return n > 0 && macs > n ? (double)macs / (double)n : 1;
}

static double root_mean_square(const cr_tensor *t) {
    double sum = 0;
    int64_t n = t->dtype == CREASE_DOUBLE ? cr_shape_n(&t->shape) : 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((const double *)t->data)[i] * ((const double *)t->data)[i];
    return n ? sqrt(sum / (double)n) : 0;
}

/* The rounding error of element i is size[i] times a unit for each kind of noise. */
typedef struct node_error {
    cr_tensor size;
    double units[2];
} node_error;

/* size = hypot(size, y): the partial sums, or what cancels, and the result. */
static void join_result(cr_tensor *size, const cr_tensor *y) {
    double *e = size->data;
    for (int64_t i = 0, n = cr_shape_n(&y->shape); i < n; i++)
        e[i] = hypot(e[i], ((const double *)y->data)[i]);
}

/* Sums are accumulated in float32 or better and rounded to the type of the result. */
static crease_status linear_error(prober *p, const cr_node *node, const cr_tensor *const *in,
                                  const cr_tensor *y, double unit, node_error *error) {
    double sums = fmin(unit, 0x1p-24) * sqrt(terms_of(node, in, y)), factor = factor_of(node);
    if (may_be_winograd(p, node, in))
        sums *= WINOGRAD;
    CR_TRY(eval_squared(p, node, in, &error->size));
    double *e = error->size.data;
    for (int64_t i = 0, n = cr_shape_n(&y->shape); i < n; i++)
        e[i] = factor * sqrt(fabs(e[i]));
    error->units[KERNELS] = hypot(sums, unit);
    error->units[FOLDING] = unit;
    return CREASE_OK;
}

/* Of a batch normalisation, s x + t, where |s x| <= |y| + |t|. */
static crease_status affine_error(prober *p, const cr_node *node, const cr_tensor *const *in, double unit,
                                  node_error *error) {
    cr_tensor *outputs;
    CR_TRY(CR_ARENA_NEW(&p->arena, &outputs, (size_t)node->n_outputs));
    CR_TRY(eval_at_zero(p, node, in, outputs));
    error->size = outputs[0];
    for (int i = 1; i < node->n_outputs; i++)
        cr_tensor_release(&outputs[i]);
    error->units[KERNELS] = 2 * unit;
    error->units[FOLDING] = unit;
    return CREASE_OK;
}

/* The terms of a reduction may be larger than its result. */
static crease_status function_error(prober *p, const cr_tensor *const *in, const cr_tensor *y, double unit,
                                    node_error *error) {
    bool reduces = in[0] && cr_shape_n(&in[0]->shape) > cr_shape_n(&y->shape);
    double size = reduces ? root_mean_square(in[0]) : 0;
    CR_TRY(cr_tensor_create(p->eval.heap, CREASE_DOUBLE, &y->shape, &error->size));
    for (int64_t i = 0, n = cr_shape_n(&y->shape); i < n; i++)
        ((double *)error->size.data)[i] = size;
    error->units[KERNELS] = FUNCTION_ULPS * unit;
    return CREASE_OK;
}

static crease_status error_of(prober *p, const cr_node *node, const cr_tensor *const *in, const cr_tensor *y,
                              double unit, node_error *error) {
    crease_status status = cr_node_is_linear(node) ? linear_error(p, node, in, y, unit, error)
                           : cr_node_is(node, "BatchNormalization") ? affine_error(p, node, in, unit, error)
                                                                    : function_error(p, in, y, unit, error);
    if (status == CREASE_OK)
        join_result(&error->size, y);
    return status;
}

/* What may be folded like a batch normalisation where one side is constant. */
static bool is_affine(const cr_node *node) {
    return cr_node_is(node, "Mul") || cr_node_is(node, "Add") || cr_node_is(node, "Sub") ||
           cr_node_is(node, "Div");
}

/* ---- one node ---- */

/* Elements of one channel share their weights, and so the signs of what those were rounded by: noise that
 * differed from element to element would be lost in the next average. */
static int64_t channel_run(const cr_node *node, const cr_shape *shape, int64_t *channels) {
    bool last = cr_node_is(node, "Gemm") || cr_node_is(node, "MatMul");
    int axis = last ? shape->rank - 1 : shape->rank > 1 ? 1 : 0;
    int64_t run = 1;
    for (int i = axis + 1; i < shape->rank; i++)
        run *= shape->dims[i];
    *channels = shape->rank && axis >= 0 ? shape->dims[axis] : 1;
    return run;
}

static void move_elements(prober *p, const node_error *error, cr_tensor *noisy) {
    double *y = noisy->data, unit = error->units[KERNELS];
    const double *size = error->size.data;
    uint64_t bits = 0;
    for (int64_t i = 0, n = cr_shape_n(&noisy->shape); i < n; i++) {
        bits = i % 64 ? bits >> 1 : random_bits(p);
        y[i] += bits & 1 ? size[i] * unit : -size[i] * unit;
    }
}

static crease_status move_channels(prober *p, const cr_node *node, const node_error *error,
                                   cr_tensor *noisy) {
    double *y = noisy->data, *signs;
    const double *size = error->size.data;
    int64_t channels, run = channel_run(node, &noisy->shape, &channels);
    CR_TRY(CR_ARENA_NEW(&p->arena, &signs, (size_t)channels + 1));
    for (int64_t c = 0; c < channels; c++)
        signs[c] = random_bits(p) & 1 ? error->units[FOLDING] : -error->units[FOLDING];
    for (int64_t i = 0, n = cr_shape_n(&noisy->shape); i < n; i++)
        y[i] += size[i] * signs[i / run % channels];
    return CREASE_OK;
}

static kind kind_of(int lane) {
    return lane <= N_PROBES ? KERNELS : FOLDING;
}

static crease_status move_lanes(prober *p, const cr_node *node, const cr_tensor *const *in, int i) {
    const cr_value *v = node->outputs[i];
    const cr_tensor *exact = &p->lanes[0].values[v->id];
    double unit = v->id < p->narrow->n_values ? cr_dtype_unit(p->narrow->values[v->id]->dtype) : 0x1p-24;
    node_error error = {.units = {0, is_affine(node) ? unit : 0}};
    CR_TRY(error_of(p, node, in, exact, unit, &error));
    crease_status status = CREASE_OK;
    for (int lane = 1; lane < N_LANES && status == CREASE_OK; lane++) {
        cr_tensor *noisy = &p->lanes[lane].values[v->id];
        if (!cr_shape_equal(&noisy->shape, &exact->shape))
            continue; /* a shape that depends on data */
        if (kind_of(lane) == KERNELS)
            move_elements(p, &error, noisy);
        else
            status = move_channels(p, node, &error, noisy);
    }
    cr_tensor_release(&error.size);
    return status;
}

static void record_bounds(prober *p, int id) {
    const cr_tensor *exact = &p->lanes[0].values[id];
    double largest = 0, moved[2] = {0, 0};
    const double *x = exact->data;
    int64_t n = cr_shape_n(&exact->shape);
    for (int64_t e = 0; e < n; e++)
        largest = isfinite(x[e]) ? fmax(largest, fabs(x[e])) : largest;
    for (int lane = 1; lane < N_LANES; lane++) {
        const double *y = p->lanes[lane].values[id].data;
        double *most = &moved[kind_of(lane)];
        if (!cr_shape_equal(&p->lanes[lane].values[id].shape, &exact->shape))
            continue;
        for (int64_t e = 0; e < n; e++)
            *most = isnan(y[e] - x[e]) ? *most : fmax(*most, fabs(y[e] - x[e]));
    }
    for (int k = KERNELS; k <= FOLDING; k++)
        p->bounds[k][id] = SAFETY * moved[k] / (largest > 0 ? largest : 1);
}

/* Outputs of linear operators and batch normalisations beyond the first are statistics, no sums. */
static crease_status disturb(prober *p, const cr_node *node, const cr_tensor *const *in, int i) {
    const cr_tensor *exact = &p->lanes[0].values[node->outputs[i]->id];
    if (exact->dtype != CREASE_DOUBLE)
        return CREASE_OK;
    if (!is_movement(node) && i == 0)
        CR_TRY(move_lanes(p, node, in, i));
    record_bounds(p, node->outputs[i]->id);
    return CREASE_OK;
}

/* Scales, which decide the size of the result: all lanes have those of the first. */
static void share_scales(const cr_node *node, const cr_tensor *const *exact, const cr_tensor **in) {
    if (cr_node_is(node, "Resize") || cr_node_is(node, "Upsample"))
        for (int i = 1; i < node->n_inputs; i++)
            in[i] = exact[i];
}

static crease_status probe_node(prober *p, const cr_node *node) {
    const cr_tensor **in[N_LANES];
    for (int lane = 0; lane < N_LANES; lane++) {
        CR_TRY(CR_ARENA_NEW(&p->arena, &in[lane], (size_t)node->n_inputs + 1));
        CR_TRY(cr_walk_gather(&p->lanes[lane], node, in[lane]));
        share_scales(node, in[0], in[lane]);
        CR_TRY(cr_walk_eval(&p->lanes[lane], &p->eval, node, in[lane]));
    }
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            CR_TRY(disturb(p, node, in[0], i));
    for (int lane = 0; lane < N_LANES; lane++)
        cr_walk_leave(&p->lanes[lane], node);
    return CREASE_OK;
}

/* ---- the network ---- */

static crease_status probe(prober *p, const cr_tensor *const *inputs) {
    const cr_graph *graph = p->wide->graph;
    for (int lane = 0; lane < N_LANES; lane++) {
        CR_TRY(cr_walk_begin(&p->lanes[lane], p->wide, p->eval.heap));
        for (int i = 0; i < graph->n_inputs; i++)
            if (inputs[i])
                cr_walk_set(&p->lanes[lane], graph->inputs[i], inputs[i]);
    }
    CR_FOR_NODES(node, graph) {
        cr_arena_init(&p->arena, p->eval.heap);
        crease_status status = probe_node(p, node);
        cr_arena_clear(&p->arena);
        CR_TRY(status);
    }
    return CREASE_OK;
}

crease_status cr_noise_bounds(const cr_noise *noise, const cr_model *wide, const cr_model *narrow,
                              const cr_tensor *const *inputs, double *kernels, double *folding) {
    prober p = {.settings = noise,
                .wide = wide,
                .narrow = narrow,
                .eval = {.heap = noise->heap, .exact = true},
                .bounds = {kernels, folding},
                .random = 1};
    cr_pool *pool;
    CR_TRY(cr_pool_create(noise->heap, noise->threads, &pool));
    p.eval.pool = pool;
    for (int i = 0; i < wide->n_values; i++)
        kernels[i] = folding[i] = 0;
    cr_blas_enter();
    crease_status status = probe(&p, inputs);
    cr_blas_leave();
    for (int lane = 0; lane < N_LANES; lane++)
        cr_walk_end(&p.lanes[lane]);
    cr_pool_destroy(pool);
    return status;
}
