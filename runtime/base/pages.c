#define _GNU_SOURCE /* madvise, MAP_ANONYMOUS */

#include "runtime/base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 64 * 1024 }; /* no system has larger ones */
static const size_t LEAST = (size_t)128 << 10, HUGE_PAGE = (size_t)2 << 20;

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED true
#endif
#endif
#ifndef WATCHED
#define WATCHED false
#endif

bool cr_pages_suit(size_t bytes) {
    return !WATCHED && bytes >= LEAST && bytes <= SIZE_MAX - 2 * HUGE_PAGE;
}

static uintptr_t round_up(uintptr_t n, uintptr_t unit) {
    return (n + unit - 1) / unit * unit;
}

void cr_pages_want_huge(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t begin = round_up((uintptr_t)memory, HUGE_PAGE),
                    end = ((uintptr_t)memory + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)memory, (void)bytes;
#endif
}

static void unmap(uintptr_t begin, uintptr_t end) {
    if (begin < end)
        (void)munmap((void *)begin, end - begin);
}

/* Smaller blocks are not aligned to huge pages: there would be too many holes. */
void *cr_pages_take(size_t bytes) {
    const size_t whole = round_up(bytes, PAGE), spare = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : 0;
    void *mapped = mmap(NULL, whole + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    const uintptr_t first = (uintptr_t)mapped, begin = spare ? round_up(first, HUGE_PAGE) : first;
    unmap(first, begin);
    unmap(begin + whole, first + whole + spare);
    cr_pages_want_huge((void *)begin, whole);
    return (void *)begin;
}

void cr_pages_give_back(void *memory, size_t bytes) {
    unmap((uintptr_t)memory, (uintptr_t)memory + round_up(bytes, PAGE));
}
