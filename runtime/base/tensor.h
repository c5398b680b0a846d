#ifndef CREASE_RUNTIME_BASE_TENSOR_H
#define CREASE_RUNTIME_BASE_TENSOR_H

#include "runtime/base/dtype.h"
#include "runtime/base/mem.h"
#include "runtime/base/shape.h"

/* A tensor in memory. lanes 0: dense, row-major. lanes L > 0: channel-blocked float32,
 * [N][ceil(C / L)][spatial...][L] for the logical shape [N, C, spatial...].
 * Element type CREASE_STRING: data is an array of cr_string. */
typedef struct cr_tensor {
    crease_dtype dtype;
    int lanes;
    cr_shape shape;
    void *data;
    cr_buffer *buffer; /* what keeps data alive, one reference held; NULL: somebody else does */
} cr_tensor;

typedef struct cr_string {
    const char *data; /* not zero-terminated */
    size_t bytes;
} cr_string;

/* Bytes of a tensor of this static shape and layout; false on overflow. */
bool cr_tensor_bytes(crease_dtype dtype, int lanes, const cr_shape *shape, size_t *bytes);

/* Number of elements in memory, padding lanes of a blocked layout included. */
int64_t cr_tensor_physical_n(const cr_tensor *tensor);

/* A new plain tensor with uninitialised memory of its own. */
crease_status cr_tensor_create(cr_heap *heap, crease_dtype dtype, const cr_shape *shape,
                               cr_tensor *tensor) CREASE_MUST_TEST;
/* For weights; see cr_alloc_lasting. */
crease_status cr_tensor_create_lasting(cr_heap *heap, crease_dtype dtype, const cr_shape *shape,
                                       cr_tensor *tensor) CREASE_MUST_TEST;
/* The first in the blocked layout of `lanes`; 0: plain. */
crease_status cr_tensor_create_blocked(cr_heap *heap, crease_dtype dtype, int lanes, const cr_shape *shape,
                                       cr_tensor *tensor) CREASE_MUST_TEST;
cr_tensor cr_tensor_retain(const cr_tensor *tensor);
void cr_tensor_release(cr_tensor *tensor);

/* Element i of a tensor of integers or bool; uint64 keeps its bits. */
int64_t cr_tensor_int(const cr_tensor *tensor, int64_t i);
/* Of a float type. */
double cr_tensor_float(const cr_tensor *tensor, int64_t i);

#endif
