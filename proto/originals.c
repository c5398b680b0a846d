#include "proto/import.h"
#include "proto/proto.h"
#include "runtime/graph/edit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A folded model can carry the file it came from, so that folding can be undone bit for bit. The file is
 * stored as one metadata property: its ModelProto in base64 (RFC 4648), where an initializer that the folded
 * model has unchanged under the same name keeps its name, type and dims and loses its bytes. Such a reference
 * is marked in external_data by KEY, with a hash of the bytes: an editor may have changed them since. Fields
 * that crease does not know are carried along. */

static const char PROPERTY[] = "crease.originals";
static const char KEY[] = "crease.folded";

static const size_t MOST_BYTES = INT32_MAX; /* what Protocol Buffers can hold */

/* FNV-1a (Fowler, Noll and Vo 1991): against accidents, not against attack. */
static uint64_t hash(const void *data, size_t bytes) {
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
    return h;
}

/* ---- base64 ---- */

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(const unsigned char *from, size_t bytes, char *to) {
    for (size_t i = 0; i < bytes; i += 3) {
        size_t n = bytes - i < 3 ? bytes - i : 3;
        unsigned group = (unsigned)from[i] << 16 | (n > 1 ? (unsigned)from[i + 1] << 8 : 0) |
                         (n > 2 ? (unsigned)from[i + 2] : 0);
        for (size_t digit = 0; digit < 4; digit++)
            *to++ = digit <= n ? DIGITS[group >> (18 - 6 * digit) & 63] : '=';
    }
    *to = 0;
}

static int digit_of(char c) {
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

/* Whole groups of four, padded at the end only; false: not base64. `to` has room for 3/4 of it. */
static bool decode(const char *from, size_t length, unsigned char *to, size_t *bytes) {
    size_t padding = length >= 2 ? (size_t)(from[length - 1] == '=') + (from[length - 2] == '=') : 0;
    *bytes = length / 4 * 3 - padding;
    if (length == 0 || length % 4)
        return false;
    for (size_t i = 0, at = 0; i < length; i += 4) {
        unsigned group = 0;
        for (size_t j = 0; j < 4; j++) {
            bool pad = i + j >= length - padding;
            int digit = pad ? 0 : digit_of(from[i + j]);
            if (digit < 0)
                return false;
            group = group << 6 | (unsigned)digit;
        }
        for (int shift = 16; shift >= 0 && at < *bytes; shift -= 8)
            to[at++] = (unsigned char)(group >> shift);
    }
    return true;
}

/* ---- storing ---- */

/* The folded model's weights by name. */
typedef struct weights {
    const cr_value **sorted;
    bool *taken; /* referred to by the original */
    size_t n;
} weights;

static const cr_tensor *contents(const cr_value *v) {
    return v->constant ? v->constant : v->initial;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const cr_value *const *)a)->name, (*(const cr_value *const *)b)->name);
}

static crease_status list_weights(const cr_model *folded, cr_arena *arena, weights *w) {
    *w = (weights){0};
    CR_TRY(CR_ARENA_NEW(arena, &w->sorted, (size_t)folded->n_values));
    CR_TRY(CR_ARENA_NEW(arena, &w->taken, (size_t)folded->n_values));
    for (int i = 0; i < folded->n_values; i++) {
        const cr_value *v = folded->values[i];
        bool saved = v->n_uses || v->n_outputs || v->initial;
        if (v->graph == folded->graph && saved && contents(v) && contents(v)->dtype != CREASE_STRING)
            w->sorted[w->n++] = v;
    }
    qsort(w->sorted, w->n, sizeof *w->sorted, by_name);
    return CREASE_OK;
}

/* The weight of that name, type and dims that no other tensor has taken yet; NULL: none. */
static const cr_tensor *take_weight(weights *w, const CreaseOnnx__TensorProto *t) {
    cr_value key = {.name = t->name ? t->name : ""};
    const cr_value *sought = &key;
    const cr_value **found = w->n ? bsearch(&sought, w->sorted, w->n, sizeof *w->sorted, by_name) : NULL;
    const cr_tensor *own = found ? contents(*found) : NULL;
    if (!own || w->taken[found - w->sorted] || (int)own->dtype != t->data_type ||
        (size_t)own->shape.rank != t->n_dims ||
        (t->n_dims && memcmp(own->shape.dims, t->dims, t->n_dims * sizeof *t->dims) != 0))
        return NULL;
    w->taken[found - w->sorted] = true;
    return own;
}

/* A reference as it is made and read: the mark's value is in `text`. */
typedef struct mark {
    CreaseOnnx__StringStringEntryProto entry, *list[1];
    char text[17];
} mark;

static crease_status strip_tensor(weights *w, cr_arena *arena, CreaseOnnx__TensorProto *t) {
    size_t bytes;
    mark *m;
    if (t->data_location == 1)
        return cr_fail(CREASE_ERROR_UNSUPPORTED,
                       "tensor '%s' is external data, which cannot be stored: keep the original files",
                       t->name ? t->name : "");
    bool plain = t->has_raw_data && !t->has_data_location && !t->n_external_data;
    const cr_tensor *twin = plain ? take_weight(w, t) : NULL;
    if (!twin || !cr_tensor_bytes(twin->dtype, 0, &twin->shape, &bytes) || bytes != t->raw_data.len ||
        bytes <= sizeof m->text || memcmp(twin->data, t->raw_data.data, bytes) != 0)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(arena, &m, 1));
    crease_onnx__string_string_entry_proto__init(&m->entry);
    snprintf(m->text, sizeof m->text, "%016" PRIx64, hash(twin->data, bytes));
    m->entry.key = (char *)(uintptr_t)KEY;
    m->entry.value = m->text;
    m->list[0] = &m->entry;
    t->external_data = m->list;
    t->n_external_data = 1;
    t->has_raw_data = 0;
    return CREASE_OK;
}

/* What strip_tensor lent to the message, which its owner is going to free. */
static void unlend(CreaseOnnx__GraphProto *graph) {
    for (size_t i = 0; i < graph->n_initializer; i++) {
        CreaseOnnx__TensorProto *t = graph->initializer[i];
        if (t->n_external_data == 1 && t->external_data[0]->key == KEY) {
            t->external_data = NULL;
            t->n_external_data = 0;
        }
    }
}

static crease_status pack(const CreaseOnnx__ModelProto *proto, cr_heap *heap, void **data, size_t *bytes) {
    *bytes = crease_onnx__model_proto__get_packed_size(proto);
    if (*bytes > MOST_BYTES)
        return cr_fail(CREASE_ERROR_MODEL, "the original has %zu bytes, an ONNX file at most %zu", *bytes,
                       MOST_BYTES);
    CR_TRY(cr_alloc(heap, *bytes, data));
    crease_onnx__model_proto__pack(proto, *data);
    return CREASE_OK;
}

static crease_status set_property(cr_model *folded, const void *data, size_t bytes) {
    void *text;
    CR_TRY(cr_alloc(folded->heap, (bytes + 2) / 3 * 4 + 1, &text));
    encode(data, bytes, text);
    crease_status status = cr_model_set_property(folded, PROPERTY, text);
    cr_free(folded->heap, text);
    return status;
}

static crease_status store(cr_model *folded, cr_arena *arena, CreaseOnnx__ModelProto *proto) {
    void *data = NULL;
    size_t bytes;
    if (!proto->graph)
        return cr_fail(CREASE_ERROR_MODEL, "the original is not an ONNX model: it has no graph");
    weights w;
    CR_TRY(list_weights(folded, arena, &w));
    for (size_t i = 0; i < proto->graph->n_initializer; i++)
        CR_TRY(strip_tensor(&w, arena, proto->graph->initializer[i]));
    CR_TRY(pack(proto, folded->heap, &data, &bytes));
    crease_status status = set_property(folded, data, bytes);
    cr_free(folded->heap, data);
    return status;
}

crease_status cr_proto_store_originals(cr_model *folded, const void *original, size_t bytes) {
    ProtobufCAllocator allocator = cr_proto_allocator(folded->heap);
    CreaseOnnx__ModelProto *proto;
    cr_arena arena;
    CR_TRY(cr_proto_parse(original, bytes, "the original", folded->heap, &proto));
    cr_arena_init(&arena, folded->heap);
    crease_status status = store(folded, &arena, proto);
    if (proto->graph)
        unlend(proto->graph);
    crease_onnx__model_proto__free_unpacked(proto, &allocator);
    cr_arena_clear(&arena);
    return status;
}

/* ---- restoring ---- */

static bool is_reference(const CreaseOnnx__TensorProto *t) {
    return t->n_external_data == 1 && t->external_data[0]->key && strcmp(t->external_data[0]->key, KEY) == 0;
}

/* The stored text is hostile: each weight is lent once, so that a small text cannot ask for much. */
static crease_status fill_tensor(weights *w, cr_heap *heap, CreaseOnnx__TensorProto *t) {
    ProtobufCAllocator allocator = cr_proto_allocator(heap);
    char text[17];
    size_t bytes = 0;
    if (t->has_raw_data)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' of the original is stored twice",
                       t->name ? t->name : "");
    const cr_tensor *twin = take_weight(w, t);
    if (!twin || !cr_tensor_bytes(twin->dtype, 0, &twin->shape, &bytes))
        return cr_fail(CREASE_ERROR_MODEL, "the original needs tensor '%s', which the folded model lacks",
                       t->name ? t->name : "");
    snprintf(text, sizeof text, "%016" PRIx64, hash(twin->data, bytes));
    if (!t->external_data[0]->value || strcmp(text, t->external_data[0]->value) != 0)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s' was changed since the model was folded", t->name);
    crease_onnx__string_string_entry_proto__free_unpacked(t->external_data[0], &allocator);
    allocator.free(heap, t->external_data);
    t->external_data = NULL;
    t->n_external_data = 0;
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){bytes, twin->data}; /* lent: see restore */
    return CREASE_OK;
}

/* What fill_tensor lent goes back before the message is freed. */
static void give_back(const bool *lent, CreaseOnnx__GraphProto *graph) {
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (lent[i])
            graph->initializer[i]->raw_data.data = NULL;
}

static crease_status fill_all(const cr_model *folded, cr_arena *arena, bool *lent,
                              CreaseOnnx__GraphProto *graph) {
    weights w;
    CR_TRY(list_weights(folded, arena, &w));
    for (size_t i = 0; i < graph->n_initializer; i++) {
        if (!is_reference(graph->initializer[i]))
            continue;
        CR_TRY(fill_tensor(&w, arena->heap, graph->initializer[i]));
        lent[i] = true;
    }
    return CREASE_OK;
}

static crease_status restore(const cr_model *folded, cr_arena *arena, CreaseOnnx__ModelProto *proto,
                             void **data, size_t *bytes) {
    bool *lent;
    if (!proto->graph)
        return cr_fail(CREASE_ERROR_MODEL, "the stored original has no graph");
    CR_TRY(CR_ARENA_NEW(arena, &lent, proto->graph->n_initializer));
    crease_status status = fill_all(folded, arena, lent, proto->graph);
    if (status == CREASE_OK)
        status = pack(proto, arena->heap, data, bytes);
    give_back(lent, proto->graph);
    return status;
}

static const char *stored_text(const cr_model *folded) {
    for (int i = 0; i < folded->n_properties; i++)
        if (strcmp(folded->properties[i].key, PROPERTY) == 0)
            return folded->properties[i].value;
    return NULL;
}

bool cr_proto_has_originals(const cr_model *folded) {
    return stored_text(folded) != NULL;
}

crease_status cr_proto_restore_originals(const cr_model *folded, cr_heap *heap, void **data, size_t *bytes) {
    ProtobufCAllocator allocator = cr_proto_allocator(heap);
    CreaseOnnx__ModelProto *proto = NULL;
    const char *text = stored_text(folded);
    void *block;
    size_t n;
    *data = NULL;
    if (!text)
        return cr_fail(CREASE_ERROR_INPUT,
                       "the model carries no original: it was not folded with its originals kept");
    CR_TRY(cr_alloc(heap, strlen(text) / 4 * 3 + 3, &block));
    crease_status status = decode(text, strlen(text), block, &n)
                               ? cr_proto_parse(block, n, "the stored original", heap, &proto)
                               : cr_fail(CREASE_ERROR_MODEL, "the stored original is not base64");
    cr_free(heap, block);
    CR_TRY(status);
    cr_arena arena;
    cr_arena_init(&arena, heap);
    status = restore(folded, &arena, proto, data, bytes);
    cr_arena_clear(&arena);
    crease_onnx__model_proto__free_unpacked(proto, &allocator);
    return status;
}
