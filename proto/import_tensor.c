#include "proto/import.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

static const char *name_of(const CreaseOnnx__TensorProto *proto) {
    return proto->name && proto->name[0] ? proto->name : "(unnamed)";
}

static crease_status import_shape(const int64_t *dims, size_t n, const char *who, cr_shape *shape) {
    if (n > CR_MAX_RANK)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' has rank %zu, at most %d is supported", who, n,
                       CR_MAX_RANK);
    *shape = cr_shape_of((int)n, dims);
    for (size_t i = 0; i < n; i++)
        if (dims[i] < 0)
            return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' has the negative dimension %" PRId64, who,
                           dims[i]);
    return cr_shape_check(shape, CREASE_ERROR_MODEL, who);
}

static crease_status wrong_count(const CreaseOnnx__TensorProto *proto, size_t found, int64_t expected,
                                 const char *unit) {
    return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' has %zu %s of data, its dims ask for %" PRId64,
                   name_of(proto), found, unit, expected);
}

/* ---- raw_data and external data ---- */

/* The walk over the wire writes no other ranges; nothing is read on its word alone. */
static bool is_inside(const cr_source *source, uint64_t at, uint64_t bytes) {
    return bytes <= source->bytes && at <= source->bytes - bytes;
}

static crease_status take_raw(const cr_import *import, const CreaseOnnx__TensorProto *proto, size_t bytes,
                              cr_tensor *tensor) {
    const bool left_out = proto->raw_data_bytes > 0;
    const size_t found = left_out ? (size_t)proto->raw_data_bytes : proto->raw_data.len;
    if (found != bytes || (left_out && !is_inside(&import->source, proto->raw_data_at, found)))
        return wrong_count(proto, found, (int64_t)bytes, "bytes");
    CR_TRY(cr_tensor_create_lasting(import->model->heap, tensor->dtype, &tensor->shape, tensor));
    if (left_out)
        cr_source_copy(&import->source, (size_t)proto->raw_data_at, bytes, tensor->data);
    else if (bytes)
        memcpy(tensor->data, proto->raw_data.data, bytes);
    return CREASE_OK;
}

/* ---- the typed fields ---- */

/* Little-endian low `element` bytes of each 32- or 64-bit number. */
static void narrow(const void *from, size_t from_bytes, size_t n, void *to, size_t element) {
    for (size_t i = 0; i < n; i++)
        memcpy((char *)to + i * element, (const char *)from + i * from_bytes, element);
}

/* The repeated field that elements of a type stand in. */
typedef struct number_field {
    const void *numbers;
    size_t n, bytes; /* of one number */
} number_field;

static number_field field_of(const CreaseOnnx__TensorProto *proto, crease_dtype dtype) {
    switch (dtype) {
    case CREASE_FLOAT:
    case CREASE_COMPLEX64:
        return (number_field){proto->float_data, proto->n_float_data, 4};
    case CREASE_DOUBLE:
    case CREASE_COMPLEX128:
        return (number_field){proto->double_data, proto->n_double_data, 8};
    case CREASE_INT64:
        return (number_field){proto->int64_data, proto->n_int64_data, 8};
    case CREASE_UINT32:
    case CREASE_UINT64:
        return (number_field){proto->uint64_data, proto->n_uint64_data, 8};
    default:
        return (number_field){proto->int32_data, proto->n_int32_data, 4};
    }
}

/* A number is an element, half of a complex one, or the elements that are packed in one byte. */
static crease_status fill(const CreaseOnnx__TensorProto *proto, cr_tensor *tensor, size_t bytes) {
    const number_field field = field_of(proto, tensor->dtype);
    const size_t bits = crease_dtype_bits(tensor->dtype), element = bits < 8 ? 1 : bits / 8;
    const size_t kept = element < field.bytes ? element : field.bytes; /* bytes of each number */
    if (field.n != bytes / kept)
        return wrong_count(proto, field.n, (int64_t)(bytes / kept), "elements");
    narrow(field.numbers, field.bytes, field.n, tensor->data, kept);
    return CREASE_OK;
}

/* cr_string records in front, the bytes behind them, in one buffer. */
static crease_status import_strings(cr_import *import, const CreaseOnnx__TensorProto *proto,
                                    cr_tensor *tensor) {
    size_t n = (size_t)cr_shape_n(&tensor->shape), bytes = n * sizeof(cr_string);
    if (proto->n_string_data != n)
        return wrong_count(proto, proto->n_string_data, (int64_t)n, "strings");
    for (size_t i = 0; i < n; i++)
        if (!cr_add_size(bytes, proto->string_data[i].len, &bytes))
            return cr_fail(CREASE_ERROR_MEMORY, "tensor '%s' is too large", name_of(proto));
    CR_TRY(cr_buffer_create(import->model->heap, bytes, &tensor->buffer));
    tensor->data = cr_buffer_data(tensor->buffer);
    cr_string *strings = tensor->data;
    char *at = (char *)(strings + n);
    for (size_t i = 0; i < n; i++) {
        strings[i] = (cr_string){at, proto->string_data[i].len};
        if (strings[i].bytes)
            memcpy(at, proto->string_data[i].data, strings[i].bytes);
        at += strings[i].bytes;
    }
    return CREASE_OK;
}

crease_status cr_import_tensor(cr_import *import, const CreaseOnnx__TensorProto *proto, cr_tensor *tensor) {
    size_t bytes;
    *tensor = (cr_tensor){0};
    if (!cr_dtype_valid(proto->data_type))
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' has the unknown element type %d", name_of(proto),
                       proto->data_type);
    tensor->dtype = (crease_dtype)proto->data_type;
    CR_TRY(import_shape(proto->dims, proto->n_dims, name_of(proto), &tensor->shape));
    if (tensor->dtype == CREASE_STRING && proto->data_location == 1)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': strings cannot be external data", name_of(proto));
    if (tensor->dtype == CREASE_STRING)
        return import_strings(import, proto, tensor);
    if (!cr_tensor_bytes(tensor->dtype, 0, &tensor->shape, &bytes))
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' is too large", name_of(proto));
    if (proto->data_location == 1) {
        CR_TRY(cr_import_external(import, proto, bytes, &tensor->buffer));
        tensor->data = cr_buffer_data(tensor->buffer);
        return CREASE_OK;
    }
    if (proto->has_raw_data || proto->raw_data_bytes > 0) /* the parser, merging tensors, drops empty bytes */
        return take_raw(import, proto, bytes, tensor);
    /* sizes first: dims alone must not make us allocate */
    size_t most = proto->n_float_data + proto->n_int32_data + proto->n_int64_data + proto->n_double_data +
                  proto->n_uint64_data;
    if (most < bytes / 16)
        return wrong_count(proto, most, cr_shape_n(&tensor->shape), "elements");
    CR_TRY(cr_tensor_create_lasting(import->model->heap, tensor->dtype, &tensor->shape, tensor));
    crease_status status = fill(proto, tensor, bytes);
    if (status != CREASE_OK)
        cr_tensor_release(tensor);
    return status;
}

/* ---- sparse ---- */

/* A few bytes must not ask for any amount of memory: sparser than this no tensor is worth its indices. */
static crease_status check_density(const CreaseOnnx__SparseTensorProto *proto, const cr_tensor *values,
                                   const cr_shape *shape) {
    const int64_t free = (int64_t)1 << 24, most = 1 << 16;
    if (cr_shape_n(shape) > free && cr_shape_n(shape) / most > cr_shape_n(&values->shape))
        return cr_fail(CREASE_ERROR_MODEL,
                       "sparse tensor '%s' has %" PRId64 " values for %" PRId64 " elements",
                       name_of(proto->values), cr_shape_n(&values->shape), cr_shape_n(shape));
    return CREASE_OK;
}

static crease_status scatter(const CreaseOnnx__SparseTensorProto *proto, const cr_tensor *values,
                             const cr_tensor *indices, cr_tensor *dense) {
    size_t element = cr_element_bytes(dense->dtype);
    int64_t n = cr_shape_n(&values->shape), total = cr_shape_n(&dense->shape);
    int coordinates = indices->shape.rank == 2 ? dense->shape.rank : 1;
    if (indices->dtype != CREASE_INT64 || cr_shape_n(&indices->shape) != n * coordinates)
        return cr_fail(CREASE_ERROR_MODEL, "sparse tensor '%s': the indices do not match the values",
                       name_of(proto->values));
    memset(dense->data, 0, (size_t)total * element);
    const int64_t *index = indices->data;
    for (int64_t i = 0; i < n; i++) {
        int64_t flat = 0;
        bool inside = true;
        for (int c = 0; c < coordinates; c++) {
            int64_t extent = coordinates == 1 ? total : dense->shape.dims[c], at = index[i * coordinates + c];
            inside &= at >= 0 && at < extent;
            flat = inside ? flat * extent + at : 0;
        }
        if (!inside)
            return cr_fail(CREASE_ERROR_MODEL, "sparse tensor '%s': an index is out of range",
                           name_of(proto->values));
        memcpy((char *)dense->data + (size_t)flat * element, (const char *)values->data + (size_t)i * element,
               element);
    }
    return CREASE_OK;
}

crease_status cr_import_sparse(cr_import *import, CreaseOnnx__SparseTensorProto *proto, cr_tensor *tensor) {
    cr_tensor values, indices = {0};
    cr_shape shape;
    *tensor = (cr_tensor){0};
    if (!proto->values || !proto->indices)
        return cr_fail(CREASE_ERROR_MODEL, "a sparse tensor has no values or no indices");
    CR_TRY(import_shape(proto->dims, proto->n_dims, name_of(proto->values), &shape));
    CR_TRY(cr_import_tensor(import, proto->values, &values));
    crease_status status = cr_import_tensor(import, proto->indices, &indices);
    if (status == CREASE_OK && crease_dtype_bits(values.dtype) < 8)
        status = cr_fail(CREASE_ERROR_MODEL, "sparse tensor '%s': element type %s", name_of(proto->values),
                         crease_dtype_name(values.dtype));
    if (status == CREASE_OK)
        status = check_density(proto, &values, &shape);
    if (status == CREASE_OK)
        status = cr_tensor_create_lasting(import->model->heap, values.dtype, &shape, tensor);
    if (status == CREASE_OK)
        status = scatter(proto, &values, &indices, tensor);
    if (status != CREASE_OK)
        cr_tensor_release(tensor);
    cr_tensor_release(&values);
    cr_tensor_release(&indices);
    return status;
}
