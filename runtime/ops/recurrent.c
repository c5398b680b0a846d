#include "runtime/kernels/gemm.h"
#include "runtime/kernels/recurrent.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* RNN, GRU and LSTM (ONNX 1, 7, 14, 22; Hochreiter and Schmidhuber 1997, Cho et al. 2014). Three passes: the
 * input of all steps times its weights as one product, then step by step the state times its weights and the
 * cell, then the final states. Weights are packed input-major with each gate padded to whole vectors, or as
 * the strips of cr_sgemm_packed where products have several rows and gates are whole vectors as they are. */

enum { RNN, GRU, LSTM };
enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };
enum { MAX_DIRECTIONS = 2, MAX_ACTIVATIONS = 3 };

static int n_gates(const cr_op *op) {
    return op->variant == RNN ? 1 : op->variant == GRU ? 3 : 4;
}

/* ---- attributes ---- */

static crease_status read_direction(const cr_node *node, int *directions, bool *backwards) {
    const char *text;
    CR_TRY(cr_attr_string(node, "direction", "forward", &text));
    *directions = strcmp(text, "bidirectional") == 0 ? 2 : 1;
    *backwards = strcmp(text, "reverse") == 0;
    if (*directions == 1 && !*backwards && strcmp(text, "forward") != 0)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "direction '%s' is not known", text);
    return CREASE_OK;
}

static const struct {
    const char *name;
    cr_cell_act kind;
    bool has_alpha, has_beta;
    double alpha, beta; /* defaults */
} known_activations[] = {
    {"Tanh", CR_CELL_TANH, false, false, 0, 0},
    {"Sigmoid", CR_CELL_SIGMOID, false, false, 0, 0},
    {"Relu", CR_CELL_RELU, false, false, 0, 0},
    {"HardSigmoid", CR_CELL_HARD_SIGMOID, true, true, 0.2, 0.5},
    {"Affine", CR_CELL_AFFINE, true, true, 1, 0},
    {"LeakyRelu", CR_CELL_LEAKY_RELU, true, false, 0.01, 0},
    {"ThresholdedRelu", CR_CELL_THRESHOLDED_RELU, true, false, 1, 0},
    {"ScaledTanh", CR_CELL_SCALED_TANH, true, true, 1, 1},
    {"Elu", CR_CELL_ELU, true, false, 1, 0},
    {"Softsign", CR_CELL_SOFTSIGN, false, false, 0, 0},
    {"Softplus", CR_CELL_SOFTPLUS, false, false, 0, 0},
};

typedef struct parameters {
    const float *alpha, *beta;
    int n_alpha, n_beta, next_alpha, next_beta;
} parameters;

/* alpha and beta are consumed in order by the activations that have them. */
static crease_status read_activation(const cr_node *node, const char *name, parameters *p,
                                     cr_cell_activation *activation) {
    for (size_t i = 0; i < sizeof known_activations / sizeof *known_activations; i++) {
        if (strcasecmp(known_activations[i].name, name) != 0)
            continue;
        *activation = (cr_cell_activation){known_activations[i].kind, known_activations[i].alpha,
                                           known_activations[i].beta};
        if (known_activations[i].has_alpha && p->next_alpha < p->n_alpha)
            activation->a = (double)p->alpha[p->next_alpha++];
        if (known_activations[i].has_beta && p->next_beta < p->n_beta)
            activation->b = (double)p->beta[p->next_beta++];
        return CREASE_OK;
    }
    return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "activation '%s' is not supported", name);
}

static crease_status read_activations(const cr_node *node, const cr_op *op, int directions,
                                      cr_cell cells[MAX_DIRECTIONS]) {
    static const char *const defaults[][MAX_ACTIVATIONS] = {[RNN] = {"Tanh", "Tanh", "Tanh"},
                                                            [GRU] = {"Sigmoid", "Tanh", "Tanh"},
                                                            [LSTM] = {"Sigmoid", "Tanh", "Tanh"}};
    const int each = op->variant == RNN ? 1 : op->variant == GRU ? 2 : 3;
    const cr_attr *names = cr_attr_find(node, "activations");
    parameters p = {0};
    if (names && (names->type != CR_ATTR_STRINGS || names->n != (int64_t)each * directions))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "activations are not %d strings", each * directions);
    CR_TRY(cr_attr_floats(node, "activation_alpha", &p.alpha, &p.n_alpha));
    CR_TRY(cr_attr_floats(node, "activation_beta", &p.beta, &p.n_beta));
    for (int d = 0; d < directions; d++) {
        cr_cell_activation *of[] = {&cells[d].f, &cells[d].g, &cells[d].h};
        for (int i = 0; i < each; i++)
            CR_TRY(read_activation(node, names ? names->strings[d * each + i].data : defaults[op->variant][i],
                                   &p, of[i]));
    }
    return CREASE_OK;
}

/* ---- infer ---- */

/* Known dimensions of input i must be `dims`; those not known yet on either side fit. */
static crease_status check_input(const cr_infer *infer, int i, crease_dtype dtype, int rank,
                                 const int64_t *dims) {
    const cr_info *info = i < infer->n_in ? infer->in[i] : NULL;
    if (!info)
        return CREASE_OK;
    if (info->dtype && dtype && info->dtype != dtype)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected %s", i,
                            crease_dtype_name(info->dtype), crease_dtype_name(dtype));
    bool fits = info->shape.rank < 0 || info->shape.rank == rank;
    for (int d = 0; fits && info->shape.rank >= 0 && d < rank; d++)
        fits = info->shape.dims[d] < 0 || dims[d] < 0 || info->shape.dims[d] == dims[d];
    if (fits)
        return CREASE_OK;
    char found[128], wanted[128];
    cr_shape expected = cr_shape_of(rank, dims);
    return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected %s", i,
                        cr_shape_print(&info->shape, found, sizeof found),
                        cr_shape_print(&expected, wanted, sizeof wanted));
}

static int64_t known_dim(const cr_infer *infer, int i, int d) {
    const cr_shape *shape = &infer->in[i]->shape;
    return d < shape->rank ? shape->dims[d] : CR_DIM_UNKNOWN;
}

static int64_t times(int64_t n, int64_t dim) {
    int64_t product;
    return dim < 0 || __builtin_mul_overflow(n, dim, &product) ? CR_DIM_UNKNOWN : product;
}

typedef struct extents {
    int64_t steps, batch, input, hidden;
    bool batch_first;
} extents;

static crease_status read_extents(const cr_infer *infer, extents *e) {
    int64_t layout, hidden;
    CR_TRY(cr_attr_int(infer->node, "layout", 0, &layout));
    CR_TRY(cr_attr_int(infer->node, "hidden_size", CR_DIM_UNKNOWN, &hidden));
    e->batch_first = layout != 0;
    e->steps = known_dim(infer, IN_X, e->batch_first ? 1 : 0);
    e->batch = known_dim(infer, IN_X, e->batch_first ? 0 : 1);
    e->input = known_dim(infer, IN_X, 2);
    e->hidden = known_dim(infer, IN_R, 2);
    if (hidden >= 0 && e->hidden >= 0 && hidden != e->hidden)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "hidden_size is %lld, but R has %lld",
                            (long long)hidden, (long long)e->hidden);
    return CREASE_OK;
}

static crease_status check_inputs(const cr_infer *infer, const extents *e, int directions) {
    const int gates = n_gates(infer->op);
    const crease_dtype dtype = infer->in[IN_X]->dtype;
    const int64_t d = directions, rows = times(gates, e->hidden);
    const int64_t state[] = {e->batch_first ? e->batch : d, e->batch_first ? d : e->batch, e->hidden};
    CR_TRY(cr_infer_rank(infer, IN_X, 3, 3));
    CR_TRY(check_input(infer, IN_W, dtype, 3, (int64_t[]){d, rows, e->input}));
    CR_TRY(check_input(infer, IN_R, dtype, 3, (int64_t[]){d, rows, e->hidden}));
    CR_TRY(check_input(infer, IN_B, dtype, 2, (int64_t[]){d, times(2 * gates, e->hidden)}));
    CR_TRY(check_input(infer, IN_LENGTHS, CREASE_INT32, 1, &e->batch));
    CR_TRY(check_input(infer, IN_H, dtype, 3, state));
    if (infer->op->variant != LSTM)
        return CREASE_OK;
    CR_TRY(check_input(infer, IN_C, dtype, 3, state));
    return check_input(infer, IN_P, dtype, 2, (int64_t[]){d, times(3, e->hidden)});
}

static crease_status recurrent_infer(cr_infer *infer) {
    int directions;
    bool backwards;
    extents e;
    const int most_in = infer->op->variant == LSTM ? 8 : 6, most_out = infer->op->variant == LSTM ? 3 : 2;
    for (int i = IN_X; i <= IN_R; i++)
        CR_TRY(cr_infer_need(infer, i));
    if (infer->n_in > most_in || infer->n_out > most_out)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "%d inputs and %d outputs, expected at most %d, %d", infer->n_in, infer->n_out,
                            most_in, most_out);
    CR_TRY(read_direction(infer->node, &directions, &backwards));
    CR_TRY(read_extents(infer, &e));
    CR_TRY(check_inputs(infer, &e, directions));
    for (int i = 0; i < infer->n_out; i++)
        infer->out[i].dtype = infer->in[IN_X]->dtype;
    const int64_t b = e.batch, t = e.steps, h = e.hidden, d = directions;
    if (infer->n_out > 0)
        infer->out[0].shape = e.batch_first ? (cr_shape){.rank = 4, .dims = {b, t, d, h}}
                                            : (cr_shape){.rank = 4, .dims = {t, d, b, h}};
    for (int i = 1; i < infer->n_out; i++)
        infer->out[i].shape = e.batch_first ? (cr_shape){.rank = 3, .dims = {b, d, h}}
                                            : (cr_shape){.rank = 3, .dims = {d, b, h}};
    return CREASE_OK;
}

/* ---- prepare: weights input-major, gates padded ---- */

/* Parameters of one direction in the form that the kernels read; for all, one after another. */
typedef struct packed {
    size_t weights, recurrent, bias, bias_r, peep, total; /* offsets in elements */
} packed;

typedef struct recurrent_state {
    extents e;
    int variant, gates, directions;
    bool backwards, is_double;
    int64_t padded; /* hidden size in memory */
    size_t element;
    packed layout;
    const cr_tensor *weights[IN_P + 1]; /* of those inputs that are packed once */
    const void *constant; /* [directions] packed once; NULL: the weights are known only when it runs */
    bool weights_in_strips, recurrent_in_strips;
    cr_cell cells[MAX_DIRECTIONS];
    size_t at_packed, at_products, at_rows; /* byte offsets in the scratch memory */
    int64_t row;                            /* elements of state and workspace for one sequence */
} recurrent_state;

static void *at(const recurrent_state *s, const void *base, size_t elements) {
    return (char *)(uintptr_t)base + elements * s->element;
}

/* to[k][gate][padded] = from[gate][hidden][k] */
static void pack_matrix(const recurrent_state *s, const void *from, int64_t depth, void *to) {
    const int64_t hidden = s->e.hidden;
    const size_t width = (size_t)(s->gates * s->padded);
    memset(to, 0, (size_t)depth * width * s->element);
    for (int64_t g = 0; g < s->gates; g++)
        for (int64_t j = 0; j < hidden; j++)
            for (int64_t k = 0; k < depth; k++)
                memcpy(at(s, to, (size_t)k * width + (size_t)(g * s->padded + j)),
                       at(s, from, (size_t)((g * hidden + j) * depth + k)), s->element);
}

/* A GRU that resets before the product multiplies by the candidate's part of R apart. */
static bool resets_first(const recurrent_state *s) {
    return s->variant == GRU && !s->cells[0].linear;
}

/* The first gates, in strips, and behind them the others. */
static void pack_strips(const recurrent_state *s, const float *from, int64_t depth, int64_t first,
                        float *to) {
    const int64_t n = first * s->padded, rest = s->gates * s->padded - n;
    cr_sgemm_pack(true, n, depth, from, depth, to);
    if (rest > 0)
        cr_sgemm_pack(true, rest, depth, from + n * depth, depth, to + n * depth);
}

static void pack_weights(const recurrent_state *s, const void *from, void *to) {
    if (s->weights_in_strips)
        pack_strips(s, from, s->e.input, s->gates, to);
    else
        pack_matrix(s, from, s->e.input, to);
}

static void pack_recurrent(const recurrent_state *s, const void *from, void *to) {
    if (s->recurrent_in_strips)
        pack_strips(s, from, s->e.hidden, resets_first(s) ? 2 : s->gates, to);
    else
        pack_matrix(s, from, s->e.hidden, to);
}

static void pack_rows(const recurrent_state *s, const void *from, int64_t rows, void *to) {
    for (int64_t g = 0; g < rows; g++)
        memcpy(at(s, to, (size_t)(g * s->padded)), at(s, from, (size_t)(g * s->e.hidden)),
               (size_t)s->e.hidden * s->element);
}

static void add(const recurrent_state *s, void *to, const void *more, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (s->is_double)
            ((double *)to)[i] += ((const double *)more)[i];
        else
            ((float *)to)[i] += ((const float *)more)[i];
}

/* Wb + Rb, but a linear GRU's recurrent bias of the candidate, which the reset gate scales. */
static void pack_bias(const recurrent_state *s, const void *from, void *base) {
    const int64_t hidden = s->e.hidden;
    void *bias = at(s, base, s->layout.bias);
    pack_rows(s, from, s->gates, bias);
    for (int64_t g = 0; g < s->gates; g++) {
        const void *more = at(s, from, (size_t)((s->gates + g) * hidden));
        if (s->variant == GRU && s->cells[0].linear && g == 2)
            memcpy(at(s, base, s->layout.bias_r), more, (size_t)hidden * s->element);
        else
            add(s, at(s, bias, (size_t)(g * s->padded)), more, hidden);
    }
}

static void pack_all(const recurrent_state *s, const cr_tensor *const *in, int n_in, void *to) {
    const cr_tensor *b = n_in > IN_B ? in[IN_B] : NULL, *p = n_in > IN_P ? in[IN_P] : NULL;
    const size_t rows = (size_t)(s->gates * s->e.hidden);
    memset(to, 0, s->layout.total * (size_t)s->directions * s->element);
    for (size_t d = 0; d < (size_t)s->directions; d++) {
        void *base = at(s, to, d * s->layout.total);
        pack_weights(s, at(s, in[IN_W]->data, d * rows * (size_t)s->e.input), at(s, base, s->layout.weights));
        pack_recurrent(s, at(s, in[IN_R]->data, d * rows * (size_t)s->e.hidden),
                       at(s, base, s->layout.recurrent));
        if (b)
            pack_bias(s, at(s, b->data, d * 2 * rows), base);
        if (p)
            pack_rows(s, at(s, p->data, d * 3 * (size_t)s->e.hidden), 3, at(s, base, s->layout.peep));
    }
}

static crease_status too_large(const cr_node *node) {
    return cr_node_fail(node, CREASE_ERROR_MEMORY, "the layer is too large");
}

/* Sizes of what is packed and of the scratch memory; every product is checked. */
static crease_status lay_out(cr_prepare *p, recurrent_state *s) {
    cr_shape padded = {.rank = 3, .dims = {s->gates, s->e.hidden + CR_CELL_PAD, 1}};
    const int64_t depths[] = {s->e.input, s->e.hidden + CR_CELL_PAD, 8};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        padded.dims[2] = depths[i];
        if (cr_shape_check(&padded, CREASE_ERROR_MEMORY, p->node->name) != CREASE_OK)
            return too_large(p->node);
    }
    const size_t n = (size_t)s->padded, width = (size_t)s->gates * n;
    s->layout.recurrent = width * (size_t)s->e.input;
    s->layout.bias = s->layout.recurrent + width * (size_t)s->e.hidden;
    s->layout.bias_r = s->layout.bias + width;
    s->layout.peep = s->layout.bias_r + n;
    s->layout.total = s->layout.peep + 3 * n;
    s->row = (int64_t)(width + 3 * n);
    cr_shape products = {.rank = 4,
                         .dims = {s->directions, s->e.steps + 1, s->e.batch, (int64_t)(width + 3 * n)}};
    CR_TRY(cr_shape_check(&products, CREASE_ERROR_MEMORY, p->node->name));
    const size_t rows = (size_t)s->directions * (size_t)s->e.batch;
    const size_t bytes_packed = s->constant ? 0 : s->layout.total * (size_t)s->directions * s->element;
    const size_t bytes_products = rows * (size_t)s->e.steps * width * s->element;
    s->at_products = s->at_packed + (bytes_packed + 63) / 64 * 64;
    s->at_rows = s->at_products + (bytes_products + 63) / 64 * 64;
    if (!cr_add_size(s->at_rows, rows * (size_t)s->row * s->element, &p->scratch_bytes) ||
        s->at_products < bytes_packed || s->at_rows < bytes_products)
        return too_large(p->node);
    return CREASE_OK;
}

static crease_status read_cells(cr_prepare *p, recurrent_state *s) {
    float clip;
    int64_t linear = 0, coupled = 0;
    CR_TRY(cr_attr_float(p->node, "clip", INFINITY, &clip));
    if (s->variant == GRU)
        CR_TRY(cr_attr_int(p->node, "linear_before_reset", 0, &linear));
    if (s->variant == LSTM)
        CR_TRY(cr_attr_int(p->node, "input_forget", 0, &coupled));
    if (!(clip >= 0))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "clip is %g", (double)clip);
    for (int d = 0; d < s->directions; d++)
        s->cells[d] = (cr_cell){.n = s->padded,
                                .clip = clip == 0 ? INFINITY : (double)clip,
                                .coupled = coupled != 0,
                                .linear = linear != 0};
    return read_activations(p->node, p->op, s->directions, s->cells);
}

static void fill_constant(const void *context, void *to) {
    const recurrent_state *s = context;
    pack_all(s, s->weights, IN_P + 1, to);
}

/* Parameters that are all constants are packed once for the session: strips for products of several rows,
 * which then read them once. */
static crease_status pack_constants(cr_prepare *p, recurrent_state *s) {
    unsigned reads = 0;
    static const char *const kinds[2][2] = {{"recurrent", "recurrent R"}, {"recurrent W", "recurrent WR"}};
    const bool suits = p->node->graph->model->lowered && !s->is_double && s->padded == s->e.hidden;
    for (int i = IN_W; i < p->n_in; i++) {
        if (i != IN_W && i != IN_R && i != IN_B && i != IN_P)
            continue;
        reads |= CR_PACK_READS(i);
        s->weights[i] = p->in[i] ? p->in[i]->known : NULL;
        if (p->in[i] && !s->weights[i])
            return CREASE_OK;
    }
    s->weights_in_strips = suits && cr_sgemm_packs(s->e.steps * s->e.batch);
    s->recurrent_in_strips = suits && cr_sgemm_packs(s->e.batch);
    return cr_prepare_pack(p, kinds[s->weights_in_strips][s->recurrent_in_strips], reads,
                           s->layout.total * (size_t)s->directions * s->element, fill_constant, s,
                           &s->constant);
}

static crease_status recurrent_prepare(cr_prepare *p) {
    recurrent_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_direction(p->node, &s->directions, &s->backwards));
    cr_infer view = {.node = p->node, .op = p->op, .n_in = p->n_in, .in = p->in};
    CR_TRY(read_extents(&view, &s->e));
    s->variant = p->op->variant;
    s->gates = n_gates(p->op);
    s->is_double = p->in[IN_X]->dtype == CREASE_DOUBLE;
    s->element = s->is_double ? sizeof(double) : sizeof(float);
    s->padded = (s->e.hidden + CR_CELL_PAD - 1) / CR_CELL_PAD * CR_CELL_PAD;
    CR_TRY(read_cells(p, s));
    CR_TRY(lay_out(p, s));
    CR_TRY(pack_constants(p, s));
    return lay_out(p, s);
}

/* ---- run ---- */

typedef struct recurrent_job {
    const cr_run *r;
    const recurrent_state *s;
    const cr_cell_kernels *kernels[MAX_DIRECTIONS];
    const void *packed;
    char *products, *rows;
    int64_t row_pieces, column_pieces, chunk, chunks; /* sequences stepped together; how many of those */
} recurrent_job;

/* Sequences up to which (of 96 and of 256 units) a product for each is faster than one for all, which would
 * pack the matrix first. */
enum { ALONE = 2 };

/* Packed weights from some column on, `depth` of rows. */
typedef struct matrix {
    const void *at;
    int64_t depth;
    bool in_strips;
} matrix;

static matrix weights_of(const recurrent_job *j, int64_t d, int64_t column) {
    const recurrent_state *s = j->s;
    const bool strips = s->weights_in_strips;
    const size_t base = (size_t)d * s->layout.total + s->layout.weights;
    const int64_t depth = s->e.input;
    return (matrix){at(s, j->packed, base + (size_t)(strips ? column * depth : column)), depth, strips};
}

static matrix recurrent_of(const recurrent_job *j, int64_t d, int64_t column) {
    const recurrent_state *s = j->s;
    const bool strips = s->recurrent_in_strips;
    const size_t base = (size_t)d * s->layout.total + s->layout.recurrent;
    const int64_t depth = s->e.hidden;
    return (matrix){at(s, j->packed, base + (size_t)(strips ? column * depth : column)), depth, strips};
}

static void multiply(const recurrent_state *s, int64_t m, int64_t n, const void *a, int64_t lda,
                     const matrix *w, void *c) {
    const int64_t width = s->gates * s->padded, each = m <= ALONE ? 1 : m;
    if (w->in_strips)
        cr_sgemm_packed(false, m, n, w->depth, 1, a, lda, w->at, 0, c, width, NULL);
    else if (s->is_double)
        cr_dgemm(false, false, m, n, w->depth, 1, a, lda, w->at, width, 0, c, width);
    else
        for (int64_t i = 0; i < m; i += each)
            cr_sgemm(false, false, each, n, w->depth, 1, (const float *)a + i * lda, lda, w->at, width, 0,
                     (float *)c + i * width, width);
}

static int64_t column_cut(const recurrent_job *j, int64_t piece) {
    const int64_t n = j->s->gates * j->s->padded;
    return j->s->weights_in_strips ? cr_sgemm_packed_cut(n, j->column_pieces, piece)
                                   : cr_gemm_cut(n, j->column_pieces, piece);
}

/* Input of all steps times its weights: [directions][rows of X][gates][padded]. */
static void project(void *context, int64_t begin, int64_t end, int thread) {
    const recurrent_job *j = context;
    const recurrent_state *s = j->s;
    const int64_t m = s->e.steps * s->e.batch, n = s->gates * s->padded,
                  each = j->row_pieces * j->column_pieces;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t d = task / each, i = task % each / j->column_pieces, c = task % j->column_pieces;
        const int64_t row = cr_gemm_cut(m, j->row_pieces, i), column = column_cut(j, c);
        const matrix w = weights_of(j, d, column);
        multiply(s, cr_gemm_cut(m, j->row_pieces, i + 1) - row, column_cut(j, c + 1) - column,
                 at(s, j->r->in[IN_X]->data, (size_t)(row * s->e.input)), s->e.input, &w,
                 at(s, j->products, (size_t)((d * m + row) * n + column)));
    }
}

static void cut_projection(const recurrent_state *s, cr_pool *pool, recurrent_job *job) {
    const int64_t m = s->e.steps * s->e.batch, n = s->gates * s->padded;
    if (s->weights_in_strips)
        cr_sgemm_packed_grid(m, n, cr_pool_threads(pool), &job->row_pieces, &job->column_pieces);
    else
        cr_gemm_grid(m, n, s->e.input, &job->row_pieces, &job->column_pieces);
}

/* Memory of the sequences of one direction: products [batch][gates][padded], then states and workspace
 * [batch][padded] each. */
typedef struct memory {
    void *products, *h, *c, *reset;
} memory;

static memory memory_of(const recurrent_job *j, int64_t d, int64_t b) {
    const recurrent_state *s = j->s;
    const size_t batch = (size_t)s->e.batch, n = (size_t)s->padded, width = (size_t)s->gates * n;
    const char *base = j->rows + (size_t)d * batch * (size_t)s->row * s->element;
    return (memory){at(s, base, (size_t)b * width), at(s, base, batch * width + (size_t)b * n),
                    at(s, base, batch * (width + n) + (size_t)b * n),
                    at(s, base, batch * (width + 2 * n) + (size_t)b * n)};
}

/* Element of a state tensor, [directions][batch][hidden] or [batch][directions][hidden]. */
static size_t state_at(const recurrent_state *s, int64_t d, int64_t b) {
    return (size_t)((s->e.batch_first ? b * s->directions + d : d * s->e.batch + b) * s->e.hidden);
}

static void load_state(const recurrent_state *s, const cr_tensor *from, int64_t d, int64_t b, void *to) {
    memset(to, 0, (size_t)s->padded * s->element);
    if (from)
        memcpy(to, at(s, from->data, state_at(s, d, b)), (size_t)s->e.hidden * s->element);
}

static int64_t length_of(const recurrent_job *j, int64_t b) {
    const cr_tensor *lengths = j->r->n_in > IN_LENGTHS ? j->r->in[IN_LENGTHS] : NULL;
    return lengths ? cr_tensor_int(lengths, b) : j->s->e.steps;
}

/* The step of sequence b whose products and states stand in m; step `at_step` of `length`. */
static void advance(const recurrent_job *j, const cr_cell *cell, int64_t d, int64_t b, int64_t t,
                    const memory *m) {
    const recurrent_state *s = j->s;
    const int64_t width = s->gates * s->padded, rows = s->e.steps * s->e.batch;
    const int64_t row = s->e.batch_first ? b * s->e.steps + t : t * s->e.batch + b;
    const void *x = at(s, j->products, (size_t)((d * rows + row) * width));
    if (s->variant == RNN)
        j->kernels[d]->rnn(cell, x, m->products, m->h);
    else if (s->variant == LSTM)
        j->kernels[d]->lstm(cell, x, m->products, m->h, m->c);
    else
        j->kernels[d]->gru(cell, x, m->products, m->h);
    const cr_tensor *y = j->r->out[0];
    if (!y)
        return;
    const int64_t at_y = s->e.batch_first ? (b * s->e.steps + t) * s->directions + d
                                          : (t * s->directions + d) * s->e.batch + b;
    memcpy(at(s, y->data, (size_t)(at_y * s->e.hidden)), m->h, (size_t)s->e.hidden * s->element);
}

/* A GRU that resets before the product: the candidate's part of it, once the reset gate is there. */
static void multiply_reset(const recurrent_job *j, const cr_cell *cell, int64_t d, int64_t begin, int64_t end,
                           int64_t step, bool back) {
    const recurrent_state *s = j->s;
    const int64_t width = s->gates * s->padded, rows = s->e.steps * s->e.batch;
    for (int64_t b = begin; b < end; b++) {
        const memory m = memory_of(j, d, b);
        const int64_t length = length_of(j, b), t = back ? length - 1 - step : step;
        const int64_t row = s->e.batch_first ? b * s->e.steps + t : t * s->e.batch + b;
        if (step < length)
            j->kernels[d]->gru_reset(cell, at(s, j->products, (size_t)((d * rows + row) * width)), m.products,
                                     m.h, m.reset);
    }
    const memory first = memory_of(j, d, begin);
    const matrix candidate = recurrent_of(j, d, 2 * s->padded);
    multiply(s, end - begin, s->padded, first.reset, s->padded, &candidate,
             at(s, first.products, (size_t)(2 * s->padded)));
}

static cr_cell cell_of(const recurrent_job *j, int64_t d) {
    const recurrent_state *s = j->s;
    const void *base = at(s, j->packed, (size_t)d * s->layout.total);
    cr_cell cell = s->cells[d];
    cell.bias = at(s, base, s->layout.bias);
    cell.bias_r = at(s, base, s->layout.bias_r);
    cell.peep =
        s->variant == LSTM && j->r->n_in > IN_P && j->r->in[IN_P] ? at(s, base, s->layout.peep) : NULL;
    return cell;
}

static void run_steps(const recurrent_job *j, int64_t d, int64_t begin, int64_t end) {
    const recurrent_state *s = j->s;
    const cr_cell cell = cell_of(j, d);
    const bool back = d == 1 || s->backwards, resets = resets_first(s);
    const matrix recurrent = recurrent_of(j, d, 0);
    const memory first = memory_of(j, d, begin);
    for (int64_t step = 0; step < s->e.steps; step++) {
        multiply(s, end - begin, (resets ? 2 : s->gates) * s->padded, first.h, s->padded, &recurrent,
                 first.products);
        if (resets)
            multiply_reset(j, &cell, d, begin, end, step, back);
        for (int64_t b = begin; b < end; b++) {
            const int64_t length = length_of(j, b);
            const memory m = memory_of(j, d, b);
            if (step < length)
                advance(j, &cell, d, b, back ? length - 1 - step : step, &m);
        }
    }
}

static void keep_state(const recurrent_job *j, int output, int64_t d, int64_t b, const void *from) {
    if (output < j->r->n_out && j->r->out[output])
        memcpy(at(j->s, j->r->out[output]->data, state_at(j->s, d, b)), from,
               (size_t)j->s->e.hidden * j->s->element);
}

static void run_chunks(void *context, int64_t begin, int64_t end, int thread) {
    const recurrent_job *j = context;
    const recurrent_state *s = j->s;
    const cr_run *r = j->r;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t d = task / j->chunks, from = task % j->chunks * j->chunk;
        const int64_t to = from + j->chunk < s->e.batch ? from + j->chunk : s->e.batch;
        for (int64_t b = from; b < to; b++) {
            const memory m = memory_of(j, d, b);
            load_state(s, r->n_in > IN_H ? r->in[IN_H] : NULL, d, b, m.h);
            load_state(s, r->n_in > IN_C ? r->in[IN_C] : NULL, d, b, m.c);
            load_state(s, NULL, d, b, m.reset);
        }
        run_steps(j, d, from, to);
        for (int64_t b = from; b < to; b++) {
            const memory m = memory_of(j, d, b);
            keep_state(j, 1, d, b, m.h);
            keep_state(j, 2, d, b, m.c);
        }
    }
}

/* Steps after the end of a sequence are 0. */
static crease_status check_lengths(const cr_run *r, const recurrent_state *s) {
    size_t bytes;
    if (r->n_in <= IN_LENGTHS || !r->in[IN_LENGTHS])
        return CREASE_OK;
    for (int64_t b = 0; b < s->e.batch; b++) {
        int64_t length = cr_tensor_int(r->in[IN_LENGTHS], b);
        if (length < 0 || length > s->e.steps)
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "sequence %lld has %lld of %lld steps",
                                (long long)b, (long long)length, (long long)s->e.steps);
    }
    if (r->out[0] && cr_tensor_bytes(r->out[0]->dtype, 0, &r->out[0]->shape, &bytes) && bytes)
        memset(r->out[0]->data, 0, bytes);
    return CREASE_OK;
}

static crease_status recurrent_run(cr_run *r) {
    const recurrent_state *s = r->state;
    char *scratch = r->scratch;
    recurrent_job job = {.r = r,
                         .s = s,
                         .packed = s->constant ? s->constant : scratch + s->at_packed,
                         .products = scratch + s->at_products,
                         .rows = scratch + s->at_rows,
                         .chunk = s->e.batch < 16 ? s->e.batch : 8};
    CR_TRY(check_lengths(r, s));
    if (s->e.batch == 0)
        return CREASE_OK;
    if (!s->constant)
        pack_all(s, r->in, r->n_in, scratch + s->at_packed);
    for (int d = 0; d < s->directions; d++)
        job.kernels[d] = cr_cell_kernels_for(s->is_double ? CREASE_DOUBLE : CREASE_FLOAT, &s->cells[d]);
    job.chunks = (s->e.batch + job.chunk - 1) / job.chunk;
    cut_projection(s, r->pool, &job);
    cr_parallel(r->pool, s->directions * job.row_pieces * job.column_pieces, project, &job);
    cr_parallel(r->pool, s->directions * job.chunks, run_chunks, &job);
    return CREASE_OK;
}

#define RECURRENT(name, variant)                                                                             \
    { name, 1, 0, CR_T_FLOATS, recurrent_infer, recurrent_prepare, recurrent_run, variant, 0, 0, NULL }

const cr_op cr_ops_recurrent[] = {
    RECURRENT("RNN", RNN),
    RECURRENT("GRU", GRU),
    RECURRENT("LSTM", LSTM),
    {0},
};
