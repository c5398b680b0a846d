#include "runtime/kernels/contract.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/move.h"

#include <string.h>

/* Einsum (ONNX 12): letters name axes, "..." stands for all others, what the result lacks is summed over. Two
 * float operands whose shared axes are kept or summed are brought into the order of a batched matrix product;
 * everything else follows the definition. */

enum { LETTERS = 52, LABELS = LETTERS + CR_MAX_RANK, ELLIPSIS = -1 };
_Static_assert((int)LABELS <= (int)CR_CONTRACT_AXES, "every label may be an axis of the contraction");

typedef struct term {
    int n;
    int labels[CR_MAX_RANK];
} term;

typedef struct equation {
    int n_in;
    term in[CR_CONTRACT_OPERANDS], out;
    int64_t extent[LABELS]; /* below 0: not known; 0 for labels that do not occur is never read */
    bool occurs[LABELS];
} equation;

/* ---- reading ---- */

static crease_status bad(const cr_node *node, const char *text, const char *why) {
    return cr_node_fail(node, CREASE_ERROR_MODEL, "equation '%.100s': %s", text, why);
}

static int label_of(char letter) {
    return letter >= 'A' && letter <= 'Z' ? letter - 'A' : letter - 'a' + 26;
}

/* One term up to a comma, an arrow or the end. */
static crease_status read_term(const cr_node *node, const char *text, const char **at, term *t) {
    *t = (term){0};
    bool ellipsis = false;
    for (; **at && **at != ',' && **at != '-'; ++*at) {
        if (**at == ' ')
            continue;
        if (t->n == CR_MAX_RANK)
            return bad(node, text, "a term is too long");
        if (strncmp(*at, "...", 3) == 0 && !ellipsis) {
            t->labels[t->n++] = ELLIPSIS;
            ellipsis = true;
            *at += 2;
        } else if ((**at >= 'a' && **at <= 'z') || (**at >= 'A' && **at <= 'Z')) {
            t->labels[t->n++] = label_of(**at);
        } else {
            return bad(node, text, "a character that is no letter");
        }
    }
    return CREASE_OK;
}

/* Put labels in the place of "...", which stands for `n` axes. */
static crease_status expand(const cr_node *node, const char *text, term *t, int n) {
    term full = {0};
    for (int i = 0; i < t->n; i++)
        for (int k = t->labels[i] == ELLIPSIS ? n : 1; k > 0; k--) {
            if (full.n == CR_MAX_RANK)
                return bad(node, text, "a term is too long");
            full.labels[full.n++] = t->labels[i] == ELLIPSIS ? LETTERS + k - 1 : t->labels[i];
        }
    *t = full;
    return CREASE_OK;
}

static bool has_ellipsis(const term *t) {
    for (int i = 0; i < t->n; i++)
        if (t->labels[i] == ELLIPSIS)
            return true;
    return false;
}

static crease_status add_operand(const cr_node *node, const char *text, equation *e, int i,
                                 const cr_shape *shape) {
    term *t = &e->in[i];
    const int hidden = shape->rank - (t->n - (has_ellipsis(t) ? 1 : 0));
    if (hidden < 0 || (hidden > 0 && !has_ellipsis(t)))
        return bad(node, text, "a term does not have the rank of its input");
    CR_TRY(expand(node, text, t, hidden));
    for (int d = 0; d < t->n; d++) {
        const int label = t->labels[d];
        const int64_t extent = shape->dims[d], known = e->occurs[label] ? e->extent[label] : 1;
        if (extent > 1 && known > 1 && extent != known)
            return bad(node, text, "axes of one name differ in extent");
        if ((extent == 0 && known > 1) || (extent > 1 && known == 0))
            return bad(node, text, "axes of one name differ in extent");
        e->extent[label] = known == 1 ? extent : extent == 1 || known >= 0 ? known : extent;
        e->occurs[label] = true;
    }
    return CREASE_OK;
}

static int count(const equation *e, int label) {
    int n = 0;
    for (int i = 0; i < e->n_in; i++)
        for (int d = 0; d < e->in[i].n; d++)
            n += e->in[i].labels[d] == label;
    return n;
}

/* Without an arrow: what "..." stands for, then the letters that occur once, in order. */
static crease_status imply_output(const cr_node *node, const char *text, equation *e, int hidden) {
    e->out = (term){0};
    for (int k = hidden; k > 0; k--)
        e->out.labels[e->out.n++] = LETTERS + k - 1;
    for (int label = 0; label < LETTERS; label++)
        if (count(e, label) == 1) {
            if (e->out.n == CR_MAX_RANK)
                return bad(node, text, "the result has too many axes");
            e->out.labels[e->out.n++] = label;
        }
    return CREASE_OK;
}

static crease_status check_output(const cr_node *node, const char *text, const equation *e) {
    for (int d = 0; d < e->out.n; d++) {
        if (!e->occurs[e->out.labels[d]])
            return bad(node, text, "the result has an axis that no input has");
        for (int i = 0; i < d; i++)
            if (e->out.labels[i] == e->out.labels[d])
                return bad(node, text, "the result has an axis twice");
    }
    return CREASE_OK;
}

/* Ranks of all inputs are known. */
static crease_status read_equation(const cr_node *node, const cr_info *const *in, int n_in, equation *e) {
    const char *text, *at;
    int hidden = 0;
    *e = (equation){.n_in = n_in};
    CR_TRY(cr_attr_string(node, "equation", NULL, &text));
    if (!text)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute 'equation' is missing");
    at = text;
    for (int i = 0; i < n_in; i++) {
        CR_TRY(read_term(node, text, &at, &e->in[i]));
        if ((*at == ',') != (i < n_in - 1))
            return bad(node, text, "the number of terms is not that of the inputs");
        at += *at == ',';
        CR_TRY(add_operand(node, text, e, i, &in[i]->shape));
        for (int d = 0; d < e->in[i].n; d++)
            if (e->in[i].labels[d] - LETTERS + 1 > hidden)
                hidden = e->in[i].labels[d] - LETTERS + 1;
    }
    if (*at == 0)
        return imply_output(node, text, e, hidden);
    if (strncmp(at, "->", 2) != 0)
        return bad(node, text, "'-' without '>'");
    at += 2;
    CR_TRY(read_term(node, text, &at, &e->out));
    if (*at)
        return bad(node, text, "something follows the result");
    CR_TRY(expand(node, text, &e->out, hidden));
    return check_output(node, text, e);
}

static crease_status einsum_infer(cr_infer *infer) {
    equation e;
    if (infer->n_in < 1 || infer->n_in > CR_CONTRACT_OPERANDS)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "%d inputs, at most %d are supported",
                            infer->n_in, CR_CONTRACT_OPERANDS);
    bool known = true;
    for (int i = 0; i < infer->n_in; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, 0, i));
        known = known && infer->in[i]->shape.rank >= 0;
    }
    infer->out[0].dtype = infer->in[0]->dtype;
    if (!known)
        return CREASE_OK;
    CR_TRY(read_equation(infer->node, infer->in, infer->n_in, &e));
    infer->out[0].shape.rank = e.out.n;
    for (int d = 0; d < e.out.n; d++)
        infer->out[0].shape.dims[d] =
            e.extent[e.out.labels[d]] < 0 ? CR_DIM_UNKNOWN : e.extent[e.out.labels[d]];
    return CREASE_OK;
}

/* ---- by the definition ---- */

/* Stride of a label in an operand; a label that occurs twice walks the diagonal. */
static int64_t stride_of(const equation *e, const term *t, const cr_shape *shape, int label) {
    int64_t dense[CR_MAX_RANK], stride = 0;
    cr_dense_strides(shape, dense);
    for (int d = 0; d < t->n; d++)
        if (t->labels[d] == label && (shape->dims[d] != 1 || e->extent[label] == 1))
            stride += dense[d];
    return stride;
}

static void add_axis(const equation *e, const cr_info *const *in, int label, cr_contraction *c, int axis) {
    c->extent[axis] = e->extent[label];
    for (int i = 0; i < e->n_in; i++)
        c->stride[i][axis] = stride_of(e, &e->in[i], &in[i]->shape, label);
}

static bool is_kept(const equation *e, int label) {
    for (int d = 0; d < e->out.n; d++)
        if (e->out.labels[d] == label)
            return true;
    return false;
}

static void plan_definition(const equation *e, const cr_info *const *in, cr_contraction *c) {
    c->n_operands = e->n_in;
    for (int d = 0; d < e->out.n; d++)
        add_axis(e, in, e->out.labels[d], c, c->n_kept++);
    for (int label = 0; label < LABELS; label++)
        if (e->occurs[label] && !is_kept(e, label))
            add_axis(e, in, label, c, c->n_kept + c->n_summed++);
}

/* ---- by a matrix product ---- */

/* What a label is to a product of two: in both and kept, in one and kept, in both and summed. */
enum { BATCH, ROWS, COLUMNS, DEPTH, GROUPS };

typedef struct product {
    bool used;
    int n[GROUPS], labels[GROUPS][LABELS];
    int64_t extent[GROUPS];
    cr_nest from[2], to; /* operands into order, the result out of it */
    size_t at[3], element;
} product;

/* Each axis once, and of full extent. */
static bool is_plain(const equation *e, const term *t, const cr_shape *shape) {
    for (int d = 0; d < t->n; d++) {
        if (shape->dims[d] != e->extent[t->labels[d]])
            return false;
        for (int i = 0; i < d; i++)
            if (t->labels[i] == t->labels[d])
                return false;
    }
    return true;
}

static bool contains(const term *t, int label) {
    for (int d = 0; d < t->n; d++)
        if (t->labels[d] == label)
            return true;
    return false;
}

static int group_of(const equation *e, int label) {
    const bool a = contains(&e->in[0], label), b = contains(&e->in[1], label), kept = is_kept(e, label);
    if (a && b)
        return kept ? BATCH : DEPTH;
    return !kept ? GROUPS : a ? ROWS : COLUMNS;
}

/* Loops over the labels of some groups: `strides` in memory on the side that the tensor has, dense on the
 * other. */
static void nest_groups(const equation *e, const product *p, const int *groups, const term *t,
                        const cr_shape *shape, bool inward, cr_nest *nest) {
    int64_t dense = 1;
    for (int g = 0; g < 3; g++)
        dense *= p->extent[groups[g]];
    for (int g = 0; g < 3; g++)
        for (int i = 0; i < p->n[groups[g]]; i++) {
            const int label = p->labels[groups[g]][i];
            const int64_t own = stride_of(e, t, shape, label);
            dense = e->extent[label] ? dense / e->extent[label] : 0;
            cr_nest_add(nest, e->extent[label], inward ? own : dense, inward ? dense : own);
        }
}

static bool sort_labels(const equation *e, product *p) {
    for (int g = 0; g < GROUPS; g++)
        p->extent[g] = 1;
    /* kept labels in the order of the result, so that it often lies as the product gives it */
    for (int d = 0; d < e->out.n; d++) {
        const int label = e->out.labels[d], g = group_of(e, label);
        p->labels[g][p->n[g]++] = label;
        p->extent[g] *= e->extent[label];
    }
    for (int label = 0; label < LABELS; label++) {
        if (!e->occurs[label] || is_kept(e, label))
            continue;
        if (group_of(e, label) != DEPTH)
            return false;
        p->labels[DEPTH][p->n[DEPTH]++] = label;
        p->extent[DEPTH] *= e->extent[label];
    }
    return true;
}

static crease_status reserve(cr_prepare *p, int64_t a, int64_t b, int64_t c, size_t *at) {
    const cr_shape shape = {.rank = 3, .dims = {a, b, c}};
    return cr_prepare_reserve(p, p->in[0]->dtype, &shape, "the operands", at);
}

static crease_status plan_product(cr_prepare *p, const equation *e, product *m) {
    static const int orders[3][3] = {{BATCH, ROWS, DEPTH}, {BATCH, DEPTH, COLUMNS}, {BATCH, ROWS, COLUMNS}};
    const crease_dtype dtype = p->in[0]->dtype;
    if (e->n_in != 2 || (dtype != CREASE_FLOAT && dtype != CREASE_DOUBLE) ||
        !is_plain(e, &e->in[0], &p->in[0]->shape) || !is_plain(e, &e->in[1], &p->in[1]->shape) ||
        !sort_labels(e, m))
        return CREASE_OK;
    m->used = true;
    m->element = cr_element_bytes(dtype);
    p->algorithm = "gemm";
    for (int i = 0; i < 2; i++)
        nest_groups(e, m, orders[i], &e->in[i], &p->in[i]->shape, true, &m->from[i]);
    nest_groups(e, m, orders[2], &e->out, &p->out[0].shape, false, &m->to);
    CR_TRY(reserve(p, m->extent[BATCH], m->extent[ROWS], m->extent[DEPTH], &m->at[0]));
    CR_TRY(reserve(p, m->extent[BATCH], m->extent[DEPTH], m->extent[COLUMNS], &m->at[1]));
    return reserve(p, m->extent[BATCH], m->extent[ROWS], m->extent[COLUMNS], &m->at[2]);
}

/* ---- prepare and run ---- */

typedef struct einsum_state {
    cr_contraction definition;
    product product;
} einsum_state;

static crease_status einsum_prepare(cr_prepare *p) {
    equation e;
    einsum_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_equation(p->node, p->in, p->n_in, &e));
    plan_definition(&e, p->in, &s->definition);
    return plan_product(p, &e, &s->product);
}

typedef struct einsum_job {
    const einsum_state *s;
    crease_dtype dtype;
    const void *operands[CR_CONTRACT_OPERANDS];
    void *y;
    int64_t row_pieces, column_pieces;
} einsum_job;

static void contract_task(void *context, int64_t begin, int64_t end, int thread) {
    const einsum_job *j = context;
    (void)thread;
    cr_contract(&j->s->definition, j->dtype, j->operands, j->y, begin, end);
}

static void multiply_task(void *context, int64_t begin, int64_t end, int thread) {
    const einsum_job *j = context;
    const product *p = &j->s->product;
    const int64_t m = p->extent[ROWS], n = p->extent[COLUMNS], k = p->extent[DEPTH];
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t c = task % j->column_pieces, r = task / j->column_pieces % j->row_pieces;
        const int64_t item = task / j->column_pieces / j->row_pieces;
        const int64_t row = cr_gemm_cut(m, j->row_pieces, r), column = cr_gemm_cut(n, j->column_pieces, c);
        const int64_t rows = cr_gemm_cut(m, j->row_pieces, r + 1) - row;
        const int64_t columns = cr_gemm_cut(n, j->column_pieces, c + 1) - column;
        const int64_t a = (item * m + row) * k, b = item * k * n + column, y = (item * m + row) * n + column;
        if (j->dtype == CREASE_DOUBLE)
            cr_dgemm(false, false, rows, columns, k, 1, (const double *)j->operands[0] + a, k,
                     (const double *)j->operands[1] + b, n, 0, (double *)j->y + y, n);
        else
            cr_sgemm(false, false, rows, columns, k, 1, (const float *)j->operands[0] + a, k,
                     (const float *)j->operands[1] + b, n, 0, (float *)j->y + y, n);
    }
}

/* Loops that copy everything as it lies: nothing needs to be copied. */
static bool is_identity(const cr_nest *nest) {
    return nest->rank == 0 || (nest->rank == 1 && nest->from[0] == 1 && nest->to[0] == 1);
}

static void run_product(cr_run *r, einsum_job *job) {
    const product *p = &job->s->product;
    char *scratch = r->scratch;
    for (int i = 0; i < 2; i++) {
        cr_nest nest = p->from[i];
        if (is_identity(&nest))
            continue;
        cr_move(r->pool, &nest, p->element, r->in[i]->data, scratch + p->at[i]);
        job->operands[i] = scratch + p->at[i];
    }
    const bool direct = is_identity(&p->to);
    job->y = direct ? r->out[0]->data : scratch + p->at[2];
    cr_gemm_grid(p->extent[ROWS], p->extent[COLUMNS], p->extent[DEPTH], &job->row_pieces,
                 &job->column_pieces);
    cr_parallel(r->pool, p->extent[BATCH] * job->row_pieces * job->column_pieces, multiply_task, job);
    if (!direct) {
        cr_nest nest = p->to;
        cr_move(r->pool, &nest, p->element, job->y, r->out[0]->data);
    }
}

static crease_status einsum_run(cr_run *r) {
    const einsum_state *s = r->state;
    einsum_job job = {.s = s, .dtype = r->in[0]->dtype, .y = r->out[0]->data};
    for (int i = 0; i < r->n_in; i++)
        job.operands[i] = r->in[i]->data;
    const int64_t n = cr_shape_n(&r->out[0]->shape);
    if (n && s->product.used)
        run_product(r, &job);
    else if (n)
        cr_parallel_grain(r->pool, n, 256, contract_task, &job);
    return CREASE_OK;
}

const cr_op cr_ops_einsum[] = {
    {"Einsum", 12, 0,
     CR_T_FLOATS | CR_T(CREASE_INT32) | CR_T(CREASE_UINT32) | CR_T(CREASE_INT64) | CR_T(CREASE_UINT64),
     einsum_infer, einsum_prepare, einsum_run, 0, 0, 0, NULL},
    {0},
};
