#include "cli/npz.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/npy.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL_BYTES = 30,   /* local file header, without name and extra field */
    CENTRAL_BYTES = 46, /* central directory header, likewise */
    END_BYTES = 22,     /* end of central directory, without comment */
    COMMENT_MAX = 65535,
    STORED = 0,
    DEFLATED = 8
};

typedef struct entry {
    const char *name; /* not zero-terminated */
    size_t name_bytes, packed_bytes, bytes, header_at;
    unsigned method, flags;
    uint32_t crc;
} entry;

static uint32_t get16(const unsigned char *p) {
    return (uint32_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const unsigned char *p) {
    return get16(p) | get16(p + 2) << 16;
}

bool npz_is(const blob *file) {
    return file->bytes >= 4 && memcmp(file->data, "PK", 2) == 0 &&
           (memcmp(file->data + 2, "\x03\x04", 2) == 0 || memcmp(file->data + 2, "\x05\x06", 2) == 0);
}

/* The end of the central directory stands at the end of the file, in front of a comment. */
static const unsigned char *find_end(const blob *file) {
    size_t back = END_BYTES;
    for (; back <= file->bytes && back <= END_BYTES + COMMENT_MAX; back++) {
        const unsigned char *p = file->data + file->bytes - back;
        if (memcmp(p, "PK\x05\x06", 4) == 0)
            return p;
    }
    return NULL;
}

/* Reads the header at *at and moves on; false when it does not lie within the file. */
static bool next_entry(const blob *file, size_t *at, entry *e) {
    if (*at > file->bytes || file->bytes - *at < CENTRAL_BYTES)
        return false;
    const unsigned char *p = file->data + *at;
    if (memcmp(p, "PK\x01\x02", 4) != 0)
        return false;
    *e = (entry){.flags = get16(p + 8),
                 .method = get16(p + 10),
                 .crc = get32(p + 16),
                 .packed_bytes = get32(p + 20),
                 .bytes = get32(p + 24),
                 .name_bytes = get16(p + 28),
                 .header_at = get32(p + 42),
                 .name = (const char *)p + CENTRAL_BYTES};
    size_t whole = CENTRAL_BYTES + e->name_bytes + get16(p + 30) + get16(p + 32);
    *at += whole;
    return *at <= file->bytes;
}

/* Where the packed bytes of an entry lie; NULL when they are not all in the file. */
static const unsigned char *find_packed(const blob *file, const entry *e) {
    if (e->header_at > file->bytes || file->bytes - e->header_at < LOCAL_BYTES)
        return NULL;
    const unsigned char *p = file->data + e->header_at;
    if (memcmp(p, "PK\x03\x04", 4) != 0)
        return NULL;
    size_t begin = e->header_at + LOCAL_BYTES + get16(p + 26) + get16(p + 28);
    return begin <= file->bytes && file->bytes - begin >= e->packed_bytes ? file->data + begin : NULL;
}

static bool inflate_into(const unsigned char *packed, size_t packed_bytes, unsigned char *out, size_t bytes) {
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)packed,
                       .avail_in = (uInt)packed_bytes,
                       .next_out = out,
                       .avail_out = (uInt)bytes};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return false;
    bool done = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == bytes;
    inflateEnd(&stream);
    return done;
}

static bool unpack(const unsigned char *packed, const entry *e, blob *out) {
    /* deflate makes nothing smaller than a 1032nd (zlib's technical notes): a larger promise is a lie */
    if (e->method == STORED ? e->packed_bytes != e->bytes : e->bytes / 1032 > e->packed_bytes)
        return false;
    *out = (blob){memory_take(e->bytes, 1), e->bytes};
    if (e->method == STORED)
        memcpy(out->data, packed, e->bytes);
    else if (!inflate_into(packed, e->packed_bytes, out->data, e->bytes))
        return false;
    return crc32(0, out->data, (uInt)out->bytes) == e->crc;
}

static int read_entry(const char *source, const blob *file, const entry *e, tensor *out) {
    blob unpacked = {NULL, 0};
    size_t n = e->name_bytes;
    if (n > 4 && memcmp(e->name + n - 4, ".npy", 4) == 0)
        n -= 4;
    char *name = memory_format("%.*s", (int)n, e->name), *where = memory_format("%s: %s", source, name);
    const unsigned char *packed = find_packed(file, e);
    int code = CLI_OK;
    if (e->flags & 1 || (e->method != STORED && e->method != DEFLATED))
        code = fail(CLI_INPUT, "%s is encrypted, or packed by a method other than deflate", where);
    else if (e->bytes == UINT32_MAX || e->packed_bytes == UINT32_MAX)
        code = fail(CLI_INPUT, "%s is larger than 4 GiB", where);
    else if (!packed || !unpack(packed, e, &unpacked))
        code = fail(CLI_INPUT, "%s is damaged in the archive", where);
    else if (!npy_is(&unpacked))
        code = fail(CLI_INPUT, "%s is not a .npy file", where);
    else
        code = npy_read(where, &unpacked, out);
    free(unpacked.data);
    free(where);
    out->name = name;
    return code;
}

int npz_read(const char *source, const blob *file, tensor **list, size_t *n) {
    const unsigned char *end = find_end(file);
    size_t at = end ? get32(end + 16) : 0, promised = end ? get16(end + 10) : 0, capacity = 0;
    *list = NULL;
    *n = 0;
    if (!end)
        return fail(CLI_INPUT, "%s: the .npz archive is truncated", source);
    for (entry e; *n < promised;) {
        if (!next_entry(file, &at, &e))
            return fail(CLI_INPUT, "%s: the directory of the .npz archive is damaged", source);
        *list = memory_grow(*list, &capacity, *n + 1, sizeof **list);
        tensor *out = &(*list)[(*n)++];
        *out = (tensor){0};
        int code = read_entry(source, file, &e, out);
        if (code)
            return code;
    }
    return CLI_OK;
}
