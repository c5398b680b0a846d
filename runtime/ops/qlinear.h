#ifndef CREASE_RUNTIME_OPS_QLINEAR_H
#define CREASE_RUNTIME_OPS_QLINEAR_H

#include "runtime/ops/infer.h"

/* Operators on 8-bit integers, each the quantised form of one on floats: operands with a scale and a zero
 * point each, and those of the result. ONNX has two of them, QLinearConv and QLinearMatMul (integer.c); the
 * quantiser of ONNX Runtime writes others, of the domain com.microsoft, which are documented with it. */

enum { CR_QLINEAR_OPERANDS = 64 };

typedef struct cr_qlinear_form {
    const char *name, *domain;
    const char *inside; /* of ONNX's own domain, with the same attributes */
    int version;        /* of `inside` */
    int operand;        /* input; its scale and zero point follow, then the next operand */
    int n_operands;     /* 0: up to the last input */
    int result;         /* input: scale of the result; its zero point follows */
    int bias;           /* input: int32, in steps of the product of the operands' scales; -1: none */
} cr_qlinear_form;

/* NULL: it is none. */
const cr_qlinear_form *cr_qlinear_form_of(const cr_node *node);
int cr_qlinear_operands(const cr_qlinear_form *form, int n_inputs);
/* The axis of operand i, of a known rank, whose indices may have a scale each; -1: there is one for all. */
crease_status cr_qlinear_axis(const cr_qlinear_form *form, const cr_node *node, int operand, int rank,
                              int *axis) CREASE_MUST_TEST;

/* The bias in float32: in steps of a_scale times that of b, which has one for all or one for each column. */
void cr_qlinear_bias(const cr_tensor *bias, float a_scale, const cr_tensor *b_scale, float *to);

#endif
