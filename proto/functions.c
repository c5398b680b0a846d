#include "proto/import.h"

#include "runtime/graph/names.h"

#include <stdlib.h>
#include <string.h>

/* Local functions (ONNX IR version 8) are inlined: the nodes of the body take the place of the calling node,
 * formal names stand for the caller's values, and everything else in the body gets names of its own. */

enum { MAX_CALLS = 100 };
/* Functions that call functions can ask for far more nodes than the file has bytes. */
static const size_t MAX_INLINED = 1000000;

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static const char *plain_domain(const char *domain) {
    return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}

static int compare(const char *domain, const char *name, const char *overload,
                   const CreaseOnnx__FunctionProto *f) {
    int order = strcmp(or_empty(name), or_empty(f->name));
    if (order == 0)
        order = strcmp(plain_domain(domain), plain_domain(f->domain));
    return order ? order : strcmp(or_empty(overload), or_empty(f->overload));
}

static int by_name(const void *a, const void *b) {
    const CreaseOnnx__FunctionProto *f = *(CreaseOnnx__FunctionProto *const *)a;
    return compare(f->domain, f->name, f->overload, *(CreaseOnnx__FunctionProto *const *)b);
}

static int by_call(const void *key, const void *element) {
    const CreaseOnnx__NodeProto *node = key;
    return compare(node->domain, node->op_type, node->overload, *(CreaseOnnx__FunctionProto *const *)element);
}

crease_status cr_import_functions(cr_import *import, CreaseOnnx__FunctionProto **functions, size_t n) {
    import->functions = functions;
    import->n_functions = n;
    if (n == 0)
        return CREASE_OK;
    qsort(functions, n, sizeof *functions, by_name);
    for (size_t i = 0; i < n; i++) {
        if (!functions[i]->name || !functions[i]->name[0])
            return cr_fail(CREASE_ERROR_MODEL, "a function has no name");
        if (i && by_name(&functions[i - 1], &functions[i]) == 0)
            return cr_fail(CREASE_ERROR_MODEL, "function '%s' is defined twice", functions[i]->name);
    }
    return CREASE_OK;
}

const CreaseOnnx__FunctionProto *cr_import_function(const cr_import *import,
                                                    const CreaseOnnx__NodeProto *node) {
    CreaseOnnx__FunctionProto *const *found = NULL;
    if (import->n_functions)
        found = bsearch(node, import->functions, import->n_functions, sizeof *import->functions, by_call);
    return found ? *found : NULL;
}

/* ---- names of the file, which values made by inlining must not take ---- */

static crease_status reserve(cr_model *model, const char *name) {
    const char *copy;
    if (!name || !name[0] || cr_names_has(model->names, name))
        return CREASE_OK;
    CR_TRY(cr_arena_string(&model->arena, name, &copy));
    return cr_names_add(model->names, copy);
}

static crease_status reserve_node(cr_model *model, const CreaseOnnx__NodeProto *node) {
    for (size_t i = 0; i < node->n_output; i++)
        CR_TRY(reserve(model, node->output[i]));
    for (size_t i = 0; i < node->n_attribute; i++) {
        if (node->attribute[i]->g)
            CR_TRY(cr_import_reserve_names(model, node->attribute[i]->g));
        for (size_t j = 0; j < node->attribute[i]->n_graphs; j++)
            CR_TRY(cr_import_reserve_names(model, node->attribute[i]->graphs[j]));
    }
    return CREASE_OK;
}

crease_status cr_import_reserve_names(cr_model *model, const CreaseOnnx__GraphProto *graph) {
    for (size_t i = 0; i < graph->n_input; i++)
        CR_TRY(reserve(model, graph->input[i]->name));
    for (size_t i = 0; i < graph->n_initializer; i++)
        CR_TRY(reserve(model, graph->initializer[i]->name));
    for (size_t i = 0; i < graph->n_sparse_initializer; i++)
        if (graph->sparse_initializer[i]->values)
            CR_TRY(reserve(model, graph->sparse_initializer[i]->values->name));
    for (size_t i = 0; i < graph->n_node; i++)
        CR_TRY(reserve_node(model, graph->node[i]));
    return CREASE_OK;
}

/* ---- one call ---- */

static crease_status check_call(cr_import *import, const cr_call *call) {
    const CreaseOnnx__FunctionProto *f = call->function;
    const char *caller = or_empty(call->node->name);
    int depth = 1;
    for (const cr_call *outer = call->site->call; outer; outer = outer->site->call, depth++)
        if (outer->function == f)
            return cr_fail(CREASE_ERROR_MODEL, "function '%s' calls itself", f->name);
    if (depth > MAX_CALLS)
        return cr_fail(CREASE_ERROR_MODEL, "function '%s': calls are nested more than %d deep", f->name,
                       MAX_CALLS);
    if (call->node->n_input > f->n_input || call->node->n_output > f->n_output)
        return cr_fail(CREASE_ERROR_MODEL,
                       "node '%s' gives function '%s' %zu inputs and %zu outputs, it has "
                       "%zu and %zu",
                       caller, f->name, call->node->n_input, call->node->n_output, f->n_input, f->n_output);
    import->n_inlined += f->n_node;
    if (import->n_inlined > MAX_INLINED)
        return cr_fail(CREASE_ERROR_MODEL,
                       "node '%s': the functions of the model expand to more than %zu nodes", caller,
                       MAX_INLINED);
    return CREASE_OK;
}

static crease_status name_call(cr_import *import, cr_call *call) {
    cr_arena *arena = &import->model->arena;
    const char *name = or_empty(call->node->name);
    if (!name[0])
        CR_TRY(cr_arena_format(arena, &name, "%.150s_%zu", call->function->name, ++import->n_unnamed));
    if (!call->site->call)
        return cr_arena_format(arena, &call->prefix, "%.400s", name);
    return cr_arena_format(arena, &call->prefix, "%.200s/%.190s", call->site->call->prefix, name);
}

/* A domain that the function imports and the model does not. Where both do, ONNX asks that the versions agree
 * on every operator of the body. */
static crease_status add_opsets(cr_model *model, const CreaseOnnx__FunctionProto *f) {
    for (size_t i = 0; i < f->n_opset_import; i++) {
        const char *domain = plain_domain(f->opset_import[i]->domain);
        if (cr_model_opset(model, domain) == 0)
            CR_TRY(cr_model_set_opset(model, domain, f->opset_import[i]->version));
    }
    return CREASE_OK;
}

static crease_status bind_inputs(cr_scope *body, const cr_call *call) {
    for (size_t i = 0; i < call->function->n_input; i++) {
        cr_value *value = NULL, *earlier;
        if (cr_scope_has(body, call->function->input[i], &earlier))
            return cr_fail(CREASE_ERROR_MODEL, "function '%s' has two inputs '%s'", call->function->name,
                           call->function->input[i]);
        if (i < call->node->n_input)
            CR_TRY(cr_import_use(call->site, call->node->input[i], &value));
        cr_scope_bind(body, call->function->input[i], value);
    }
    return CREASE_OK;
}

/* Output i of the calling node; NULL: left out. */
static crease_status output_of(const cr_call *call, size_t i, cr_value **value) {
    *value = NULL;
    if (i >= call->node->n_output || !call->node->output[i][0])
        return CREASE_OK;
    return cr_scope_define(call->site, call->node->output[i], value);
}

static crease_status copy_value(cr_scope *body, cr_value *from, cr_value *to) {
    cr_node *node;
    if (!from)
        return CREASE_OK; /* verification names the missing value where it is used */
    return cr_graph_add_node(body->graph, NULL, "Identity", "", NULL, &from, 1, &to, 1, &node);
}

/* Formal outputs become the caller's values; one that is an input too, or that stood already, is a copy. */
static crease_status bind_outputs(cr_scope *body, const cr_call *call) {
    for (size_t i = 0; i < call->function->n_output; i++) {
        cr_value *value, *bound;
        CR_TRY(output_of(call, i, &value));
        if (!value)
            continue;
        if (cr_scope_has(body, call->function->output[i], &bound))
            CR_TRY(copy_value(body, bound, value));
        else
            cr_scope_bind(body, call->function->output[i], value);
    }
    return CREASE_OK;
}

static crease_status import_body(cr_import *import, cr_scope *body, const cr_call *call) {
    CR_TRY(bind_inputs(body, call));
    CR_TRY(bind_outputs(body, call));
    return cr_import_nodes(import, body, call->function->node, call->function->n_node);
}

crease_status cr_import_call(cr_import *import, cr_scope *site, const CreaseOnnx__NodeProto *node,
                             const CreaseOnnx__FunctionProto *function) {
    cr_call call = {.function = function, .node = node, .site = site};
    cr_scope body;
    CR_TRY(check_call(import, &call));
    CR_TRY(name_call(import, &call));
    CR_TRY(add_opsets(import->model, function));
    size_t names = function->n_input + function->n_output;
    CR_TRY(cr_scope_open(&body, NULL, &call, site->graph,
                         names + cr_import_count_names(function->node, function->n_node)));
    crease_status status = import_body(import, &body, &call);
    cr_scope_close(&body);
    return status;
}
