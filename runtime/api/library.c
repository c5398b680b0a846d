#include "runtime/base/cpu.h"
#include "runtime/base/structs.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/op.h"

#include <pthread.h>
#include <stdio.h>

/* What the library says of itself. */

#define STRING_OF(x) #x
#define STRING(x)    STRING_OF(x)
#ifndef CREASE_VERSION
#define CREASE_VERSION 0.1.0
#endif

const char *crease_version(void) {
    return STRING(CREASE_VERSION);
}

static char build_info[256];

static void describe_build(void) {
    snprintf(build_info, sizeof build_info, "crease %s, kernels %s, BLAS %s, compiler %s", crease_version(),
             cr_cpu_kernels_name(), cr_blas_description(), __VERSION__);
}

const char *crease_build_info(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, describe_build);
    return build_info;
}

const char *crease_kernels_name(void) {
    return cr_cpu_kernels_name();
}

const char *crease_blas_name(void) {
    return cr_blas_description();
}

/* The rows that model files may use; our own domain is no business of theirs. */
static const cr_op *public_op(size_t index) {
    const cr_op *op;
    for (size_t i = 0; (op = cr_op_at(i)) != NULL; i++)
        if (!cr_op_is_ours(op) && index-- == 0)
            return op;
    return NULL;
}

size_t crease_n_operators(void) {
    size_t n = 0;
    while (public_op(n))
        n++;
    return n;
}

bool crease_operator_at(size_t index, crease_operator_info *info) {
    const cr_op *op = public_op(index);
    if (!op)
        return false;
    const crease_operator_info full = {.name = op->name,
                                       .domain = op->domain ? op->domain : "",
                                       .since = op->since,
                                       .until = op->until,
                                       .types = op->types};
    cr_struct_give(info, &full, sizeof full);
    return true;
}
