#ifndef CREASE_RUNTIME_API_COMPARE_H
#define CREASE_RUNTIME_API_COMPARE_H

#include "runtime/base/tensor.h"

/* What two tensors differ by. */

typedef struct cr_difference {
    double max_abs;   /* largest |a - b|; equal infinities and two NaNs differ by nothing, anything else
                         non-finite by infinity, and so do tensors of other shapes */
    double magnitude; /* largest finite |b| */
} cr_difference;

/* Floats of any two types; other types compare element by element as bytes, with a distance of 0 or 1. */
cr_difference cr_compare(const cr_tensor *a, const cr_tensor *b);

/* max_abs over the magnitude, or max_abs itself where all of b is 0. */
double cr_relative(const cr_difference *difference);

/* Whether every row of two [rows, classes] tensors has its largest element at the same place: 1, 0, or -1 for
 * other tensors. */
int cr_same_top1(const cr_tensor *a, const cr_tensor *b);

#endif
