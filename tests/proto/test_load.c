#define _GNU_SOURCE
#include "proto/proto.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "tests/proto/by_hand.h"

#include "onnx.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Criterion has a cr_free of its own. */
#define cr_free criterion_free
#include <criterion/criterion.h>
#undef cr_free

static void number(bytes *b, unsigned field, int64_t value) {
    varint(b, field << 3);
    varint(b, (uint64_t)value);
}

static void text(bytes *b, unsigned field, const char *value) {
    blob(b, field, value, strlen(value));
}

static void message(bytes *b, unsigned field, const bytes *inner) {
    blob(b, field, inner->data, inner->n);
}

enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12, GRAPH_SPARSE = 15 };

static bytes node(const char *op, const char *input, const char *output) {
    bytes b = {.n = 0};
    text(&b, 1, input);
    text(&b, 2, output);
    text(&b, 4, op);
    return b;
}

static void add(bytes *graph, unsigned field, bytes part) {
    message(graph, field, &part);
}

/* x and y as float vectors of unknown length. */
static void add_value(bytes *graph, unsigned field, const char *name) {
    bytes tensor = {.n = 0}, type = {.n = 0}, info = {.n = 0};
    number(&tensor, 1, 1);
    message(&type, 1, &tensor);
    text(&info, 1, name);
    message(&info, 2, &type);
    message(graph, field, &info);
}

static bytes frame(void) {
    bytes graph = {.n = 0};
    text(&graph, 2, "g");
    add_value(&graph, GRAPH_INPUT, "x");
    add_value(&graph, GRAPH_OUTPUT, "y");
    return graph;
}

static bytes model_of(bytes graph, int64_t ir_version) {
    bytes model = {.n = 0}, opset = {.n = 0};
    number(&model, 1, ir_version);
    message(&model, 7, &graph);
    number(&opset, 2, 13);
    message(&model, 8, &opset);
    return model;
}

static bytes tensor(const char *name, int64_t dtype, int64_t extent) {
    bytes b = {.n = 0};
    number(&b, 1, extent);
    number(&b, 2, dtype);
    text(&b, 8, name);
    return b;
}

static cr_heap *heap;

static void open_heap(void) {
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
}

/* Nothing may be left, whatever a test loaded. */
static void close_heap(void) {
    cr_assert_eq(cr_heap_used(heap), 0, "%zu bytes are still in use", cr_heap_used(heap));
    cr_heap_release(heap);
}

TestSuite(load, .init = open_heap, .fini = close_heap);

static crease_status load(bytes model, bool assume_const, cr_model **loaded) {
    crease_status status = cr_proto_load_memory(model.data, model.n, heap, assume_const, loaded);
    if (status == CREASE_OK)
        status = cr_model_order(*loaded);
    if (status == CREASE_OK)
        status = cr_model_verify(*loaded);
    if (status != CREASE_OK) {
        cr_model_destroy(*loaded);
        *loaded = NULL;
    }
    return status;
}

static cr_model *load_good(bytes model, bool assume_const) {
    cr_model *loaded;
    crease_status status = load(model, assume_const, &loaded);
    cr_assert_eq(status, CREASE_OK, "%s", crease_error_message());
    return loaded;
}

static void refuse(bytes model, const char *sentence) {
    cr_model *loaded;
    cr_assert_eq(load(model, false, &loaded), CREASE_ERROR_MODEL);
    cr_assert_null(loaded);
    cr_assert(strstr(crease_error_message(), sentence), "'%s' lacks '%s'", crease_error_message(), sentence);
}

static void refuse_text(const char *contents, const char *sentence) {
    bytes b = {.n = strlen(contents)};
    memcpy(b.data, contents, b.n);
    refuse(b, sentence);
}

/* y = Add(x, w) with w in the graph as `part`. */
static bytes with_weight(unsigned field, bytes part) {
    bytes graph = frame(), sum = node("Add", "x", "y");
    text(&sum, 1, "w");
    add(&graph, GRAPH_NODE, sum);
    add(&graph, field, part);
    return graph;
}

Test(load, says_what_a_file_is_instead) {
    refuse_text("", "empty");
    refuse_text("version https://git-lfs.github.com/spec/v1\n", "Git LFS");
    refuse_text("<!DOCTYPE html>\n", "HTML");
    refuse_text("\n <HTML>", "HTML");
    refuse_text("{\"a\": 1}", "not an ONNX model");
}

Test(load, survives_truncation_anywhere) {
    bytes weight = tensor("w", 1, 2);
    blob(&weight, 9, "12345678", 8);
    bytes whole = model_of(with_weight(GRAPH_INITIALIZER, weight), 8);
    cr_model_destroy(load_good(whole, false));
    for (size_t n = 0; n < whole.n; n++) {
        bytes part = whole;
        part.n = n;
        cr_model *loaded;
        if (load(part, false, &loaded) == CREASE_OK) /* cut between two fields of the model */
            cr_model_destroy(loaded);
    }
}

Test(load, names_what_is_wrong_with_the_graph) {
    bytes graph = frame();
    add(&graph, GRAPH_NODE, node("Relu", "nowhere", "y"));
    refuse(model_of(graph, 8), "'nowhere'");

    graph = frame();
    add(&graph, GRAPH_NODE, node("Relu", "x", "y"));
    add(&graph, GRAPH_NODE, node("Neg", "x", "y"));
    refuse(model_of(graph, 8), "'y'");

    graph = frame();
    bytes twice = node("Dropout", "x", "y");
    text(&twice, 2, "y");
    add(&graph, GRAPH_NODE, twice);
    refuse(model_of(graph, 8), "listed twice");

    graph = frame();
    add(&graph, GRAPH_NODE, node("Relu", "b", "a"));
    add(&graph, GRAPH_NODE, node("Relu", "a", "b"));
    add(&graph, GRAPH_NODE, node("Relu", "a", "y"));
    refuse(model_of(graph, 8), "cycle");
}

/* A graph that also has a float input of this shape, a TensorShapeProto. */
static bytes graph_with(const char *name, const bytes *shape) {
    bytes tensor = {.n = 0}, type = {.n = 0}, info = {.n = 0}, graph = frame();
    number(&tensor, 1, 1);
    message(&tensor, 2, shape);
    message(&type, 1, &tensor);
    text(&info, 1, name);
    message(&info, 2, &type);
    message(&graph, GRAPH_INPUT, &info);
    add(&graph, GRAPH_NODE, node("Relu", "x", "y"));
    return graph;
}

/* Extents of 0 and unknown ones do not make the others possible. */
Test(load, refuses_extents_that_no_tensor_has) {
    for (int64_t beside = -1; beside < 2; beside++) {
        bytes shape = {.n = 0};
        const int64_t extents[] = {beside, INT64_MAX / 16 + 1};
        for (int d = 0; d < 2; d++) {
            bytes dim = {.n = 0};
            number(&dim, 1, extents[d]);
            message(&shape, 1, &dim);
        }
        refuse(model_of(graph_with("wide", &shape), 8), "wide");
    }
}

/* A [name, name] input. */
static cr_model *load_named(const char *name) {
    bytes dim = {.n = 0}, shape = {.n = 0};
    text(&dim, 2, name);
    message(&shape, 1, &dim);
    message(&shape, 1, &dim);
    return load_good(model_of(graph_with("named", &shape), 8), false);
}

Test(load, some_names_of_dimensions_say_nothing) {
    static const struct {
        const char *name;
        bool says;
    } cases[] = {{"batch", true}, {"?", false}, {"None", false}, {"-1", false}, {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_model *model = load_named(cases[i].name);
        const cr_graph *graph = model->graph;
        const cr_shape *shape = &graph->inputs[graph->n_inputs - 1]->shape;
        cr_assert_eq(shape->rank, 2);
        cr_assert_eq(shape->dims[0] <= CR_DIM_FIRST_SYMBOL, cases[i].says, "'%s'", cases[i].name);
        cr_assert(!cases[i].says || shape->dims[0] == shape->dims[1]);
        cr_model_destroy(model);
    }
}

Test(load, takes_nodes_in_any_order) {
    bytes graph = frame();
    add(&graph, GRAPH_NODE, node("Relu", "a", "y"));
    add(&graph, GRAPH_NODE, node("Neg", "x", "a"));
    cr_model *model = load_good(model_of(graph, 8), false);
    cr_assert_str_eq(model->graph->first->op_type, "Neg");
    cr_model_destroy(model);
}

Test(load, holds_tensor_sizes_against_their_bytes) {
    bytes weight = tensor("w", 1, 3);
    blob(&weight, 9, "1234", 4);
    refuse(model_of(with_weight(GRAPH_INITIALIZER, weight), 8), "'w'");
    refuse(model_of(with_weight(GRAPH_INITIALIZER, tensor("w", 1, -3)), 8), "negative");
    refuse(model_of(with_weight(GRAPH_INITIALIZER, tensor("w", 99, 3)), 8), "element type");
    refuse(model_of(with_weight(GRAPH_INITIALIZER, tensor("w", 1, INT64_MAX)), 8), "w");
    refuse(model_of(with_weight(GRAPH_INITIALIZER, tensor("w", 1, (int64_t)1 << 40)), 8), "'w'");
    refuse(model_of(with_weight(GRAPH_INITIALIZER, tensor("w", 8, (int64_t)1 << 40)), 8), "'w'");
}

/* Large ones are copied from where they stand in the file, at any offset. */
Test(load, weights_stand_in_memory_once) {
    enum { N = 12000, BYTES = N * 4 };
    static float values[N];
    for (int i = 0; i < N; i++)
        values[i] = (float)i;
    for (size_t shift = 0; shift < 4; shift++) {
        bytes weight = tensor("w", 1, N);
        text(&weight, 12, &"abc"[shift % 4]);
        blob(&weight, 9, values, BYTES);
        cr_heap *counted;
        cr_model *model;
        const bytes file = model_of(with_weight(GRAPH_INITIALIZER, weight), 8);
        cr_assert_eq(cr_heap_create(NULL, 0, &counted), CREASE_OK);
        cr_assert_eq(cr_proto_load_memory(file.data, file.n, counted, true, &model), CREASE_OK);
        cr_assert_lt(cr_heap_peak(counted), 2 * BYTES);
        bool found = false;
        for (int i = 0; i < model->n_values; i++)
            if (strcmp(model->values[i]->name, "w") == 0 && model->values[i]->constant)
                found = memcmp(model->values[i]->constant->data, values, BYTES) == 0;
        cr_assert(found);
        cr_model_destroy(model);
        cr_heap_release(counted);
    }
}

/* A message that comes twice is merged: the first half has the contents, the second may add anything. */
Test(load, keeps_large_weights_of_merged_tensors) {
    enum { N = 2000, BYTES = N * 4 };
    static float values[N];
    values[N - 1] = 5;
    bytes weight = tensor("", 1, N), rest = {.n = 0}, value = {.n = 0}, constant = {.n = 0};
    blob(&weight, 9, values, BYTES);
    text(&rest, 12, "doc");
    text(&value, 1, "value");
    message(&value, 5, &weight);
    number(&value, 20, 4);
    message(&value, 5, &rest);
    text(&constant, 2, "y");
    text(&constant, 4, "Constant");
    message(&constant, 5, &value);
    bytes graph = frame();
    add(&graph, GRAPH_NODE, constant);
    cr_model *model = load_good(model_of(graph, 8), false);
    const cr_attr *attr = cr_attr_find(model->graph->first, "value");
    cr_assert_not_null(attr);
    cr_assert_arr_eq(attr->tensors[0].data, values, BYTES);
    cr_model_destroy(model);
}

Test(load, bounds_sparse_tensors) {
    bytes values = tensor("w", 1, 1), indices = tensor("", 7, 1), sparse = {.n = 0};
    blob(&values, 9, "\0\0\xa0\x40", 4); /* 5.0f */
    blob(&indices, 9, "\1\0\0\0\0\0\0\0", 8);
    message(&sparse, 1, &values);
    message(&sparse, 2, &indices);
    bytes huge = sparse;
    number(&sparse, 3, 3);
    number(&huge, 3, (int64_t)1 << 33);
    cr_model *model = load_good(model_of(with_weight(GRAPH_SPARSE, sparse), 8), false);
    const float *dense = cr_node_constant(model->graph->first, 1)->data;
    cr_assert(dense[0] == 0 && dense[1] == 5 && dense[2] == 0);
    cr_model_destroy(model);
    refuse(model_of(with_weight(GRAPH_SPARSE, huge), 8), "sparse tensor 'w'");
}

Test(load, reads_typed_fields) {
    bytes half = tensor("w", CREASE_FLOAT16, 2);
    blob(&half, 5, "\x80\x78\x80\x80\x01", 5); /* int32_data 15360, 16384, packed */
    cr_model *model = load_good(model_of(with_weight(GRAPH_INITIALIZER, half), 8), false);
    const uint16_t *data = cr_node_constant(model->graph->first, 1)->data;
    cr_assert(data[0] == 0x3c00 && data[1] == 0x4000);
    cr_model_destroy(model);

    bytes packed = tensor("w", CREASE_INT4, 3); /* two elements a byte */
    blob(&packed, 5, "\x21\x03", 2);
    model = load_good(model_of(with_weight(GRAPH_INITIALIZER, packed), 8), false);
    const uint8_t *nibbles = cr_node_constant(model->graph->first, 1)->data;
    cr_assert(nibbles[0] == 0x21 && nibbles[1] == 0x03);
    cr_model_destroy(model);
}

Test(load, overridable_initializers_depend_on_the_ir_version) {
    bytes weight = tensor("w", 1, 1);
    blob(&weight, 9, "1234", 4);
    bytes graph = with_weight(GRAPH_INITIALIZER, weight);
    add_value(&graph, GRAPH_INPUT, "w");

    cr_model *model = load_good(model_of(graph, 8), false);
    const cr_value *w = model->graph->first->inputs[1];
    cr_assert(w->is_input && w->initial && !w->constant && model->graph->n_inputs == 2);
    cr_model_destroy(model);

    for (int ir = 3; ir <= 8; ir += 5) { /* fixed by version or by request */
        model = load_good(model_of(graph, ir), ir == 8);
        w = model->graph->first->inputs[1];
        cr_assert(!w->is_input && !w->initial && w->constant && model->graph->n_inputs == 1);
        cr_model_destroy(model);
    }
}

/* ---- functions ---- */

static void add_function(bytes *model, const char *name, bytes body) {
    bytes f = {.n = 0};
    text(&f, 1, name);
    text(&f, 4, "a");
    text(&f, 5, "b");
    text(&f, 10, "my");
    f.n += (memcpy(f.data + f.n, body.data, body.n), body.n);
    message(model, 25, &f);
}

static bytes call(const char *function, const char *input, const char *output) {
    bytes b = node(function, input, output);
    text(&b, 7, "my");
    return b;
}

Test(load, inlines_functions) {
    bytes graph = frame(), body = {.n = 0}, alpha = {.n = 0}, leaky = node("LeakyRelu", "a", "t");
    text(&alpha, 1, "alpha");
    number(&alpha, 20, 1);
    text(&alpha, 21, "slope"); /* ref_attr_name; no caller gives it */
    message(&leaky, 5, &alpha);
    add(&body, 7, leaky);
    add(&body, 7, node("Neg", "t", "b"));
    add(&graph, GRAPH_NODE, call("F", "x", "t")); /* the caller's t is not the body's */
    add(&graph, GRAPH_NODE, call("F", "t", "y"));
    bytes bytes_of = model_of(graph, 8);
    add_function(&bytes_of, "F", body);

    cr_model *model = load_good(bytes_of, false);
    cr_assert_eq(model->graph->n_nodes, 4);
    cr_assert_eq(model->graph->first->n_attrs, 0);
    CR_FOR_NODES(n, model->graph)
    cr_assert_str_empty(n->domain);
    cr_assert_eq(model->graph->last->outputs[0], model->graph->outputs[0]);
    cr_model_destroy(model);
}

Test(load, refuses_functions_without_end) {
    bytes graph = frame(), body = {.n = 0};
    add(&graph, GRAPH_NODE, call("F0", "x", "y"));
    bytes self = model_of(graph, 8), laughs = self;
    add(&body, 7, call("F0", "a", "b"));
    add_function(&self, "F0", body);
    refuse(self, "calls itself");

    for (int i = 0; i < 40; i++) {
        char name[16], next[16];
        bytes two = {.n = 0};
        snprintf(name, sizeof name, "F%d", i);
        snprintf(next, sizeof next, "F%d", i + 1);
        add(&two, 7, call(next, "a", "m"));
        add(&two, 7, call(next, "m", "b"));
        add_function(&laughs, name, two);
    }
    bytes last = {.n = 0};
    add(&last, 7, node("Neg", "a", "b"));
    add_function(&laughs, "F40", last);
    refuse(laughs, "expand");
}

/* ---- files ---- */

static char folder[64];

static const char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t n) {
    FILE *file = fopen(in_folder(name), "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, n, file), n);
    fclose(file);
}

static crease_status load_external(const char *location, const char *offset, const char *length,
                                   cr_model **model) {
    bytes weight = tensor("w", 1, 2);
    const char *entries[][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    number(&weight, 14, 1);
    for (int i = 0; i < 3; i++) {
        bytes entry = {.n = 0};
        text(&entry, 1, entries[i][0]);
        text(&entry, 2, entries[i][1]);
        message(&weight, 13, &entry);
    }
    bytes file = model_of(with_weight(GRAPH_INITIALIZER, weight), 8);
    write_file("m.onnx", file.data, file.n);
    return cr_proto_load_file(in_folder("m.onnx"), heap, false, model);
}

Test(load, confines_external_data) {
    static const char *const bad[][3] = {
        {"/etc/passwd", "0", "8"},  {"../w.bin", "0", "8"},
        {"sub/../w.bin", "0", "8"}, {"link", "0", "8"},
        {"missing", "0", "8"},      {".", "0", "8"},
        {"w.bin", "12", "8"},       {"w.bin", "-1", "8"},
        {"w.bin", "0", "16"},       {"w.bin", "18446744073709551612", "8"},
    };
    cr_model *model;
    snprintf(folder, sizeof folder, "/tmp/crease-load-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    const float numbers[] = {1, 2, 3, 4};
    write_file("w.bin", numbers, sizeof numbers);
    cr_assert_eq(mkdir(in_folder("sub"), 0700), 0);
    cr_assert_eq(symlink("/etc/passwd", in_folder("link")), 0);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(load_external(bad[i][0], bad[i][1], bad[i][2], &model), CREASE_ERROR_MODEL, "%s",
                     bad[i][0]);
        cr_assert_null(model);
    }
    cr_assert_eq(load_external("w.bin", "8", "8", &model), CREASE_OK, "%s", crease_error_message());
    cr_assert_arr_eq(cr_node_constant(model->graph->first, 1)->data, numbers + 2, 8);
    cr_model_destroy(model);
    cr_assert_eq(cr_proto_load_file(in_folder("nothing"), heap, false, &model), CREASE_ERROR_FILE);

    static const char *const made[] = {"link", "w.bin", "m.onnx"};
    for (int i = 0; i < 3; i++)
        unlink(in_folder(made[i]));
    rmdir(in_folder("sub"));
    rmdir(folder);
}

/* ---- round trip, and memory that ends ---- */

static bytes rich_model(int64_t ir_version) {
    bytes weight = tensor("w", 1, 2), info = {.n = 0}, type = {.n = 0}, property = {.n = 0};
    blob(&weight, 9, "12345678", 8);
    bytes graph = with_weight(GRAPH_INITIALIZER, weight);
    add(&graph, GRAPH_NODE, node("SplitToSequence", "y", "s"));
    blob(&type, 4, "\x0a\x04\x0a\x02\x08\x01", 6); /* a sequence of float tensors */
    text(&info, 1, "s");
    message(&info, 2, &type);
    add(&graph, GRAPH_OUTPUT, info);
    bytes model = model_of(graph, ir_version);
    text(&property, 1, "key");
    text(&property, 2, "value");
    message(&model, 14, &property);
    return model;
}

Test(load, saves_what_it_loaded) {
    for (int ir = 3; ir <= 8; ir += 5) {
        void *first, *second;
        size_t n_first, n_second;
        cr_model *model = load_good(rich_model(ir), false), *again;
        cr_assert_eq(cr_proto_save(model, heap, &first, &n_first), CREASE_OK);
        cr_assert_eq(cr_proto_load_memory(first, n_first, heap, false, &again), CREASE_OK);
        cr_assert_eq(cr_proto_save(again, heap, &second, &n_second), CREASE_OK);
        cr_assert_eq(n_first, n_second);
        cr_assert_arr_eq(first, second, n_first);
        cr_assert_eq(again->graph->outputs[1]->kind, CR_KIND_SEQUENCE);
        cr_assert_eq(again->n_properties, 1);

        /* before IR version 4 the initializer has to be among the inputs */
        CreaseOnnx__ModelProto *proto = crease_onnx__model_proto__unpack(NULL, n_first, first);
        cr_assert_eq(proto->graph->n_input, ir < 4 ? 2 : 1);
        crease_onnx__model_proto__free_unpacked(proto, NULL);
        cr_free(heap, first);
        cr_free(heap, second);
        cr_model_destroy(model);
        cr_model_destroy(again);
    }
}

static int allocations_left;

static void *allocate(void *user, size_t n, size_t alignment) {
    (void)user;
    return allocations_left-- > 0 ? aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment)
                                  : NULL;
}

static void release(void *user, void *block) {
    (void)user;
    free(block);
}

Test(load, fails_cleanly_at_every_allocation) {
    bytes body = {.n = 0}, graph = frame();
    add(&body, 7, node("Neg", "a", "b"));
    add(&graph, GRAPH_NODE, call("F", "x", "y"));
    bytes models[] = {rich_model(8), model_of(graph, 8)};
    add_function(&models[1], "F", body);
    const crease_allocator limited = {allocate, release, NULL};
    for (int i = 0; i < 2; i++)
        for (int n = 1;; n++) {
            cr_heap *small;
            cr_model *model;
            void *data = NULL;
            size_t size;
            allocations_left = n;
            cr_assert_eq(cr_heap_create(&limited, 0, &small), CREASE_OK);
            crease_status status = cr_proto_load_memory(models[i].data, models[i].n, small, false, &model);
            if (status == CREASE_OK)
                status = cr_proto_save(model, small, &data, &size);
            cr_free(small, data);
            cr_model_destroy(model);
            cr_assert_eq(cr_heap_used(small), 0, "allocation %d: %zu bytes are left", n, cr_heap_used(small));
            cr_heap_release(small);
            if (status == CREASE_OK)
                break;
            cr_assert(n < 10000);
        }
}
