#ifndef CREASE_RUNTIME_GRAPH_EDIT_H
#define CREASE_RUNTIME_GRAPH_EDIT_H

#include "runtime/graph/graph.h"

/* The only functions that change a model. Each leaves the graph consistent or fails without a change. */

/* An empty model with an empty main graph; takes a reference to heap. */
crease_status cr_model_create(cr_heap *heap, cr_model **model) CREASE_MUST_TEST;
void cr_model_destroy(cr_model *model); /* NULL is fine */
/* A deep copy that shares tensor buffers; ids are kept. */
crease_status cr_model_clone(const cr_model *model, cr_heap *heap, cr_model **copy) CREASE_MUST_TEST;

crease_status cr_model_set_opset(cr_model *model, const char *domain, int64_t version) CREASE_MUST_TEST;
crease_status cr_model_set_property(cr_model *model, const char *key, const char *value) CREASE_MUST_TEST;
crease_status cr_model_symbol(cr_model *model, const char *name,
                              int64_t *dim) CREASE_MUST_TEST; /* find or add */
/* Keep a buffer alive with the model; takes over the caller's reference, also on failure. */
crease_status cr_model_own(cr_model *model, cr_buffer *buffer) CREASE_MUST_TEST;

crease_status cr_graph_create(cr_model *model, cr_node *owner, cr_graph **graph) CREASE_MUST_TEST;

/* A new value. name NULL: a fresh one. A name in use becomes "name_2", "name_3", ... when `unique`, and is
 * kept as it is otherwise (importing: shadowing is the importer's business). */
crease_status cr_graph_add_value(cr_graph *graph, const char *name, bool unique,
                                 cr_value **value) CREASE_MUST_TEST;
/* A new unique constant; the model takes one more reference to the tensor's buffer. */
crease_status cr_graph_add_constant(cr_graph *graph, const char *name, const cr_tensor *tensor,
                                    cr_value **value) CREASE_MUST_TEST;
/* A new constant with fresh memory to fill: *tensor is the value's own. */
crease_status cr_graph_new_constant(cr_graph *graph, const char *name, crease_dtype dtype,
                                    const cr_shape *shape, cr_value **value,
                                    cr_tensor **tensor) CREASE_MUST_TEST;
/* A new constant list of int64. */
crease_status cr_graph_add_ints(cr_graph *graph, const char *name, const int64_t *list, int64_t n,
                                cr_value **value) CREASE_MUST_TEST;
crease_status cr_value_set_constant(cr_value *value, const cr_tensor *tensor) CREASE_MUST_TEST;

/* The contents of a constant are needed no more: its memory goes, unless others hold it; type and shape stay.
 */
void cr_value_forget(cr_value *value);

crease_status cr_graph_add_input(cr_graph *graph, cr_value *value) CREASE_MUST_TEST;
void cr_graph_remove_input(cr_graph *graph, cr_value *value);
/* Every overridable initializer becomes a constant and is an input no more. */
crease_status cr_model_assume_constant(cr_model *model) CREASE_MUST_TEST;
crease_status cr_graph_add_output(cr_graph *graph, cr_value *value) CREASE_MUST_TEST;
/* Output i becomes `value`, which must have the same dtype and a fitting shape. */
crease_status cr_graph_set_output(cr_graph *graph, int i, cr_value *value) CREASE_MUST_TEST;

/* A new node before `before` (NULL: at the end). inputs and outputs may hold NULL; outputs must have no
 * producer. */
crease_status cr_graph_add_node(cr_graph *graph, cr_node *before, const char *op_type, const char *domain,
                                const char *name, cr_value *const *inputs, int n_inputs,
                                cr_value *const *outputs, int n_outputs, cr_node **node) CREASE_MUST_TEST;
/* Outputs must be unused and no graph outputs. Subgraphs of the node go with it. */
crease_status cr_node_remove(cr_node *node) CREASE_MUST_TEST;
void cr_node_move_before(cr_node *node, cr_node *before); /* same graph; NULL: to the end */
crease_status cr_node_set_op(cr_node *node, const char *op_type, const char *domain) CREASE_MUST_TEST;
crease_status cr_node_set_input(cr_node *node, int i,
                                cr_value *value) CREASE_MUST_TEST;        /* NULL: absent; may extend */
crease_status cr_node_keep_inputs(cr_node *node, int n) CREASE_MUST_TEST; /* the first n, at most all */
/* One more output, a value without a producer. */
crease_status cr_node_add_output(cr_node *node, cr_value *value) CREASE_MUST_TEST;
/* Output i, which the node gives, becomes `fresh`, a value without a producer; the old one has none then. */
crease_status cr_node_set_output(cr_node *node, int i, cr_value *fresh) CREASE_MUST_TEST;
crease_status cr_node_set_doc(cr_node *node, const char *doc) CREASE_MUST_TEST;
crease_status cr_node_set_obstacle(cr_node *node, const char *obstacle) CREASE_MUST_TEST; /* NULL: none */

/* Let every use of `from` (graph outputs too, where names allow: see below) use `to`. Refuses another dtype,
 * a shape that does not fit, and replacing a graph output by a graph input, constant or another graph output.
 */
crease_status cr_value_replace(cr_value *from, cr_value *to) CREASE_MUST_TEST;

/* Remove `last` (a node with the one used output `out`) after `producer` took over its work: producer's
 * output `i`, used by `last` alone, disappears, and producer now gives `out` with its name and uses. last's
 * other inputs are dropped. */
crease_status cr_node_take_over(cr_node *producer, int i, cr_node *last) CREASE_MUST_TEST;

crease_status cr_node_set_int(cr_node *node, const char *name, int64_t value) CREASE_MUST_TEST;
crease_status cr_node_set_float(cr_node *node, const char *name, float value) CREASE_MUST_TEST;
crease_status cr_node_set_string(cr_node *node, const char *name, const char *value) CREASE_MUST_TEST;
crease_status cr_node_set_ints(cr_node *node, const char *name, const int64_t *values,
                               int n) CREASE_MUST_TEST;
crease_status cr_node_set_floats(cr_node *node, const char *name, const float *values,
                                 int n) CREASE_MUST_TEST;
/* Any attribute; its arrays must live in the model's arena, its tensors' buffers are retained. Replaces one
 * of that name. */
crease_status cr_node_set_attr(cr_node *node, const cr_attr *attr) CREASE_MUST_TEST;
void cr_node_remove_attr(cr_node *node, const char *name);

/* Copies of the values of bodies, by the id of the original. Zero-initialised; the list is freed by the
 * caller on the model's heap. */
typedef struct cr_copies {
    cr_value **list;
    size_t capacity, n; /* n: runs written out so far, which tells their names apart */
} cr_copies;

/* Write one run of a body out: its nodes are copied before `before`, a node of the graph around it. Its
 * inputs are `inputs` [body->n_inputs]; outputs [body->n_outputs] is what it gives: values of that graph, or
 * of one further out. Copies have new names, and nothing is known of their shapes. */
crease_status cr_graph_expand(const cr_graph *body, cr_node *before, cr_copies *copies,
                              cr_value *const *inputs, cr_value **outputs) CREASE_MUST_TEST;

/* Remove nodes whose outputs nobody uses, in all graphs, until none is left. Every ONNX operator is pure in
 * that sense. */
crease_status cr_model_drop_dead(cr_model *model) CREASE_MUST_TEST;

#endif
