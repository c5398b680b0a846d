#include "runtime/api/judge.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/eval.h"

#include <string.h>

static crease_status widen_tensor(cr_heap *heap, const cr_tensor *from, cr_tensor *to) {
    CR_TRY(cr_tensor_create(heap, CREASE_DOUBLE, &from->shape, to));
    double *wide = to->data;
    for (int64_t i = 0, n = cr_shape_n(&from->shape); i < n; i++)
        wide[i] = cr_load_float(from->dtype, from->data, i);
    return CREASE_OK;
}

static bool is_narrow(int64_t dtype) {
    return dtype == CREASE_FLOAT || dtype == CREASE_FLOAT16 || dtype == CREASE_BFLOAT16;
}

/* Replace *tensor (in the model's arena) by its double twin, owned by the model. */
static crease_status widen_in_place(cr_model *model, cr_tensor *tensor) {
    cr_tensor wide;
    if (!is_narrow(tensor->dtype))
        return CREASE_OK;
    CR_TRY(widen_tensor(model->heap, tensor, &wide));
    *tensor = wide;
    return cr_model_own(model, wide.buffer); /* the one reference */
}

/* Operators whose attribute "dtype" is the type of their result. */
static bool states_type(const cr_node *node) {
    return cr_node_is(node, "EyeLike") || cr_node_is(node, "Bernoulli") || cr_node_is(node, "RandomNormal") ||
           cr_node_is(node, "RandomNormalLike") || cr_node_is(node, "RandomUniform") ||
           cr_node_is(node, "RandomUniformLike");
}

static crease_status widen_attrs(cr_node *node) {
    if ((cr_node_is(node, "RandomNormal") || cr_node_is(node, "RandomUniform")) &&
        !cr_attr_find(node, "dtype"))
        CR_TRY(cr_node_set_int(node, "dtype", CREASE_FLOAT));
    for (int i = 0; i < node->n_attrs; i++) {
        cr_attr *attr = &node->attrs[i];
        if (attr->type == CR_ATTR_TENSOR || attr->type == CR_ATTR_TENSORS)
            for (int64_t j = 0; j < attr->n; j++)
                CR_TRY(widen_in_place(node->graph->model, &attr->tensors[j]));
    }
    for (int i = 0; i < node->n_attrs; i++) {
        const cr_attr *attr = &node->attrs[i];
        bool names_type = (cr_node_is(node, "Cast") && attr->name[0] == 't' && attr->name[1] == 'o') ||
                          (attr->type == CR_ATTR_INT && states_type(node) && attr->name[0] == 'd');
        if (names_type && attr->type == CR_ATTR_INT && is_narrow(attr->ints[0]))
            return cr_node_set_int(node, attr->name, CREASE_DOUBLE);
        if (names_type && attr->type == CR_ATTR_STRING && strcmp(attr->strings[0].data, "FLOAT") == 0)
            return cr_node_set_string(node, attr->name, "DOUBLE"); /* before operator set 6 */
    }
    return CREASE_OK;
}

/* Constant's float attributes and ConstantOfShape's default are float32 by definition: they become tensors of
 * double. */
static crease_status widen_constant(cr_node *node) {
    cr_model *model = node->graph->model;
    bool of_shape = cr_node_is(node, "ConstantOfShape") && node->n_attrs == 0;
    const cr_attr *attr = node->n_attrs ? &node->attrs[0] : NULL;
    bool floats =
        cr_node_is(node, "Constant") && attr && (attr->type == CR_ATTR_FLOAT || attr->type == CR_ATTR_FLOATS);
    if (!of_shape && !floats)
        return CREASE_OK;
    cr_shape shape = {.rank = of_shape || attr->type == CR_ATTR_FLOATS ? 1 : 0,
                      .dims = {of_shape ? 1 : attr->n}};
    cr_tensor *tensor;
    CR_TRY(CR_ARENA_NEW(&model->arena, &tensor, 1));
    CR_TRY(cr_tensor_create(model->heap, CREASE_DOUBLE, &shape, tensor));
    for (int64_t i = 0, n = cr_shape_n(&shape); i < n; i++)
        ((double *)tensor->data)[i] = of_shape ? 0 : (double)attr->floats[i];
    crease_status status = CREASE_OK;
    if (floats)
        cr_node_remove_attr(node, attr->name);
    status = cr_node_set_attr(node,
                              &(cr_attr){.name = "value", .type = CR_ATTR_TENSOR, .n = 1, .tensors = tensor});
    cr_buffer_release(tensor->buffer); /* set_attr holds its own reference */
    return status;
}

static crease_status round_cast(cr_node *node) {
    const cr_tensor *in = cr_node_constant(node, 0);
    cr_tensor out;
    cr_value *rounded = node->outputs[0], *fresh;
    if (!in || !rounded || !cr_dtype_is_float(in->dtype) || !is_narrow(rounded->dtype))
        return CREASE_OK;
    CR_TRY(cr_node_eval(node, node->graph->model->heap, &in, &out));
    crease_status status = cr_graph_add_value(node->graph, NULL, true, &fresh);
    if (status == CREASE_OK)
        status = cr_node_set_output(node, 0, fresh);
    if (status == CREASE_OK)
        status = cr_value_set_constant(rounded, &out);
    cr_tensor_release(&out);
    return status == CREASE_OK ? cr_node_remove(node) : status;
}

/* A Cast of constants belongs to what the weights are, not to how the network is computed: folding starts
 * from the numbers that it gives, and so does the judge. */
static crease_status round_casts(cr_graph *graph, void *context) {
    (void)context;
    CR_FOR_NODES_SAFE(node, graph)
    if (cr_node_is(node, "Cast"))
        CR_TRY(round_cast(node));
    return CREASE_OK;
}

static crease_status widen_graph(cr_graph *graph, void *context) {
    (void)context;
    CR_FOR_NODES(node, graph) {
        CR_TRY(widen_constant(node));
        CR_TRY(widen_attrs(node));
    }
    return CREASE_OK;
}

static crease_status widen_model(cr_model *model) {
    CR_TRY(cr_model_each_graph(model, round_casts, NULL));
    for (int i = 0; i < model->n_values; i++) {
        cr_value *value = model->values[i];
        if (value->constant && (value->n_uses || value->n_outputs)) /* others may have been forgotten */
            CR_TRY(widen_in_place(model, value->constant));
        if (value->initial)
            CR_TRY(widen_in_place(model, value->initial));
        if (is_narrow(value->dtype))
            value->dtype = CREASE_DOUBLE;
    }
    return cr_model_each_graph(model, widen_graph, NULL);
}

crease_status cr_judge_create(const crease_model *model, crease_model **judge) {
    cr_model *ir;
    *judge = NULL;
    CR_TRY(cr_model_clone(model->ir, model->ir->heap, &ir));
    crease_status status = widen_model(ir);
    if (status == CREASE_OK)
        return cr_model_publish(ir, judge);
    cr_model_destroy(ir);
    return status;
}
