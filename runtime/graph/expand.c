#include "runtime/graph/edit.h"

#include <string.h>

/* Writing out one run of a body. Nodes of the body are copied to where it runs, bodies in it as bodies. */

/* A graph that is copied, and where its copy goes. */
typedef struct frame {
    const struct frame *outer; /* NULL: the body itself */
    const cr_graph *from;
    cr_graph *to;
    cr_node *before;
    cr_copies *copies;
} frame;

static crease_status copy_graph(const frame *f);

static crease_status make_room(cr_copies *copies, const cr_model *model) {
    const size_t had = copies->capacity;
    CR_TRY(cr_grow(model->heap, (void **)&copies->list, &copies->capacity, (size_t)model->n_values,
                   sizeof *copies->list));
    if (copies->capacity > had)
        memset(copies->list + had, 0, (copies->capacity - had) * sizeof *copies->list);
    return CREASE_OK;
}

static crease_status add_value(const frame *f, const cr_value *from, cr_value **copy) {
    const char *name;
    CR_TRY(cr_arena_format(&f->to->model->arena, &name, "%.900s/%zu", from->name, f->copies->n));
    CR_TRY(cr_graph_add_value(f->to, name, true, copy));
    (*copy)->kind = from->kind;
    (*copy)->dtype = from->dtype;
    (*copy)->raw_type = from->raw_type;
    (*copy)->raw_type_bytes = from->raw_type_bytes;
    f->copies->list[from->id] = *copy;
    return CREASE_OK;
}

/* What a value is where the body runs: of the graphs around the body, itself. Constants of the body itself
 * are copied once, those of bodies in it each time. */
static crease_status look_up(const frame *f, cr_value *value, cr_value **found) {
    while (f && f->from != value->graph)
        f = f->outer;
    *found = f ? f->copies->list[value->id] : value;
    if (!f || !value->constant || (*found && (*found)->graph == f->to))
        return CREASE_OK;
    CR_TRY(add_value(f, value, found));
    return cr_value_set_constant(*found, value->constant);
}

static crease_status copy_bodies(const frame *f, const cr_attr *from, cr_node *node) {
    cr_attr attr = *from;
    CR_TRY(CR_ARENA_NEW(&f->to->model->arena, &attr.graphs, (size_t)from->n));
    for (int64_t i = 0; i < from->n; i++) {
        const cr_graph *body = from->graphs[i];
        CR_TRY(cr_graph_create(f->to->model, node, &attr.graphs[i]));
        attr.graphs[i]->name = body->name;
        attr.graphs[i]->doc = body->doc;
        const frame inner = {f, body, attr.graphs[i], NULL, f->copies};
        CR_TRY(copy_graph(&inner));
    }
    return cr_node_set_attr(node, &attr);
}

static crease_status copy_node(const frame *f, const cr_node *node) {
    cr_value **in, **out;
    cr_node *copy;
    const char *name = node->name;
    cr_arena *arena = &f->to->model->arena;
    CR_TRY(CR_ARENA_NEW(arena, &in, (size_t)node->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(arena, &out, (size_t)node->n_outputs + 1));
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i])
            CR_TRY(look_up(f, node->inputs[i], &in[i]));
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            CR_TRY(add_value(f, node->outputs[i], &out[i]));
    if (name[0])
        CR_TRY(cr_arena_format(arena, &name, "%.900s/%zu", node->name, f->copies->n));
    CR_TRY(cr_graph_add_node(f->to, f->before, node->op_type, node->domain, name, in, node->n_inputs, out,
                             node->n_outputs, &copy));
    copy->op = node->op;
    copy->doc = node->doc;
    for (int i = 0; i < node->n_attrs; i++) {
        const cr_attr *attr = &node->attrs[i];
        const bool bodies = attr->type == CR_ATTR_GRAPH || attr->type == CR_ATTR_GRAPHS;
        CR_TRY(bodies ? copy_bodies(f, attr, copy) : cr_node_set_attr(copy, attr));
    }
    return CREASE_OK;
}

/* A body in the body, whole. */
static crease_status copy_graph(const frame *f) {
    cr_value *value;
    for (int i = 0; i < f->from->n_inputs; i++) {
        CR_TRY(add_value(f, f->from->inputs[i], &value));
        value->shape = f->from->inputs[i]->shape;
        CR_TRY(cr_graph_add_input(f->to, value));
    }
    CR_FOR_NODES(node, f->from)
    CR_TRY(copy_node(f, node));
    for (int i = 0; i < f->from->n_outputs; i++) {
        CR_TRY(look_up(f, f->from->outputs[i], &value));
        CR_TRY(cr_graph_add_output(f->to, value));
    }
    return CREASE_OK;
}

crease_status cr_graph_expand(const cr_graph *body, cr_node *before, cr_copies *copies,
                              cr_value *const *inputs, cr_value **outputs) {
    const frame f = {NULL, body, before->graph, before, copies};
    copies->n++;
    CR_TRY(make_room(copies, before->graph->model));
    for (int i = 0; i < body->n_inputs; i++)
        copies->list[body->inputs[i]->id] = inputs[i];
    CR_FOR_NODES(node, body)
    CR_TRY(copy_node(&f, node));
    for (int i = 0; i < body->n_outputs; i++)
        CR_TRY(look_up(&f, body->outputs[i], &outputs[i]));
    return CREASE_OK;
}
