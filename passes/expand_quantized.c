#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/qlinear.h"

#include <string.h>

/* before: QLinearConv, QLinearMatMul and others of their form (runtime/ops/qlinear.h); ConvInteger or
 *         MatMulInteger, then Cast to float32
 * after:  DequantizeLinear of each operand, the operator inside, QuantizeLinear; steps of 1 and the
 *         operator inside
 * not:    scales, zero points or a bias of the former that are computed; zero points for each row of a, or
 *         computed ones for each column of b; operators inside that the model's operator set has in another
 *         form; sums that something else uses as integers
 * why:    they are defined so, but for sums of integers, which are of floats here: as near to each other as
 *         float sums are, before they are rounded to 8 bits. The operators themselves stand for sessions
 *         without lowering. */

/* One value, or one for each of `channels` unless that is -1. */
static bool is_parameter(const cr_node *node, int input, int64_t channels) {
    const cr_tensor *t = cr_node_constant(node, input);
    if (!t || t->shape.rank > 1)
        return false;
    const int64_t n = cr_shape_n(&t->shape);
    return n == 1 || n == channels;
}

/* Its scale is given; its zero point may be left out, and is of the scale's shape. */
static bool has_parameters(const cr_node *node, int scale, int64_t channels) {
    const cr_tensor *s = cr_node_constant(node, scale), *zero = cr_node_constant(node, scale + 1);
    return is_parameter(node, scale, channels) && s->dtype == CREASE_FLOAT &&
           (!cr_node_input(node, scale + 1) ||
            (is_parameter(node, scale + 1, channels) && cr_shape_n(&zero->shape) == cr_shape_n(&s->shape)));
}

static int64_t channels_of(const cr_value *operand, int axis) {
    return axis >= 0 && axis < operand->shape.rank ? operand->shape.dims[axis] : -1;
}

static bool fits_bias(const cr_qlinear_form *form, const cr_node *node) {
    const cr_tensor *bias = cr_node_constant(node, form->bias);
    const cr_tensor *scale = cr_node_constant(node, form->operand + 4);
    if (!cr_node_input(node, form->bias))
        return true;
    const int64_t n = scale ? cr_shape_n(&scale->shape) : 0;
    return bias && bias->dtype == CREASE_INT32 && bias->shape.rank == 1 &&
           (n == 1 || n == cr_shape_n(&bias->shape));
}

/* Its attributes and inputs mean the same in the model's operator set. */
static bool same_inside(const cr_qlinear_form *form, const cr_node *node) {
    const int64_t opset = cr_model_opset(node->graph->model, "");
    return opset >= (strcmp(form->inside, "Softmax") == 0 ? 13 : 10) && !cr_attr_find(node, "opset");
}

static crease_status read_form(const cr_node *node, const cr_qlinear_form **form, bool *fits) {
    const cr_qlinear_form *f = *form = cr_qlinear_form_of(node);
    const int n = f ? cr_qlinear_operands(f, node->n_inputs) : 0;
    int axis;
    *fits = n > 0 && n <= CR_QLINEAR_OPERANDS && node->op && node->n_outputs == 1 && node->outputs[0] &&
            same_inside(f, node) && fits_bias(f, node) &&
            (!cr_node_input(node, f->result) || has_parameters(node, f->result, -1));
    for (int i = 0; *fits && i < n; i++) {
        const cr_value *operand = cr_node_input(node, f->operand + 3 * i);
        *fits = operand != NULL;
        if (*fits)
            CR_TRY(cr_qlinear_axis(f, node, i, operand->shape.rank, &axis));
        *fits = *fits && has_parameters(node, f->operand + 3 * i + 1, channels_of(operand, axis));
    }
    return CREASE_OK;
}

/* ---- the graph ---- */

static crease_status dequantize(cr_node *node, const cr_qlinear_form *form, int i, cr_value **result) {
    const int input = form->operand + 3 * i;
    cr_value *inputs[] = {node->inputs[input], node->inputs[input + 1], cr_node_input(node, input + 2)};
    cr_node *added;
    int axis;
    CR_TRY(cr_qlinear_axis(form, node, i, inputs[0]->shape.rank, &axis));
    CR_TRY(cr_value_like(node->graph, inputs[0], result));
    CR_TRY(cr_graph_add_node(node->graph, node, "DequantizeLinear", "", node->name, inputs, 3, result, 1,
                             &added));
    return cr_node_set_int(added, "axis", axis < 0 ? 0 : axis);
}

static crease_status dequantize_bias(cr_node *node, const cr_qlinear_form *form, cr_value **result) {
    const cr_tensor *q = cr_node_constant(node, form->bias);
    const float *a_scale = cr_node_constant(node, form->operand + 1)->data;
    cr_tensor *t;
    CR_TRY(cr_graph_new_constant(node->graph, node->inputs[form->bias]->name, CREASE_FLOAT, &q->shape, result,
                                 &t));
    cr_qlinear_bias(q, *a_scale, cr_node_constant(node, form->operand + 4), t->data);
    return CREASE_OK;
}

/* The result in floats, and what rounds it again. */
static crease_status quantize_result(cr_node *node, cr_value *scale, cr_value *zero) {
    cr_value *result = node->outputs[0], *inputs[] = {NULL, scale, zero};
    cr_node *added;
    if (!scale)
        return CREASE_OK;
    CR_TRY(cr_value_like(node->graph, result, &inputs[0]));
    CR_TRY(cr_node_set_output(node, 0, inputs[0]));
    CR_TRY(cr_graph_add_node(node->graph, node->next, "QuantizeLinear", "", node->name, inputs, 3, &result, 1,
                             &added));
    return zero ? CREASE_OK : cr_node_set_int(added, "output_dtype", result->dtype);
}

static crease_status expand(cr_node *node, const cr_qlinear_form *form) {
    cr_value *operands[CR_QLINEAR_OPERANDS + 1], *scale = cr_node_input(node, form->result),
                                                 *zero = cr_node_input(node, form->result + 1);
    int n = cr_qlinear_operands(form, node->n_inputs);
    for (int i = 0; i < n; i++)
        CR_TRY(dequantize(node, form, i, &operands[i]));
    if (cr_node_input(node, form->bias))
        CR_TRY(dequantize_bias(node, form, &operands[n++]));
    for (int i = 0; i < n; i++)
        CR_TRY(cr_node_set_input(node, i, operands[i]));
    CR_TRY(cr_node_keep_inputs(node, n));
    CR_TRY(cr_node_set_op(node, form->inside, ""));
    return quantize_result(node, scale, zero);
}

/* ---- integers that become floats ---- */

enum { INT_A, INT_B, INT_A_ZERO, INT_B_ZERO };

static cr_node *cast_behind(const cr_node *node) {
    cr_node *user = cr_node_only_user(node);
    const cr_value *result = user && cr_node_is(user, "Cast") ? cr_node_output(user, 0) : NULL;
    return result && user->n_outputs == 1 && result->dtype == CREASE_FLOAT ? user : NULL;
}

/* One number, known or not. */
static bool is_one(const cr_node *node, int input) {
    const cr_value *value = cr_node_input(node, input);
    return !value || (value->shape.rank == 0 || (value->shape.rank == 1 && value->shape.dims[0] == 1));
}

static int weight_axis(const cr_node *node) {
    return cr_node_is(node, "ConvInteger") ? 0 : node->inputs[INT_B]->shape.rank - 1;
}

static bool sums_integers(const cr_node *node) {
    if ((!cr_node_is(node, "ConvInteger") && !cr_node_is(node, "MatMulInteger")) || !node->op ||
        !cast_behind(node))
        return false;
    const cr_value *b = node->inputs[INT_B];
    const int64_t columns = channels_of(b, weight_axis(node));
    return is_one(node, INT_A_ZERO) &&
           (is_one(node, INT_B_ZERO) || (b->shape.rank >= 2 && is_parameter(node, INT_B_ZERO, columns)));
}

/* A scale of 1 for each of the zero points. */
static crease_status add_ones(cr_node *node, int zero, cr_value **scale) {
    const cr_value *like = cr_node_input(node, zero);
    const cr_shape shape = like ? like->shape : (cr_shape){.rank = 0};
    cr_tensor *t;
    CR_TRY(cr_graph_new_constant(node->graph, "one", CREASE_FLOAT, &shape, scale, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        ((float *)t->data)[i] = 1;
    return CREASE_OK;
}

static crease_status less_zero(cr_node *node, int input, int zero, int axis, cr_value **result) {
    cr_value *inputs[] = {node->inputs[input], NULL, cr_node_input(node, zero)};
    cr_node *added;
    CR_TRY(add_ones(node, zero, &inputs[1]));
    CR_TRY(cr_value_like(node->graph, inputs[0], result));
    CR_TRY(cr_graph_add_node(node->graph, node, "DequantizeLinear", "", node->name, inputs, 3, result, 1,
                             &added));
    return cr_node_set_int(added, "axis", axis);
}

static crease_status sum_floats(cr_node *node) {
    cr_node *cast = cast_behind(node);
    cr_value *a, *b, *unused, *result = cast->outputs[0];
    CR_TRY(less_zero(node, INT_A, INT_A_ZERO, 0, &a));
    CR_TRY(less_zero(node, INT_B, INT_B_ZERO, weight_axis(node), &b));
    CR_TRY(cr_node_set_input(node, 0, a));
    CR_TRY(cr_node_set_input(node, 1, b));
    CR_TRY(cr_node_keep_inputs(node, 2));
    CR_TRY(cr_node_set_op(node, cr_node_is(node, "ConvInteger") ? "Conv" : "MatMul", ""));
    CR_TRY(cr_value_like(node->graph, result, &unused));
    CR_TRY(cr_node_set_output(cast, 0, unused));
    CR_TRY(cr_node_remove(cast));
    return cr_node_set_output(node, 0, result);
}

crease_status cr_pass_expand_quantized(cr_graph *graph) {
    const cr_qlinear_form *form;
    bool fits, any = false;
    for (cr_node *node = graph->first; node; node = node->next) {
        CR_TRY(read_form(node, &form, &fits));
        if (fits) {
            CR_TRY(expand(node, form));
        } else if (sums_integers(node)) {
            CR_TRY(sum_floats(node));
            fits = true;
        }
        any |= fits;
    }
    return any ? cr_model_resolve(graph->model) : CREASE_OK;
}
