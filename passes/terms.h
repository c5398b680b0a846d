#ifndef CREASE_PASSES_TERMS_H
#define CREASE_PASSES_TERMS_H

#include "runtime/base/mem.h"

/* Integers that are not known yet, as terms with an id each: equal ids, equal integers. Terms are interned
 * by all they consist of, so that equal formulas have equal ids. */

typedef struct cr_term {
    int root; /* a term that is no formula of another one: itself, if it is one; -1: the number o */
    int64_t m, o, s;
} cr_term; /* floor((m root + o) / s), m and s without a common divisor */

typedef struct cr_terms {
    cr_heap *heap;
    cr_term *items;
    size_t n, capacity;
    int *slots; /* open addressing: ids + 1; a power of two of them, at most half full */
    size_t n_slots;
} cr_terms;

void cr_terms_init(cr_terms *terms, cr_heap *heap);
void cr_terms_clear(cr_terms *terms);

crease_status cr_term_number(cr_terms *terms, int64_t number, int *id) CREASE_MUST_TEST;
/* An integer of which nothing is known: equal to no other term. */
crease_status cr_term_atom(cr_terms *terms, int *id) CREASE_MUST_TEST;
/* floor((m t + o) / s), s at least 1. An atom where the numbers become large. */
crease_status cr_term_floor(cr_terms *terms, int t, int64_t m, int64_t o, int64_t s,
                            int *id) CREASE_MUST_TEST;

bool cr_term_is_number(const cr_terms *terms, int id, int64_t *number);
/* Whether the term is no formula that may become negative, given that atoms are not. */
bool cr_term_is_natural(const cr_terms *terms, int id);

#endif
