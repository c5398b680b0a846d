#ifndef CREASE_PROTO_WIRE_H
#define CREASE_PROTO_WIRE_H

#include "runtime/base/mem.h"

/* A walk over the bytes of a ModelProto before protobuf-c sees them. They are hostile: graphs may not nest
 * deeper than the parser's recursion can take, lengths may not reach beyond the message around them. `who`
 * names the bytes in failures, which are MODEL. */

crease_status cr_wire_check(const void *data, size_t bytes, const char *who) CREASE_MUST_TEST;

/* The same, and a copy of the bytes in which large raw_data are missing: the fields raw_data_at and
 * raw_data_bytes of TensorProto say where in `data` they are, and raw_data_bytes is 0 where they are not
 * missing. Those two fields mean nothing in a file and are left out. *outline comes from cr_alloc. */
crease_status cr_wire_outline(const void *data, size_t bytes, const char *who, cr_heap *heap, void **outline,
                              size_t *outline_bytes) CREASE_MUST_TEST;

#endif
