/* Recurrent cells on vectors of CR_LANES hidden units; see recurrent.h. The includer defines CR_LANES and
 * CR_SUFFIX. */
#include "runtime/kernels/recurrent.h"
#include "runtime/kernels/activation_tmpl.h"

_Static_assert(CR_CELL_PAD % CR_LANES == 0, "a padded state is whole vectors");

static cr_activation vector_form(const cr_cell_activation *from) {
    static const cr_act kinds[] = {
        [CR_CELL_TANH] = CR_ACT_TANH,
        [CR_CELL_SIGMOID] = CR_ACT_SIGMOID,
        [CR_CELL_RELU] = CR_ACT_RELU,
        [CR_CELL_HARD_SIGMOID] = CR_ACT_HARDSIGMOID,
        [CR_CELL_LEAKY_RELU] = CR_ACT_LEAKY_RELU,
        [CR_CELL_ELU] = CR_ACT_ELU,
    };
    return (cr_activation){.kind = kinds[from->kind], .a = (float)from->a, .b = (float)from->b};
}

typedef struct vector_cell {
    cr_activation f, g, h;
    cr_vec low, high;
} vector_cell;

static vector_cell vector_cell_of(const cr_cell *cell) {
    return (vector_cell){vector_form(&cell->f), vector_form(&cell->g), vector_form(&cell->h),
                         cr_broadcast(-(float)cell->clip), cr_broadcast((float)cell->clip)};
}

CR_INLINE cr_vec act(const vector_cell *v, const cr_activation *activation, cr_vec x) {
    return cr_activate(cr_clamp(x, v->low, v->high), activation, 0);
}

CR_INLINE cr_vec sum_at(const cr_cell *cell, const float *x, const float *r, int64_t i) {
    return cr_load(x + i) + cr_load(r + i) + cr_load((const float *)cell->bias + i);
}

CR_INLINE cr_vec peep_at(const cr_cell *cell, int64_t i, cr_vec c) {
    return cell->peep ? cr_load((const float *)cell->peep + i) * c : (cr_vec){0};
}

static void rnn(const cr_cell *cell, const void *x, const void *r, void *h) {
    const vector_cell v = vector_cell_of(cell);
    for (int64_t i = 0; i < cell->n; i += CR_LANES)
        cr_store((float *)h + i, act(&v, &v.f, sum_at(cell, x, r, i)));
}

static void lstm(const cr_cell *cell, const void *x, const void *r, void *h, void *c) {
    const vector_cell v = vector_cell_of(cell);
    const int64_t n = cell->n;
    for (int64_t i = 0; i < n; i += CR_LANES) {
        const cr_vec was = cr_load((float *)c + i);
        const cr_vec in = act(&v, &v.f, sum_at(cell, x, r, i) + peep_at(cell, i, was));
        const cr_vec kept =
            cell->coupled ? 1 - in
                          : act(&v, &v.f, sum_at(cell, x, r, 2 * n + i) + peep_at(cell, 2 * n + i, was));
        const cr_vec now = kept * was + in * act(&v, &v.g, sum_at(cell, x, r, 3 * n + i));
        const cr_vec out = act(&v, &v.f, sum_at(cell, x, r, n + i) + peep_at(cell, n + i, now));
        cr_store((float *)c + i, now);
        cr_store((float *)h + i, out * cr_activate(now, &v.h, 0));
    }
}

static void gru_reset(const cr_cell *cell, const void *x, const void *r, const void *h, void *reset) {
    const vector_cell v = vector_cell_of(cell);
    for (int64_t i = 0; i < cell->n; i += CR_LANES)
        cr_store((float *)reset + i,
                 act(&v, &v.f, sum_at(cell, x, r, cell->n + i)) * cr_load((const float *)h + i));
}

static void gru(const cr_cell *cell, const void *x, const void *r, void *h) {
    const vector_cell v = vector_cell_of(cell);
    const int64_t n = cell->n;
    for (int64_t i = 0; i < n; i += CR_LANES) {
        cr_vec sum = sum_at(cell, x, r, 2 * n + i);
        if (cell->linear)
            sum = cr_load((const float *)x + 2 * n + i) + cr_load((const float *)cell->bias + 2 * n + i) +
                  act(&v, &v.f, sum_at(cell, x, r, n + i)) *
                      (cr_load((const float *)r + 2 * n + i) + cr_load((const float *)cell->bias_r + i));
        const cr_vec z = act(&v, &v.f, sum_at(cell, x, r, i));
        cr_store((float *)h + i, (1 - z) * act(&v, &v.g, sum) + z * cr_load((float *)h + i));
    }
}

const cr_cell_kernels CR_NAME(cr_cell_f32) = {rnn, lstm, gru_reset, gru};
