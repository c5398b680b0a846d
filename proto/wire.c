#include "proto/wire.h"

#include <string.h>

enum { MAX_DEPTH = 100, LARGE_BYTES = 4096 };
enum wire_type { VARINT, FIXED64, BYTES, FIXED32 = 5 };
enum { RAW_DATA = 9, RAW_DATA_AT = 1000, RAW_DATA_BYTES = 1001 };

/* The messages that hold graphs or tensors; to the walk all others are CLOSED. */
enum message { CLOSED, MODEL, GRAPH, NODE, ATTRIBUTE, FUNCTION, SPARSE, TENSOR };

static enum message child(enum message parent, uint64_t field) {
    static const struct {
        enum message parent;
        unsigned field;
        enum message child;
    } edges[] = {
        {MODEL, 7, GRAPH},       {MODEL, 25, FUNCTION},   {FUNCTION, 7, NODE},     {FUNCTION, 11, ATTRIBUTE},
        {GRAPH, 1, NODE},        {GRAPH, 5, TENSOR},      {GRAPH, 15, SPARSE},     {NODE, 5, ATTRIBUTE},
        {ATTRIBUTE, 5, TENSOR},  {ATTRIBUTE, 6, GRAPH},   {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},
        {ATTRIBUTE, 22, SPARSE}, {ATTRIBUTE, 23, SPARSE}, {SPARSE, 1, TENSOR},     {SPARSE, 2, TENSOR}};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (edges[i].parent == parent && edges[i].field == field)
            return edges[i].child;
    return CLOSED;
}

/* What is written is counted; beyond the room nothing is written. Without room the walk measures. */
typedef struct walk {
    const char *who;
    const unsigned char *data;
    unsigned char *out;
    size_t room, n;
} walk;

static crease_status malformed(const walk *w) {
    return cr_fail(CREASE_ERROR_MODEL, "%s: not an ONNX model, or truncated", w->who);
}

/* ---- writing ---- */

static void put(walk *w, const void *bytes, size_t n) {
    if (n && n <= w->room && w->n <= w->room - n)
        memcpy(w->out + w->n, bytes, n);
    w->n += n;
}

/* Of 7 bits in each of `digits` bytes, leading zeros included: its size is known before its value is. */
static void put_padded(walk *w, uint64_t value, int digits) {
    unsigned char bytes[10];
    for (int i = 0; i < digits; i++)
        bytes[i] = (unsigned char)((value >> (7 * i) & 127) | (i < digits - 1 ? 128 : 0));
    put(w, bytes, (size_t)digits);
}

static void put_fixed64(walk *w, unsigned field, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    put_padded(w, field << 3 | FIXED64, 2);
    put(w, bytes, sizeof bytes);
}

/* Of several raw_data the parser takes the last, also of tensors that it merges: so each sets all three
 * fields. */
static void put_raw_data(walk *w, const unsigned char *begin, size_t n) {
    const bool large = n >= LARGE_BYTES;
    put_padded(w, RAW_DATA << 3 | BYTES, 1);
    put_padded(w, large ? 0 : n, 5);
    put(w, begin, large ? 0 : n);
    put_fixed64(w, RAW_DATA_AT, large ? (uint64_t)(begin - w->data) : 0);
    put_fixed64(w, RAW_DATA_BYTES, large ? n : 0);
}

/* ---- reading ---- */

static bool read_varint(const unsigned char **at, const unsigned char *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

typedef struct field {
    uint64_t number;
    unsigned type;
    const unsigned char *begin, *contents, *end; /* with its key; of BYTES behind the length */
    const unsigned char *length;                 /* of BYTES */
} field;

static bool read_field(const unsigned char **at, const unsigned char *end, field *f) {
    uint64_t key, n = 0;
    f->begin = *at;
    if (!read_varint(at, end, &key))
        return false;
    f->number = key >> 3;
    f->type = key & 7;
    f->length = *at;
    if (f->type != FIXED64 && f->type != FIXED32 && f->type != BYTES && f->type != VARINT)
        return false;
    if ((f->type == VARINT || f->type == BYTES) && !read_varint(at, end, &n))
        return false;
    if (f->type != BYTES)
        n = f->type == FIXED64 ? 8 : f->type == FIXED32 ? 4 : 0;
    if (n > (uint64_t)(end - *at))
        return false;
    f->contents = *at;
    f->end = *at += n;
    return true;
}

static crease_status walk_message(walk *w, enum message message, const unsigned char *at,
                                  const unsigned char *end, int depth);

/* Its length is written when it is known. */
static crease_status walk_child(walk *w, enum message message, const field *f, int depth) {
    enum { DIGITS = 5 };
    put(w, f->begin, (size_t)(f->length - f->begin));
    put_padded(w, 0, DIGITS);
    const size_t begin = w->n;
    CR_TRY(walk_message(w, message, f->contents, f->end, depth));
    const size_t after = w->n, n = after - begin;
    if (n >> (7 * DIGITS))
        return malformed(w);
    w->n = begin - DIGITS;
    put_padded(w, n, DIGITS);
    w->n = after;
    return CREASE_OK;
}

/* Tensors are not counted: nothing nests in them. */
static crease_status walk_message(walk *w, enum message message, const unsigned char *at,
                                  const unsigned char *end, int depth) {
    field f;
    if (depth == 0 && message < SPARSE)
        return malformed(w);
    while (at < end) {
        if (!read_field(&at, end, &f))
            return malformed(w);
        const enum message inner = f.type == BYTES ? child(message, f.number) : CLOSED;
        const bool of_tensor = message == TENSOR;
        if (inner != CLOSED)
            CR_TRY(walk_child(w, inner, &f, depth > 0 ? depth - 1 : 0));
        else if (of_tensor && f.number == RAW_DATA && f.type == BYTES)
            put_raw_data(w, f.contents, (size_t)(f.end - f.contents));
        else if (!of_tensor || (f.number != RAW_DATA_AT && f.number != RAW_DATA_BYTES))
            put(w, f.begin, (size_t)(f.end - f.begin));
    }
    return CREASE_OK;
}

crease_status cr_wire_check(const void *data, size_t bytes, const char *who) {
    walk w = {.who = who, .data = data};
    return walk_message(&w, MODEL, data, w.data + bytes, MAX_DEPTH);
}

static crease_status write_outline(walk *w, const unsigned char *end) {
    w->n = 0;
    CR_TRY(walk_message(w, MODEL, w->data, end, MAX_DEPTH));
    return w->n == w->room ? CREASE_OK : malformed(w); /* somebody writes to the file */
}

crease_status cr_wire_outline(const void *data, size_t bytes, const char *who, cr_heap *heap, void **outline,
                              size_t *outline_bytes) {
    walk w = {.who = who, .data = data};
    const unsigned char *end = w.data + bytes;
    *outline = NULL;
    CR_TRY(walk_message(&w, MODEL, data, end, MAX_DEPTH));
    CR_TRY(cr_alloc(heap, w.n, outline));
    w.out = *outline;
    w.room = *outline_bytes = w.n;
    crease_status status = write_outline(&w, end);
    if (status != CREASE_OK) {
        cr_free(heap, *outline);
        *outline = NULL;
    }
    return status;
}
