#include "cli/tensor_pb.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Field numbers of TensorProto. */
enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    NAME = 8,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11,
    EXTERNAL_DATA = 13,
    DATA_LOCATION = 14
};

/* Wire types. */
enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* ---- wire format ---- */

typedef struct slice {
    const unsigned char *at, *end;
} slice;

typedef struct field {
    unsigned number, wire;
    slice content; /* of a number: its own bytes, so that it reads like a packed list of one */
} field;

static bool read_varint(slice *s, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        unsigned char byte = *s->at++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

static bool read_field(slice *s, field *f) {
    uint64_t key, length = 0;
    if (!read_varint(s, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return false;
    *f = (field){(unsigned)(key >> 3), key & 7, *s};
    if (f->wire == VARINT) {
        if (!read_varint(s, &length))
            return false;
        f->content.end = s->at;
        return true;
    }
    if (f->wire == LENGTH && !read_varint(s, &length))
        return false;
    f->content.at = s->at;
    length = f->wire == FIXED32 ? 4 : f->wire == FIXED64 ? 8 : length;
    if ((f->wire != LENGTH && f->wire != FIXED32 && f->wire != FIXED64) || length > (size_t)(s->end - s->at))
        return false;
    s->at += length;
    f->content.end = s->at;
    return true;
}

/* ---- the first pass: everything but the data ---- */

typedef struct outline {
    bool external;
    const char *name; /* not zero-terminated */
    size_t name_bytes;
    uint64_t data_type;
    size_t n_strings, string_bytes;
} outline;

static bool read_dims(slice s, tensor *out) {
    uint64_t dim;
    while (s.at < s.end) {
        if (!read_varint(&s, &dim) || out->rank == TENSOR_MAX_RANK)
            return false;
        out->dims[out->rank++] = (int64_t)dim;
    }
    return true;
}

static bool read_outline_field(const field *f, tensor *out, outline *o) {
    slice s = f->content;
    size_t bytes = (size_t)(s.end - s.at);
    uint64_t number;
    switch (f->number) {
    case DIMS:
        return (f->wire == VARINT || f->wire == LENGTH) && read_dims(s, out);
    case DATA_TYPE:
        return f->wire == VARINT && read_varint(&s, &o->data_type);
    case NAME:
        o->name = (const char *)s.at;
        o->name_bytes = bytes;
        return f->wire == LENGTH;
    case STRING_DATA:
        o->n_strings++;
        o->string_bytes += bytes;
        return f->wire == LENGTH;
    case EXTERNAL_DATA:
        o->external = true;
        return f->wire == LENGTH;
    case DATA_LOCATION:
        if (f->wire != VARINT || !read_varint(&s, &number))
            return false;
        o->external |= number != 0;
        return true;
    case FLOAT_DATA:
        return f->wire == LENGTH || f->wire == FIXED32;
    case DOUBLE_DATA:
        return f->wire == LENGTH || f->wire == FIXED64;
    case RAW_DATA:
        return f->wire == LENGTH;
    default:
        return true;
    }
}

static bool read_outline(const blob *file, tensor *out, outline *o) {
    slice s = {file->data, file->data + file->bytes};
    for (field f; s.at < s.end;)
        if (!read_field(&s, &f) || !read_outline_field(&f, out, o))
            return false;
    return o->data_type > CREASE_UNDEFINED && o->data_type <= CREASE_INT2;
}

/* ---- the second pass: the data ---- */

/* Where an element type stands when not in raw_data, and bytes of one stored number: complex elements are two
 * numbers, types below 8 bits are stored as whole bytes of packed elements. */
typedef struct place {
    unsigned number;
    size_t unit;
} place;

static place place_of(crease_dtype dtype) {
    switch (dtype) {
    case CREASE_FLOAT:
    case CREASE_COMPLEX64:
        return (place){FLOAT_DATA, 4};
    case CREASE_DOUBLE:
    case CREASE_COMPLEX128:
        return (place){DOUBLE_DATA, 8};
    case CREASE_INT64:
        return (place){INT64_DATA, 8};
    case CREASE_UINT32:
    case CREASE_UINT64:
        return (place){UINT64_DATA, crease_dtype_bits(dtype) / 8};
    default:
        return (place){INT32_DATA, (crease_dtype_bits(dtype) + 7) / 8};
    }
}

/* Numbers of one field, or their count where `to` is NULL. */
static bool read_numbers(slice s, const place *p, unsigned char *to, size_t *count) {
    bool fixed = p->number == FLOAT_DATA || p->number == DOUBLE_DATA;
    if (fixed) {
        size_t bytes = (size_t)(s.end - s.at);
        if (to)
            memcpy(to, s.at, bytes);
        *count = bytes / p->unit;
        return bytes % p->unit == 0;
    }
    uint64_t number;
    for (*count = 0; s.at < s.end; ++*count) {
        if (!read_varint(&s, &number))
            return false;
        if (to)
            memcpy(to + *count * p->unit, &number, p->unit);
    }
    return true;
}

/* Walks the typed field twice: to count, so that nothing is allocated on the word of dims alone, and to read.
 */
static bool walk_numbers(const blob *file, const place *p, unsigned char *to, size_t *total) {
    slice s = {file->data, file->data + file->bytes};
    *total = 0;
    for (field f; s.at < s.end;) {
        size_t count = 0;
        if (!read_field(&s, &f))
            return false;
        if (f.number == p->number && !read_numbers(f.content, p, to ? to + *total * p->unit : NULL, &count))
            return false;
        *total += count;
    }
    return true;
}

static const unsigned char *find_raw(const blob *file, size_t *bytes) {
    const unsigned char *found = NULL;
    slice s = {file->data, file->data + file->bytes};
    for (field f; s.at < s.end && read_field(&s, &f);)
        if (f.number == RAW_DATA) {
            found = f.content.at;
            *bytes = (size_t)(f.content.end - f.content.at);
        }
    return found;
}

static int fail_size(const char *source, const tensor *t, size_t have) {
    char shape[TENSOR_SHAPE_TEXT];
    return fail(CLI_INPUT, "%s: a %s tensor of shape %s needs %zu bytes of data, the file has %zu", source,
                crease_dtype_name(t->dtype), tensor_shape_text(t->rank, t->dims, NULL, shape), t->bytes,
                have);
}

static int read_data(const char *source, const blob *file, tensor *out) {
    size_t have = 0, total = 0;
    const unsigned char *raw = find_raw(file, &have);
    place p = place_of(out->dtype);
    if (!raw) {
        if (!walk_numbers(file, &p, NULL, &total))
            return fail(CLI_INPUT, "%s: the TensorProto's data are damaged", source);
        have = total * p.unit;
    }
    if (have != out->bytes)
        return fail_size(source, out, have);
    out->data = memory_take(out->bytes, 1);
    if (raw)
        memcpy(out->data, raw, have);
    else
        walk_numbers(file, &p, out->data, &total);
    return CLI_OK;
}

static int read_strings(const char *source, const blob *file, const outline *o, tensor *out) {
    int64_t n;
    if (!tensor_count(out->rank, out->dims, &n) || (uint64_t)n != o->n_strings)
        return fail(CLI_INPUT, "%s: the TensorProto has %zu strings, which does not fit its shape", source,
                    o->n_strings);
    out->bytes = o->n_strings * sizeof(crease_string);
    out->data = memory_take(out->bytes + o->string_bytes, 1);
    crease_string *next = out->data;
    char *to = (char *)out->data + out->bytes;
    slice s = {file->data, file->data + file->bytes};
    for (field f; s.at < s.end && read_field(&s, &f);)
        if (f.number == STRING_DATA) {
            *next = (crease_string){to, (size_t)(f.content.end - f.content.at)};
            memcpy(to, f.content.at, next->bytes);
            to += next++->bytes;
        }
    return CLI_OK;
}

int tensor_pb_read(const char *source, const blob *file, tensor *out, bool *recognised) {
    outline o = {0};
    *out = (tensor){0};
    *recognised = read_outline(file, out, &o);
    if (!*recognised)
        return CLI_INPUT;
    out->dtype = (crease_dtype)o.data_type;
    if (o.external)
        return fail(CLI_INPUT, "%s: the tensor's data are in another file, which an input cannot be", source);
    int code;
    if (out->dtype == CREASE_STRING)
        code = read_strings(source, file, &o, out);
    else if (!tensor_bytes(out->dtype, out->rank, out->dims, &out->bytes))
        code = fail(CLI_INPUT, "%s: the tensor's dimensions are negative or overflow", source);
    else
        code = read_data(source, file, out);
    if (o.name_bytes && !code)
        out->name = memory_format("%.*s", (int)(o.name_bytes < 4096 ? o.name_bytes : 4096), o.name);
    return code;
}

/* ---- writing ---- */

typedef struct writer {
    blob *out;
    size_t capacity;
} writer;

static void put_bytes(writer *w, const void *data, size_t bytes) {
    w->out->data = memory_grow(w->out->data, &w->capacity, w->out->bytes + bytes, 1);
    if (bytes)
        memcpy(w->out->data + w->out->bytes, data, bytes);
    w->out->bytes += bytes;
}

static void put_varint(writer *w, uint64_t value) {
    for (; value > 127; value >>= 7)
        put_bytes(w, &(unsigned char){(unsigned char)(value | 128)}, 1);
    put_bytes(w, &(unsigned char){(unsigned char)value}, 1);
}

static void put_key(writer *w, unsigned number, unsigned wire) {
    put_varint(w, number << 3 | wire);
}

static void put_text(writer *w, unsigned number, const char *data, size_t bytes) {
    put_key(w, number, LENGTH);
    put_varint(w, bytes);
    put_bytes(w, data, bytes);
}

void tensor_pb_header(const crease_tensor *t, blob *head) {
    *head = (blob){NULL, 0};
    writer w = {head, 0};
    for (int i = 0; i < t->rank; i++) {
        put_key(&w, DIMS, VARINT);
        put_varint(&w, (uint64_t)t->dims[i]);
    }
    put_key(&w, DATA_TYPE, VARINT);
    put_varint(&w, (uint64_t)t->dtype);
    if (t->name)
        put_text(&w, NAME, t->name, strlen(t->name));
    if (t->dtype == CREASE_STRING) {
        const crease_string *strings = t->data;
        for (size_t i = 0; i < t->bytes / sizeof *strings; i++)
            put_text(&w, STRING_DATA, strings[i].data, strings[i].bytes);
        return;
    }
    put_key(&w, RAW_DATA, LENGTH);
    put_varint(&w, t->bytes);
}
