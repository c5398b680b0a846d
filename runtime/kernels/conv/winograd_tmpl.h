/* The body of both Winograd algorithms for one instruction set; see conv/winograd.h.
 * Before including: CR_LANES (L below), CR_SUFFIX, CR_MICRO_ROWS.
 *
 * Packed weights: for each group of output blocks (two blocks, the last group perhaps one) [elements][ic][columns L],
 * in the order in which run() streams them.
 * Workspace: transformed input, element-major, each element cut into panels of the register tile
 * [in_blocks][rows][L]; then the products of one output group, element-major, [tile][columns L]. */
#include "runtime/kernels/conv/winograd.h"
#include "runtime/kernels/gemm_micro_tmpl.h"

/* ---- the transforms: matrices B', A' and G of the paper, applied to a vector of L channels ---- */

/* r = B' d for F(4, 3); d and r advance by their strides. */
CR_INLINE void input_transform_4(const cr_vec *d, int d_stride, cr_vec *r, int r_stride) {
    const cr_vec d0 = d[0], d1 = d[d_stride], d2 = d[2 * d_stride];
    const cr_vec d3 = d[3 * d_stride], d4 = d[4 * d_stride], d5 = d[5 * d_stride];
    const cr_vec even = d4 - 4 * d2, odd = d3 - 4 * d1;
    const cr_vec even2 = d4 - d2, odd2 = 2 * (d3 - d1);
    r[0] = 4 * d0 + (d4 - 5 * d2);
    r[r_stride] = even + odd;
    r[2 * r_stride] = even - odd;
    r[3 * r_stride] = even2 + odd2;
    r[4 * r_stride] = even2 - odd2;
    r[5 * r_stride] = 4 * d1 + (d5 - 5 * d3);
}

CR_INLINE void input_transform_2(const cr_vec *d, int d_stride, cr_vec *r, int r_stride) {
    const cr_vec d0 = d[0], d1 = d[d_stride], d2 = d[2 * d_stride], d3 = d[3 * d_stride];
    r[0] = d0 - d2;
    r[r_stride] = d1 + d2;
    r[2 * r_stride] = d2 - d1;
    r[3 * r_stride] = d3 - d1;
}

/* r = A' p for F(4, 3). */
CR_INLINE void output_transform_4(const cr_vec *p, int p_stride, cr_vec *r, int r_stride) {
    const cr_vec even = p[p_stride] + p[2 * p_stride], odd = p[p_stride] - p[2 * p_stride];
    const cr_vec even2 = p[3 * p_stride] + p[4 * p_stride], odd2 = p[3 * p_stride] - p[4 * p_stride];
    r[0] = p[0] + even + even2;
    r[r_stride] = odd + 2 * odd2;
    r[2 * r_stride] = even + 4 * even2;
    r[3 * r_stride] = odd + 8 * odd2 + p[5 * p_stride];
}

CR_INLINE void output_transform_2(const cr_vec *p, int p_stride, cr_vec *r, int r_stride) {
    const cr_vec middle = p[p_stride];
    r[0] = p[0] + middle + p[2 * p_stride];
    r[r_stride] = middle - p[2 * p_stride] + p[3 * p_stride];
}

CR_INLINE void input_transform(int m, const cr_vec *d, int d_stride, cr_vec *r, int r_stride) {
    if (m == 4)
        input_transform_4(d, d_stride, r, r_stride);
    else
        input_transform_2(d, d_stride, r, r_stride);
}

CR_INLINE void output_transform(int m, const cr_vec *p, int p_stride, cr_vec *r, int r_stride) {
    if (m == 4)
        output_transform_4(p, p_stride, r, r_stride);
    else
        output_transform_2(p, p_stride, r, r_stride);
}

/* r = G g for three rows of `width` filters, in double. */
CR_INLINE void filter_transform(int m, int width, const double *g, double *r, int stride) {
    const double *g0 = g, *g1 = g + stride, *g2 = g + 2 * stride;
    for (int l = 0; l < width; l++) {
        const double ends = g0[l] + g2[l], ends4 = g0[l] + 4 * g2[l];
        if (m == 4) {
            r[l] = g0[l] / 4;
            r[stride + l] = -(ends + g1[l]) / 6;
            r[2 * stride + l] = -(ends - g1[l]) / 6;
            r[3 * stride + l] = (ends4 + 2 * g1[l]) / 24;
            r[4 * stride + l] = (ends4 - 2 * g1[l]) / 24;
            r[5 * stride + l] = g2[l];
        } else {
            r[l] = g0[l];
            r[stride + l] = (ends + g1[l]) / 2;
            r[2 * stride + l] = (ends - g1[l]) / 2;
            r[3 * stride + l] = g2[l];
        }
    }
}
