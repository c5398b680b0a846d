#define _GNU_SOURCE
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

int read_file(const char *path, bytes *file) {
    struct stat info;
    *file = (bytes){0};
    FILE *in = fopen(path, "rb");
    if (!in)
        return fail(EXIT_BAD_INPUT, "%s: %s", path, strerror(errno));
    if (fstat(fileno(in), &info) != 0 || !S_ISREG(info.st_mode)) {
        fclose(in);
        return fail(EXIT_BAD_INPUT, "%s: not a regular file", path);
    }
    file->data = malloc((size_t)info.st_size + 1);
    if (file->data)
        file->n = fread(file->data, 1, (size_t)info.st_size, in);
    bool whole = file->data && file->n == (size_t)info.st_size;
    fclose(in);
    if (whole)
        return EXIT_OK;
    free(file->data);
    *file = (bytes){0};
    return fail(EXIT_BAD_INPUT, "%s: cannot be read whole", path);
}

int write_file(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes) {
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof temporary)
        return fail(EXIT_BAD_INPUT, "%.200s...: the path is too long", path);
    FILE *out = fopen(temporary, "wb");
    if (!out)
        return fail(EXIT_BAD_INPUT, "%s: %s", path, strerror(errno));
    bool good =
        fwrite(head, 1, head_bytes, out) == head_bytes && fwrite(body, 1, body_bytes, out) == body_bytes;
    good = fclose(out) == 0 && good;
    if (good && rename(temporary, path) == 0)
        return EXIT_OK;
    int reason = errno;
    unlink(temporary);
    return fail(EXIT_BAD_INPUT, "%s: cannot be written: %s", path, strerror(reason));
}

/* ---- tensors ---- */

void tensor_free(tensor *t) {
    free(t->data);
    t->data = NULL;
}

int64_t tensor_n(const tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

int tensor_allocate(tensor *t, const char *who) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0 || __builtin_mul_overflow(n, t->dims[i], &n))
            return fail(EXIT_BAD_INPUT, "%s: the tensor's dimensions are not possible", who);
    size_t bits = crease_dtype_bits(t->dtype);
    if (!bits || n > INT64_MAX / 256)
        return fail(EXIT_BAD_INPUT, "%s: a tensor of %" PRId64 " %s is not possible", who, n,
                    crease_dtype_name(t->dtype));
    t->bytes = ((size_t)n * bits + 7) / 8;
    t->data = calloc(t->bytes ? t->bytes : 1, 1);
    return t->data ? EXIT_OK : fail(EXIT_RUNTIME, "%s: out of memory for %zu bytes", who, t->bytes);
}

crease_tensor view_of(const tensor *t) {
    return (crease_tensor){sizeof(crease_tensor), t->name, t->dtype, t->rank, t->dims, t->data, t->bytes};
}

/* ---- .npy (NumPy format 1.0 to 3.0) ---- */

static const struct {
    const char *code;
    crease_dtype dtype;
} npy_types[] = {{"f4", CREASE_FLOAT},     {"f8", CREASE_DOUBLE},     {"f2", CREASE_FLOAT16},
                 {"i1", CREASE_INT8},      {"i2", CREASE_INT16},      {"i4", CREASE_INT32},
                 {"i8", CREASE_INT64},     {"u1", CREASE_UINT8},      {"u2", CREASE_UINT16},
                 {"u4", CREASE_UINT32},    {"u8", CREASE_UINT64},     {"b1", CREASE_BOOL},
                 {"c8", CREASE_COMPLEX64}, {"c16", CREASE_COMPLEX128}};

static const char *npy_code(crease_dtype dtype) {
    for (size_t i = 0; i < sizeof npy_types / sizeof *npy_types; i++)
        if (npy_types[i].dtype == dtype)
            return npy_types[i].code;
    return NULL;
}

bool npy_can_hold(crease_dtype dtype) {
    return npy_code(dtype) != NULL;
}

static const char *header_value(const char *header, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, ": ");
}

/* "(2, 3)" into dims. */
static bool parse_npy_shape(const char *at, tensor *t) {
    if (!at || *at++ != '(')
        return false;
    for (t->rank = 0; t->rank < MAX_RANK;) {
        at += strspn(at, ", ");
        if (*at == ')')
            return true;
        char *end;
        t->dims[t->rank++] = strtoll(at, &end, 10);
        if (end == at || t->dims[t->rank - 1] < 0)
            return false;
        at = end;
    }
    return *at == ')';
}

static void swap_bytes(tensor *t, size_t element) {
    unsigned char *p = t->data;
    size_t unit = t->dtype == CREASE_COMPLEX64 || t->dtype == CREASE_COMPLEX128 ? element / 2 : element;
    for (size_t at = 0; at + unit <= t->bytes; at += unit)
        for (size_t i = 0; i < unit / 2; i++) {
            unsigned char byte = p[at + i];
            p[at + i] = p[at + unit - 1 - i];
            p[at + unit - 1 - i] = byte;
        }
}

/* Column-major to row-major. */
static int from_fortran(const char *path, tensor *t, size_t element) {
    unsigned char *row_major = malloc(t->bytes ? t->bytes : 1), *from = t->data;
    if (!row_major)
        return fail(EXIT_RUNTIME, "%s: out of memory for %zu bytes", path, t->bytes);
    int64_t index[MAX_RANK] = {0}, n = tensor_n(t);
    for (int64_t i = 0; i < n; i++) {
        int64_t offset = 0;
        for (int d = t->rank - 1; d >= 0; d--)
            offset = offset * t->dims[d] + index[d];
        memcpy(row_major + (size_t)i * element, from + (size_t)offset * element, element);
        for (int d = t->rank - 1; d >= 0 && ++index[d] == t->dims[d]; d--)
            index[d] = 0;
    }
    free(t->data);
    t->data = row_major;
    return EXIT_OK;
}

int parse_npy(const char *path, const bytes *file, tensor *t) {
    char header[4097];
    if (file->n < 12)
        return fail(EXIT_BAD_INPUT, "%s: a truncated .npy file", path);
    const unsigned char *p = file->data;
    bool long_header = p[6] >= 2;
    size_t start = long_header ? 12 : 10, length = p[8] | (size_t)p[9] << 8;
    if (long_header)
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > 4096 || start + length > file->n)
        return fail(EXIT_BAD_INPUT, "%s: a truncated .npy header", path);
    memcpy(header, p + start, length);
    header[length] = 0;
    const char *descr = header_value(header, "descr"), *order = header_value(header, "fortran_order");
    if (!descr || descr[0] != '\'' || !order || !parse_npy_shape(header_value(header, "shape"), t))
        return fail(EXIT_BAD_INPUT, "%s: not a plain .npy header", path);
    t->dtype = CREASE_UNDEFINED;
    for (size_t i = 0; i < sizeof npy_types / sizeof *npy_types; i++) {
        size_t n = strlen(npy_types[i].code);
        if (strncmp(descr + 2, npy_types[i].code, n) == 0 && descr[2 + n] == '\'')
            t->dtype = npy_types[i].dtype;
    }
    if (!t->dtype)
        return fail(EXIT_BAD_INPUT, "%s: element type %.8s is not supported", path, descr);
    int code = tensor_allocate(t, path);
    if (code)
        return code;
    size_t element = crease_dtype_bits(t->dtype) / 8;
    if (file->n - start - length < t->bytes) {
        tensor_free(t);
        return fail(EXIT_BAD_INPUT, "%s: %zu bytes of data, the header promises %zu", path,
                    file->n - start - length, t->bytes);
    }
    memcpy(t->data, p + start + length, t->bytes);
    if (descr[1] == '>')
        swap_bytes(t, element);
    return strncmp(order, "True", 4) == 0 ? from_fortran(path, t, element) : EXIT_OK;
}

int write_npy(const char *path, const crease_tensor *t) {
    char head[512], shape[320] = "";
    size_t at = 0;
    for (int i = 0; i < t->rank; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%" PRId64 "%s", t->dims[i],
                               t->rank == 1      ? ","
                               : i + 1 < t->rank ? ", "
                                                 : "");
    const char *code = npy_code(t->dtype);
    char order = crease_dtype_bits(t->dtype) == 8 ? '|' : '<';
    int n = snprintf(head + 10, sizeof head - 10,
                     "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }", order, code, shape);
    size_t whole = ((size_t)n + 10 + 1 + 63) / 64 * 64;
    memset(head + 10 + n, ' ', whole - 10 - (size_t)n);
    head[whole - 1] = '\n';
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)((whole - 10) & 255);
    head[9] = (char)((whole - 10) >> 8);
    return write_file(path, head, whole, t->data, t->bytes);
}

/* ---- TensorProto (ONNX onnx.proto), read and written by its wire format ---- */

typedef struct cursor {
    const unsigned char *at, *end;
    bool bad;
} cursor;

static uint64_t varint(cursor *c) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (c->at == c->end)
            break;
        unsigned char byte = *c->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    c->bad = true;
    return 0;
}

/* A length-delimited field as a cursor of its own. */
static cursor field(cursor *c) {
    uint64_t n = varint(c);
    if (c->bad || n > (uint64_t)(c->end - c->at)) {
        c->bad = true;
        return (cursor){c->end, c->end, true};
    }
    cursor inner = {c->at, c->at + n, false};
    c->at += n;
    return inner;
}

enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    INT64_DATA = 7,
    NAME = 8,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11
};
enum { VARINT, FIXED64, DELIMITED, FIXED32 = 5 };

/* Store one integer or bit pattern as element i; false past the end. */
static bool put(tensor *t, size_t *i, uint64_t value) {
    size_t bits = crease_dtype_bits(t->dtype), element = bits / 8;
    if (bits < 8) { /* packed: the field holds whole bytes */
        if (*i >= t->bytes)
            return false;
        ((unsigned char *)t->data)[(*i)++] = (unsigned char)value;
        return true;
    }
    if (t->dtype == CREASE_COMPLEX64 || t->dtype == CREASE_COMPLEX128)
        element /= 2;
    if ((*i + 1) * element > t->bytes)
        return false;
    memcpy((char *)t->data + *i * element, &value, element); /* little-endian */
    ++*i;
    return true;
}

static void put_varints(tensor *t, cursor list, size_t *i, bool *bad) {
    while (list.at < list.end && !list.bad)
        if (!put(t, i, varint(&list)))
            *bad = true, list.at = list.end;
    *bad |= list.bad;
}

static void put_fixed(tensor *t, cursor list, size_t size, size_t *i, bool *bad) {
    for (; (size_t)(list.end - list.at) >= size; list.at += size) {
        uint64_t value = 0;
        memcpy(&value, list.at, size);
        if (!put(t, i, value)) {
            *bad = true;
            return;
        }
    }
}

/* First pass: type, dims and name; second pass: data. */
static void scan(const bytes *file, tensor *t, bool data, size_t *filled, bool *bad) {
    cursor c = {file->data, file->data + file->n, false};
    while (c.at < c.end && !c.bad && !*bad) {
        uint64_t key = varint(&c);
        unsigned number = (unsigned)(key >> 3), wire = (unsigned)(key & 7);
        cursor inner = {c.at, c.at, false};
        if (wire == DELIMITED) {
            inner = field(&c);
        } else if (wire == FIXED32 || wire == FIXED64) {
            size_t n = wire == FIXED32 ? 4 : 8;
            if ((size_t)(c.end - c.at) < n)
                break;
            inner = (cursor){c.at, c.at + n, false};
            c.at += n;
        } else if (wire == VARINT) {
            varint(&c);
            inner.end = c.at;
        } else {
            c.bad = true;
            break;
        }
        if (!data && number == DIMS)
            while (inner.at < inner.end && !inner.bad) {
                if (t->rank == MAX_RANK) {
                    *bad = true;
                    break;
                }
                t->dims[t->rank++] = (int64_t)varint(&inner);
            }
        else if (!data && number == DATA_TYPE)
            t->dtype = (crease_dtype)varint(&inner);
        else if (!data && number == NAME)
            snprintf(t->name, sizeof t->name, "%.*s", (int)(inner.end - inner.at), (const char *)inner.at);
        else if (data && number == RAW_DATA) {
            *bad |= (size_t)(inner.end - inner.at) != t->bytes;
            if (!*bad && t->bytes)
                memcpy(t->data, inner.at, t->bytes);
            *filled = t->bytes;
        } else if (data && (number == INT32_DATA || number == INT64_DATA || number == UINT64_DATA))
            put_varints(t, inner, filled, bad);
        else if (data && number == FLOAT_DATA)
            put_fixed(t, inner, 4, filled, bad);
        else if (data && number == DOUBLE_DATA)
            put_fixed(t, inner, 8, filled, bad);
        *bad |= inner.bad;
    }
    *bad |= c.bad;
}

int parse_tensor_proto(const char *path, const bytes *file, tensor *t) {
    size_t filled = 0;
    bool bad = false;
    scan(file, t, false, &filled, &bad);
    if (bad || t->dtype <= CREASE_UNDEFINED || t->dtype > CREASE_INT2)
        return fail(EXIT_BAD_INPUT, "%s: not .npy, PNG, JPEG or a TensorProto", path);
    if (t->dtype == CREASE_STRING)
        return fail(EXIT_UNSUPPORTED, "%s: string tensors are not supported", path);
    int code = tensor_allocate(t, path);
    if (code)
        return code;
    scan(file, t, true, &filled, &bad);
    if (bad || (t->bytes && !filled)) {
        tensor_free(t);
        return fail(EXIT_BAD_INPUT, "%s: the TensorProto's data do not match its dims", path);
    }
    return EXIT_OK;
}

static size_t put_varint(unsigned char *to, uint64_t value) {
    size_t n = 0;
    for (; value > 127; value >>= 7)
        to[n++] = (unsigned char)(value | 128);
    to[n++] = (unsigned char)value;
    return n;
}

int write_tensor_proto(const char *path, const crease_tensor *t) {
    unsigned char head[1024];
    size_t at = 0;
    for (int i = 0; i < t->rank; i++) {
        head[at++] = DIMS << 3 | VARINT;
        at += put_varint(head + at, (uint64_t)t->dims[i]);
    }
    head[at++] = DATA_TYPE << 3 | VARINT;
    at += put_varint(head + at, (uint64_t)t->dtype);
    size_t n = t->name ? strnlen(t->name, 255) : 0;
    head[at++] = NAME << 3 | DELIMITED;
    at += put_varint(head + at, n);
    if (n)
        memcpy(head + at, t->name, n);
    at += n;
    head[at++] = RAW_DATA << 3 | DELIMITED;
    at += put_varint(head + at, t->bytes);
    return write_file(path, head, at, t->data, t->bytes);
}

/* ---- JSON ---- */

void json_string(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)(text ? text : ""); *c; c++)
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    fputc('"', out);
}

void json_number(FILE *out, double value) {
    if (isfinite(value))
        fprintf(out, "%.9g", value);
    else
        fputs("null", out);
}

FILE *json_open(const char *path, char *temporary, size_t n) {
    if (strcmp(path, "-") == 0)
        return stdout;
    snprintf(temporary, n, "%s.%ld.tmp", path, (long)getpid());
    FILE *out = fopen(temporary, "wb");
    if (!out)
        fail(EXIT_BAD_INPUT, "%s: %s", path, strerror(errno));
    return out;
}

int json_close(FILE *out, const char *path, const char *temporary) {
    if (out == stdout)
        return EXIT_OK;
    bool good = !ferror(out);
    good = fclose(out) == 0 && good;
    if (good && rename(temporary, path) == 0)
        return EXIT_OK;
    unlink(temporary);
    return fail(EXIT_BAD_INPUT, "%s: cannot be written", path);
}
