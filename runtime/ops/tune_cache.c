#define _GNU_SOURCE

#include "runtime/ops/tune_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char HEADER[] = "crease-tune 1\n";

typedef struct choice {
    uint64_t key;
    char name[CR_TUNE_NAME], text[CR_TUNE_TEXT];
} choice;

struct cr_tune_cache {
    cr_heap *heap;
    char *path; /* NULL: no file */
    choice *choices;
    size_t n, capacity;
    bool changed;
};

/* ---- choices ---- */

static choice *find(const cr_tune_cache *cache, uint64_t key) {
    for (size_t i = 0; i < cache->n; i++)
        if (cache->choices[i].key == key)
            return &cache->choices[i];
    return NULL;
}

const char *cr_tune_cache_find(const cr_tune_cache *cache, uint64_t key) {
    const choice *c = find(cache, key);
    return c ? c->name : NULL;
}

static crease_status put(cr_tune_cache *cache, uint64_t key, const char *name, const char *text) {
    choice *c = find(cache, key);
    if (!c) {
        CR_TRY(cr_grow(cache->heap, (void **)&cache->choices, &cache->capacity, cache->n + 1, sizeof *c));
        c = &cache->choices[cache->n++];
    }
    c->key = key;
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->text, sizeof c->text, "%s", text);
    return CREASE_OK;
}

crease_status cr_tune_cache_put(cr_tune_cache *cache, uint64_t key, const char *name, const char *text) {
    cache->changed = true;
    return put(cache, key, name, text);
}

/* ---- reading ---- */

static bool is_printable(const char *line) {
    for (; *line; line++)
        if (*line < ' ' || *line > '~')
            return false;
    return true;
}

/* A line without its end; it is cut up. */
static crease_status read_line(cr_tune_cache *cache, char *line) {
    char *end, *name, *text;
    if (strspn(line, "0123456789abcdef") != 16 || line[16] != ' ' || !is_printable(line))
        return CREASE_OK;
    const uint64_t key = strtoull(line, &end, 16);
    name = end + 1;
    text = strchr(name, ' ');
    if (text)
        *text++ = 0;
    if (!*name || strlen(name) >= CR_TUNE_NAME || (text && strlen(text) >= CR_TUNE_TEXT))
        return CREASE_OK;
    return put(cache, key, name, text ? text : "");
}

/* Zero-terminated; an embedded zero ends it. */
static crease_status read_text(cr_tune_cache *cache, char *text) {
    const size_t header = sizeof HEADER - 1;
    if (strncmp(text, HEADER, header) != 0)
        return CREASE_OK;
    for (char *line = text + header, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        CR_TRY(read_line(cache, line));
    }
    return CREASE_OK;
}

static crease_status read_open(cr_tune_cache *cache, int file) {
    void *block;
    size_t n = 0;
    ssize_t got;
    CR_TRY(cr_alloc(cache->heap, CR_TUNE_MOST_BYTES + 1, &block));
    char *text = block;
    while (n <= CR_TUNE_MOST_BYTES && (got = read(file, text + n, CR_TUNE_MOST_BYTES + 1 - n)) > 0)
        n += (size_t)got;
    crease_status status = CREASE_OK;
    if (n <= CR_TUNE_MOST_BYTES) {
        text[n] = 0;
        status = read_text(cache, text);
    }
    cr_free(cache->heap, block);
    return status;
}

/* A file that cannot be read is like one that is not there; saving says what is wrong. */
static crease_status read_file(cr_tune_cache *cache) {
    struct stat about;
    if (stat(cache->path, &about) != 0)
        return CREASE_OK;
    if (!S_ISREG(about.st_mode))
        return cr_fail(CREASE_ERROR_FILE, "%s: is not a file that choices could be kept in", cache->path);
    int file = open(cache->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return CREASE_OK;
    crease_status status = read_open(cache, file);
    close(file);
    return status;
}

static crease_status begin(cr_tune_cache *cache, const char *path) {
    void *copy;
    if (!path)
        return CREASE_OK;
    CR_TRY(cr_alloc(cache->heap, strlen(path) + 1, &copy));
    cache->path = strcpy(copy, path);
    return read_file(cache);
}

crease_status cr_tune_cache_create(cr_heap *heap, const char *path, cr_tune_cache **cache) {
    void *block;
    *cache = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof **cache, &block));
    cr_tune_cache *c = block;
    c->heap = heap;
    crease_status status = begin(c, path);
    if (status == CREASE_OK)
        *cache = c;
    else
        cr_tune_cache_destroy(c);
    return status;
}

void cr_tune_cache_destroy(cr_tune_cache *cache) {
    if (!cache)
        return;
    cr_free(cache->heap, cache->choices);
    cr_free(cache->heap, cache->path);
    cr_free(cache->heap, cache);
}

/* ---- writing ---- */

static bool write_choices(const cr_tune_cache *cache, int descriptor) {
    FILE *file = fdopen(descriptor, "w");
    if (!file) {
        close(descriptor);
        return false;
    }
    bool good = fputs(HEADER, file) >= 0;
    for (const choice *c = cache->choices; good && c < cache->choices + cache->n; c++)
        good = fprintf(file, "%016" PRIx64 " %s%s%s\n", c->key, c->name, *c->text ? " " : "", c->text) > 0;
    return fclose(file) == 0 && good;
}

/* name: a template of mkstemp. */
static crease_status write_and_rename(cr_tune_cache *cache, char *name) {
    int file = mkostemp(name, O_CLOEXEC);
    if (file < 0)
        return cr_fail(CREASE_ERROR_FILE, "%s: choices cannot be kept: %s", cache->path, strerror(errno));
    const bool written = fchmod(file, 0644) == 0;
    if (write_choices(cache, file) && written && rename(name, cache->path) == 0) {
        cache->changed = false;
        return CREASE_OK;
    }
    crease_status status =
        cr_fail(CREASE_ERROR_FILE, "%s: choices cannot be kept: %s", cache->path, strerror(errno));
    unlink(name);
    return status;
}

crease_status cr_tune_cache_save(cr_tune_cache *cache) {
    static const char ending[] = ".XXXXXX";
    void *name;
    if (!cache->path || !cache->changed)
        return CREASE_OK;
    const size_t length = strlen(cache->path);
    CR_TRY(cr_alloc(cache->heap, length + sizeof ending, &name));
    memcpy(name, cache->path, length);
    memcpy((char *)name + length, ending, sizeof ending);
    crease_status status = write_and_rename(cache, name);
    cr_free(cache->heap, name);
    return status;
}
