#ifndef CREASE_TESTS_PASSES_GENERATED_NETWORK_H
#define CREASE_TESTS_PASSES_GENERATED_NETWORK_H

#include "tests/passes/small.h"

/* A random network being written, from its seed: the model, and what folding must make of each affine. */

/* Every failure names the network. */
extern unsigned net_seed;
#undef OK
#define OK(call) cr_assert_eq((call), CREASE_OK, "seed %u: %s", net_seed, crease_error_message())

enum { NET_MAX_EXPECTED = 64 };

typedef struct expectation {
    const char *node;
    /* The pattern by which it must be folded, or the reason for which it must be kept; "-": no entry (an
     * affine other than BatchNormalization stays); alternatives are separated by '|', "*" is any. */
    const char *outcome;
} expectation;

typedef struct network {
    small base;
    crease_dtype dtype;
    int64_t opset;
    cr_value *end; /* what the next phrase works on */
    int n_names;
    expectation expected[NET_MAX_EXPECTED];
    int n_expected;
    bool assume_const;
    const char *keep, *only; /* as in crease_fold_options */
    int roundings;           /* of a constant, one after another */
    bool open_batch;         /* the size of axis 0 is not known before it runs */
    bool last;               /* nothing may follow */
    bool undefined;          /* the results may be anything: they are not compared */
} network;

network net_begin(unsigned seed, crease_dtype dtype, int64_t opset, int rank, const int64_t *dims);

/* ---- chance ---- */

int net_pick(network *n, int low, int high); /* both included */
bool net_chance(network *n, int percent);

/* ---- building; names are fresh ---- */

cr_value *net_input(network *n, crease_dtype dtype, int rank, const int64_t *dims);
/* Float constants of the network's type, uniform in [low, high] before they are rounded. */
cr_value *net_constant(network *n, double low, double high, int rank, const int64_t *dims);
cr_value *net_typed(network *n, crease_dtype dtype, double low, double high, int rank, const int64_t *dims);
cr_value *net_ints(network *n, int count, const int64_t *values);
/* Weights of such a size that sums of `terms` products stay near 1. */
cr_value *net_weight(network *n, int64_t terms, int rank, const int64_t *dims);
double net_get(const cr_value *constant, int64_t i);
void net_set(cr_value *constant, int64_t i, double value);

/* The first output of a new node with these inputs. A NULL at the end is left out. */
cr_value *net_node(network *n, const char *op, int n_inputs, cr_value **inputs);
cr_node *net_last(const network *n); /* the node made last */
const char *net_last_name(const network *n);
cr_value *net_bn(network *n, cr_value *x, int64_t channels);
void net_output(network *n, cr_value *value);
void net_print(const network *n);                 /* to stderr, for the reader of a failure */
void net_settle(network *n);                      /* shapes of all values are known from here on */
int64_t net_dim(const cr_value *value, int axis); /* axis < 0: from the end */

/* A non-linear operator, so that what stands before it and what stands behind know nothing of each other.
 * It is no activation by name: the reason of an affine beside it is the other side's. */
void net_barrier(network *n);

/* ---- what must happen ---- */

/* outcome may be a format. The last word on a node counts. */
void net_expect(network *n, const char *node, const char *outcome, ...) __attribute__((format(printf, 3, 4)));
const char *net_format(network *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- phrases: each extends the network at n->end and says what must become of its affines ---- */

void phrase_behind(network *n);  /* linear operator, passages, affines */
void phrase_ahead(network *n);   /* affines, passages, linear operator */
void phrase_joined(network *n);  /* Concat or sum of linear operators, one of them maybe unfit; an affine */
void phrase_fed(network *n);     /* BatchNormalization with several consumers, one of them maybe unfit */
void phrase_refused(network *n); /* a linear operator with something that keeps its BatchNormalization */
void phrase_affines(network *n); /* BatchNormalization and arithmetic that go into one another */
void phrase_lookalikes(network *n); /* arithmetic behind a linear operator that is nearly an affine */
void phrase_constants(
    network *n); /* weights and parameters computed from constants, shared, or overridable */
void phrase_quantized(network *n); /* quantised weights */
void phrase_bodies(network *n);    /* inside of If */
void phrase_loops(network *n);     /* inside of Loop, or of If in Loop; ends the network */
void phrase_scans(network *n);     /* inside of Scan; ends the network */
void phrase_old(network *n);       /* what operator sets before 9 said otherwise */
void phrase_spoiled(network *n);   /* parameters that are no good numbers; ends the network */
void phrase_idle(network *n);      /* between steps of whole numbers, or without channels; ends the network */
void phrase_wild(network *n);      /* anything, with no expectation of single nodes */

/* ---- linear operators ---- */

typedef struct linear {
    const char *code, *other, *ahead; /* as it stands in patterns: behind it (other: or so), ahead of it */
    cr_node *node;                    /* whose weights they are */
    int in_axis, out_axis;
    bool biased;     /* can take a shift */
    bool has_border; /* some outputs see zeros in place of inputs */
} linear;

/* Any linear operator that n->end suits; it becomes n->end. */
linear net_linear(network *n);
linear net_conv(network *n, int64_t out);
linear net_conv_transpose(network *n);
linear net_product(network *n);

/* ---- affines ---- */

typedef struct affine {
    const char *code, *name; /* as in patterns; of its node */
    int axis;                /* -1: one pair for all elements */
    bool negative, shifts;   /* some s < 0; some t != 0 */
} affine;

/* BatchNormalization of n->end, or Mul, Add, Sub, Div by a constant on either side; negative and shifts: what
 * the affine may be at most. */
affine net_affine_bn(network *n, bool negative, bool shifts);
affine net_affine_arithmetic(network *n, int axis, bool negative, bool shifts);

/* ---- passages: operators between an affine and a linear operator ---- */

/* The channels of one axis, carried through operators by the oracle, so that it is the data that say where
 * they go. */
typedef struct route {
    const cr_value *at;                      /* where it has come to */
    const char *first, *last;                /* codes of the passages; NULL: none */
    bool needs_positive, no_shift, no_scale; /* what an affine must be to commute with them */
    bool regrouped;                          /* a Reshape, DepthToSpace or the like is among them */
    bool exotic;                             /* a fold would be right, but is not asked for: see route.c */
    int64_t n, elements;                     /* channels at the beginning; elements at the end */
    bool *reached;                           /* [elements, n] element of the end, channel of the beginning */
} route;

void route_begin(route *r, network *n, int axis); /* axis -1: all elements are one channel */
/* One more random passage behind n->end, if one suits. */
void route_step(route *r, network *n);
void route_end(route *r);
/* Every channel of the beginning reaches one index of `axis` of the end. True for axis -1 and for one index.
 */
bool route_gathers(const route *r, int axis);
/* Every index of `axis` of the end is reached by one channel of the beginning. True for axis -1 and for one
 * channel. */
bool route_spreads(const route *r, int axis);

/* ---- what must become of an affine between which and the operator l lies the route ---- */

typedef struct meeting {
    const route *route;
    const linear *linear;
    bool fits; /* the route brings the channels together */
    bool back; /* the affine stands behind the operator */
} meeting;

/* The reasons against a fold, separated by '|'; "" when there is none. */
const char *net_reasons(network *n, const meeting *m, bool negative, bool shifts);
/* A fold would be right but is not asked for, or the affine has one channel only, so that it fits anywhere.
 */
bool net_is_exotic(const meeting *m, const affine *a);
void net_expect_meeting(network *n, const meeting *m, const affine *a, const char *reasons);

#endif
