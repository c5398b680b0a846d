/* The transforms of winograd.h along one axis, B', G and A' of each scheme, applied to vectors of L channels.
 * Vectors stand their stride apart; results are complete before any is used, and none overlaps an operand. */
#include "runtime/kernels/conv/winograd.h"
#include "runtime/kernels/vec_tmpl.h"

/* ---- inputs: r = B' d ---- */

CR_INLINE void input_2_3(const cr_vec *d, cr_vec *r) {
    r[0] = d[0] - d[2];
    r[1] = d[1] + d[2];
    r[2] = d[2] - d[1];
    r[3] = d[3] - d[1];
}

/* Rows of 0, a, -a, b, -b for a b = 1 are (x^2 - a^2)(x^2 - b^2), x (x + a)(x^2 - b^2) and so on: those of a
 * pair have their even and odd powers in common. `to` apart in r. */
CR_INLINE void input_finite(const cr_vec *d, cr_vec *r, int to) {
    const float a = 2.0f / 3, b = 1.5f, a2 = 4.0f / 9, b2 = 2.25f;
    const cr_vec even_a = d[4] - b2 * d[2], odd_a = d[3] - b2 * d[1];
    const cr_vec even_b = d[4] - a2 * d[2], odd_b = d[3] - a2 * d[1];
    r[0] = (d[0] + d[4]) - (a2 + b2) * d[2];
    r[to] = even_a + a * odd_a;
    r[2 * to] = even_a - a * odd_a;
    r[3 * to] = even_b + b * odd_b;
    r[4 * to] = even_b - b * odd_b;
}

/* With infinity, for F(4, 3), F(2, 5) and F(3, 4). */
CR_INLINE void input_six(const cr_vec *d, cr_vec *r, int to) {
    input_finite(d, r, to);
    r[5 * to] = (d[1] + d[5]) - (4.0f / 9 + 2.25f) * d[3];
}

CR_INLINE void input_2_3_s2(const cr_vec *d, cr_vec *r) {
    r[0] = d[0] - d[2];
    r[1] = d[1];
    r[2] = d[2];
    r[3] = d[4] - d[2];
    r[4] = d[3];
}

/* The even inputs by F(4, 2), the odd ones so that A' of 0, c, -c and infinity makes them outputs again. */
CR_INLINE void input_4_3_s2(const cr_vec *d, cr_vec *r) {
    const float a = 2, c = 0.75f, c2 = 0.5625f;
    const cr_vec quotient = d[6] - c2 * d[2], high = d[6] - a * d[4], low = d[4] - a * d[2];
    r[0] = quotient - a * (d[4] - c2 * d[0]);
    r[2] = high + c * low;
    r[4] = high - c * low;
    r[6] = quotient;
    r[7] = (d[8] - c2 * d[4]) - a * quotient;
    r[1] = c2 * d[1] - d[5];
    r[3] = d[5] + c * d[3];
    r[5] = d[5] - c * d[3];
    r[8] = d[7] - c2 * d[3];
}

CR_INLINE void input_transform(cr_winograd_scheme scheme, const cr_vec *d, cr_vec *r) {
    switch (scheme) {
    case CR_F2_3:
        input_2_3(d, r);
        break;
    case CR_F4_3:
    case CR_F2_5:
        input_six(d, r, 1);
        break;
    case CR_F3_7:
        input_six(d, r, 2);
        input_finite(d + 4, r + 1, 2);
        break;
    case CR_F2_3_S2:
        input_2_3_s2(d, r);
        break;
    case CR_F4_3_S2:
        input_4_3_s2(d, r);
        break;
    default:
        r[0] = d[0];
    }
}

/* ---- filters: r = G g ---- */

CR_INLINE void filter_2_3(const cr_vec *g, cr_vec *r) {
    const cr_vec even = 0.5f * (g[0] + g[2]), odd = 0.5f * g[1];
    r[0] = g[0];
    r[1] = even + odd;
    r[2] = even - odd;
    r[3] = g[2];
}

CR_INLINE void filter_4_3(const cr_vec *g, cr_vec *r) {
    const float a2 = 12.0f / 65, b2 = 27.0f / 65;
    const cr_vec odd = 18.0f / 65 * g[1], even_a = -b2 * g[0] - a2 * g[2], even_b = a2 * g[0] + b2 * g[2];
    r[0] = g[0];
    r[1] = even_a - odd;
    r[2] = even_a + odd;
    r[3] = even_b + odd;
    r[4] = even_b - odd;
    r[5] = g[2];
}

CR_INLINE void filter_2_3_s2(const cr_vec *g, cr_vec *r) {
    r[0] = g[0];
    r[1] = g[1];
    r[2] = g[0] + g[2];
    r[3] = g[2];
    r[4] = g[1];
}

CR_INLINE void filter_4_3_s2(const cr_vec *g, cr_vec *r) {
    r[0] = 8.0f / 9 * g[0];
    r[1] = 16.0f / 9 * g[1];
    r[2] = -32.0f / 45 * g[0] - 24.0f / 45 * g[2];
    r[3] = r[5] = 8.0f / 9 * g[1];
    r[4] = 24.0f / 99 * g[2] - 32.0f / 99 * g[0];
    r[6] = 8.0f / 55 * g[0] + 16.0f / 55 * g[2];
    r[7] = g[2];
    r[8] = g[1];
}

/* Of the schemes whose filters are packed as taps. */
CR_INLINE void filter_transform(cr_winograd_scheme scheme, const cr_vec *g, cr_vec *r) {
    switch (scheme) {
    case CR_F2_3:
        filter_2_3(g, r);
        break;
    case CR_F4_3:
        filter_4_3(g, r);
        break;
    case CR_F2_3_S2:
        filter_2_3_s2(g, r);
        break;
    case CR_F4_3_S2:
        filter_4_3_s2(g, r);
        break;
    default:
        r[0] = g[0];
    }
}

/* ---- outputs: r = A' p ---- */

CR_INLINE void output_2_3(const cr_vec *p, cr_vec *r) {
    r[0] = p[0] + p[1] + p[2];
    r[1] = p[1] - p[2] + p[3];
}

/* Row i has the powers i of the points, the last one infinity besides. Columns of a and -a are divided by a,
 * those of b and -b by b, so that row 1 takes no factors. */
CR_INLINE void output_six(int outputs, const cr_vec *p, cr_vec *r) {
    const float a = 2.0f / 3, b = 1.5f, a2 = 4.0f / 9, b2 = 2.25f;
    const cr_vec even_a = p[1] + p[2], odd_a = p[1] - p[2];
    const cr_vec even_b = p[3] + p[4], odd_b = p[3] - p[4];
    r[0] = p[0] + b * even_a + a * even_b;
    r[1] = outputs == 2 ? odd_a + odd_b + p[5] : odd_a + odd_b;
    if (outputs == 3)
        r[2] = p[5] + a * even_a + b * even_b;
    if (outputs > 3) {
        r[2] = a * even_a + b * even_b;
        r[3] = p[5] + a2 * odd_a + b2 * odd_b;
    }
}

CR_INLINE void output_2_3_s2(const cr_vec *p, cr_vec *r) {
    r[0] = p[0] + p[1];
    r[1] = p[1] + p[2];
}

CR_INLINE void output_4_3_s2(const cr_vec *p, cr_vec *r) {
    const float a = 2, c = 0.75f, c2 = 0.5625f;
    const cr_vec even = p[1] + p[2], odd = p[1] - p[2];
    r[0] = p[0] + even + p[3];
    r[1] = c * odd + a * p[3];
    r[2] = c2 * even + a * a * p[3];
    r[3] = p[4] + c2 * c * odd + a * a * a * p[3];
}

CR_INLINE void output_transform(cr_winograd_scheme scheme, const cr_vec *p, cr_vec *r) {
    switch (scheme) {
    case CR_F2_3:
        output_2_3(p, r);
        break;
    case CR_F4_3:
    case CR_F2_5:
    case CR_F3_7:
        output_six(cr_winograd_axes[scheme].outputs, p, r);
        break;
    case CR_F2_3_S2:
        output_2_3_s2(p, r);
        break;
    case CR_F4_3_S2:
        output_4_3_s2(p, r);
        break;
    default:
        r[0] = p[0];
    }
}
