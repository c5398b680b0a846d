#ifndef CREASE_RUNTIME_OPS_TUNE_CACHE_H
#define CREASE_RUNTIME_OPS_TUNE_CACHE_H

#include "runtime/base/mem.h"

/* A file of choices that outlives the process. Text: a line "crease-tune 1", then for each choice
 *
 *     0123456789abcdef winograd4 what it was chosen for, in words
 *
 * with a key of 16 hexadecimal digits, which stands for everything that the choice depends on. One file
 * serves many models and machines. It is nobody's duty to keep it sound: lines that are not of this form are
 * dropped, a file with another first line, or of more than CR_TUNE_MOST_BYTES, is taken for empty, and what a
 * line names is a hint that the reader must check. */
typedef struct cr_tune_cache cr_tune_cache;

enum { CR_TUNE_MOST_BYTES = 1 << 20, CR_TUNE_NAME = 32, CR_TUNE_TEXT = 256 };

/* path NULL: no file. Fails with FILE when path is something else than a file, MEMORY. */
crease_status cr_tune_cache_create(cr_heap *heap, const char *path, cr_tune_cache **cache) CREASE_MUST_TEST;
void cr_tune_cache_destroy(cr_tune_cache *cache); /* NULL is fine */

/* The name under a key, valid until the next put; NULL: none. */
const char *cr_tune_cache_find(const cr_tune_cache *cache, uint64_t key);
/* Set it; name and text are cut at CR_TUNE_NAME and CR_TUNE_TEXT. */
crease_status cr_tune_cache_put(cr_tune_cache *cache, uint64_t key, const char *name,
                                const char *text) CREASE_MUST_TEST;
/* Write the file if something was put since it was read: to a temporary file beside it that is renamed. Of
 * two processes that write at once the later one's choices stay. Fails with FILE. */
crease_status cr_tune_cache_save(cr_tune_cache *cache) CREASE_MUST_TEST;

#endif
