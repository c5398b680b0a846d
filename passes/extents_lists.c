#include "passes/extents_rules.h"
#include "runtime/graph/attr.h"

#include <string.h>

/* Elements of lists of integers: what is computed from shapes, to reshape or resize by. */

static crease_status list_same(cr_extents *e, const cr_node *node, cr_term_list *y) {
    *y = *cr_extents_list(e, node, 0);
    return CREASE_OK;
}

static crease_status list_part(const cr_term_list *x, int64_t start, int64_t end, cr_term_list *y) {
    y->n = 0;
    for (int64_t i = cr_extents_clip(start, x->n); i < cr_extents_clip(end, x->n); i++)
        y->terms[y->n++] = x->terms[i];
    return CREASE_OK;
}

static crease_status list_shape(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    int64_t start, end;
    CR_TRY(cr_attr_int(node, "start", 0, &start));
    CR_TRY(cr_attr_int(node, "end", CR_MAX_RANK, &end));
    return x->n < 0 ? CREASE_OK : list_part(x, start, end, y);
}

/* Of one axis, forwards one by one, by inputs (opset 10 on). */
static crease_status list_slice(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_list(e, node, 0);
    int64_t start, end, step;
    if (x->n < 0 || !cr_extents_number(e, node, 1, &start) || !cr_extents_number(e, node, 2, &end) ||
        (cr_node_input(node, 4) && (!cr_extents_number(e, node, 4, &step) || step != 1)))
        return CREASE_OK;
    return list_part(x, start, end, y);
}

static crease_status list_gather(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_list(e, node, 0), *at = cr_extents_list(e, node, 1);
    if (x->n < 0 || at->n < 0)
        return CREASE_OK;
    *y = cr_term_list_of(at->n);
    for (int i = 0; i < at->n; i++) {
        int64_t from;
        if (at->terms[i] == CR_NO_TERM || !cr_term_is_number(&e->terms, at->terms[i], &from))
            continue;
        from += from < 0 ? x->n : 0;
        if (from >= 0 && from < x->n)
            y->terms[i] = x->terms[from];
    }
    return CREASE_OK;
}

/* Lists of one axis; what is not known in them leaves the others their places, if it has a length. */
static crease_status list_concat(cr_extents *e, const cr_node *node, cr_term_list *y) {
    cr_term_list all = {0};
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_term_list *x = cr_extents_list(e, node, i), *shape = cr_extents_axes(e, node, i);
        int64_t n = x->n;
        if (n < 0 && (shape->n != 1 || !cr_term_is_number(&e->terms, shape->terms[0], &n)))
            return CREASE_OK;
        if (n > CR_MAX_RANK - all.n)
            return CREASE_OK;
        for (int64_t k = 0; k < n; k++)
            all.terms[all.n++] = x->n < 0 ? CR_NO_TERM : x->terms[k];
    }
    *y = all;
    return CREASE_OK;
}

/* One operation with a number; ONNX cuts quotients, which is the floor only where they are not negative. */
static crease_status list_compute(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const bool add = cr_node_is(node, "Add"), subtract = cr_node_is(node, "Sub");
    const cr_term_list *a = cr_extents_list(e, node, 0), *b = cr_extents_list(e, node, 1);
    int64_t number;
    if ((add || cr_node_is(node, "Mul")) && !cr_extents_number(e, node, 1, &number)) {
        const cr_term_list *swapped = a;
        a = b;
        b = swapped;
    }
    if (a->n < 0 || b->n != 1 || b->terms[0] == CR_NO_TERM ||
        !cr_term_is_number(&e->terms, b->terms[0], &number) || number <= INT32_MIN || number > INT32_MAX)
        return CREASE_OK;
    const bool divide = cr_node_is(node, "Div");
    *y = cr_term_list_of(a->n);
    for (int i = 0; i < a->n; i++) {
        if (a->terms[i] == CR_NO_TERM ||
            (divide && (number < 1 || !cr_term_is_natural(&e->terms, a->terms[i]))))
            continue;
        CR_TRY(cr_extents_formula(e, a->terms[i], divide || add || subtract ? 1 : number,
                                  add        ? number
                                  : subtract ? -number
                                             : 0,
                                  divide ? number : 1, &y->terms[i]));
    }
    return CREASE_OK;
}

cr_extents_rule *cr_extents_list_rule(const cr_node *node) {
    static const struct {
        const char *op;
        cr_extents_rule *rule;
    } rows[] = {
        {"Add", list_compute},   {"Cast", list_same},     {"Concat", list_concat}, {"Div", list_compute},
        {"Gather", list_gather}, {"Identity", list_same}, {"Mul", list_compute},   {"Shape", list_shape},
        {"Slice", list_slice},   {"Squeeze", list_same},  {"Sub", list_compute},   {"Unsqueeze", list_same},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cr_node_is(node, rows[i].op))
            return rows[i].rule;
    return NULL;
}
