#include "passes/sequences.h"
#include "runtime/graph/attr.h"

#include <string.h>

/* Operators on sequences and optionals, each as what it says of its outputs (sequences.c). */

/* ---- inputs ---- */

static crease_status need_list(cr_sequences *s, cr_node *node, cr_contents *list) {
    const cr_value *value = cr_node_input(node, 0);
    *list = value ? cr_sequences_get(s, value) : (cr_contents){0};
    if (!value)
        return cr_sequences_wrong(s, node, "without a sequence");
    if (list->holding == CR_HOLDS_LIST)
        return CREASE_OK;
    const bool is_tensor = list->holding == CR_HOLDS_ITSELF;
    if (list->holding == CR_HOLDS_UNKNOWN || (is_tensor && !cr_sequences_info(s, value).dtype))
        return cr_sequences_refuse_value(s, node, value);
    return cr_sequences_wrong(s, node, "on the %s '%.200s'", is_tensor ? "tensor" : "optional", value->name);
}

/* Input i as one of `slots` positions, counted from n where it is negative; left out, the last. *at is -1
 * where it is none, and the node refused. */
static crease_status need_position(cr_sequences *s, cr_node *node, int i, size_t n, size_t slots,
                                   int64_t *at) {
    const cr_tensor *list;
    int64_t position = (int64_t)slots - 1;
    *at = -1;
    if (cr_node_input(node, i)) {
        CR_TRY(cr_sequences_ints(s, node, i, "a position", &list));
        if (!list)
            return CREASE_OK;
        if (cr_shape_n(&list->shape) != 1)
            return cr_sequences_wrong(s, node, "with %lld positions", (long long)cr_shape_n(&list->shape));
        position = cr_tensor_int(list, 0);
    }
    *at = position < 0 ? position + (int64_t)n : position;
    if (*at >= 0 && *at < (int64_t)slots)
        return CREASE_OK;
    *at = -1;
    return cr_sequences_wrong(s, node, "at position %lld of a sequence of %zu elements", (long long)position,
                              n);
}

/* Input i as an element of a list with elements of type *dtype, which it may decide. */
static crease_status need_element(cr_sequences *s, cr_node *node, int i, crease_dtype *dtype,
                                  cr_value **element) {
    cr_value *value = cr_node_input(node, i);
    *element = NULL;
    if (!value)
        return cr_sequences_wrong(s, node, "without its input %d", i);
    const crease_dtype own = cr_sequences_info(s, value).dtype;
    if (cr_sequences_get(s, value).holding == CR_HOLDS_UNKNOWN)
        return cr_sequences_refuse_value(s, node, value);
    if (cr_sequences_get(s, value).holding != CR_HOLDS_ITSELF)
        return cr_sequences_wrong(s, node, "with an element '%.200s' that is no tensor", value->name);
    if (own && *dtype && own != *dtype)
        return cr_sequences_wrong(s, node, "with an element '%.200s' of type %s among others of type %s",
                                  value->name, crease_dtype_name(own), crease_dtype_name(*dtype));
    *dtype = own ? own : *dtype;
    *element = value;
    return CREASE_OK;
}

/* ---- results ---- */

static crease_status give_list(cr_sequences *s, const cr_node *node, crease_dtype dtype, cr_value **elements,
                               size_t n) {
    return cr_sequences_set(s, node->outputs[0], (cr_contents){CR_HOLDS_LIST, dtype, elements, n});
}

static crease_status become_constant(cr_sequences *s, cr_node *node, crease_dtype dtype, int64_t number) {
    cr_attr attr = {.name = "value", .type = CR_ATTR_TENSOR, .n = 1};
    CR_TRY(cr_sequences_become(s, node, "Constant", NULL, 0));
    CR_TRY(CR_ARENA_NEW(&s->model->arena, &attr.tensors, 1));
    CR_TRY(cr_tensor_create(s->model->heap, dtype, &(cr_shape){0}, attr.tensors));
    if (dtype == CREASE_BOOL)
        *(uint8_t *)attr.tensors->data = number != 0;
    else
        *(int64_t *)attr.tensors->data = number;
    cr_buffer *own = attr.tensors->buffer;
    crease_status status = cr_node_set_attr(node, &attr);
    cr_buffer_release(own);
    return status;
}

/* ---- sequences ---- */

static crease_status construct(cr_sequences *s, cr_node *node) {
    cr_value **list;
    crease_dtype dtype = CREASE_UNDEFINED;
    CR_TRY(cr_sequences_list(s, node, (size_t)node->n_inputs, &list));
    for (int i = 0; list && i < node->n_inputs; i++) {
        CR_TRY(need_element(s, node, i, &dtype, &list[i]));
        if (!list[i])
            return CREASE_OK;
    }
    return list ? give_list(s, node, dtype, list, (size_t)node->n_inputs) : CREASE_OK;
}

static crease_status empty(cr_sequences *s, cr_node *node) {
    int64_t dtype;
    CR_TRY(cr_attr_int(node, "dtype", CREASE_FLOAT, &dtype));
    return give_list(s, node, cr_dtype_valid((int)dtype) ? (crease_dtype)dtype : CREASE_UNDEFINED, NULL, 0);
}

static crease_status insert(cr_sequences *s, cr_node *node) {
    cr_contents from;
    cr_value *element, **list;
    int64_t at;
    CR_TRY(need_list(s, node, &from));
    if (from.holding != CR_HOLDS_LIST)
        return CREASE_OK;
    CR_TRY(need_element(s, node, 1, &from.dtype, &element));
    if (!element)
        return CREASE_OK;
    CR_TRY(need_position(s, node, 2, from.n, from.n + 1, &at));
    if (at < 0)
        return CREASE_OK;
    CR_TRY(cr_sequences_list(s, node, from.n + 1, &list));
    if (!list)
        return CREASE_OK;
    for (size_t i = 0; i <= from.n; i++)
        list[i] = i < (size_t)at ? from.elements[i] : i > (size_t)at ? from.elements[i - 1] : element;
    return give_list(s, node, from.dtype, list, from.n + 1);
}

static crease_status erase(cr_sequences *s, cr_node *node) {
    cr_contents from;
    cr_value **list;
    int64_t at;
    CR_TRY(need_list(s, node, &from));
    if (from.holding != CR_HOLDS_LIST)
        return CREASE_OK;
    CR_TRY(need_position(s, node, 1, from.n, from.n, &at));
    if (at < 0)
        return CREASE_OK;
    CR_TRY(cr_sequences_list(s, node, from.n - 1, &list));
    if (!list)
        return CREASE_OK;
    for (size_t i = 0; i < from.n - 1; i++)
        list[i] = from.elements[i < (size_t)at ? i : i + 1];
    return give_list(s, node, from.dtype, list, from.n - 1);
}

static crease_status at(cr_sequences *s, cr_node *node) {
    cr_contents from;
    int64_t position;
    CR_TRY(need_list(s, node, &from));
    if (from.holding != CR_HOLDS_LIST)
        return CREASE_OK;
    if (!cr_node_input(node, 1))
        return cr_sequences_wrong(s, node, "without a position");
    CR_TRY(need_position(s, node, 1, from.n, from.n, &position));
    return position < 0 ? CREASE_OK : cr_sequences_become(s, node, "Identity", &from.elements[position], 1);
}

static crease_status length(cr_sequences *s, cr_node *node) {
    cr_contents from;
    CR_TRY(need_list(s, node, &from));
    if (from.holding != CR_HOLDS_LIST)
        return CREASE_OK;
    return become_constant(s, node, CREASE_INT64, (int64_t)from.n);
}

static crease_status concat(cr_sequences *s, cr_node *node) {
    cr_contents from;
    int64_t axis, new_axis;
    CR_TRY(need_list(s, node, &from));
    if (from.holding != CR_HOLDS_LIST)
        return CREASE_OK;
    if (!cr_attr_find(node, "axis"))
        return cr_sequences_wrong(s, node, "without an axis");
    if (from.n == 0)
        return cr_sequences_wrong(s, node, "on an empty sequence");
    CR_TRY(cr_attr_int(node, "axis", 0, &axis));
    CR_TRY(cr_attr_int(node, "new_axis", 0, &new_axis));
    return cr_sequences_join(s, node, from.elements, from.n, axis, new_axis != 0);
}

/* ---- SplitToSequence ---- */

/* Input 0, cut along an axis. */
typedef struct cut {
    cr_value *x;
    crease_dtype dtype;
    int64_t axis, extent; /* extent -1: not known */
    bool squeezed;
    int64_t *sizes; /* [n]; NULL: not decided, and the node refused */
    size_t n;
} cut;

static crease_status read_axis(cr_sequences *s, cr_node *node, cut *c) {
    const cr_info info = cr_sequences_info(s, c->x);
    const int rank = info.shape.rank;
    CR_TRY(cr_attr_int(node, "axis", 0, &c->axis));
    c->dtype = info.dtype;
    c->extent = -1;
    if (rank >= 0 && (c->axis < -rank || c->axis >= rank)) {
        c->x = NULL;
        return cr_sequences_wrong(s, node, "along axis %lld of a tensor of rank %d", (long long)c->axis,
                                  rank);
    }
    if (rank >= 0 && info.shape.dims[c->axis < 0 ? c->axis + rank : c->axis] >= 0)
        c->extent = info.shape.dims[c->axis < 0 ? c->axis + rank : c->axis];
    return CREASE_OK;
}

/* Parts of one size, of which the last may be smaller. */
static crease_status cut_evenly(cr_sequences *s, cr_node *node, cut *c, int64_t size) {
    cr_value **counted;
    if (size <= 0)
        return cr_sequences_wrong(s, node, "in parts of %lld", (long long)size);
    if (c->extent < 0)
        return cr_sequences_refuse(s, node, "along axis %lld of '%.200s', whose extent only a run decides,",
                                   (long long)c->axis, c->x->name);
    c->n = (size_t)(c->extent / size + (c->extent % size != 0));
    CR_TRY(cr_sequences_list(s, node, c->n, &counted));
    if (!counted)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&s->arena, &c->sizes, c->n + 1));
    for (size_t i = 0; i < c->n; i++)
        c->sizes[i] = i + 1 < c->n ? size : c->extent - size * (int64_t)i;
    return CREASE_OK;
}

static crease_status cut_as_listed(cr_sequences *s, cr_node *node, cut *c, const cr_tensor *list) {
    cr_value **counted;
    int64_t sum = 0;
    c->n = (size_t)cr_shape_n(&list->shape);
    CR_TRY(cr_sequences_list(s, node, c->n, &counted));
    if (!counted)
        return CREASE_OK;
    for (size_t i = 0; i < c->n; i++)
        if (cr_tensor_int(list, (int64_t)i) < 0 ||
            __builtin_add_overflow(sum, cr_tensor_int(list, (int64_t)i), &sum))
            return cr_sequences_wrong(s, node, "in a part of %lld",
                                      (long long)cr_tensor_int(list, (int64_t)i));
    if (c->extent >= 0 ? sum != c->extent : c->n == 0)
        return cr_sequences_wrong(s, node, "in parts of %lld in sum along an extent of %lld", (long long)sum,
                                  (long long)c->extent);
    CR_TRY(CR_ARENA_NEW(&s->arena, &c->sizes, c->n + 1));
    for (size_t i = 0; i < c->n; i++)
        c->sizes[i] = cr_tensor_int(list, (int64_t)i);
    return CREASE_OK;
}

/* Without sizes, parts of 1, whose axis may go. ONNX lets it go only then; PyTorch writes unbind with the
 * size 1 and means the same, as ONNX Runtime does. */
static crease_status read_cut(cr_sequences *s, cr_node *node, cut *c) {
    const cr_tensor *list;
    int64_t keep;
    CR_TRY(read_axis(s, node, c));
    if (!c->x)
        return CREASE_OK;
    CR_TRY(cr_attr_int(node, "keepdims", 1, &keep));
    c->squeezed = !keep;
    if (!cr_node_input(node, 1))
        return cut_evenly(s, node, c, 1);
    CR_TRY(cr_sequences_ints(s, node, 1, "sizes", &list));
    if (!list)
        return CREASE_OK;
    c->squeezed = !keep && list->shape.rank == 0 && cr_tensor_int(list, 0) == 1;
    return list->shape.rank ? cut_as_listed(s, node, c, list)
                            : cut_evenly(s, node, c, cr_tensor_int(list, 0));
}

static crease_status add_split(cr_sequences *s, cr_node *before, const cut *c, cr_value **parts) {
    const bool is_input = cr_model_opset(s->model, "") >= 13;
    const char *name;
    cr_value *in[2] = {c->x, NULL};
    cr_node *split;
    if (is_input) {
        CR_TRY(cr_arena_format(&s->arena, &name, "%.900s/sizes", before->outputs[0]->name));
        CR_TRY(cr_graph_add_ints(before->graph, name, c->sizes, (int64_t)c->n, &in[1]));
    }
    for (size_t i = 0; i < c->n; i++) {
        CR_TRY(cr_arena_format(&s->arena, &name, "%.900s/%zu", before->outputs[0]->name, i));
        CR_TRY(cr_graph_add_value(before->graph, name, true, &parts[i]));
    }
    CR_TRY(cr_sequences_add(s, before, "Split", in, is_input ? 2 : 1, parts, (int)c->n, &split));
    CR_TRY(cr_node_set_int(split, "axis", c->axis));
    if (!is_input)
        CR_TRY(cr_node_set_ints(split, "split", c->sizes, (int)c->n));
    return cr_sequences_infer(s, split);
}

static crease_status split(cr_sequences *s, cr_node *node) {
    cut c = {.x = cr_node_input(node, 0)};
    cr_value **parts;
    const char *name;
    if (!c.x)
        return cr_sequences_wrong(s, node, "without a tensor");
    if (cr_sequences_get(s, c.x).holding != CR_HOLDS_ITSELF)
        return cr_sequences_refuse_value(s, node, c.x);
    CR_TRY(read_cut(s, node, &c));
    if (!c.sizes)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&s->arena, &parts, c.n + 1));
    if (c.n)
        CR_TRY(add_split(s, node, &c, parts));
    for (size_t i = 0; c.squeezed && i < c.n; i++) {
        CR_TRY(cr_arena_format(&s->arena, &name, "%.900s/element/%zu", node->outputs[0]->name, i));
        CR_TRY(cr_sequences_axis(s, node, "Squeeze", parts[i], c.axis, name, &parts[i]));
    }
    return give_list(s, node, c.dtype, parts, c.n);
}

/* ---- optionals ---- */

static crease_status optional(cr_sequences *s, cr_node *node) {
    cr_value *value = cr_node_input(node, 0);
    cr_contents contents = {.holding = CR_HOLDS_NOTHING};
    if (!value)
        return cr_sequences_set(s, node->outputs[0], contents);
    contents = cr_sequences_get(s, value);
    if (contents.holding == CR_HOLDS_ITSELF && cr_sequences_info(s, value).dtype) {
        CR_TRY(CR_ARENA_NEW(&s->arena, &contents.elements, 1));
        contents.holding = CR_HOLDS_TENSOR;
        contents.elements[0] = value;
        contents.n = 1;
    }
    if (contents.holding != CR_HOLDS_TENSOR && contents.holding != CR_HOLDS_LIST)
        return cr_sequences_refuse_value(s, node, value);
    return cr_sequences_set(s, node->outputs[0], contents);
}

/* A tensor or sequence stands for an optional with it in it (ONNX 18). */
static bool is_known(const cr_sequences *s, const cr_value *value) {
    const cr_holding holding = cr_sequences_get(s, value).holding;
    return holding == CR_HOLDS_ITSELF ? cr_sequences_info(s, value).dtype != CREASE_UNDEFINED
                                      : holding != CR_HOLDS_UNKNOWN;
}

static crease_status has_element(cr_sequences *s, cr_node *node) {
    const cr_value *value = cr_node_input(node, 0);
    if (!value)
        return become_constant(s, node, CREASE_BOOL, false);
    if (!is_known(s, value))
        return cr_sequences_refuse_value(s, node, value);
    return become_constant(s, node, CREASE_BOOL, cr_sequences_get(s, value).holding != CR_HOLDS_NOTHING);
}

static crease_status get_element(cr_sequences *s, cr_node *node) {
    cr_value *value = cr_node_input(node, 0);
    const cr_contents contents =
        value ? cr_sequences_get(s, value) : (cr_contents){.holding = CR_HOLDS_NOTHING};
    if (value && !is_known(s, value))
        return cr_sequences_refuse_value(s, node, value);
    if (contents.holding == CR_HOLDS_NOTHING)
        return cr_sequences_wrong(s, node, "on an optional with nothing in it");
    if (contents.holding == CR_HOLDS_LIST)
        return cr_sequences_set(s, node->outputs[0], contents);
    return cr_sequences_become(s, node, "Identity",
                               contents.holding == CR_HOLDS_TENSOR ? contents.elements : &value, 1);
}

/* ---- the rules ---- */

static crease_status identity(cr_sequences *s, cr_node *node) {
    const cr_value *value = cr_node_input(node, 0);
    const cr_contents contents = value ? cr_sequences_get(s, value) : (cr_contents){0};
    return contents.holding ? cr_sequences_set(s, node->outputs[0], contents) : CREASE_OK;
}

static const struct {
    const char *op_type;
    int since;
    cr_sequences_rule *rule;
} rules[] = {
    {"SequenceConstruct", 11, construct},
    {"SequenceEmpty", 11, empty},
    {"SequenceInsert", 11, insert},
    {"SequenceErase", 11, erase},
    {"SequenceAt", 11, at},
    {"SequenceLength", 11, length},
    {"SplitToSequence", 11, split},
    {"ConcatFromSequence", 11, concat},
    {"SequenceMap", 17, cr_sequences_map},
    {"Optional", 15, optional},
    {"OptionalHasElement", 15, has_element},
    {"OptionalGetElement", 15, get_element},
    {"Identity", 1, identity},
    {"If", 1, cr_sequences_if},
    {"Loop", 1, cr_sequences_loop},
};

bool cr_sequences_gives_tensor(const cr_node *node) {
    return cr_node_is(node, "SequenceAt") || cr_node_is(node, "SequenceLength") ||
           cr_node_is(node, "ConcatFromSequence") || cr_node_is(node, "OptionalHasElement");
}

cr_sequences_rule *cr_sequences_rule_of(const cr_node *node) {
    const int64_t opset = cr_model_opset(node->graph->model, "");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (cr_node_is(node, rules[i].op_type) && opset >= rules[i].since)
            return rules[i].rule;
    return NULL;
}
