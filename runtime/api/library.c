#include "runtime/base/cpu.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/op.h"

#include <pthread.h>
#include <stdio.h>

/* What the library says of itself. */

#define STRING_OF(x)  #x
#define STRING(x)     STRING_OF(x)
#ifndef CREASE_VERSION
#define CREASE_VERSION 0.1.0
#endif

const char *crease_version(void) {
    return STRING(CREASE_VERSION);
}

static char build_info[256];

static void describe_build(void) {
    snprintf(build_info, sizeof build_info, "crease %s, kernels %s, BLAS %s, compiler %s", crease_version(),
             cr_isa_name(cr_cpu_isa()), cr_blas_description(), __VERSION__);
}

const char *crease_build_info(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, describe_build);
    return build_info;
}
