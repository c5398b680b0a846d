#ifndef CREASE_TESTS_PROTO_BY_HAND_H
#define CREASE_TESTS_PROTO_BY_HAND_H

#include <stdint.h>
#include <string.h>

/* Models are written here in wire format by hand, so that hostile ones are as easy as good ones. */
typedef struct bytes {
    unsigned char data[1 << 16];
    size_t n;
} bytes;

static inline void varint(bytes *b, uint64_t value) {
    for (; value > 127; value >>= 7)
        b->data[b->n++] = (unsigned char)(value | 128);
    b->data[b->n++] = (unsigned char)value;
}

static inline void blob(bytes *b, unsigned field, const void *data, size_t n) {
    varint(b, field << 3 | 2);
    varint(b, n);
    if (n)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

#endif
