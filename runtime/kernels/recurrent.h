#ifndef CREASE_RUNTIME_KERNELS_RECURRENT_H
#define CREASE_RUNTIME_KERNELS_RECURRENT_H

#include "runtime/base/dtype.h"
#include "runtime/kernels/activation.h"

/* What recurrent layers do between two matrix products, for one sequence and one step. */

/* Gates and states are padded to a multiple of this many elements; padding is computed like the rest and
 * means nothing. */
enum { CR_CELL_PAD = 16 };

/* Activations by ONNX's names; a and b are its alpha and beta. */
typedef enum cr_cell_act {
    CR_CELL_TANH,
    CR_CELL_SIGMOID,
    CR_CELL_RELU,
    CR_CELL_HARD_SIGMOID, /* min(max(a x + b, 0), 1) */
    CR_CELL_AFFINE,       /* a x + b */
    CR_CELL_LEAKY_RELU,
    CR_CELL_THRESHOLDED_RELU, /* x > a ? x : 0 */
    CR_CELL_SCALED_TANH,      /* a tanh(b x) */
    CR_CELL_ELU,
    CR_CELL_SOFTSIGN,
    CR_CELL_SOFTPLUS
} cr_cell_act;

typedef struct cr_cell_activation {
    cr_cell_act kind;
    double a, b;
} cr_cell_activation;

double cr_cell_activate(const cr_cell_activation *activation, double x);

/* A layer in one direction. Pointers are to float or double, like the kernels that read them. */
typedef struct cr_cell {
    int64_t n; /* padded hidden size */
    cr_cell_activation f, g, h;
    double clip;        /* arguments of the gates' activations are kept in [-clip, clip]; infinity: nowhere.
                         * The LSTM's h is no gate: what it is applied to is not clipped. */
    bool coupled;       /* LSTM: the forget gate is 1 - the input gate */
    bool linear;        /* GRU: reset after the product, linear_before_reset */
    const void *bias;   /* [gates][n], added to x + r */
    const void *bias_r; /* linear GRU: [n], added to the candidate's r before the reset */
    const void *peep;   /* LSTM: [3][n] for input, output and forget gate; or NULL */
} cr_cell;

/* x and r [gates][n]: input and state times their weights, gates in ONNX's order (GRU: update, reset,
 * candidate; LSTM: input, output, forget, candidate). h and c [n]: the states, replaced. Nothing overlaps. */
typedef struct cr_cell_kernels {
    void (*rnn)(const cr_cell *cell, const void *x, const void *r, void *h);
    void (*lstm)(const cr_cell *cell, const void *x, const void *r, void *h, void *c);
    /* reset = the reset gate times h, for a GRU that is not linear: the caller multiplies it by the
     * candidate's weights into r before the next. */
    void (*gru_reset)(const cr_cell *cell, const void *x, const void *r, const void *h, void *reset);
    void (*gru)(const cr_cell *cell, const void *x, const void *r, void *h);
} cr_cell_kernels;

extern const cr_cell_kernels cr_cell_f32_reference, cr_cell_f64;
/* float32 with vectors, within 1e-6 of the reference; Tanh, Sigmoid, Relu, HardSigmoid, LeakyRelu and Elu
 * only. */
extern const cr_cell_kernels cr_cell_f32_generic, cr_cell_f32_avx2, cr_cell_f32_avx512;

/* The best kernels for this processor and cell. */
const cr_cell_kernels *cr_cell_kernels_for(crease_dtype dtype, const cr_cell *cell);

#endif
