#include "cli/npy.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";

enum { MAGIC_BYTES = 6, ALIGNMENT = 64 };

static const struct {
    const char *code; /* after the byte order */
    crease_dtype dtype;
} types[] = {
    {"f4", CREASE_FLOAT},     {"f8", CREASE_DOUBLE},      {"f2", CREASE_FLOAT16}, {"i1", CREASE_INT8},
    {"i2", CREASE_INT16},     {"i4", CREASE_INT32},       {"i8", CREASE_INT64},   {"u1", CREASE_UINT8},
    {"u2", CREASE_UINT16},    {"u4", CREASE_UINT32},      {"u8", CREASE_UINT64},  {"b1", CREASE_BOOL},
    {"c8", CREASE_COMPLEX64}, {"c16", CREASE_COMPLEX128},
};

enum { N_TYPES = sizeof types / sizeof *types };

static const char *code_of(crease_dtype dtype) {
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].dtype == dtype)
            return types[i].code;
    return NULL;
}

bool npy_is(const blob *file) {
    return file->bytes >= MAGIC_BYTES && memcmp(file->data, magic, MAGIC_BYTES) == 0;
}

/* ---- the header, a Python dictionary such as {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 * ---- */

typedef struct layout {
    size_t data_at, element_bytes;
    bool swapped, fortran;
} layout;

/* What stands behind 'key':, or NULL. */
static const char *find_key(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at || at == header || (at[-1] != '\'' && at[-1] != '"') || at[strlen(key)] != at[-1])
        return NULL;
    at += strlen(key) + 1;
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

static bool read_shape(const char *at, tensor *out) {
    if (!at || *at++ != '(')
        return false;
    for (out->rank = 0;; out->rank++) {
        at += strspn(at, " ");
        if (*at == ')')
            return true;
        char *end;
        long long dim = strtoll(at, &end, 10);
        if (end == at || dim < 0 || out->rank == TENSOR_MAX_RANK)
            return false;
        out->dims[out->rank] = dim;
        at = end + strspn(end, "L "); /* Python 2 wrote 3L */
        if (*at == ',')
            at++;
        else if (*at != ')')
            return false;
    }
}

static bool read_type(const char *descr, tensor *out, layout *l) {
    if (!descr || (*descr != '\'' && *descr != '"') || !descr[1])
        return false;
    char quote = *descr++;
    size_t n = strcspn(descr + 1, (char[]){quote, 0});
    l->swapped = descr[0] == '>';
    for (size_t i = 0; i < N_TYPES; i++)
        if (strchr("<>=|", descr[0]) && strlen(types[i].code) == n &&
            strncmp(descr + 1, types[i].code, n) == 0) {
            out->dtype = types[i].dtype;
            l->element_bytes = crease_dtype_bits(out->dtype) / 8;
            return true;
        }
    return false;
}

static int parse_header(const char *source, const char *header, tensor *out, layout *l) {
    const char *descr = find_key(header, "descr"), *order = find_key(header, "fortran_order");
    if (!descr || !order || !read_shape(find_key(header, "shape"), out))
        return fail(CLI_INPUT, "%s: the .npy header is damaged, or the shape has more than %d dimensions",
                    source, TENSOR_MAX_RANK);
    if (!read_type(descr, out, l))
        return fail(CLI_INPUT, "%s: .npy element type %.*s cannot be read: numbers and bool can", source,
                    (int)strcspn(descr, ",}"), descr);
    l->fortran = strncmp(order, "True", 4) == 0;
    return CLI_OK;
}

static int read_header(const char *source, const blob *file, tensor *out, layout *l) {
    unsigned version = file->bytes > MAGIC_BYTES ? file->data[MAGIC_BYTES] : 0;
    size_t at = version == 1 ? 10 : 12, length = 0;
    if (file->bytes < at)
        return fail(CLI_INPUT, "%s: the .npy file is truncated in its header", source);
    if (version < 1 || version > 3)
        return fail(CLI_INPUT, "%s: .npy format version %u is not known", source, version);
    for (size_t i = at; i-- > 8;)
        length = length << 8 | file->data[i];
    if (length > file->bytes - at)
        return fail(CLI_INPUT, "%s: the .npy file is truncated in its header", source);
    char *header = memory_take(length + 1, 1);
    memcpy(header, file->data + at, length);
    l->data_at = at + length;
    int code = parse_header(source, header, out, l);
    free(header);
    return code;
}

/* ---- data ---- */

static void swap_bytes(unsigned char *data, size_t bytes, size_t unit) {
    for (unsigned char *p = data; p < data + bytes; p += unit)
        for (size_t i = 0; i < unit / 2; i++) {
            unsigned char byte = p[i];
            p[i] = p[unit - 1 - i];
            p[unit - 1 - i] = byte;
        }
}

/* Column-major to row-major. */
static void copy_fortran(const tensor *t, const unsigned char *from, unsigned char *to, size_t element) {
    int64_t index[TENSOR_MAX_RANK] = {0}, strides[TENSOR_MAX_RANK], stride = 1;
    for (int d = 0; d < t->rank; d++) {
        strides[d] = stride;
        stride *= t->dims[d];
    }
    size_t offset = 0;
    for (size_t i = 0; i < t->bytes / element; i++) {
        memcpy(to + i * element, from + offset * element, element);
        for (int d = t->rank - 1; d >= 0; d--) {
            offset += (size_t)strides[d];
            if (++index[d] < t->dims[d])
                break;
            offset -= (size_t)(strides[d] * t->dims[d]);
            index[d] = 0;
        }
    }
}

int npy_read(const char *source, const blob *file, tensor *out) {
    layout l = {0};
    *out = (tensor){0};
    int code = read_header(source, file, out, &l);
    if (code)
        return code;
    size_t have = file->bytes - l.data_at;
    if (!tensor_bytes(out->dtype, out->rank, out->dims, &out->bytes) || out->bytes > have)
        return fail(CLI_INPUT,
                    "%s: the .npy file is truncated: its header promises more than its %zu bytes of data",
                    source, have);
    out->data = memory_take(out->bytes, 1);
    if (l.fortran && out->rank > 1)
        copy_fortran(out, file->data + l.data_at, out->data, l.element_bytes);
    else
        memcpy(out->data, file->data + l.data_at, out->bytes);
    bool complex = out->dtype == CREASE_COMPLEX64 || out->dtype == CREASE_COMPLEX128;
    if (l.swapped)
        swap_bytes(out->data, out->bytes, complex ? l.element_bytes / 2 : l.element_bytes);
    return CLI_OK;
}

/* ---- writing ---- */

bool npy_can_hold(crease_dtype dtype) {
    return code_of(dtype) != NULL;
}

void npy_header(const crease_tensor *t, blob *head) {
    char shape[TENSOR_SHAPE_TEXT] = "";
    size_t at = 0;
    for (int i = 0; i < t->rank && i < TENSOR_MAX_RANK; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%" PRId64 "%s", i ? " " : "", t->dims[i],
                               i + 1 < t->rank || t->rank == 1 ? "," : "");
    char *text = memory_format("{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                               crease_dtype_bits(t->dtype) == 8 ? '|' : '<', code_of(t->dtype), shape);
    /* spaces and a newline make the data begin at a multiple of 64 */
    size_t length = strlen(text), begin = MAGIC_BYTES + 4;
    head->bytes = (begin + length + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    head->data = memory_take(head->bytes, 1);
    memcpy(head->data, magic, MAGIC_BYTES);
    head->data[6] = 1;
    head->data[8] = (unsigned char)((head->bytes - begin) & 255);
    head->data[9] = (unsigned char)((head->bytes - begin) >> 8);
    memcpy(head->data + begin, text, length);
    memset(head->data + begin + length, ' ', head->bytes - begin - length);
    head->data[head->bytes - 1] = '\n';
    free(text);
}
