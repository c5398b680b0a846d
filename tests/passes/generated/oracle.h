#ifndef CREASE_TESTS_PASSES_GENERATED_ORACLE_H
#define CREASE_TESTS_PASSES_GENERATED_ORACLE_H

#include "runtime/graph/graph.h"

/* The judge of the generated networks: a second implementation of the operators they use, in plain loops over
 * long double, which shares no code with kernels, operators or passes. It must be more exact than what it
 * judges, and float64 networks are among them.
 *
 * Every element carries a radius: how far from it a computation in a narrow type may lie. Constants start
 * with one rounding, each operator adds its own (folding.md: 3 u sqrt(K) |W x|_2 + 2 u |b| for a sum of K
 * products) and passes on what its inputs bring. With all units 0 the radii are 0 and the values are the
 * exact network. */

typedef long double real;

enum { ORACLE_MAX_RANK = 8 };

typedef struct tracked {
    int rank;
    int64_t dims[ORACLE_MAX_RANK];
    int64_t n;
    real *value, *radius; /* [n] */
} tracked;

typedef struct oracle_units {
    real constant; /* relative error of a float constant */
    real step;     /* unit of rounding of an operator */
    real tiny;     /* absolute error of any rounding: half the least denormal number */
} oracle_units;

typedef struct oracle {
    const cr_model *model;
    oracle_units units;
    tracked *values; /* [model->n_values], by id */
    void **blocks;   /* released at the end */
    size_t n_blocks;
} oracle;

/* Units of a type: constants and results rounded to it. */
oracle_units oracle_units_of(crease_dtype dtype);

/* Evaluate the main graph; inputs [model->graph->n_inputs], those with an initial value may be NULL data.
 * Ends the test when the network holds an operator that the oracle does not know. */
void oracle_run(oracle *o, const cr_model *model, const cr_tensor *inputs, oracle_units units);
/* The same for `first` and the nodes behind it alone, where `value` holds `contents`. */
void oracle_run_part(oracle *o, const cr_model *model, const cr_node *first, const cr_value *value,
                     const cr_tensor *contents);
const tracked *oracle_value(const oracle *o, const cr_value *value);
const tracked *oracle_output(const oracle *o, int i);
void oracle_end(oracle *o);

/* ---- inside the oracle ---- */

typedef struct operands {
    oracle *oracle;
    const cr_node *node;
    const tracked *in[16]; /* NULL: left out */
    tracked *out;          /* output 0 */
} operands;

tracked oracle_new(oracle *o, int rank, const int64_t *dims);
/* out[i] = in[j], with its radius. */
void oracle_move(tracked *out, int64_t i, const tracked *in, int64_t j);
/* A result of this value whose inputs bring `radius`: rounded once. */
void oracle_put(const operands *p, int64_t i, real value, real radius);

int64_t oracle_int(const cr_node *node, const char *name, int64_t otherwise);
real oracle_float(const cr_node *node, const char *name, float otherwise);
bool oracle_text_is(const cr_node *node, const char *name, const char *otherwise, const char *value);
/* Attribute `name`, or input `input` where that is given, as integers; the number of them, 0: none. */
int oracle_ints(const operands *p, const char *name, int input, int64_t *values);

/* Count `at` on through all positions of dims; false when it is back at the beginning. */
bool oracle_next(int rank, const int64_t *dims, int64_t *at);
int64_t oracle_at(int rank, const int64_t *dims, const int64_t *at);

/* A sliding window over the axes from 2 on: of convolutions and pools. */
typedef struct window {
    int n;
    int64_t kernel[ORACLE_MAX_RANK], stride[ORACLE_MAX_RANK], dilation[ORACLE_MAX_RANK];
    int64_t begin[ORACLE_MAX_RANK], end[ORACLE_MAX_RANK], out[ORACLE_MAX_RANK];
} window;
window oracle_window(const operands *p, const int64_t *kernel, int n);

/* One family each; false: another operator. */
bool oracle_elementwise(operands *p);
bool oracle_linear(operands *p);
bool oracle_movement(operands *p);
bool oracle_spatial(operands *p);

#endif
