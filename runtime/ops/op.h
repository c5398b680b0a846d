#ifndef CREASE_RUNTIME_OPS_OP_H
#define CREASE_RUNTIME_OPS_OP_H

#include "runtime/base/threads.h"
#include "runtime/graph/attr.h"
#include "runtime/ops/tune.h"

/* An operator is three functions in a table row:
 *
 *     infer    output types and shapes from those of the inputs, often without knowing their contents;
 *     prepare  once for each plan (fixed input shapes): attributes, weight packing, scratch size, algorithm;
 *     run      the computation: no attribute parsing, no allocation but dynamic outputs.
 *
 * A model is checked by ONNX's rules here; kernels below see only pointers, sizes and strides. */

/* What is known of a value before or while it is computed. */
typedef struct cr_info {
    crease_dtype dtype;
    int lanes; /* layout: 0 plain, else channel-blocked */
    cr_shape shape;
    const cr_tensor *known; /* the contents, when they are fixed or already computed; else NULL */
} cr_info;

typedef struct cr_infer {
    const cr_node *node;
    const struct cr_op *op;
    int64_t opset; /* of the node's domain */
    int n_in, n_out;
    const cr_info *const *in; /* [n_in]; NULL: left out */
    cr_info *out;             /* [n_out], preset to unknown; entries of left-out outputs are ignored */
    /* Infer a subgraph of the node for inputs [graph->n_inputs] into outputs [graph->n_outputs]: unknown
     * where that fails, since a branch that does not fit may never be taken. NULL: the subgraph runs later.
     */
    crease_status (*body)(const struct cr_infer *infer, const cr_graph *graph, const cr_info *inputs,
                          cr_info *outputs);
    struct cr_infer_walk *walk; /* for body */
} cr_infer;

/* Packed weights and other bytes that depend on a node and its constant inputs only, not on input shapes:
 * made once in a session and shared by its plans (packs.h). */
typedef struct cr_packs cr_packs;

typedef struct cr_prepare {
    const cr_node *node;
    const struct cr_op *op;
    int64_t opset;
    int n_in, n_out;
    const cr_info *const *in; /* concrete shapes; known: constants */
    const cr_info *out;       /* concrete, or unknown for data-dependent outputs */
    bool is_part;             /* of a batch; how many images it has depends on the threads, so that what is
                                 chosen must not depend on it: it would show in the results */
    bool any_shape;           /* CR_OP_AHEAD is made use of: prepared for likely shapes first, then for each
                                 run, when `convolution` is the algorithm and input 1's contents may be gone */
    cr_arena *arena;          /* lives as long as the plan: allocate the state here */
    cr_pool *pool;
    cr_packs *packs;
    bool exact;              /* crease_options.exact */
    const char *convolution; /* crease_options.convolution */
    cr_tuner *tuner;         /* NULL: the cost model chooses */
    double byte_cost;        /* of packed weights (conv.h); above 0 the cost model chooses */
    /* results */
    void *state;
    size_t scratch_bytes;  /* one block for the whole node; the operator divides it among threads */
    const char *algorithm; /* for profiles: constant or arena strings */
    const char *note;      /* what is fused into it */
    const char *refused;   /* why other algorithms do not run it: "name: reason; ..." */
} cr_prepare;

typedef struct cr_run {
    const cr_node *node;
    const struct cr_op *op;
    void *state;
    int n_in, n_out;
    const cr_tensor *const *in; /* [n_in]; NULL: left out */
    cr_tensor *const *out;      /* [n_out]; NULL: left out. data is set unless the shape was unknown */
    void *scratch;              /* never NULL */
    size_t scratch_bytes;       /* at least what prepare asked for */
    cr_pool *pool;
    cr_heap *heap;
    /* Give a data-dependent output its shape and memory; fills out[i]. */
    crease_status (*allocate)(struct cr_run *run, int i, const cr_shape *shape);
    /* Run a subgraph of the node: inputs [graph->n_inputs] are borrowed; outputs [graph->n_outputs] are given
     * with a reference each, to be released by the caller. */
    crease_status (*subgraph)(struct cr_run *run, cr_graph *graph, const cr_tensor *inputs,
                              cr_tensor *outputs);
    void *executor; /* for the two callbacks */
} cr_run;

enum {
    CR_OP_VIEW = 1 << 0,    /* output 0 has the bytes of input 0: run copies only to other memory */
    CR_OP_INPLACE = 1 << 1, /* element by element: output 0 may be any input's memory of its size and type */
    CR_OP_JOIN = 1 << 2,    /* inputs one after another in output 0 (Concat): run skips those already there */
    CR_OP_PART = 1 << 3,    /* outputs stand one after another in input 0 (Split): likewise */
    CR_OP_ADDS = 1 << 4,    /* output 0 may be the memory of input 3, a residual of its size and type */
    CR_OP_HALF = 1 << 5, /* handles float16 and bfloat16 itself; others are given float32 and rounded back */
    CR_OP_RANDOM = 1 << 6, /* not a function of its inputs: never folded into a constant */
    CR_OP_BODY = 1 << 7, /* runs subgraphs; its outputs are its own, to be replaced by what a subgraph gave */
    CR_OP_IMAGES = 1 << 8, /* element n of axis 0 of the outputs comes from element n of axis 0 of the inputs
                              that are not constant: may be prepared and run for a part of the batch */
    CR_OP_AHEAD = 1 << 9   /* what prepare packs of a constant input 1 serves all shapes of the others: may be
                              packed before those are known, by preparing for likely ones */
};

enum { CR_OP_RESIDUAL = 3 }; /* input of rows with CR_OP_ADDS */

typedef struct cr_op {
    const char *name;
    int since, until; /* operator-set versions of its domain, both included; until 0: the newest */
    cr_types types;   /* of input `typed`; 0: infer checks */
    crease_status (*infer)(cr_infer *infer);
    crease_status (*prepare)(cr_prepare *prepare); /* NULL: nothing to prepare */
    crease_status (*run)(cr_run *run);
    int variant; /* means what the family wants */
    unsigned flags;
    int typed;          /* which input `types` speaks of, 0 for nearly all */
    const char *domain; /* NULL: ONNX's own */
} cr_op;

/* Each family file ends with its rows; the table ends with a row without a name. */
extern const cr_op cr_ops_attention[], cr_ops_batch_norm[], cr_ops_binary[], cr_ops_blocked[],
    cr_ops_blocked_conv[], cr_ops_blocked_move[], cr_ops_blocked_pool[], cr_ops_boxes[], cr_ops_bytes[],
    cr_ops_cast[], cr_ops_concat[], cr_ops_constant[], cr_ops_control[], cr_ops_conv[], cr_ops_deform[],
    cr_ops_einsum[], cr_ops_gather[], cr_ops_gemm[], cr_ops_gemm_fused[], cr_ops_integer[],
    cr_ops_layer_norm[], cr_ops_loss[], cr_ops_matrix[], cr_ops_move[], cr_ops_norm[], cr_ops_pad[],
    cr_ops_pool[], cr_ops_qlinear[], cr_ops_quantize[], cr_ops_random[], cr_ops_recurrent[], cr_ops_reduce[],
    cr_ops_resize[], cr_ops_sample[], cr_ops_scan[], cr_ops_select[], cr_ops_sequence[], cr_ops_shape[],
    cr_ops_signal[], cr_ops_slice[], cr_ops_softmax[], cr_ops_unary[], cr_ops_unique[], cr_ops_unpool[];

/* The row that runs op_type of domain at an operator-set version; NULL: none. */
const cr_op *cr_op_find(const char *domain, const char *op_type, int64_t opset);
/* Whether it is of the domain "crease", which lowered models alone have. */
bool cr_op_is_ours(const cr_op *op);
/* All rows in table order; NULL past the end. */
const cr_op *cr_op_at(size_t index);

/* Fill node->op for every node of the model, subgraphs included; nodes without a row keep NULL. */
crease_status cr_model_resolve(cr_model *model) CREASE_MUST_TEST;
void cr_node_resolve(cr_node *node); /* one node */

/* Why crease cannot run this node, as a sentence into text; NULL when it can. */
const char *cr_node_problem(const cr_node *node, char *text, size_t bytes);

/* Run run->op. Operators of the domain "crease" take subnormal numbers, operands and results, for 0. */
crease_status cr_op_run(cr_run *run) CREASE_MUST_TEST;

/* ---- for prepare ---- */

/* Packed bytes under (node, kind), a string that outlives the session. When they do not exist yet, fill
 * writes them before the first run: side by side with others, in any thread. context must live as long as the
 * plan. `reads`: the known inputs whose contents fill reads; where one of them is no constant of the model,
 * what is packed belongs to the plan. With CR_PACK_REPLACES there is one, which run does not read, so that
 * its own memory can go; *packed must then live as long as the plan, and is set no later than it is filled.
 * Otherwise *packed is set at once. */
#define CR_PACK_READS(input) (1U << (input))
#define CR_PACK_REPLACES     (1U << 31)
typedef void cr_pack_fill(const void *context, void *packed);
crease_status cr_prepare_pack(cr_prepare *prepare, const char *kind, unsigned reads, size_t bytes,
                              cr_pack_fill *fill, const void *context, const void **packed) CREASE_MUST_TEST;
#define CR_PREPARE_STATE(prepare, pointer) cr_prepare_state((prepare), sizeof **(pointer), (void **)(pointer))
/* Zeroed state of the plan's lifetime, stored in prepare->state. */
crease_status cr_prepare_state(cr_prepare *prepare, size_t bytes, void **state) CREASE_MUST_TEST;

/* Scratch memory for a plain tensor from byte *at on, behind what is reserved so far. what: "the operands".
 */
crease_status cr_prepare_reserve(cr_prepare *prepare, crease_dtype dtype, const cr_shape *shape,
                                 const char *what, size_t *at) CREASE_MUST_TEST;

/* A failure that begins with the node: "node 'conv1' (Conv): ...". */
crease_status cr_node_fail(const cr_node *node, crease_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#endif
