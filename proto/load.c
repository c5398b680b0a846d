#define _GNU_SOURCE
#include "proto/import.h"
#include "proto/proto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- protobuf-c's memory ---- */

static void *allocate(void *heap, size_t bytes) {
    void *block;
    return cr_alloc_lasting(heap, bytes, &block) == CREASE_OK ? block : NULL;
}

static void release(void *heap, void *block) {
    cr_free(heap, block);
}

ProtobufCAllocator cr_proto_allocator(cr_heap *heap) {
    return (ProtobufCAllocator){allocate, release, heap};
}

/* The parser does not say why it gave up: this remembers that memory ran out. */
typedef struct source {
    cr_heap *heap;
    bool exhausted;
    void *mapping; /* of the file that is parsed, or NULL */
    size_t mapped_bytes;
} source;

enum { LARGE_BYTES = 1 << 20 };

/* The parser copies large weights: the pages it has read are let go as it comes to the next, so that file and
 * copy do not fill memory together. Where they are wanted again they are read again. */
static void let_go_of_pages(const source *from, size_t bytes) {
    if (from->mapping && bytes >= LARGE_BYTES)
        (void)madvise(from->mapping, from->mapped_bytes, MADV_DONTNEED);
}

static void *allocate_from(void *data, size_t bytes) {
    source *from = data;
    let_go_of_pages(from, bytes);
    void *block = allocate(from->heap, bytes);
    from->exhausted |= !block;
    return block;
}

static void release_to(void *data, void *block) {
    release(((source *)data)->heap, block);
}

/* ---- nesting: the parser recurses, so the depth of graphs within graphs is limited before it sees the bytes
 * ---- */

enum { MAX_DEPTH = 100 };
enum message { NONE, MODEL, GRAPH, NODE, ATTRIBUTE, FUNCTION };

static enum message child(enum message parent, unsigned field) {
    static const struct {
        enum message parent;
        unsigned field;
        enum message child;
    } edges[] = {{MODEL, 7, GRAPH}, {MODEL, 25, FUNCTION}, {FUNCTION, 7, NODE},   {FUNCTION, 11, ATTRIBUTE},
                 {GRAPH, 1, NODE},  {NODE, 5, ATTRIBUTE},  {ATTRIBUTE, 6, GRAPH}, {ATTRIBUTE, 11, GRAPH}};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (edges[i].parent == parent && edges[i].field == field)
            return edges[i].child;
    return NONE;
}

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

/* Whether the bytes are well-formed down to `depth` levels. */
static bool is_shallow(enum message message, const unsigned char *at, const unsigned char *end, int depth) {
    uint64_t key, n;
    if (depth == 0)
        return false;
    while (at < end) {
        if (!read_varint(&at, end, &key))
            return false;
        switch (key & 7) {
        case 0:
            if (!read_varint(&at, end, &n))
                return false;
            break;
        case 1:
        case 5: {
            size_t size = (key & 7) == 1 ? 8 : 4;
            if ((size_t)(end - at) < size)
                return false;
            at += size;
            break;
        }
        case 2: {
            if (!read_varint(&at, end, &n) || n > (uint64_t)(end - at))
                return false;
            enum message inner = child(message, (unsigned)(key >> 3));
            if (inner != NONE && !is_shallow(inner, at, at + n, depth - 1))
                return false;
            at += n;
            break;
        }
        default:
            return false;
        }
    }
    return true;
}

/* ---- from bytes ---- */

static bool begins(const void *data, size_t bytes, const char *text) {
    return bytes >= strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

/* A web page, whatever the case of its tags and the space before them. No model starts with '<' so. */
static bool is_page(const char *at, size_t bytes) {
    while (bytes && strchr(" \t\r\n\xef\xbb\xbf", *at) && *at)
        at++, bytes--;
    return (bytes >= 9 && strncasecmp(at, "<!doctype", 9) == 0) ||
           (bytes >= 5 && strncasecmp(at, "<html", 5) == 0);
}

static crease_status sniff(const void *data, size_t bytes, const char *who) {
    if (bytes == 0)
        return cr_fail(CREASE_ERROR_MODEL, "%s: the file is empty", who);
    if (begins(data, bytes, "version https://git-lfs"))
        return cr_fail(CREASE_ERROR_MODEL,
                       "%s: a Git LFS pointer, not the model itself: fetch it with git lfs pull", who);
    if (is_page(data, bytes))
        return cr_fail(CREASE_ERROR_MODEL, "%s: an HTML page, not an ONNX model", who);
    if (!is_shallow(MODEL, data, (const unsigned char *)data + bytes, MAX_DEPTH))
        return cr_fail(CREASE_ERROR_MODEL, "%s: not an ONNX model, or truncated", who);
    return CREASE_OK;
}

static crease_status import_heads(cr_model *model, const CreaseOnnx__ModelProto *proto) {
    model->ir_version = proto->ir_version;
    model->model_version = proto->model_version;
    CR_TRY(cr_arena_string(&model->arena, proto->producer_name, &model->producer_name));
    CR_TRY(cr_arena_string(&model->arena, proto->producer_version, &model->producer_version));
    CR_TRY(cr_arena_string(&model->arena, proto->domain, &model->domain));
    CR_TRY(cr_arena_string(&model->arena, proto->doc_string, &model->doc));
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const char *domain = proto->opset_import[i]->domain ? proto->opset_import[i]->domain : "";
        CR_TRY(cr_model_set_opset(model, strcmp(domain, "ai.onnx") == 0 ? "" : domain,
                                  proto->opset_import[i]->version));
    }
    if (proto->n_opset_import == 0) /* before IR version 3 there was only one operator set */
        CR_TRY(cr_model_set_opset(model, "", 1));
    for (size_t i = 0; i < proto->n_metadata_props; i++)
        CR_TRY(cr_model_set_property(model,
                                     proto->metadata_props[i]->key ? proto->metadata_props[i]->key : "",
                                     proto->metadata_props[i]->value));
    return CREASE_OK;
}

static crease_status import_model(CreaseOnnx__ModelProto *proto, const char *who, const char *folder,
                                  bool assume_const, cr_heap *heap, cr_model **model) {
    if (!proto->graph)
        return cr_fail(CREASE_ERROR_MODEL, "%s: not an ONNX model: it has no graph", who);
    CR_TRY(cr_model_create(heap, model));
    cr_import import = {.model = *model, .folder = folder, .assume_const = assume_const};
    crease_status status = import_heads(*model, proto);
    if (status == CREASE_OK)
        status = cr_import_functions(&import, proto->functions, proto->n_functions);
    if (status == CREASE_OK)
        status = cr_import_graph(&import, proto->graph);
    if (status != CREASE_OK) {
        cr_model_destroy(*model);
        *model = NULL;
    }
    return status;
}

static crease_status parse(const void *data, size_t bytes, source from, const char *who,
                           CreaseOnnx__ModelProto **proto) {
    ProtobufCAllocator allocator = {allocate_from, release_to, &from};
    *proto = NULL;
    CR_TRY(sniff(data, bytes, who));
    *proto = crease_onnx__model_proto__unpack(&allocator, bytes, data);
    if (*proto)
        return CREASE_OK;
    return from.exhausted ? CREASE_ERROR_MEMORY /* cr_alloc has said it */
                          : cr_fail(CREASE_ERROR_MODEL, "%s: not an ONNX model", who);
}

crease_status cr_proto_parse(const void *data, size_t bytes, const char *who, cr_heap *heap,
                             CreaseOnnx__ModelProto **proto) {
    return parse(data, bytes, (source){.heap = heap}, who, proto);
}

/* Imports what was parsed, and frees it. */
static crease_status take_in(CreaseOnnx__ModelProto *proto, const char *who, const char *folder,
                             bool assume_const, cr_heap *heap, cr_model **model) {
    ProtobufCAllocator allocator = cr_proto_allocator(heap);
    crease_status status = import_model(proto, who, folder, assume_const, heap, model);
    crease_onnx__model_proto__free_unpacked(proto, &allocator);
    return status;
}

crease_status cr_proto_load_memory(const void *data, size_t bytes, cr_heap *heap, bool assume_const,
                                   cr_model **model) {
    CreaseOnnx__ModelProto *proto;
    *model = NULL;
    CR_TRY(cr_proto_parse(data, bytes, "model in memory", heap, &proto));
    return take_in(proto, "model in memory", NULL, assume_const, heap, model);
}

/* ---- from a file ---- */

static crease_status folder_of(const char *path, cr_heap *heap, char **folder) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 1;
    void *block;
    CR_TRY(cr_alloc(heap, n + 1, &block));
    memcpy(block, slash ? path : ".", n);
    ((char *)block)[n] = 0;
    *folder = block;
    return CREASE_OK;
}

static crease_status load_mapping(void *data, size_t bytes, const char *path, bool assume_const,
                                  cr_heap *heap, cr_model **model) {
    const source from = {.heap = heap, .mapping = data, .mapped_bytes = bytes};
    CreaseOnnx__ModelProto *proto;
    char *folder;
    CR_TRY(folder_of(path, heap, &folder));
    crease_status status = parse(data, bytes, from, path, &proto);
    if (status == CREASE_OK)
        status = take_in(proto, path, folder, assume_const, heap, model);
    cr_free(heap, folder);
    return status;
}

crease_status cr_proto_load_file(const char *path, cr_heap *heap, bool assume_const, cr_model **model) {
    struct stat info;
    *model = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block us */
    if (file < 0)
        return cr_fail(CREASE_ERROR_FILE, "%s: %s", path, strerror(errno));
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(file);
        return cr_fail(CREASE_ERROR_FILE, "%s: not a regular file", path);
    }
    size_t bytes = (size_t)info.st_size;
    void *data = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0) : NULL;
    close(file);
    if (data == MAP_FAILED)
        return cr_fail(CREASE_ERROR_FILE, "%s: cannot be mapped: %s", path, strerror(errno));
    crease_status status = load_mapping(data, bytes, path, assume_const, heap, model);
    if (data)
        munmap(data, bytes);
    return status;
}
