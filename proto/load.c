#define _GNU_SOURCE
#include "proto/import.h"
#include "proto/proto.h"
#include "proto/wire.h"

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
typedef struct parser_heap {
    cr_heap *heap;
    bool exhausted;
} parser_heap;

static void *allocate_from(void *data, size_t bytes) {
    parser_heap *from = data;
    void *block = allocate(from->heap, bytes);
    from->exhausted |= !block;
    return block;
}

static void release_to(void *data, void *block) {
    release(((parser_heap *)data)->heap, block);
}

/* ---- the bytes of a model ---- */

enum { PIECE_BYTES = 4 << 20 };

/* Pages of the file that are in memory are let go; where they are wanted again they are read again. */
static void let_go_of_pages(const cr_source *from, size_t begin, size_t end) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    begin -= begin % page;
    if (from->is_mapping && begin < end)
        (void)madvise((char *)(uintptr_t)from->data + begin, end - begin, MADV_DONTNEED);
}

void cr_source_copy(const cr_source *from, size_t at, size_t bytes, void *to) {
    for (size_t done = 0; done < bytes;) {
        const size_t left = bytes - done, n = left < PIECE_BYTES ? left : PIECE_BYTES;
        memcpy((char *)to + done, (const char *)from->data + at + done, n);
        let_go_of_pages(from, at + done, at + done + n);
        done += n;
    }
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

/* What is loaded, and how. */
typedef struct request {
    cr_source source;
    const char *who;    /* in failures */
    const char *folder; /* of the file, or NULL */
    bool assume_const;
    cr_heap *heap;
} request;

static crease_status import_model(const request *r, CreaseOnnx__ModelProto *proto, cr_model **model) {
    if (!proto->graph)
        return cr_fail(CREASE_ERROR_MODEL, "%s: not an ONNX model: it has no graph", r->who);
    CR_TRY(cr_model_create(r->heap, model));
    cr_import import = {
        .model = *model, .source = r->source, .folder = r->folder, .assume_const = r->assume_const};
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

/* Bytes that a walk over the wire has found sound. */
static crease_status unpack(const void *data, size_t bytes, const char *who, cr_heap *heap,
                            CreaseOnnx__ModelProto **proto) {
    parser_heap from = {.heap = heap};
    ProtobufCAllocator allocator = {allocate_from, release_to, &from};
    *proto = crease_onnx__model_proto__unpack(&allocator, bytes, data);
    if (*proto)
        return CREASE_OK;
    return from.exhausted ? CREASE_ERROR_MEMORY /* cr_alloc has said it */
                          : cr_fail(CREASE_ERROR_MODEL, "%s: not an ONNX model", who);
}

crease_status cr_proto_parse(const void *data, size_t bytes, const char *who, cr_heap *heap,
                             CreaseOnnx__ModelProto **proto) {
    *proto = NULL;
    CR_TRY(sniff(data, bytes, who));
    CR_TRY(cr_wire_check(data, bytes, who));
    return unpack(data, bytes, who, heap, proto);
}

/* The parser copies what it parses: it is given the model without its weights, which the import then copies
 * where they are to stay. */
static crease_status parse_outline(const request *r, CreaseOnnx__ModelProto **proto) {
    void *outline;
    size_t bytes;
    *proto = NULL;
    CR_TRY(sniff(r->source.data, r->source.bytes, r->who));
    CR_TRY(cr_wire_outline(r->source.data, r->source.bytes, r->who, r->heap, &outline, &bytes));
    let_go_of_pages(&r->source, 0, r->source.bytes);
    crease_status status = unpack(outline, bytes, r->who, r->heap, proto);
    cr_free(r->heap, outline);
    return status;
}

static crease_status load(const request *r, cr_model **model) {
    ProtobufCAllocator allocator = cr_proto_allocator(r->heap);
    CreaseOnnx__ModelProto *proto;
    CR_TRY(parse_outline(r, &proto));
    crease_status status = import_model(r, proto, model);
    crease_onnx__model_proto__free_unpacked(proto, &allocator);
    return status;
}

crease_status cr_proto_load_memory(const void *data, size_t bytes, cr_heap *heap, bool assume_const,
                                   cr_model **model) {
    *model = NULL;
    return load(&(request){.source = {data, bytes, false},
                           .who = "model in memory",
                           .assume_const = assume_const,
                           .heap = heap},
                model);
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

static crease_status load_mapping(const void *data, size_t bytes, const char *path, bool assume_const,
                                  cr_heap *heap, cr_model **model) {
    char *folder;
    CR_TRY(folder_of(path, heap, &folder));
    crease_status status = load(&(request){.source = {data, bytes, true},
                                           .who = path,
                                           .folder = folder,
                                           .assume_const = assume_const,
                                           .heap = heap},
                                model);
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
