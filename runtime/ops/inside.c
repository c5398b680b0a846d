#include "runtime/ops/inside.h"

crease_status cr_inside_look(const cr_node *node, const char *op_type, int64_t opset, crease_dtype dtype,
                             cr_inside_view *view) {
    view->op = cr_op_find("", op_type, opset);
    view->opset = opset;
    view->dtype = dtype;
    view->n = 0;
    if (!view->op)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%s of operator set %lld is not supported",
                            op_type, (long long)opset);
    return CREASE_OK;
}

void cr_inside_add(cr_inside_view *view, const cr_shape *shape) {
    view->infos[view->n++] = (cr_info){.dtype = view->dtype, .shape = *shape};
}

static void point_at(const cr_inside_view *view, const cr_info *in[CR_INSIDE_OPERANDS]) {
    for (int i = 0; i < view->n; i++)
        in[i] = &view->infos[i];
}

crease_status cr_inside_infer(const cr_infer *infer, const cr_inside_view *view, cr_shape *shape) {
    cr_info result = {.shape = cr_shape_unknown()};
    const cr_info *in[CR_INSIDE_OPERANDS];
    cr_infer inside = {.node = infer->node,
                       .op = view->op,
                       .opset = view->opset,
                       .n_in = view->n,
                       .n_out = 1,
                       .in = in,
                       .out = &result};
    point_at(view, in);
    CR_TRY(view->op->infer(&inside));
    *shape = result.shape;
    return CREASE_OK;
}

/* *bytes: of scratch memory that it asks for. */
static crease_status prepare_it(cr_prepare *p, const cr_inside_view *view, void **state, size_t *bytes) {
    const cr_info result = {.dtype = view->dtype, .shape = p->out[0].shape};
    const cr_info *in[CR_INSIDE_OPERANDS];
    cr_prepare inside = *p;
    inside.op = view->op;
    inside.opset = view->opset;
    inside.in = in;
    inside.n_in = view->n;
    inside.out = &result;
    inside.state = NULL;
    inside.scratch_bytes = 0;
    inside.packs = NULL; /* weights are not what it will see */
    point_at(view, in);
    if (view->op->prepare)
        CR_TRY(view->op->prepare(&inside));
    p->algorithm = inside.algorithm;
    *state = inside.state;
    *bytes = inside.scratch_bytes;
    return CREASE_OK;
}

crease_status cr_inside_prepare(cr_prepare *p, const cr_inside_view *view, cr_inside *inside) {
    size_t its_bytes;
    *inside = (cr_inside){.op = view->op, .dtype = view->dtype, .n = view->n};
    CR_TRY(prepare_it(p, view, &inside->state, &its_bytes));
    for (int i = 0; i < view->n; i++)
        CR_TRY(cr_prepare_reserve(p, view->dtype, &view->infos[i].shape, "the operands", &inside->at[i]));
    CR_TRY(cr_prepare_reserve(p, view->dtype, &p->out[0].shape, "the operands", &inside->at_result));
    inside->at_rest = p->scratch_bytes;
    if (!cr_add_size(p->scratch_bytes, its_bytes, &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the operands are too large");
    return CREASE_OK;
}

cr_tensor cr_inside_operand(const cr_run *r, const cr_inside *inside, int i, const cr_shape *shape) {
    return (cr_tensor){.dtype = inside->dtype, .shape = *shape, .data = (char *)r->scratch + inside->at[i]};
}

cr_tensor cr_inside_result(const cr_run *r, const cr_inside *inside) {
    return (cr_tensor){
        .dtype = inside->dtype, .shape = r->out[0]->shape, .data = (char *)r->scratch + inside->at_result};
}

crease_status cr_inside_run(const cr_run *r, const cr_inside *inside, const cr_tensor *operands,
                            cr_tensor *result) {
    const cr_tensor *in[CR_INSIDE_OPERANDS];
    cr_run its = *r;
    for (int i = 0; i < inside->n; i++)
        in[i] = &operands[i];
    its.op = inside->op;
    its.state = inside->state;
    its.n_in = inside->n;
    its.in = in;
    its.n_out = 1;
    its.out = &result;
    its.scratch = (char *)r->scratch + inside->at_rest;
    its.scratch_bytes = r->scratch_bytes - inside->at_rest;
    return inside->op->run(&its);
}
