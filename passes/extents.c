#include "passes/extents_rules.h"

#include <string.h>

/* ---- for the rules ---- */

static const cr_term_list unknown = {.n = -1};

static const cr_term_list *shape_of(const cr_extents *e, const cr_value *value) {
    return value && (size_t)value->id < e->n && e->shapes[value->id] ? e->shapes[value->id] : &unknown;
}

const cr_term_list *cr_extents_axes(const cr_extents *e, const cr_node *node, int i) {
    return shape_of(e, cr_node_input(node, i));
}

cr_term_list cr_term_list_of(int n) {
    cr_term_list l = {.n = n};
    for (int i = 0; i < n; i++)
        l.terms[i] = CR_NO_TERM;
    return l;
}

crease_status cr_extents_formula(cr_extents *e, int t, int64_t m, int64_t o, int64_t s, int *to) {
    *to = CR_NO_TERM;
    return t == CR_NO_TERM ? CREASE_OK : cr_term_floor(&e->terms, t, m, o, s, to);
}

int64_t cr_extents_clip(int64_t at, int64_t n) {
    at += at < 0 ? n : 0;
    return at < 0 ? 0 : at > n ? n : at;
}

bool cr_extents_is(const cr_extents *e, int t, int64_t number) {
    int64_t found;
    return t != CR_NO_TERM && cr_term_is_number(&e->terms, t, &found) && found == number;
}

const cr_term_list *cr_extents_list(const cr_extents *e, const cr_node *node, int i) {
    const cr_value *value = cr_node_input(node, i);
    return value && (size_t)value->id < e->n && e->contents[value->id] ? e->contents[value->id] : &unknown;
}

bool cr_extents_number(const cr_extents *e, const cr_node *node, int i, int64_t *number) {
    const cr_term_list *l = cr_extents_list(e, node, i);
    return l->n == 1 && l->terms[0] != CR_NO_TERM && cr_term_is_number(&e->terms, l->terms[0], number);
}

/* ---- what is known of values ---- */

static bool is_list(const cr_tensor *t) {
    return (t->dtype == CREASE_INT64 || t->dtype == CREASE_INT32) && t->shape.rank <= 1 &&
           cr_shape_n(&t->shape) <= CR_MAX_RANK;
}

static crease_status read_constant(cr_extents *e, const cr_value *value) {
    cr_term_list *l;
    if (!is_list(value->constant))
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&e->arena, &l, 1));
    l->n = (int)cr_shape_n(&value->constant->shape);
    for (int i = 0; i < l->n; i++)
        CR_TRY(cr_term_number(&e->terms, cr_tensor_int(value->constant, i), &l->terms[i]));
    e->contents[value->id] = l;
    return CREASE_OK;
}

/* No extent; a model may state it all the same. */
static bool is_absurd(const cr_extents *e, int term) {
    int64_t number;
    return cr_term_is_number(&e->terms, term, &number) && (number < 0 || number > INT32_MAX);
}

/* An extent by what inference knows: its number or its symbol, which takes the first term that it meets. */
static crease_status settle(cr_extents *e, int64_t dim, int *term) {
    if (dim >= 0)
        return cr_term_number(&e->terms, dim, term);
    if (*term != CR_NO_TERM && is_absurd(e, *term))
        *term = CR_NO_TERM;
    int *symbol = dim <= CR_DIM_FIRST_SYMBOL ? &e->symbols[CR_DIM_FIRST_SYMBOL - dim] : NULL;
    if (*term == CR_NO_TERM && symbol)
        *term = *symbol;
    if (*term == CR_NO_TERM)
        CR_TRY(cr_term_atom(&e->terms, term));
    if (symbol && *symbol == CR_NO_TERM)
        *symbol = *term;
    return CREASE_OK;
}

static crease_status set_shape(cr_extents *e, const cr_value *value, const cr_term_list *found) {
    cr_term_list *l;
    const int rank = value->shape.rank >= 0 ? value->shape.rank : found->n;
    if (rank < 0)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&e->arena, &l, 1));
    *l = rank == found->n ? *found : cr_term_list_of(rank);
    for (int d = 0; d < rank; d++)
        CR_TRY(settle(e, value->shape.rank >= 0 ? value->shape.dims[d] : CR_DIM_UNKNOWN, &l->terms[d]));
    e->shapes[value->id] = l;
    return CREASE_OK;
}

/* Of scalars and of one axis: of more, the order of the elements is not that of the list. */
static crease_status set_contents(cr_extents *e, const cr_value *value, const cr_term_list *found) {
    cr_term_list *l;
    if (found->n < 0 || value->shape.rank < 0 || value->shape.rank > 1 ||
        (value->dtype != CREASE_INT64 && value->dtype != CREASE_INT32))
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&e->arena, &l, 1));
    *l = *found;
    e->contents[value->id] = l;
    return CREASE_OK;
}

static crease_status visit(cr_extents *e, const cr_node *node) {
    cr_extents_rule *of_shape = cr_extents_shape_rule(node), *of_list = cr_extents_list_rule(node);
    cr_term_list shape = unknown, contents = unknown;
    if (of_shape)
        CR_TRY(of_shape(e, node, &shape));
    if (of_list)
        CR_TRY(of_list(e, node, &contents));
    for (int i = 0; i < node->n_outputs; i++) {
        const bool ruled = i == 0 || strcmp(node->op_type, "Split") == 0;
        if (node->outputs[i])
            CR_TRY(set_shape(e, node->outputs[i], ruled ? &shape : &unknown));
        if (node->outputs[i] && i == 0)
            CR_TRY(set_contents(e, node->outputs[i], &contents));
    }
    return CREASE_OK;
}

/* ---- the graph ---- */

static crease_status begin(cr_extents *e) {
    const cr_model *model = e->graph->model;
    CR_TRY(CR_ARENA_NEW(&e->arena, &e->shapes, e->n + 1));
    CR_TRY(CR_ARENA_NEW(&e->arena, &e->contents, e->n + 1));
    CR_TRY(CR_ARENA_NEW(&e->arena, &e->symbols, (size_t)model->n_symbols + 1));
    for (int i = 0; i < model->n_symbols; i++)
        e->symbols[i] = CR_NO_TERM;
    for (size_t id = 0; id < e->n; id++) {
        const cr_value *value = model->values[id];
        if (!value->constant && (!value->is_input || value->graph != e->graph))
            continue;
        CR_TRY(set_shape(e, value, &unknown));
        if (value->constant)
            CR_TRY(read_constant(e, value));
    }
    return CREASE_OK;
}

static crease_status analyse(cr_extents *e) {
    CR_TRY(begin(e));
    CR_FOR_NODES(node, e->graph)
    CR_TRY(visit(e, node));
    return CREASE_OK;
}

crease_status cr_extents_create(const cr_graph *graph, cr_extents **extents) {
    cr_heap *heap = graph->model->heap;
    void *block;
    *extents = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof(cr_extents), &block));
    cr_extents *e = block;
    e->heap = heap;
    e->graph = graph;
    e->n = (size_t)graph->model->n_values;
    cr_arena_init(&e->arena, e->heap);
    cr_terms_init(&e->terms, e->heap);
    crease_status status = analyse(e);
    if (status == CREASE_OK)
        *extents = e;
    else
        cr_extents_free(e);
    return status;
}

void cr_extents_free(cr_extents *e) {
    if (!e)
        return;
    cr_terms_clear(&e->terms);
    cr_arena_clear(&e->arena);
    cr_free(e->heap, e);
}

/* ---- answers ---- */

bool cr_extents_same_at(const cr_extents *e, const cr_value *a, int da, const cr_value *b, int db) {
    const cr_term_list *x = shape_of(e, a), *y = shape_of(e, b);
    return da < x->n && db < y->n && x->terms[da] == y->terms[db];
}

bool cr_extents_same(const cr_extents *e, const cr_value *a, const cr_value *b) {
    const cr_term_list *x = shape_of(e, a), *y = shape_of(e, b);
    return x->n >= 0 && x->n == y->n && memcmp(x->terms, y->terms, (size_t)x->n * sizeof *x->terms) == 0;
}

int cr_extents_numbers(const cr_extents *e, const cr_value *list, int64_t *numbers) {
    const cr_term_list *l = (size_t)list->id < e->n ? e->contents[list->id] : NULL;
    for (int i = 0; l && i < l->n; i++)
        if (l->terms[i] == CR_NO_TERM || !cr_term_is_number(&e->terms, l->terms[i], &numbers[i]))
            return -1;
    return l ? l->n : -1;
}

void cr_extents_record(const cr_extents *e) {
    for (size_t id = 0; id < e->n; id++) {
        cr_value *value = e->graph->model->values[id];
        cr_shape *shape = &value->shape;
        const cr_term_list *l = e->shapes[id];
        int64_t number;
        if (!l || value->constant || value->is_input)
            continue;
        if (shape->rank < 0)
            *shape = (cr_shape){.rank = l->n};
        for (int d = 0; d < l->n; d++)
            if (cr_term_is_number(&e->terms, l->terms[d], &number))
                shape->dims[d] = number;
            else if (shape->dims[d] >= 0)
                shape->dims[d] = CR_DIM_UNKNOWN;
    }
}
