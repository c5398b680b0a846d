#ifndef CREASE_PROTO_SCOPE_H
#define CREASE_PROTO_SCOPE_H

#include "runtime/graph/edit.h"

#include "onnx.pb-c.h"

/* Names to values while a graph or a function body is imported. Keys are borrowed from the parsed file. */
typedef struct cr_slot {
    const char *name; /* NULL: free */
    cr_value *value;  /* NULL: an input that the caller of a function leaves out */
} cr_slot;

struct cr_call;

typedef struct cr_scope {
    struct cr_scope *outer; /* where names that are not found here are looked up; NULL: nowhere */
    cr_graph *graph;        /* which gets the new values */
    const struct cr_call
        *call;      /* the function call that this stands in, directly or in a subgraph; or NULL */
    cr_slot *slots; /* open addressing, capacity a power of two, at most half full */
    size_t capacity;
} cr_scope;

/* A function body being imported in place of the node that calls it. */
typedef struct cr_call {
    const CreaseOnnx__FunctionProto *function;
    const CreaseOnnx__NodeProto *node;
    cr_scope *site;     /* the scope of the calling node; site->call is the call around this one */
    const char *prefix; /* of the names of everything that comes from the body */
} cr_call;

/* Room for `names` different names. */
crease_status cr_scope_open(cr_scope *scope, cr_scope *outer, const cr_call *call, cr_graph *graph,
                            size_t names) CREASE_MUST_TEST;
void cr_scope_close(cr_scope *scope);

/* Outward; false: nowhere. *value may be NULL, see cr_slot. */
bool cr_scope_find(const cr_scope *scope, const char *name, cr_value **value);
/* In this scope alone; false: not there. */
bool cr_scope_has(const cr_scope *scope, const char *name, cr_value **value);
/* The value of that name in this scope, made if need be (with a name of its own inside a call). */
crease_status cr_scope_define(cr_scope *scope, const char *name, cr_value **value) CREASE_MUST_TEST;
/* Let a name that the scope does not have stand for value. */
void cr_scope_bind(cr_scope *scope, const char *name, cr_value *value);

#endif
