#include "passes/terms.h"

void cr_terms_init(cr_terms *terms, cr_heap *heap) {
    *terms = (cr_terms){.heap = heap};
}

void cr_terms_clear(cr_terms *terms) {
    cr_free(terms->heap, terms->items);
    cr_free(terms->heap, terms->slots);
    cr_terms_init(terms, terms->heap);
}

/* ---- interning ---- */

static size_t hash(const cr_term *t) {
    const uint64_t parts[] = {(uint64_t)t->root, (uint64_t)t->m, (uint64_t)t->o, (uint64_t)t->s};
    uint64_t h = 0;
    for (int i = 0; i < 4; i++) {
        h = (h ^ parts[i]) * 0x9E3779B97F4A7C15U;
        h ^= h >> 29;
    }
    return (size_t)h;
}

static bool equal(const cr_term *a, const cr_term *b) {
    return a->root == b->root && a->m == b->m && a->o == b->o && a->s == b->s;
}

static int *find_slot(const cr_terms *terms, int *slots, size_t n_slots, const cr_term *t) {
    size_t i = hash(t) & (n_slots - 1);
    while (slots[i] && !equal(&terms->items[slots[i] - 1], t))
        i = (i + 1) & (n_slots - 1);
    return &slots[i];
}

static crease_status grow_slots(cr_terms *terms) {
    const size_t n_slots = terms->n_slots ? 2 * terms->n_slots : 64;
    void *block;
    CR_TRY(cr_alloc_zeroed(terms->heap, n_slots * sizeof *terms->slots, &block));
    for (size_t i = 0; i < terms->n; i++)
        *find_slot(terms, block, n_slots, &terms->items[i]) = (int)i + 1;
    cr_free(terms->heap, terms->slots);
    terms->slots = block;
    terms->n_slots = n_slots;
    return CREASE_OK;
}

static crease_status intern(cr_terms *terms, cr_term t, int *id) {
    void *items = terms->items;
    if (2 * (terms->n + 1) > terms->n_slots)
        CR_TRY(grow_slots(terms));
    int *slot = find_slot(terms, terms->slots, terms->n_slots, &t);
    if (!*slot) {
        CR_TRY(cr_grow(terms->heap, &items, &terms->capacity, terms->n + 1, sizeof t));
        terms->items = items;
        terms->items[terms->n] = t;
        *slot = (int)++terms->n;
    }
    *id = *slot - 1;
    return CREASE_OK;
}

crease_status cr_term_number(cr_terms *terms, int64_t number, int *id) {
    return intern(terms, (cr_term){-1, 0, number, 1}, id);
}

crease_status cr_term_atom(cr_terms *terms, int *id) {
    return intern(terms, (cr_term){(int)terms->n, 1, 0, 1}, id);
}

/* ---- formulas ---- */

/* Products of two such numbers, and sums of two of these, do not overflow. */
static const int64_t LARGE = (int64_t)1 << 30;

static bool is_small(int64_t a) {
    return -LARGE < a && a < LARGE;
}

static bool are_small(const cr_term *t) {
    return is_small(t->m) && is_small(t->o) && is_small(t->s);
}

static int64_t divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/* floor((g m x + o) / (g s)) = floor((m x + floor(o / g)) / s), which leaves one form of each function. */
static cr_term reduce(cr_term t) {
    const int64_t g = divisor(t.m, t.s);
    return (cr_term){t.root, t.m / g, floor_divide(t.o, g), t.s / g};
}

/* A floor of a floor is one where the outer one does not multiply; a formula without a division joins any. */
crease_status cr_term_floor(cr_terms *terms, int t, int64_t m, int64_t o, int64_t s, int *id) {
    const cr_term by = reduce((cr_term){t, m, o, s});
    cr_term in = terms->items[t];
    if (by.m != 1 && in.s != 1)
        in = (cr_term){t, 1, 0, 1};
    if (!are_small(&by) || !are_small(&in))
        return cr_term_atom(terms, id);
    const cr_term out = reduce((cr_term){in.root, by.m * in.m, by.m * in.o + by.o * in.s, by.s * in.s});
    if (out.root >= 0 && out.m == 0)
        return cr_term_number(terms, out.o, id);
    return intern(terms, out, id);
}

bool cr_term_is_number(const cr_terms *terms, int id, int64_t *number) {
    *number = terms->items[id].o;
    return terms->items[id].root < 0;
}

bool cr_term_is_natural(const cr_terms *terms, int id) {
    const cr_term *t = &terms->items[id];
    while (t->root >= 0 && t->root != id && t->m >= 0 && t->o >= 0) {
        id = t->root;
        t = &terms->items[id];
    }
    return t->root < 0 ? t->o >= 0 : t->root == id;
}
