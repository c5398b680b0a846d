#ifndef CREASE_PASSES_AFFINE_H
#define CREASE_PASSES_AFFINE_H

#include "runtime/graph/graph.h"

/* The arithmetic of folding, all of it in double with one rounding at the end. A batch normalisation at
 * inference is y = s x + t, s = gamma / sqrt(var + eps), t = beta - mean s (Ioffe and Szegedy 2015; ONNX
 * BatchNormalization 1 to 15). */
typedef struct cr_affine {
    int64_t n;                              /* channels */
    double *gamma_over_sigma, *mean, *beta; /* s, mean, beta: [n], in the model's arena */
} cr_affine;

/* The affine of a BatchNormalization node. *reason is NULL when it has one, else why not (a stable code). */
crease_status cr_affine_of(const cr_node *bn, cr_affine *affine, const char **reason) CREASE_MUST_TEST;

/* Round value once into element i of a float tensor; false when it does not fit the type. */
bool cr_store_rounded(cr_tensor *tensor, int64_t i, double value);

#endif
