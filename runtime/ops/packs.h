#ifndef CREASE_RUNTIME_OPS_PACKS_H
#define CREASE_RUNTIME_OPS_PACKS_H

#include "runtime/ops/op.h"

/* The packed bytes of a session's nodes; see cr_prepare_pack. Used by one thread at a time. */
crease_status cr_packs_create(cr_heap *heap, cr_packs **packs) CREASE_MUST_TEST;
void cr_packs_destroy(cr_packs *packs); /* NULL is fine */
size_t cr_packs_bytes(const cr_packs *packs);

/* Fill what was asked for since the last call, the largest first, with the threads of the pool. forget: the
 * constants that were packed lose their contents as soon as they are, unless something else uses them; the
 * model is then good for no other plan, even when memory runs out on the way. */
crease_status cr_packs_fill(cr_packs *packs, cr_pool *pool, bool forget) CREASE_MUST_TEST;
/* Forget what was asked for since the last call: the plan that asked is gone. */
void cr_packs_drop_unfilled(cr_packs *packs);

#endif
