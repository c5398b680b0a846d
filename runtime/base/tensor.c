#include "runtime/base/tensor.h"

bool cr_tensor_bytes(crease_dtype dtype, int lanes, const cr_shape *shape, size_t *bytes) {
    int64_t n;
    cr_shape physical = *shape;
    if (lanes > 0) {
        if (shape->rank < 2 || shape->dims[1] > INT64_MAX - lanes)
            return false;
        physical.dims[1] = (shape->dims[1] + lanes - 1) / lanes * lanes;
    }
    if (!cr_shape_product(&physical, 0, physical.rank, &n))
        return false;
    if (dtype == CREASE_STRING)
        return cr_mul_size((size_t)n, sizeof(cr_string), bytes);
    return cr_dtype_bytes(dtype, n, bytes);
}

int64_t cr_tensor_physical_n(const cr_tensor *tensor) {
    int64_t n = cr_shape_n(&tensor->shape);
    if (tensor->lanes == 0 || n == 0)
        return n;
    int64_t c = tensor->shape.dims[1], l = tensor->lanes;
    return n / c * ((c + l - 1) / l * l);
}

static crease_status too_large(void) {
    return cr_fail(CREASE_ERROR_MEMORY, "out of memory: a tensor too large to address");
}

crease_status cr_tensor_create(cr_heap *heap, crease_dtype dtype, const cr_shape *shape, cr_tensor *tensor) {
    return cr_tensor_create_blocked(heap, dtype, 0, shape, tensor);
}

crease_status cr_tensor_create_lasting(cr_heap *heap, crease_dtype dtype, const cr_shape *shape,
                                       cr_tensor *tensor) {
    size_t bytes;
    void *data;
    *tensor = (cr_tensor){.dtype = dtype, .shape = *shape};
    if (!cr_tensor_bytes(dtype, 0, shape, &bytes))
        return too_large();
    CR_TRY(cr_alloc_lasting(heap, bytes, &data));
    crease_status status = cr_buffer_adopt(heap, data, bytes, &tensor->buffer);
    if (status == CREASE_OK)
        tensor->data = data;
    else
        cr_free(heap, data);
    return status;
}

crease_status cr_tensor_create_blocked(cr_heap *heap, crease_dtype dtype, int lanes, const cr_shape *shape,
                                       cr_tensor *tensor) {
    size_t bytes;
    *tensor = (cr_tensor){.dtype = dtype, .lanes = lanes, .shape = *shape};
    if (!cr_tensor_bytes(dtype, lanes, shape, &bytes))
        return too_large();
    CR_TRY(cr_buffer_create(heap, bytes, &tensor->buffer));
    tensor->data = cr_buffer_data(tensor->buffer);
    return CREASE_OK;
}

cr_tensor cr_tensor_retain(const cr_tensor *tensor) {
    cr_buffer_retain(tensor->buffer);
    return *tensor;
}

void cr_tensor_release(cr_tensor *tensor) {
    cr_buffer_release(tensor->buffer);
    *tensor = (cr_tensor){0};
}

int64_t cr_tensor_int(const cr_tensor *t, int64_t i) {
    switch (t->dtype) {
    case CREASE_INT8:
        return ((const int8_t *)t->data)[i];
    case CREASE_INT16:
        return ((const int16_t *)t->data)[i];
    case CREASE_INT32:
        return ((const int32_t *)t->data)[i];
    case CREASE_UINT16:
        return ((const uint16_t *)t->data)[i];
    case CREASE_UINT32:
        return ((const uint32_t *)t->data)[i];
    case CREASE_INT64:
    case CREASE_UINT64:
        return ((const int64_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

double cr_tensor_float(const cr_tensor *tensor, int64_t i) {
    return cr_load_float(tensor->dtype, tensor->data, i);
}
