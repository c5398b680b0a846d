#ifndef CREASE_RUNTIME_BASE_PAGES_H
#define CREASE_RUNTIME_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Memory straight from the system, for large blocks: huge pages are asked for, since touching hundreds of
 * megabytes for the first time in pages of 4 KiB costs as much as filling them; and what is freed is the
 * system's again at once, where the C library would keep it. Thread-safe. */

/* Whether a block of so many bytes is worth it; never under a sanitizer that watches the C library's blocks.
 */
bool cr_pages_suit(size_t bytes);

/* Zeroed and aligned to a page; NULL when there is none. */
void *cr_pages_take(size_t bytes);
void cr_pages_give_back(void *memory, size_t bytes); /* the bytes that were asked for */

/* Asks for huge pages within a block from elsewhere. */
void cr_pages_want_huge(void *memory, size_t bytes);

#endif
