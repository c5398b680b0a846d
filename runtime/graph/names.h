#ifndef CREASE_RUNTIME_GRAPH_NAMES_H
#define CREASE_RUNTIME_GRAPH_NAMES_H

#include "runtime/base/mem.h"

/* FNV-1a (Fowler, Noll, Vo), for tables of names whose size is a power of two. */
size_t cr_name_hash(const char *name);

/* The value names in use in a model. Owned by the model; strings are borrowed. */
typedef struct cr_names cr_names;
crease_status cr_names_create(cr_heap *heap, cr_names **names) CREASE_MUST_TEST;
void cr_names_destroy(cr_names *names);
bool cr_names_has(const cr_names *names, const char *name);
crease_status cr_names_add(cr_names *names, const char *name) CREASE_MUST_TEST; /* twice is fine */

#endif
