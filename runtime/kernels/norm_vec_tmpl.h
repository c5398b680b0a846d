/* Loops of the normalisations of float32 for one instruction set; see norm.h. Before including: CR_LANES,
 * CR_SUFFIX. */
#include "runtime/kernels/norm.h"
#include "runtime/kernels/vec_tmpl.h"

/* Doubles of a vector, and vectors that run side by side. */
enum { WIDE = CR_LANES / 2, VECS = 4 };

CR_INLINE cr_wide norm_deviation(const float *x, double center) {
    return cr_widened(x) - center;
}

CR_INLINE double norm_joined(const cr_wide *parts) {
    const cr_wide all = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    double lanes[WIDE];
    __builtin_memcpy(lanes, &all, sizeof lanes);
    CR_UNROLL
    for (int half = WIDE / 2; half > 0; half /= 2) {
        CR_UNROLL
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    }
    return lanes[0];
}

static double norm_sum(const void *data, int64_t n) {
    const float *x = data;
    cr_wide parts[VECS] = {{0}};
    double rest = 0;
    int64_t i = 0;
    for (; i + VECS * WIDE <= n; i += VECS * WIDE) {
        CR_UNROLL
        for (int k = 0; k < VECS; k++)
            parts[k] += cr_widened(x + i + k * WIDE);
    }
    for (; i + WIDE <= n; i += WIDE)
        parts[0] += cr_widened(x + i);
    for (; i < n; i++)
        rest += (double)x[i];
    return norm_joined(parts) + rest;
}

static double norm_squares(const void *data, int64_t n, double center) {
    const float *x = data;
    cr_wide parts[VECS] = {{0}};
    double rest = 0;
    int64_t i = 0;
    for (; i + VECS * WIDE <= n; i += VECS * WIDE) {
        CR_UNROLL
        for (int k = 0; k < VECS; k++) {
            const cr_wide d = norm_deviation(x + i + k * WIDE, center);
            parts[k] += d * d;
        }
    }
    for (; i + WIDE <= n; i += WIDE) {
        const cr_wide d = norm_deviation(x + i, center);
        parts[0] += d * d;
    }
    for (; i < n; i++)
        rest += ((double)x[i] - center) * ((double)x[i] - center);
    return norm_joined(parts) + rest;
}

static void norm_affine(const void *in, void *out, int64_t n, double s, double t) {
    const float *x = in, scale = (float)s, shift = (float)t;
    float *y = out;
    int64_t i = 0;
    for (; i + CR_LANES <= n; i += CR_LANES)
        cr_store(y + i, cr_fma(cr_broadcast(scale), cr_load(x + i), cr_broadcast(shift)));
    for (; i < n; i++)
        y[i] = scale * x[i] + shift;
}

/* Which of the two there are is a constant wherever this is inlined. */
CR_INLINE void norm_all(const float *x, float *y, int64_t n, float center, float factor, const float *scale,
                        const float *shift) {
    int64_t i = 0;
    for (; i + CR_LANES <= n; i += CR_LANES) {
        cr_vec v = (cr_load(x + i) - center) * factor;
        if (scale)
            v *= cr_load(scale + i);
        cr_store(y + i, shift ? v + cr_load(shift + i) : v);
    }
    for (; i < n; i++) {
        float v = (x[i] - center) * factor;
        if (scale)
            v *= scale[i];
        y[i] = shift ? v + shift[i] : v;
    }
}

static void norm_normalize(const void *x, void *y, int64_t n, double center, double factor, const void *scale,
                           const void *shift) {
    const float c = (float)center, f = (float)factor;
    if (scale && shift)
        norm_all(x, y, n, c, f, scale, shift);
    else if (scale)
        norm_all(x, y, n, c, f, scale, NULL);
    else if (shift)
        norm_all(x, y, n, c, f, NULL, shift);
    else
        norm_all(x, y, n, c, f, NULL, NULL);
}

const cr_norm_kernels CR_NAME(cr_norm_f32) = {norm_sum, norm_squares, norm_affine, norm_normalize};
