#include "passes/fold.h"
#include "runtime/graph/attr.h"

/* before: Gemm, MatMul by a constant, or MatMul and an Add of a constant; then an affine on the
 *         columns
 * after:  the same, B'[k, n] = B[k, n] s[n], C' = (beta C - mean) s + beta_bn with beta = 1
 * not:    B or C not constant; an affine that lies on another axis than the columns, which for a
 *         MatMul of rank > 2 is any BatchNormalization (its axis is 1, the columns are the last
 *         one); a shift where there is no bias to take it
 * why:    every column of the product is linear in that column of B. A MatMul of rank 2 that needs
 *         a bias becomes a Gemm and keeps its name. C may be absent, [], [1], [N], [1, N], [M, 1]
 *         or [M, N]; it gets a value for each column, and rows only if it had them. Ahead: an
 *         affine on the columns of A, before the same operators: B'[k, n] = s[k] B[k, n], C' = C +
 *         alpha sum_k t[k] B[k, n] / beta, written with beta = 1. Not with transA (the channels are
 *         then no longer what is summed over). */

typedef struct product {
    cr_node *node;    /* Gemm or MatMul */
    cr_node *biasing; /* holds the bias as input bias_input: the node itself, the Add, or NULL: nowhere */
    int bias_input, rank;
    const cr_tensor *b, *c;
    int64_t k, n, trans_a, trans_b;
    double alpha, beta;
} product;

static bool is_constant_row(const cr_value *v, int64_t n) {
    const cr_tensor *c = v ? v->constant : NULL;
    if (!c || !cr_dtype_is_float(c->dtype))
        return false;
    int64_t columns = c->shape.rank ? c->shape.dims[c->shape.rank - 1] : 1;
    return columns == n && cr_shape_n(&c->shape) == n;
}

/* The Add of one constant for each column that alone uses the product, or NULL. */
static cr_node *find_add(const cr_node *matmul, int64_t n, int rank, int *bias_input) {
    const cr_value *y = matmul->outputs[0];
    cr_node *add = y->n_uses == 1 && !y->n_outputs ? y->uses[0].node : NULL;
    if (!add || add->graph != matmul->graph || !cr_node_is(add, "Add") || add->n_inputs != 2 ||
        cr_attr_find(add, "axis"))
        return NULL;
    *bias_input = 1 - y->uses[0].input;
    const cr_value *c = add->inputs[*bias_input];
    return is_constant_row(c, n) && c->constant->shape.rank <= rank ? add : NULL;
}

static crease_status read_gemm(cr_plan *plan, product *p) {
    float alpha, beta;
    CR_TRY(cr_attr_int(p->node, "transA", 0, &p->trans_a));
    CR_TRY(cr_attr_int(p->node, "transB", 0, &p->trans_b));
    CR_TRY(cr_attr_float(p->node, "alpha", 1, &alpha));
    CR_TRY(cr_attr_float(p->node, "beta", 1, &beta));
    p->alpha = (double)alpha;
    p->beta = (double)beta;
    p->rank = 2;
    p->biasing = p->node;
    p->bias_input = 2;
    return cr_bias_of(plan, p->node, 2, &p->c);
}

static void read_matmul(product *p) {
    p->alpha = p->beta = 1;
    p->rank = p->node->inputs[0] ? p->node->inputs[0]->shape.rank : -1;
    p->biasing = p->rank > 1 ? find_add(p->node, p->n, p->rank, &p->bias_input) : NULL;
    if (p->biasing)
        p->c = p->biasing->inputs[p->bias_input]->constant;
    else if (p->rank == 2) { /* becomes a Gemm when it gets one */
        p->biasing = p->node;
        p->bias_input = 2;
    }
}

static bool bias_fits(const product *p) {
    const cr_shape *c = p->c ? &p->c->shape : NULL;
    if (!c || c->rank == 0 || p->biasing != p->node)
        return true;
    return c->rank <= 2 && (c->dims[c->rank - 1] == 1 || c->dims[c->rank - 1] == p->n) && cr_shape_n(c) > 0;
}

/* Refused in the plan when the node cannot take an affine at all, on its input (ahead) or on its result. */
static crease_status read_product(cr_plan *plan, cr_node *node, bool ahead, product *p) {
    *p = (product){.node = node};
    plan->reached = true;
    if ((ahead || !cr_is_quantized(node)) && !cr_linear_is_constant(plan, node))
        return CREASE_OK;
    p->b = cr_stored_weight(node);
    if (p->b->shape.rank != 2) {
        cr_refuse(&plan->refusal, "axis-mismatch", "the weight '%s' is not a matrix", node->inputs[1]->name);
        return CREASE_OK;
    }
    CR_TRY(cr_attr_int(node, "transB", 0, &p->trans_b));
    p->n = p->b->shape.dims[p->trans_b ? 0 : 1];
    p->k = p->b->shape.dims[p->trans_b ? 1 : 0];
    if (cr_node_is(node, "Gemm"))
        CR_TRY(read_gemm(plan, p));
    else
        read_matmul(p);
    if (p->rank < 0)
        cr_refuse(&plan->refusal, "shape-unknown", "the rank of the input of '%s' is not known", node->name);
    else if (!bias_fits(p))
        cr_refuse(&plan->refusal, "axis-mismatch", "the bias of '%s' does not broadcast to %lld columns",
                  node->name, (long long)p->n);
    return CREASE_OK;
}

/* ---- writing ---- */

static int64_t index_of(const product *p, int64_t k, int64_t n) {
    return p->trans_b ? n * p->k + k : k * p->n + n;
}

/* beta C at [row, n], C broadcast. */
static double old_bias(const product *p, int64_t row, int64_t n) {
    if (!p->c)
        return 0;
    const cr_shape *s = &p->c->shape;
    int64_t columns = s->rank ? s->dims[s->rank - 1] : 1, rows = s->rank == 2 ? s->dims[0] : 1;
    int64_t i = (rows == 1 ? 0 : row) * columns + (columns == 1 ? 0 : n);
    return p->beta * cr_load_float(p->c->dtype, p->c->data, i);
}

static crease_status plan_bias(cr_plan *plan, const product *p, cr_tensor **to, int64_t *rows) {
    const cr_shape *c = p->c ? &p->c->shape : NULL;
    bool tall = c && c->rank == 2 && c->dims[0] > 1;
    *rows = tall ? c->dims[0] : 1;
    cr_shape shape = tall                    ? cr_shape_of(2, (int64_t[]){*rows, p->n})
                     : p->biasing != p->node ? *c /* as it was broadcast, or not, before opset 7 */
                                             : cr_shape_of(1, &p->n);
    const char *name = p->c ? p->biasing->inputs[p->bias_input]->name : NULL;
    if (!name)
        CR_TRY(cr_arena_format(&plan->model->arena, &name, "%.900s.bias", p->node->inputs[1]->name));
    CR_TRY(cr_plan_constant(plan, p->biasing, p->bias_input, name, cr_weight_dtype(p->node), &shape, to));
    if (p->biasing != p->node)
        return CREASE_OK;
    if (cr_node_is(p->node, "MatMul"))
        CR_TRY(cr_plan_set_op(plan, p->node, "Gemm"));
    if (cr_model_opset(plan->model, "") < 7 && !tall)
        CR_TRY(cr_plan_set_int(plan, p->node, "broadcast", 1));
    return p->beta != 1 ? cr_plan_set_float(plan, p->node, "beta", 1) : CREASE_OK;
}

/* shift[n], NULL: none, is added to the bias before the affine `out` (NULL: none) is applied to it. */
static crease_status put_bias(cr_plan *plan, const product *p, const double *shift, const cr_affine *out,
                              cr_fit *fit) {
    cr_tensor *to;
    int64_t rows;
    if (!p->biasing) {
        cr_refuse(&plan->refusal, "no-bias", "'%s' has no bias to take the shift; add a constant behind it",
                  p->node->name);
        return CREASE_OK;
    }
    CR_TRY(plan_bias(plan, p, &to, &rows));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t n = 0; n < p->n; n++) {
            double value = old_bias(p, r, n) + (shift ? shift[n] : 0);
            cr_put(to, r * p->n + n, out ? cr_affine_at(out, n, value) : value, fit);
        }
    return CREASE_OK;
}

/* by_row: scale row k of B by s[k] (ahead), else column n by s[n]. */
static crease_status put_weight(cr_plan *plan, const product *p, const cr_affine *a, bool by_row,
                                cr_fit *fit) {
    cr_tensor *to;
    if (!cr_affine_scales(a))
        return CREASE_OK;
    if (cr_is_quantized(p->node))
        return cr_scale_quantized(plan, p->node, p->trans_b ? 0 : 1, p->n, a, fit);
    CR_TRY(cr_plan_constant(plan, p->node, 1, p->node->inputs[1]->name, p->b->dtype, &p->b->shape, &to));
    for (int64_t k = 0; k < p->k; k++)
        for (int64_t n = 0; n < p->n; n++) {
            int64_t i = index_of(p, k, n);
            cr_put(to, i, cr_load_float(p->b->dtype, p->b->data, i) * cr_affine_scale(a, by_row ? k : n),
                   fit);
        }
    return CREASE_OK;
}

/* ---- behind: product -> affine ---- */

/* The MatMul by a constant to which `add` adds a constant, or NULL. */
static cr_node *behind_add(const cr_node *add) {
    for (int i = 0; i < 2 && add->n_inputs == 2; i++) {
        cr_node *matmul = add->inputs[i] && cr_node_constant(add, 1 - i) ? add->inputs[i]->producer : NULL;
        if (matmul && cr_node_is(matmul, "MatMul") && matmul->graph == add->graph &&
            cr_node_constant(matmul, 1))
            return matmul;
    }
    return NULL;
}

/* The product that `node` ends: itself, or the MatMul behind an Add. */
static cr_node *product_of(cr_node *node) {
    if (cr_node_is(node, "Gemm") || cr_node_is(node, "MatMul"))
        return node;
    return cr_node_is(node, "Add") ? behind_add(node) : NULL;
}

bool cr_is_product_bias(const cr_node *node) {
    return cr_node_is(node, "Add") && behind_add(node) != NULL;
}

crease_status cr_fold_into_gemm(cr_plan *plan, cr_node *node, const cr_affine *affine, bool *taken) {
    product p;
    cr_fit fit = {0};
    cr_node *linear = product_of(node);
    *taken = linear != NULL;
    if (!linear)
        return CREASE_OK;
    CR_TRY(read_product(plan, linear, false, &p));
    if (plan->refusal.code)
        return CREASE_OK;
    if (linear != node && p.biasing != node) {
        cr_refuse(&plan->refusal, "several-consumers",
                  "'%s' does not alone use the product of '%s' with one value a column", node->name,
                  linear->name);
        return CREASE_OK;
    }
    if (linear == node && p.biasing != node) { /* an Add behind it comes after the affine's place */
        p.biasing = p.rank == 2 ? node : NULL;
        p.bias_input = 2;
        p.c = NULL;
    }
    if (!cr_channels_agree(plan, linear, affine, p.rank - 1, p.n))
        return CREASE_OK;
    const char *code = cr_node_is(linear, "Gemm") ? "gemm" : linear == node ? "matmul" : "matmul-add";
    CR_TRY(cr_plan_leaf(plan, linear, code, p.k));
    CR_TRY(put_weight(plan, &p, affine, false, &fit));
    if (p.c || cr_affine_shifts(affine))
        CR_TRY(put_bias(plan, &p, NULL, affine, &fit));
    if (!plan->refusal.code)
        cr_refuse_unfit(&plan->refusal, &fit, linear->inputs[1]->name, cr_weight_dtype(linear));
    return CREASE_OK;
}

/* ---- ahead: affine -> product ---- */

static crease_status sum_shifts(cr_plan *plan, const product *p, const cr_affine *a, double **sum) {
    CR_TRY(CR_ARENA_NEW(&plan->arena, sum, (size_t)p->n));
    for (int64_t k = 0; k < p->k; k++) {
        double t = p->alpha * cr_affine_shift(a, k);
        for (int64_t n = 0; n < p->n; n++)
            (*sum)[n] += t * cr_load_float(p->b->dtype, p->b->data, index_of(p, k, n));
    }
    return CREASE_OK;
}

crease_status cr_fold_ahead_gemm(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                 bool *taken) {
    product p;
    cr_fit fit = {0};
    double *sum;
    *taken = input == 0 && (cr_node_is(node, "Gemm") || cr_node_is(node, "MatMul"));
    if (!*taken)
        return CREASE_OK;
    CR_TRY(read_product(plan, node, true, &p));
    if (plan->refusal.code)
        return CREASE_OK;
    if (p.trans_a && affine->axis != CR_AFFINE_ALL) {
        bool rows = affine->axis == 0 && affine->n == p.k;
        if (!rows)
            cr_refuse(&plan->refusal, "axis-mismatch",
                      "'%s' transposes its input, so that its channels are not summed over", node->name);
        if (!rows)
            return CREASE_OK;
    } else if (!cr_channels_agree(plan, node, affine, p.rank - 1, p.k))
        return CREASE_OK;
    const char *code = cr_node_is(node, "Gemm")         ? "gemm"
                       : p.biasing && p.biasing != node ? "matmul-add"
                                                        : "matmul";
    CR_TRY(cr_plan_leaf(plan, node, code, p.k));
    CR_TRY(put_weight(plan, &p, affine, true, &fit));
    if (cr_affine_shifts(affine)) {
        CR_TRY(sum_shifts(plan, &p, affine, &sum));
        CR_TRY(put_bias(plan, &p, sum, NULL, &fit));
    }
    if (!plan->refusal.code)
        cr_refuse_unfit(&plan->refusal, &fit, node->inputs[1]->name, p.b->dtype);
    return CREASE_OK;
}
