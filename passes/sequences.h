#ifndef CREASE_PASSES_SEQUENCES_H
#define CREASE_PASSES_SEQUENCES_H

#include "runtime/graph/edit.h"
#include "runtime/ops/infer.h"

/* What the files of cr_pass_resolve_sequences (sequences.c) share. */

typedef enum cr_holding {
    CR_HOLDS_ITSELF,  /* a tensor, as far as anything is said; its type is known where it is sure to be one */
    CR_HOLDS_UNKNOWN, /* a sequence or optional that is not known before the model runs */
    CR_HOLDS_LIST,    /* a sequence, or an optional with one in it */
    CR_HOLDS_TENSOR,  /* an optional with a tensor in it */
    CR_HOLDS_NOTHING  /* an optional with nothing in it */
} cr_holding;

typedef struct cr_contents {
    cr_holding holding;
    crease_dtype dtype;  /* of the elements of a list; CREASE_UNDEFINED: not known */
    cr_value **elements; /* tensors */
    size_t n;
} cr_contents;

typedef struct cr_sequences {
    cr_model *model;
    cr_infer_walk walk;    /* what is known of the nodes so far */
    cr_arena arena;        /* lists */
    cr_contents *contents; /* [capacity] by value id */
    size_t capacity;
    size_t n_listed, n_written; /* elements of lists, nodes written out, so far */
    cr_copies copies;
    bool changed;
} cr_sequences;

/* Larger sequences, or more elements or nodes in all, are left: a small file could ask for any number. */
enum { CR_MAX_SEQUENCE = 1 << 16, CR_MAX_LISTED = 1 << 24, CR_MAX_WRITTEN = 1 << 16 };

cr_contents cr_sequences_get(const cr_sequences *s, const cr_value *value);
crease_status cr_sequences_set(cr_sequences *s, const cr_value *value, cr_contents contents) CREASE_MUST_TEST;
/* An empty list with room for n, counted; *list is NULL where that is too many, and node refused. */
crease_status cr_sequences_list(cr_sequences *s, cr_node *node, size_t n, cr_value ***list) CREASE_MUST_TEST;

/* The node is left as it is: the rest of "operator X ... is not supported" goes to its obstacle. */
crease_status cr_sequences_refuse(cr_sequences *s, cr_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));
/* For a value that is needed and not known. */
crease_status cr_sequences_refuse_value(cr_sequences *s, cr_node *node,
                                        const cr_value *value) CREASE_MUST_TEST;
/* What is wrong whenever it runs: a MODEL failure, but in a body, which may never run, an obstacle; the rest
 * of "operator X ...". */
crease_status cr_sequences_wrong(cr_sequences *s, cr_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));

/* What is known of a tensor; of others, nothing. */
cr_info cr_sequences_info(const cr_sequences *s, const cr_value *value);
/* Integers that input i is known to hold: int32 or int64, of rank 0 or 1. *list is NULL where it holds
 * others, and the node refused; `what` is what they are: "sizes". */
crease_status cr_sequences_ints(cr_sequences *s, cr_node *node, int i, const char *what,
                                const cr_tensor **list) CREASE_MUST_TEST;

/* Another operator in place of the node's, with other inputs and without attributes; or a new node. Not
 * inferred yet. */
crease_status cr_sequences_become(cr_sequences *s, cr_node *node, const char *op_type,
                                  cr_value *const *inputs, int n_inputs) CREASE_MUST_TEST;
crease_status cr_sequences_add(cr_sequences *s, cr_node *before, const char *op_type, cr_value *const *inputs,
                               int n_inputs, cr_value *const *outputs, int n_outputs,
                               cr_node **node) CREASE_MUST_TEST;
crease_status cr_sequences_infer(cr_sequences *s, const cr_node *node) CREASE_MUST_TEST;
/* Squeeze or Unsqueeze of one axis, into a new value called name. */
crease_status cr_sequences_axis(cr_sequences *s, cr_node *before, const char *op_type, cr_value *x,
                                int64_t axis, const char *name, cr_value **y) CREASE_MUST_TEST;
/* Let node be the concatenation of tensors along an axis, a new one if asked for. */
crease_status cr_sequences_join(cr_sequences *s, cr_node *node, cr_value *const *elements, size_t n,
                                int64_t axis, bool new_axis) CREASE_MUST_TEST;

/* Resolve the nodes from first up to stop (NULL: the last). */
crease_status cr_sequences_nodes(cr_sequences *s, cr_node *first, const cr_node *stop) CREASE_MUST_TEST;

/* How one operator is resolved. Leaves the node alone, makes it another, sets what its outputs hold, or
 * refuses it. */
typedef crease_status cr_sequences_rule(cr_sequences *s, cr_node *node);
/* sequences_rules.c: that of the operator in the model's operator set, or NULL */
cr_sequences_rule *cr_sequences_rule_of(const cr_node *node);
/* Of those operators, the ones whose result is a tensor whatever it is. */
bool cr_sequences_gives_tensor(const cr_node *node);
/* sequences_bodies.c */
cr_sequences_rule cr_sequences_if, cr_sequences_loop, cr_sequences_map;

#endif
