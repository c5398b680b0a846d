#include "runtime/ops/eval.h"
#include "runtime/base/float_mode.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/packs.h"

#include <string.h>

crease_status cr_op_run(cr_run *run) {
    if (!cr_op_is_ours(run->op))
        return run->op->run(run);
    const cr_float_mode mode = cr_float_mode_get();
    cr_float_mode_set(cr_float_mode_flushing(mode));
    const crease_status status = run->op->run(run);
    cr_float_mode_set(mode);
    return status;
}

/* ---- one node ---- */

typedef struct job {
    const cr_eval *eval;
    const cr_node *node;
    cr_arena arena;
    bool widen;           /* float16 and bfloat16 become float32 around the operator */
    cr_tensor *wide;      /* [n_inputs] converted inputs */
    const cr_tensor **in; /* [n_inputs] what the operator sees */
    cr_tensor *out;       /* [n_outputs] what the operator writes */
    cr_tensor **out_ports;
    const cr_info **in_infos;
    cr_info *infos, *out_infos;
} job;

static crease_status create_output(cr_run *run, int i, const cr_shape *shape) {
    job *j = run->executor;
    cr_tensor *out = run->out[i];
    if (!out)
        return CREASE_OK;
    char text[256];
    if (cr_shape_check(shape, CREASE_ERROR_RUN, "") != CREASE_OK)
        return cr_shape_check(shape, CREASE_ERROR_RUN, cr_node_print(run->node, text, sizeof text));
    const crease_dtype dtype = out->dtype;
    const int lanes = out->lanes;
    cr_tensor_release(out);
    return cr_tensor_create_blocked(j->eval->heap, dtype, lanes, shape, out);
}

static crease_status run_subgraph(cr_run *run, cr_graph *graph, const cr_tensor *inputs, cr_tensor *outputs) {
    job *j = run->executor;
    run->executor = j->eval->executor;
    crease_status status = j->eval->subgraph(run, graph, inputs, outputs);
    run->executor = j;
    return status;
}

static crease_status widen_input(job *j, int i, const cr_tensor *from) {
    j->in[i] = from;
    if (!from || !j->widen || !cr_dtype_is_half(from->dtype))
        return CREASE_OK;
    CR_TRY(cr_tensor_create(j->eval->heap, CREASE_FLOAT, &from->shape, &j->wide[i]));
    if (from->data)
        cr_halves_to_floats(from->dtype, from->data, j->wide[i].data, cr_shape_n(&from->shape));
    j->in[i] = &j->wide[i];
    return CREASE_OK;
}

static crease_status make_ports(job *j, const cr_tensor *const *in) {
    const cr_node *node = j->node;
    size_t n_in = (size_t)node->n_inputs + 1, n_out = (size_t)node->n_outputs + 1;
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->wide, n_in));
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->in, n_in));
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->in_infos, n_in));
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->infos, n_in));
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->out, n_out));
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->out_ports, n_out));
    CR_TRY(CR_ARENA_NEW(&j->arena, &j->out_infos, n_out));
    for (int i = 0; i < node->n_inputs; i++)
        if (in[i]) {
            j->infos[i] = (cr_info){in[i]->dtype, in[i]->lanes, in[i]->shape, in[i]};
            j->in_infos[i] = &j->infos[i];
            j->widen |= cr_dtype_is_half(in[i]->dtype) && !(node->op->flags & (CR_OP_HALF | CR_OP_BODY));
        }
    return CREASE_OK;
}

static crease_status make_outputs(job *j) {
    for (int i = 0; i < j->node->n_outputs; i++) {
        const cr_info *info = &j->out_infos[i];
        if (!j->node->outputs[i])
            continue;
        j->out_ports[i] = &j->out[i];
        crease_dtype dtype = j->widen && cr_dtype_is_half(info->dtype) ? CREASE_FLOAT : info->dtype;
        j->out[i] = (cr_tensor){.dtype = dtype, .lanes = info->lanes, .shape = info->shape};
        if (cr_shape_is_static(&info->shape))
            CR_TRY(cr_tensor_create_blocked(j->eval->heap, dtype, info->lanes, &info->shape, &j->out[i]));
    }
    return CREASE_OK;
}

static crease_status prepare(cr_prepare *p) {
    if (!p->op->prepare)
        return CREASE_OK;
    crease_status status = p->op->prepare(p);
    if (!p->packs)
        return status;
    if (status == CREASE_OK)
        status = cr_packs_fill(p->packs, p->pool, false);
    if (status != CREASE_OK)
        cr_packs_drop_unfilled(p->packs);
    return status;
}

static crease_status prepare_and_run(job *j) {
    const cr_node *node = j->node;
    cr_prepare p = {.node = node,
                    .op = node->op,
                    .opset = cr_model_opset(node->graph->model, node->domain),
                    .n_in = node->n_inputs,
                    .n_out = node->n_outputs,
                    .in = j->in_infos,
                    .out = j->out_infos,
                    .any_shape = j->eval->any_shape,
                    .arena = &j->arena,
                    .pool = j->eval->pool,
                    .packs = j->eval->packs,
                    .exact = j->eval->exact,
                    .convolution = j->eval->convolution};
    CR_TRY(prepare(&p));
    if (j->eval->prepared)
        CR_TRY(j->eval->prepared(j->eval->executor, &p));
    void *scratch; /* of no bytes, too: threads take their parts of it by address */
    CR_TRY(cr_alloc(j->eval->heap, p.scratch_bytes, &scratch));
    cr_run run = {.node = node,
                  .op = node->op,
                  .state = p.state,
                  .n_in = node->n_inputs,
                  .n_out = node->n_outputs,
                  .in = j->in,
                  .out = j->out_ports,
                  .scratch = scratch,
                  .scratch_bytes = p.scratch_bytes,
                  .pool = j->eval->pool,
                  .heap = j->eval->heap,
                  .allocate = create_output,
                  .subgraph = j->eval->subgraph ? run_subgraph : NULL,
                  .executor = j};
    crease_status status = cr_op_run(&run);
    cr_free(j->eval->heap, scratch);
    return status;
}

/* Give the results to the caller, rounding those that were widened. */
static crease_status hand_over(job *j, const crease_dtype *declared, cr_tensor *out) {
    for (int i = 0; i < j->node->n_outputs; i++) {
        if (!j->out_ports[i])
            continue;
        if (j->out[i].dtype == declared[i] || !cr_dtype_is_half(declared[i])) {
            out[i] = cr_tensor_retain(&j->out[i]);
            continue;
        }
        CR_TRY(cr_tensor_create(j->eval->heap, declared[i], &j->out[i].shape, &out[i]));
        cr_floats_to_halves(declared[i], j->out[i].data, out[i].data, cr_shape_n(&out[i].shape));
    }
    return CREASE_OK;
}

static crease_status do_job(job *j, const cr_tensor *const *in, cr_tensor *out) {
    const cr_node *node = j->node;
    crease_dtype *declared;
    CR_TRY(make_ports(j, in));
    CR_TRY(CR_ARENA_NEW(&j->arena, &declared, (size_t)node->n_outputs + 1));
    CR_TRY(cr_node_infer(node, j->in_infos, j->out_infos));
    for (int i = 0; i < node->n_outputs; i++)
        declared[i] = j->out_infos[i].dtype;
    for (int i = 0; i < node->n_inputs; i++)
        CR_TRY(widen_input(j, i, in[i]));
    if (j->widen) { /* the operator is prepared for what it will see */
        for (int i = 0; i < node->n_inputs; i++)
            if (j->in[i])
                j->infos[i] = (cr_info){j->in[i]->dtype, j->in[i]->lanes, j->in[i]->shape, j->in[i]};
        for (int i = 0; i < node->n_outputs; i++)
            if (cr_dtype_is_half(j->out_infos[i].dtype))
                j->out_infos[i].dtype = CREASE_FLOAT;
    }
    CR_TRY(make_outputs(j));
    CR_TRY(prepare_and_run(j));
    return hand_over(j, declared, out);
}

crease_status cr_eval_node(const cr_eval *eval, const cr_node *node, const cr_tensor *const *in,
                           cr_tensor *out) {
    for (int i = 0; i < node->n_outputs; i++)
        out[i] = (cr_tensor){0};
    if (!node->op || ((node->op->flags & CR_OP_BODY) && !eval->subgraph))
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "the operator is not supported");
    job j = {.eval = eval, .node = node};
    cr_arena_init(&j.arena, eval->heap);
    crease_status status = do_job(&j, in, out);
    for (int i = 0; j.wide && i < node->n_inputs; i++)
        cr_tensor_release(&j.wide[i]);
    for (int i = 0; j.out && i < node->n_outputs; i++)
        cr_tensor_release(&j.out[i]);
    for (int i = 0; status != CREASE_OK && i < node->n_outputs; i++)
        cr_tensor_release(&out[i]);
    cr_arena_clear(&j.arena);
    return status;
}

crease_status cr_node_eval(const cr_node *node, cr_heap *heap, const cr_tensor *const *in, cr_tensor *out) {
    return cr_eval_node(&(cr_eval){.heap = heap}, node, in, out);
}
