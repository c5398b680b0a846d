#ifndef CREASE_RUNTIME_GRAPH_GRAPH_H
#define CREASE_RUNTIME_GRAPH_GRAPH_H

#include "runtime/base/tensor.h"

/* The intermediate representation. A model owns one tree of graphs (subgraphs hang on attributes of nodes).
 * Everything is allocated from the model's arena and lives as long as the model; removed nodes and values
 * stay allocated but are linked nowhere. Read freely; change only through runtime/graph/edit.h. */

typedef struct cr_model cr_model;
typedef struct cr_graph cr_graph;
typedef struct cr_node cr_node;
typedef struct cr_value cr_value;
struct cr_op; /* a row of the operator table, runtime/ops/op.h */

/* What a value is, as far as the file states it. Only tensors can be computed; sequences and optionals whose
 * structure is fixed are resolved into them (passes/sequences.h), the others are kept so that a model can be
 * inspected and saved. */
typedef enum cr_kind {
    CR_KIND_TENSOR,
    CR_KIND_SEQUENCE,
    CR_KIND_OPTIONAL,
    CR_KIND_SPARSE,
    CR_KIND_MAP
} cr_kind;

typedef struct cr_use {
    cr_node *node; /* may stand in a subgraph of the value's graph */
    int input;
} cr_use;

/* One edge: produced once (by a node, a graph input or a constant), used any number of times. */
struct cr_value {
    int id; /* index into model->values */
    const char *name;
    cr_graph *graph;
    cr_kind kind;
    crease_dtype dtype; /* CREASE_UNDEFINED: not known */
    cr_shape shape;
    bool declared;      /* the model file states type or shape (value_info): kept on saving */
    const void *stated; /* that statement, serialized: written again as it was, whatever inference found */
    size_t stated_bytes;
    cr_node *producer; /* NULL: graph input, constant */
    int producer_output;
    cr_use *uses;
    int n_uses, capacity_uses;
    cr_tensor *constant;  /* the contents, if they are fixed */
    bool is_input;        /* a graph input of its graph */
    bool is_initializer;  /* has an initializer in the file; with is_input and no constant: an overridable
                             default */
    cr_tensor *initial;   /* default of an overridable initializer (is_input); NULL otherwise */
    int n_outputs;        /* how many times it stands among its graph's outputs */
    const void *raw_type; /* kinds other than tensor: the serialized TypeProto */
    size_t raw_type_bytes;
};

/* ONNX AttributeProto.AttributeType numbers. */
typedef enum cr_attr_type {
    CR_ATTR_UNDEFINED = 0,
    CR_ATTR_FLOAT = 1,
    CR_ATTR_INT = 2,
    CR_ATTR_STRING = 3,
    CR_ATTR_TENSOR = 4,
    CR_ATTR_GRAPH = 5,
    CR_ATTR_FLOATS = 6,
    CR_ATTR_INTS = 7,
    CR_ATTR_STRINGS = 8,
    CR_ATTR_TENSORS = 9,
    CR_ATTR_GRAPHS = 10,
    CR_ATTR_SPARSE_TENSOR = 11,
    CR_ATTR_SPARSE_TENSORS = 12,
    CR_ATTR_TYPE_PROTO = 13,
    CR_ATTR_TYPE_PROTOS = 14
} cr_attr_type;

/* A sparse tensor as ONNX states it: values [nnz], indices [nnz] or [nnz, rank], dense shape. */
typedef struct cr_sparse {
    cr_tensor values, indices;
    cr_shape shape;
} cr_sparse;

typedef struct cr_attr {
    const char *name;
    cr_attr_type type;
    int64_t n; /* of the list types; 1 for the single ones */
    union {
        const int64_t *ints; /* INT is ints[0], FLOAT is floats[0], and so on */
        const float *floats;
        const cr_string *strings; /* zero-terminated as well */
        cr_tensor *tensors;
        cr_graph **graphs;
        cr_sparse *sparse;
        const cr_string *raw; /* TYPE_PROTO(S): serialized */
    };
} cr_attr;

struct cr_node {
    int id; /* index into model->nodes */
    const char *name;
    const char *op_type;
    const char *domain; /* "" is ONNX's own ("ai.onnx" is normalised to it); "crease" is ours */
    const char *doc;
    cr_graph *graph;
    cr_node *previous, *next; /* execution order */
    cr_value **inputs;        /* NULL: left out */
    int n_inputs, capacity_inputs;
    cr_value **outputs; /* NULL: left out */
    int n_outputs;
    cr_attr *attrs;
    int n_attrs, capacity_attrs;
    int lanes; /* layout that the node computes in: 0 plain, else the block; set by the lowering passes */
    const struct cr_op *op; /* the row that runs it, or NULL: not resolved or not supported */
    const char *obstacle;   /* why it cannot be run, where a pass knows it: "with a position that only a run
                               decides", "" for what another node's obstacle entails; NULL: see op */
};

struct cr_graph {
    cr_model *model;
    cr_node *owner; /* the node whose attribute it is; NULL: the main graph */
    bool steady; /* of a body: what its values state of types and shapes was found to hold for all its runs */
    cr_shape *empty; /* of a body that repeats: [n_outputs] one element of each output, as far as the file or
                        inference says, for when it does not run; NULL: as the values state */
    const char *name, *doc;
    cr_node *first, *last;
    int n_nodes;
    cr_value **inputs; /* in file order, overridable initializers included */
    int n_inputs;
    cr_value **outputs;
    int n_outputs;
};

typedef struct cr_opset {
    const char *domain;
    int64_t version;
} cr_opset;

typedef struct cr_property {
    const char *key, *value;
} cr_property;

struct cr_model {
    cr_heap *heap; /* one reference */
    cr_arena arena;
    cr_graph *graph; /* the main graph */
    int64_t ir_version, model_version;
    bool lowered; /* made for this machine: nodes of the domain "crease" may stand in it */
    const char *producer_name, *producer_version, *domain, *doc;
    cr_opset *opsets;
    int n_opsets;
    cr_property *properties; /* metadata_props */
    int n_properties;
    cr_value **values; /* all, by id */
    int n_values;
    size_t capacity_values;
    cr_node **nodes; /* all, by id */
    int n_nodes;
    size_t capacity_nodes;
    const char **symbols; /* dim symbol s has name symbols[CR_DIM_FIRST_SYMBOL - s] */
    int n_symbols;
    size_t capacity_symbols;
    cr_buffer **buffers; /* references to release with the model */
    size_t n_buffers, capacity_buffers;
    struct cr_names *names; /* value names in use, for unique new ones */
};

/* Nodes of a graph in order; removing `node` inside the loop is allowed with CR_FOR_NODES_SAFE. */
#define CR_FOR_NODES(node, graph) for (cr_node *node = (graph)->first; node; node = node->next)
#define CR_FOR_NODES_SAFE(node, graph)                                                                       \
    for (cr_node *node = (graph)->first, *node##_next = node ? node->next : NULL; node;                      \
         node = node##_next, node##_next = node ? node->next : NULL)

/* Version of the operator set of `domain` that the model imports; 0: none. */
int64_t cr_model_opset(const cr_model *model, const char *domain);

/* The constant contents of input i of a node; NULL when absent or not constant. */
const cr_tensor *cr_node_constant(const cr_node *node, int input);
/* Input or output i, NULL when absent or out of range. */
cr_value *cr_node_input(const cr_node *node, int i);
cr_value *cr_node_output(const cr_node *node, int i);

bool cr_node_is(const cr_node *node, const char *op_type); /* in ONNX's own domain */

/* Used by exactly one node input and no graph output. */
bool cr_value_has_one_use(const cr_value *value);

/* "node 'conv1' (Conv)" for sentences; written into text, returned. */
const char *cr_node_print(const cr_node *node, char *text, size_t bytes);

/* Call visit for every graph of the model, outer before inner; stops at the first failure. */
crease_status cr_model_each_graph(cr_model *model, crease_status (*visit)(cr_graph *graph, void *context),
                                  void *context) CREASE_MUST_TEST;

#endif
