#include "runtime/ops/blocked.h"
#include "runtime/ops/gemm.h"

#include <string.h>

/* crease.Gemm and crease.MatMul: ONNX Gemm and MatMul by a constant matrix, float32, plain layout, with what
 * stands behind them:
 *
 *     y = act(A op(B) + C + residual)
 *
 * Inputs: 0 A [..., m, k]; 1 B [k, n], or [n, k] under Gemm's "transB"; 2 C, a constant of n numbers; 3 the
 * residual, of the output's shape, which the output may overwrite. 2 and 3 may be left out. Attributes:
 * "act". */

enum { A, B, C, RESIDUAL };

typedef struct fused_state {
    cr_packed_b w;
    cr_gemm_end end;
    const float *b; /* as it stands, where it is not packed */
    int64_t m, n, k, trans;
} fused_state;

static bool has(const cr_prepare *p, int i) {
    return i < p->n_in && p->in[i];
}

static crease_status check_inputs(const cr_prepare *p, const fused_state *s) {
    const cr_info *b = p->in[B];
    if (!b->known || b->shape.rank != 2 ||
        (has(p, C) &&
         (!p->in[C]->known || p->in[C]->dtype != CREASE_FLOAT || cr_shape_n(&p->in[C]->shape) != s->n)))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "B and C must be constant, C a row of B's width");
    if (has(p, RESIDUAL) && !cr_shape_equal(&p->in[RESIDUAL]->shape, &p->out[0].shape))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the residual does not have the output's shape");
    return CREASE_OK;
}

static crease_status note_parts(cr_prepare *p, const fused_state *s) {
    const char *act = s->end.act.kind != CR_ACT_NONE ? "activation" : "";
    const char *residual = has(p, RESIDUAL) ? "residual" : "";
    return cr_arena_format(p->arena, &p->note, "%s%s%s", residual, *residual && *act ? "; " : "", act);
}

static crease_status fused_prepare(cr_prepare *p) {
    fused_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "transB", 0, &s->trans));
    const cr_shape *a = &p->in[A]->shape, *y = &p->out[0].shape;
    s->n = y->dims[y->rank - 1];
    s->k = a->dims[a->rank - 1];
    CR_TRY(check_inputs(p, s));
    if (!cr_shape_product(a, 0, a->rank - 1, &s->m))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the extents are too large");
    p->algorithm = "gemm";
    CR_TRY(cr_blocked_activation(p->node, "act", &s->end.act));
    s->end.bias = has(p, C) ? p->in[C]->known->data : NULL;
    s->b = p->in[B]->known->data;
    CR_TRY(note_parts(p, s));
    return cr_pack_b(p, s->trans != 0, s->m, &s->w);
}

/* ---- by a matrix that is not packed ---- */

typedef struct fused_job {
    const fused_state *s;
    const float *a, *residual;
    float *y;
} fused_job;

static void multiply_piece(const void *context, const cr_gemm_piece *p) {
    const fused_job *j = context;
    const fused_state *s = j->s;
    const int64_t at = p->row * s->n + p->column;
    float *y = j->y + at;
    cr_gemm_end end = s->end;
    if (end.bias)
        end.bias += p->column;
    for (int64_t i = 0; j->residual && j->residual != j->y && i < p->rows; i++)
        memcpy(y + i * s->n, j->residual + at + i * s->n, (size_t)p->columns * sizeof *y);
    cr_sgemm(false, s->trans != 0, p->rows, p->columns, s->k, 1, j->a + p->row * s->k, s->k,
             s->b + (s->trans ? p->column * s->k : p->column), s->trans ? s->k : s->n, j->residual != NULL, y,
             s->n);
    cr_sgemm_finish(&end, p->rows, p->columns, y, s->n);
}

static crease_status fused_run(cr_run *r) {
    const fused_state *s = r->state;
    cr_gemm_end end = s->end;
    if (r->n_in > RESIDUAL && r->in[RESIDUAL])
        end.residual = r->in[RESIDUAL]->data;
    end.ldr = s->n;
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    if (s->w.packed) {
        const cr_packed_product product = {
            .w = &s->w, .alpha = 1, .m = s->m, .a = r->in[A]->data, .y = r->out[0]->data, .end = &end};
        cr_packed_run(r->pool, &product);
        return CREASE_OK;
    }
    fused_job job = {s, r->in[A]->data, end.residual, r->out[0]->data};
    cr_gemm_pieces(r->pool, 1, s->m, s->n, s->k, multiply_piece, &job);
    return CREASE_OK;
}

const cr_op cr_ops_gemm_fused[] = {
    {"Gemm", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, fused_prepare, fused_run, 0,
     CR_OP_ADDS | CR_OP_AHEAD, 0, "crease"},
    {"MatMul", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, fused_prepare, fused_run, 0,
     CR_OP_ADDS | CR_OP_AHEAD, 0, "crease"},
    {0},
};
