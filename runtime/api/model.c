#include "runtime/api/model.h"
#include "passes/pass.h"
#include "proto/proto.h"
#include "runtime/base/structs.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "runtime/ops/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

void crease_options_init_sized(crease_options *options, size_t bytes) {
    const crease_options full = {.fold = true};
    cr_struct_init(options, bytes, &full, sizeof full);
}

void(crease_options_init)(crease_options *options) {
    crease_options_init(options);
}

crease_options cr_options_of(const crease_options *options) {
    crease_options full;
    crease_options_init(&full);
    cr_struct_take(&full, options, sizeof full);
    return full;
}

/* ---- publishing ---- */

static crease_status list_inputs(crease_model *m) {
    const cr_graph *graph = m->ir->graph;
    CR_TRY(CR_ARENA_NEW(&m->arena, &m->inputs, (size_t)graph->n_inputs));
    for (int i = 0; i < graph->n_inputs; i++)
        if (!graph->inputs[i]->initial)
            m->inputs[m->n_inputs++] = graph->inputs[i];
    return CREASE_OK;
}

/* Dynamic dimensions are -1 outside; their names are kept beside them. */
static crease_status describe(crease_model *m, const cr_value *value, crease_value_info *info) {
    const int rank = value->shape.rank;
    int64_t *dims;
    const char **names;
    CR_TRY(CR_ARENA_NEW(&m->arena, &dims, (size_t)(rank > 0 ? rank : 0)));
    CR_TRY(CR_ARENA_NEW(&m->arena, &names, (size_t)(rank > 0 ? rank : 0)));
    for (int i = 0; i < rank; i++) {
        const int64_t d = value->shape.dims[i];
        dims[i] = d < 0 ? -1 : d;
        names[i] = d <= CR_DIM_FIRST_SYMBOL ? m->ir->symbols[CR_DIM_FIRST_SYMBOL - d] : NULL;
    }
    *info = (crease_value_info){sizeof *info, value->name, value->dtype, rank, dims, names};
    return CREASE_OK;
}

static crease_status describe_all(crease_model *m, cr_value *const *values, size_t n,
                                  crease_value_info **infos) {
    CR_TRY(CR_ARENA_NEW(&m->arena, infos, n));
    for (size_t i = 0; i < n; i++)
        CR_TRY(describe(m, values[i], &(*infos)[i]));
    return CREASE_OK;
}

/* Names for nodes that have none: of their first output. */
static crease_status name_nodes(cr_graph *graph, void *context) {
    (void)context;
    CR_FOR_NODES(node, graph)
    if (!node->name[0] && cr_node_output(node, 0))
        node->name = node->outputs[0]->name;
    return CREASE_OK;
}

static crease_status list_nodes(crease_model *m) {
    CR_TRY(CR_ARENA_NEW(&m->arena, &m->nodes, (size_t)m->ir->graph->n_nodes));
    CR_TRY(CR_ARENA_NEW(&m->arena, &m->macs, (size_t)m->ir->graph->n_nodes));
    CR_FOR_NODES(node, m->ir->graph)
    m->nodes[m->n_nodes++] = node;
    return CREASE_OK;
}

static crease_status count_macs(crease_model *m) {
    cr_arena scratch;
    cr_arena_init(&scratch, m->ir->heap);
    crease_status status = CREASE_OK;
    for (size_t i = 0; status == CREASE_OK && i < m->n_nodes; i++) {
        const cr_node *node = m->nodes[i];
        cr_info *infos;
        const cr_info **in;
        int n = node->n_inputs + node->n_outputs;
        status = CR_ARENA_NEW(&scratch, &infos, (size_t)n + 1);
        if (status == CREASE_OK)
            status = CR_ARENA_NEW(&scratch, &in, (size_t)node->n_inputs + 1);
        if (status != CREASE_OK)
            break;
        for (int j = 0; j < n; j++) {
            const cr_value *v = j < node->n_inputs ? node->inputs[j] : node->outputs[j - node->n_inputs];
            infos[j] =
                v ? (cr_info){.dtype = v->dtype, .shape = v->shape} : (cr_info){.shape = cr_shape_unknown()};
            if (j < node->n_inputs)
                in[j] = v ? &infos[j] : NULL;
        }
        m->macs[i] = node->n_outputs ? cr_node_macs(node, in, &infos[node->n_inputs]) : 0;
    }
    cr_arena_clear(&scratch);
    return status;
}

/* One problem for each reason. */
static bool is_problem(const cr_node *node, char *text, size_t bytes) {
    return (!node->obstacle || node->obstacle[0]) && cr_node_problem(node, text, bytes);
}

static crease_status count_problems(cr_graph *graph, void *context) {
    crease_model *m = context;
    char text[512];
    CR_FOR_NODES(node, graph)
    m->n_problems += is_problem(node, text, sizeof text);
    return CREASE_OK;
}

static crease_status fill_problems(cr_graph *graph, void *context) {
    crease_model *m = context;
    char text[512];
    CR_FOR_NODES(node, graph) {
        if (!is_problem(node, text, sizeof text))
            continue;
        cr_problem *problem = &m->problems[m->n_problems++];
        problem->node = node;
        CR_TRY(cr_arena_string(&m->arena, text, &problem->reason));
    }
    return CREASE_OK;
}

static crease_status list_problems(crease_model *m) {
    CR_TRY(cr_model_each_graph(m->ir, count_problems, m));
    CR_TRY(CR_ARENA_NEW(&m->arena, &m->problems, m->n_problems));
    m->n_problems = 0;
    return cr_model_each_graph(m->ir, fill_problems, m);
}

static crease_status prepare(crease_model *m) {
    CR_TRY(cr_model_order(m->ir));
    CR_TRY(cr_model_each_graph(m->ir, name_nodes, NULL));
    CR_TRY(cr_model_resolve(m->ir));
    CR_TRY(cr_model_verify(m->ir));
    CR_TRY(cr_model_verify_after(m->ir, cr_pass_resolve_sequences(m->ir)));
    CR_TRY(cr_graph_infer(m->ir->graph));
    CR_TRY(list_inputs(m));
    CR_TRY(describe_all(m, m->inputs, m->n_inputs, &m->input_infos));
    CR_TRY(describe_all(m, m->ir->graph->outputs, crease_model_n_outputs(m), &m->output_infos));
    CR_TRY(list_nodes(m));
    CR_TRY(count_macs(m));
    return list_problems(m);
}

crease_status cr_model_publish(cr_model *ir, crease_model **model) {
    void *block;
    *model = NULL;
    crease_status status = cr_alloc_zeroed(ir->heap, sizeof(crease_model), &block);
    if (status != CREASE_OK) {
        cr_model_destroy(ir);
        return status;
    }
    crease_model *m = block;
    atomic_init(&m->references, 1);
    m->ir = ir;
    cr_arena_init(&m->arena, ir->heap);
    status = prepare(m);
    if (status == CREASE_OK)
        *model = m;
    else
        crease_model_free(m);
    return status;
}

/* ---- loading and saving ---- */

static crease_status load(const char *path, const void *data, size_t bytes, const crease_options *options,
                          crease_model **model) {
    if (!model || (!path && !data && bytes))
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_model_load: path, data and model must not be NULL");
    *model = NULL;
    crease_options o = cr_options_of(options);
    cr_heap *heap;
    cr_model *ir;
    CR_TRY(cr_heap_create(o.allocator, o.memory_limit_bytes, &heap));
    crease_status status = path ? cr_proto_load_file(path, heap, o.assume_const, &ir)
                                : cr_proto_load_memory(data, bytes, heap, o.assume_const, &ir);
    if (status == CREASE_OK)
        status = cr_model_publish(ir, model);
    cr_heap_release(heap);
    return status;
}

crease_status crease_model_load_file(const char *path, const crease_options *options, crease_model **model) {
    if (!path)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_model_load_file: path must not be NULL");
    return load(path, NULL, 0, options, model);
}

crease_status crease_model_load_memory(const void *data, size_t bytes, const crease_options *options,
                                       crease_model **model) {
    return load(NULL, data ? data : "", data ? bytes : 0, options, model);
}

crease_model *crease_model_retain(crease_model *model) {
    atomic_fetch_add(&model->references, 1);
    return model;
}

void crease_model_free(crease_model *model) {
    if (!model || atomic_fetch_sub(&model->references, 1) != 1)
        return;
    cr_model *ir = model->ir;
    cr_heap *heap = cr_heap_retain(ir->heap);
    cr_arena_clear(&model->arena);
    cr_free(heap, model);
    cr_model_destroy(ir);
    cr_heap_release(heap);
}

crease_status crease_model_save_file(const crease_model *model, const char *path) {
    if (!model || !path)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_model_save_file: model and path must not be NULL");
    return cr_proto_save_file(model->ir, path);
}

crease_status crease_model_save_memory(const crease_model *model, void **data, size_t *bytes) {
    void *block;
    if (!model || !data || !bytes)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_model_save_memory: nothing may be NULL");
    *data = NULL;
    CR_TRY(cr_proto_save(model->ir, model->ir->heap, &block, bytes));
    *data = malloc(*bytes ? *bytes : 1); /* outlives the model and its allocator */
    if (*data)
        memcpy(*data, block, *bytes);
    cr_free(model->ir->heap, block);
    return *data ? CREASE_OK : cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", *bytes);
}

void crease_memory_free(void *data) {
    free(data);
}

/* ---- questions ---- */

size_t crease_model_n_inputs(const crease_model *model) {
    return model->n_inputs;
}

bool crease_model_input_at(const crease_model *model, size_t index, crease_value_info *info) {
    if (index >= model->n_inputs)
        return false;
    cr_struct_give(info, &model->input_infos[index], sizeof *info);
    return true;
}

size_t crease_model_n_outputs(const crease_model *model) {
    return (size_t)model->ir->graph->n_outputs;
}

bool crease_model_output_at(const crease_model *model, size_t index, crease_value_info *info) {
    if (index >= crease_model_n_outputs(model))
        return false;
    cr_struct_give(info, &model->output_infos[index], sizeof *info);
    return true;
}

size_t crease_model_n_nodes(const crease_model *model) {
    return model->n_nodes;
}

/* Elements of the constants that this node is the first to use. */
static int64_t parameters_of(const cr_node *node) {
    int64_t n = 0;
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_value *v = node->inputs[i];
        if (v && v->constant && v->uses[0].node == node && v->uses[0].input == i)
            n += cr_shape_n(&v->constant->shape);
    }
    return n;
}

bool crease_model_node_at(const crease_model *model, size_t index, crease_node_info *info) {
    if (index >= model->n_nodes)
        return false;
    const cr_node *node = model->nodes[index];
    const cr_value *output = cr_node_output(node, 0);
    const crease_node_info full = {.name = node->name,
                                   .op_type = node->op_type,
                                   .domain = node->domain,
                                   .since_version = node->op ? node->op->since : 0,
                                   .n_inputs = node->n_inputs,
                                   .n_outputs = node->n_outputs,
                                   .macs = model->macs[index],
                                   .parameters = parameters_of(node),
                                   .output = output ? output->name : ""};
    cr_struct_give(info, &full, sizeof full);
    return true;
}

static crease_status count_batch_norms(cr_graph *graph, void *context) {
    CR_FOR_NODES(node, graph)
    *(int *)context += cr_node_is(node, "BatchNormalization");
    return CREASE_OK;
}

void crease_model_get_info(const crease_model *model, crease_model_info *info) {
    const cr_model *ir = model->ir;
    crease_model_info full = {.ir_version = ir->ir_version,
                              .opset = cr_model_opset(ir, ""),
                              .producer_name = ir->producer_name,
                              .producer_version = ir->producer_version,
                              .graph_name = ir->graph->name};
    for (int i = 0; i < ir->n_values; i++) {
        const cr_tensor *t = ir->values[i]->constant ? ir->values[i]->constant : ir->values[i]->initial;
        size_t bytes;
        if (!t || (!ir->values[i]->n_uses && !ir->values[i]->n_outputs))
            continue;
        full.parameters += cr_shape_n(&t->shape);
        if (cr_tensor_bytes(t->dtype, 0, &t->shape, &bytes))
            full.parameter_bytes += (int64_t)bytes;
    }
    for (size_t i = 0; i < model->n_nodes; i++)
        full.macs += model->macs[i] > 0 ? model->macs[i] : 0;
    crease_status status = cr_model_each_graph(model->ir, count_batch_norms, &full.n_batch_norms);
    (void)status; /* counting does not fail */
    cr_struct_give(info, &full, sizeof full);
}

size_t crease_model_n_problems(const crease_model *model) {
    return model->n_problems;
}

bool crease_model_problem_at(const crease_model *model, size_t index, crease_problem *problem) {
    if (index >= model->n_problems)
        return false;
    const cr_problem *p = &model->problems[index];
    const crease_problem full = {0, p->node->name, p->node->op_type, p->node->domain, p->reason};
    cr_struct_give(problem, &full, sizeof full);
    return true;
}

crease_status crease_model_check(const crease_model *model) {
    char text[480];
    size_t at = 0;
    if (model->n_problems == 0)
        return CREASE_OK;
    for (size_t i = 0; i < model->n_problems && at < sizeof text; i++) {
        const cr_problem *p = &model->problems[i];
        char one[256];
        snprintf(one, sizeof one, "%s%s at node '%s'", i ? "; " : "", p->reason, p->node->name);
        if (at + strlen(one) + 32 > sizeof text) {
            snprintf(text + at, sizeof text - at, "; and %zu more", model->n_problems - i);
            break;
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", one);
    }
    return cr_fail(CREASE_ERROR_UNSUPPORTED, "%s", text);
}
