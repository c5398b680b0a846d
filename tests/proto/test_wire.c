#include "proto/wire.h"
#include "tests/proto/by_hand.h"

#include "onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* Criterion has a cr_free of its own. */
#define cr_free criterion_free
#include <criterion/criterion.h>
#undef cr_free

enum { LARGE = 5000, SMALL = 8 };
enum { MODEL_GRAPH = 7, MODEL_FUNCTION = 25, GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_SPARSE = 15 };
enum { NODE_ATTRIBUTE = 5, ATTRIBUTE_T = 5, ATTRIBUTE_G = 6, ATTRIBUTE_TENSORS = 10, ATTRIBUTE_GRAPHS = 11 };
enum { ATTRIBUTE_SPARSE = 22, ATTRIBUTE_SPARSES = 23, FUNCTION_NODE = 7, FUNCTION_ATTRIBUTE = 11 };
enum { VALUES = 1, INDICES = 2, RAW_DATA = 9, RAW_DATA_AT = 1000, RAW_DATA_BYTES = 1001 };

/* ---- models by hand ---- */

static void fixed64(bytes *b, unsigned field, uint64_t value) {
    varint(b, field << 3 | 1);
    memcpy(b->data + b->n, &value, 8);
    b->n += 8;
}

static bytes within(unsigned field, bytes inner) {
    bytes b = {.n = 0};
    blob(&b, field, inner.data, inner.n);
    return b;
}

static void raw(bytes *tensor, unsigned char fill, size_t n) {
    unsigned char data[LARGE];
    memset(data, fill, sizeof data);
    blob(tensor, RAW_DATA, data, n);
}

static bytes tensor_of(unsigned char fill, size_t n) {
    bytes b = {.n = 0};
    blob(&b, 8, "w", 1);
    raw(&b, fill, n);
    blob(&b, 12, "doc", 3);
    return b;
}

static bytes model_of(bytes tensor) {
    return within(MODEL_GRAPH, within(GRAPH_INITIALIZER, tensor));
}

/* ---- outlines ---- */

typedef struct outline {
    cr_heap *heap;
    void *bytes;
    size_t n;
    crease_status status;
} outline;

static outline outline_of(const void *data, size_t n) {
    outline o;
    cr_assert_eq(cr_heap_create(NULL, 0, &o.heap), CREASE_OK);
    o.status = cr_wire_outline(data, n, "test", o.heap, &o.bytes, &o.n);
    cr_assert_eq(o.status == CREASE_OK, o.bytes != NULL);
    cr_assert_eq(cr_wire_check(data, n, "test"), o.status, "both walks agree");
    return o;
}

static void done(outline o) {
    cr_free(o.heap, o.bytes);
    cr_assert_eq(cr_heap_used(o.heap), 0);
    cr_heap_release(o.heap);
}

/* The raw data of the first initializer, taken from where the outline says. */
static void expect_raw(const bytes *model, unsigned char fill, size_t n, bool left_out) {
    outline o = outline_of(model->data, model->n);
    cr_assert_eq(o.status, CREASE_OK);
    CreaseOnnx__ModelProto *proto = crease_onnx__model_proto__unpack(NULL, o.n, o.bytes);
    cr_assert_not_null(proto);
    const CreaseOnnx__TensorProto *t = proto->graph->initializer[0];
    cr_assert_eq(t->raw_data_bytes, left_out ? n : 0);
    cr_assert_eq(t->raw_data.len, left_out ? 0 : n);
    const unsigned char *data = left_out ? model->data + t->raw_data_at : t->raw_data.data;
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(data[i], fill);
    crease_onnx__model_proto__free_unpacked(proto, NULL);
    done(o);
}

Test(wire, says_where_large_raw_data_are) {
    const bytes large = model_of(tensor_of(7, LARGE)), small = model_of(tensor_of(9, SMALL));
    expect_raw(&large, 7, LARGE, true);
    expect_raw(&small, 9, SMALL, false);
}

/* protobuf's rule, within a tensor and where the parser merges two of them. */
Test(wire, the_last_of_several_raw_data_counts) {
    const size_t sizes[] = {LARGE, SMALL, 0};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            bytes tensor = tensor_of(1, sizes[i]);
            raw(&tensor, 2, sizes[j]);
            const bytes model = model_of(tensor);
            expect_raw(&model, 2, sizes[j], sizes[j] == LARGE);
        }
}

Test(wire, fields_of_its_own_mean_nothing_in_a_file) {
    for (int large = 0; large < 2; large++) {
        bytes tensor = tensor_of(3, large ? LARGE : SMALL);
        fixed64(&tensor, RAW_DATA_AT, 1);
        fixed64(&tensor, RAW_DATA_BYTES, (uint64_t)1 << 60);
        const bytes model = model_of(tensor);
        expect_raw(&model, 3, large ? LARGE : SMALL, large);
    }
}

Test(wire, finds_tensors_wherever_they_can_stand) {
    const bytes t = tensor_of(1, LARGE);
    const bytes attributes[] = {within(ATTRIBUTE_T, t),
                                within(ATTRIBUTE_TENSORS, t),
                                within(ATTRIBUTE_SPARSE, within(VALUES, t)),
                                within(ATTRIBUTE_SPARSES, within(INDICES, t)),
                                within(ATTRIBUTE_G, within(GRAPH_INITIALIZER, t)),
                                within(ATTRIBUTE_GRAPHS, within(GRAPH_SPARSE, within(VALUES, t)))};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        const bytes node = within(NODE_ATTRIBUTE, attributes[i]);
        const bytes models[] = {within(MODEL_GRAPH, within(GRAPH_NODE, node)),
                                within(MODEL_FUNCTION, within(FUNCTION_NODE, node)),
                                within(MODEL_FUNCTION, within(FUNCTION_ATTRIBUTE, attributes[i]))};
        for (int m = 0; m < 3; m++) {
            outline o = outline_of(models[m].data, models[m].n);
            cr_assert_eq(o.status, CREASE_OK);
            cr_assert_lt(o.n, 200, "attribute %zu, model %d: the tensor is still there", i, m);
            done(o);
        }
    }
}

/* ---- hostile bytes ---- */

static void refuse(const void *data, size_t n) {
    outline o = outline_of(data, n);
    cr_assert_eq(o.status, CREASE_ERROR_MODEL);
    cr_assert(strstr(crease_error_message(), "truncated"));
    done(o);
}

/* In a block of its own size, so that a sanitizer sees what is read behind it. */
Test(wire, refuses_truncated_messages) {
    const bytes model = model_of(tensor_of(1, LARGE));
    for (size_t n = 1; n < model.n; n++) {
        void *copy = malloc(n);
        cr_assert_not_null(copy);
        memcpy(copy, model.data, n);
        refuse(copy, n);
        free(copy);
    }
}

Test(wire, refuses_lengths_without_end) {
    const uint64_t lengths[] = {LARGE + 1, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 8};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        bytes tensor = {.n = 0};
        varint(&tensor, RAW_DATA << 3 | 2);
        varint(&tensor, lengths[i]);
        tensor.n += LARGE;
        const bytes model = model_of(tensor);
        refuse(model.data, model.n);
    }
    const unsigned char endless[] = {0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
    refuse(endless, sizeof endless);
}

Test(wire, survives_random_damage) {
    unsigned seed = 1;
    bytes tensor = tensor_of(1, LARGE);
    raw(&tensor, 2, SMALL);
    const bytes model =
        within(MODEL_GRAPH, within(GRAPH_NODE, within(NODE_ATTRIBUTE, within(ATTRIBUTE_T, tensor))));
    for (int round = 0; round < 5000; round++) {
        bytes damaged = model;
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525U + 1013904223U;
            const size_t at = seed >> 8, n = seed & 1 ? 40 : model.n;
            damaged.data[seed & 2 ? at % n : model.n - 1 - at % n] = (unsigned char)(seed >> 16);
        }
        outline o = outline_of(damaged.data, damaged.n);
        CreaseOnnx__ModelProto *proto = o.bytes ? crease_onnx__model_proto__unpack(NULL, o.n, o.bytes) : NULL;
        crease_onnx__model_proto__free_unpacked(proto, NULL);
        done(o);
    }
}
