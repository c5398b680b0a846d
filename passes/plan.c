#include "passes/fold.h"
#include "runtime/graph/edit.h"

#include <math.h>
#include <string.h>

typedef enum edit_kind { EDIT_LEAF, EDIT_CONSTANT, EDIT_FLOAT, EDIT_INT, EDIT_OP, EDIT_OWN } edit_kind;

struct cr_edit {
    cr_edit *previous;
    edit_kind kind;
    cr_node *node;
    const char *name; /* of the constant, attribute or operator, or the code of a leaf; outlives the plan */
    int behind;       /* the node to change is the producer of this input of `node`; -1: `node` itself */
    int input;
    cr_tensor tensor; /* one reference to its buffer */
    int64_t integer;
    float number;
};

void cr_plan_begin(cr_plan *plan, cr_model *model, const cr_fold_settings *settings) {
    *plan = (cr_plan){.model = model, .settings = settings};
    cr_arena_init(&plan->arena, model->heap);
}

void cr_plan_end(cr_plan *plan) {
    cr_plan_rewind(plan, NULL);
    cr_arena_clear(&plan->arena);
}

cr_edit *cr_plan_mark(const cr_plan *plan) {
    return plan->last;
}

void cr_plan_rewind(cr_plan *plan, cr_edit *mark) {
    for (; plan->last != mark; plan->last = plan->last->previous)
        cr_tensor_release(&plan->last->tensor);
}

static crease_status add(cr_plan *plan, edit_kind kind, cr_node *node, const char *name, cr_edit **edit) {
    CR_TRY(CR_ARENA_NEW(&plan->arena, edit, 1));
    **edit = (cr_edit){.previous = plan->last, .kind = kind, .node = node, .name = name, .behind = -1};
    plan->last = *edit;
    return CREASE_OK;
}

crease_status cr_plan_leaf(cr_plan *plan, cr_node *node, const char *code, int64_t k) {
    cr_edit *edit;
    CR_TRY(add(plan, EDIT_LEAF, node, code, &edit));
    edit->integer = k;
    return CREASE_OK;
}

crease_status cr_plan_own_producer(cr_plan *plan, cr_node *node, int input) {
    cr_edit *edit;
    CR_TRY(add(plan, EDIT_OWN, node, "", &edit));
    edit->input = input;
    return CREASE_OK;
}

void cr_plan_behind(cr_plan *plan, int input) {
    plan->last->behind = input;
}

crease_status cr_plan_constant(cr_plan *plan, cr_node *node, int input, const char *name, crease_dtype dtype,
                               const cr_shape *shape, cr_tensor **tensor) {
    cr_edit *edit;
    CR_TRY(add(plan, EDIT_CONSTANT, node, name, &edit));
    edit->input = input;
    *tensor = &edit->tensor;
    return cr_tensor_create_lasting(plan->model->heap, dtype, shape, &edit->tensor);
}

crease_status cr_plan_set_float(cr_plan *plan, cr_node *node, const char *attribute, float value) {
    cr_edit *edit;
    CR_TRY(add(plan, EDIT_FLOAT, node, attribute, &edit));
    edit->number = value;
    return CREASE_OK;
}

crease_status cr_plan_set_int(cr_plan *plan, cr_node *node, const char *attribute, int64_t value) {
    cr_edit *edit;
    CR_TRY(add(plan, EDIT_INT, node, attribute, &edit));
    edit->integer = value;
    return CREASE_OK;
}

crease_status cr_plan_set_op(cr_plan *plan, cr_node *node, const char *op_type) {
    cr_edit *edit;
    return add(plan, EDIT_OP, node, op_type, &edit);
}

static bool is_node_name(const cr_model *model, const char *name) {
    for (int i = 0; i < model->n_nodes; i++)
        if (model->nodes[i]->name && strcmp(model->nodes[i]->name, name) == 0)
            return true;
    return false;
}

/* Other runtimes refuse a file in which two nodes have one name. */
static crease_status unique_name(cr_model *model, const char *wanted, const char **name) {
    *name = wanted;
    for (int i = 2; is_node_name(model, *name); i++)
        CR_TRY(cr_arena_format(&model->arena, name, "%.400s_%d", wanted, i));
    return CREASE_OK;
}

crease_status cr_copy_node(const cr_node *node, cr_node *before, const char *name, cr_node **copy) {
    const cr_value *y = node->outputs[0];
    cr_value *out;
    CR_TRY(unique_name(before->graph->model, name, &name));
    CR_TRY(cr_graph_add_value(before->graph, y->name, true, &out));
    out->dtype = y->dtype;
    out->shape = y->shape;
    CR_TRY(cr_graph_add_node(before->graph, before, node->op_type, node->domain, name, node->inputs,
                             node->n_inputs, &out, 1, copy));
    for (int i = 0; i < node->n_attrs; i++)
        CR_TRY(cr_node_set_attr(*copy, &node->attrs[i]));
    return CREASE_OK;
}

/* The producer of an input that serves others as well gets a twin that serves this node alone. */
static crease_status own_producer(cr_node *node, int input) {
    cr_node *producer = node->inputs[input]->producer, *twin;
    if (cr_value_has_one_use(node->inputs[input]))
        return CREASE_OK;
    CR_TRY(cr_copy_node(producer, node, producer->name, &twin));
    return cr_node_set_input(node, input, twin->outputs[0]);
}

/* What nobody needs any more is given back at once: old and new weights of a whole model never stand side by
 * side. */
static crease_status put_constant(cr_node *node, const cr_edit *edit) {
    cr_value *old = cr_node_input(node, edit->input), *value;
    CR_TRY(cr_graph_add_constant(node->graph, edit->name, &edit->tensor, &value));
    CR_TRY(cr_node_set_input(node, edit->input, value));
    if (old && old->n_uses == 0 && old->n_outputs == 0)
        cr_value_forget(old);
    return CREASE_OK;
}

static crease_status apply(const cr_edit *edit) {
    cr_node *node = edit->behind < 0 ? edit->node : edit->node->inputs[edit->behind]->producer;
    switch (edit->kind) {
    case EDIT_LEAF:
        return CREASE_OK;
    case EDIT_OWN:
        return own_producer(node, edit->input);
    case EDIT_CONSTANT:
        return put_constant(node, edit);
    case EDIT_FLOAT:
        return cr_node_set_float(node, edit->name, edit->number);
    case EDIT_INT:
        return cr_node_set_int(node, edit->name, edit->integer);
    case EDIT_OP:
        break;
    }
    return cr_node_set_op(node, edit->name, "");
}

/* Oldest first, so that the names of new constants do not depend on how the plan is kept. */
crease_status cr_plan_commit(cr_plan *plan) {
    cr_edit *oldest = NULL;
    for (cr_edit *edit = plan->last, *previous; edit; edit = previous) {
        previous = edit->previous;
        edit->previous = oldest;
        oldest = edit;
    }
    plan->last = oldest; /* still every edit once: cr_plan_end releases them */
    for (const cr_edit *edit = oldest; edit; edit = edit->previous)
        CR_TRY(apply(edit));
    return CREASE_OK;
}

static bool named_later(const cr_edit *edit) {
    for (const cr_edit *later = edit->previous; later; later = later->previous)
        if (later->node == edit->node)
            return true;
    return false;
}

crease_status cr_plan_into(cr_plan *plan, const char **names) {
    *names = "";
    for (const cr_edit *edit = plan->last; edit; edit = edit->previous)
        if (!named_later(edit))
            CR_TRY(
                cr_arena_format(&plan->arena, names, "%s%s%s", *names, **names ? "," : "", edit->node->name));
    return CREASE_OK;
}

crease_status cr_plan_note(cr_plan *plan, const char *note) {
    for (const cr_edit *edit = plan->last; edit; edit = edit->previous) {
        const char *doc = note;
        if (named_later(edit))
            continue;
        if (edit->node->doc[0])
            CR_TRY(cr_arena_format(&plan->arena, &doc, "%s\n%s", edit->node->doc, note));
        CR_TRY(cr_node_set_doc(edit->node, doc));
    }
    return CREASE_OK;
}

/* What takes the affine in computes in the type of its result. */
static double layer_bound(const cr_edit *leaf) {
    const cr_value *y = leaf->node->n_outputs ? leaf->node->outputs[0] : NULL;
    double u = cr_dtype_unit(y ? y->dtype : CREASE_FLOAT);
    return 3 * u * sqrt((double)leaf->integer) + 2 * u;
}

cr_fold_bound cr_plan_bound(const cr_plan *plan) {
    cr_fold_bound bound = {0, 0};
    for (const cr_edit *edit = plan->last; edit; edit = edit->previous)
        if (edit->kind == EDIT_CONSTANT && cr_dtype_is_float(edit->tensor.dtype))
            bound.fold = fmax(bound.fold, cr_dtype_unit(edit->tensor.dtype));
        else if (edit->kind == EDIT_LEAF)
            bound.layer = fmax(bound.layer, layer_bound(edit));
    return bound;
}

const char *cr_plan_leaf_code(const cr_plan *plan) {
    for (const cr_edit *edit = plan->last; edit; edit = edit->previous)
        if (edit->kind == EDIT_LEAF)
            return edit->name;
    return "";
}

bool cr_linear_is_constant(cr_plan *plan, const cr_node *node) {
    for (int i = 1; i < 3; i++) {
        const cr_value *v = cr_node_input(node, i);
        if (!v && i == 2)
            continue;
        if (v && v->initial)
            cr_refuse(&plan->refusal, "overridable-initializer",
                      "'%s' of '%s' is an input that a caller may override; --assume-const takes its default "
                      "as fixed",
                      v->name, node->name);
        else if (v && v->producer && cr_node_is(v->producer, "DequantizeLinear"))
            cr_refuse(&plan->refusal, "quantized",
                      "'%s' of '%s' is quantised in a way that cannot take this scale in; fold before "
                      "quantising",
                      v->name, node->name);
        else if (!v || !v->constant || !cr_dtype_is_float(v->constant->dtype))
            cr_refuse(&plan->refusal, "not-constant",
                      "'%s' of '%s' is computed at run time; store it as an initializer",
                      v ? v->name : "the weight", node->name);
        else
            continue;
        return false;
    }
    return true;
}

bool cr_channels_agree(cr_plan *plan, const cr_node *node, const cr_affine *affine, int axis, int64_t n) {
    if (affine->axis == CR_AFFINE_ALL || (affine->axis == axis && affine->n == n))
        return true;
    cr_refuse(&plan->refusal, "axis-mismatch",
              "its %lld channels lie on axis %d, those of '%s' (%lld) on axis %d; a Transpose between them "
              "can match the two",
              (long long)affine->n, affine->axis, node->name, (long long)n, axis);
    return false;
}

double cr_bias_at(const cr_tensor *bias, int64_t c) {
    return bias ? cr_load_float(bias->dtype, bias->data, cr_shape_n(&bias->shape) == 1 ? 0 : c) : 0;
}

bool cr_is_activation(const cr_node *node) {
    static const char *const names[] = {"Relu",
                                        "LeakyRelu",
                                        "PRelu",
                                        "Sigmoid",
                                        "HardSigmoid",
                                        "Tanh",
                                        "Clip",
                                        "Elu",
                                        "Selu",
                                        "Celu",
                                        "Softmax",
                                        "Softplus",
                                        "Gelu",
                                        "Softsign",
                                        "HardSwish",
                                        "Mish",
                                        "ThresholdedRelu",
                                        "Swish",
                                        "Erf",
                                        "Exp",
                                        "Abs",
                                        "LogSoftmax",
                                        "Sqrt",
                                        "Log",
                                        "Pow"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cr_node_is(node, names[i]))
            return true;
    return false;
}
