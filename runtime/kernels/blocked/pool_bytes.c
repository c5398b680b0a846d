#include "runtime/kernels/blocked/blocked.h"

#include <string.h>

/* The lanes of a pixel are one vector of sixteen bytes. */
static void max_row(const cr_conv_geometry *g, const uint8_t *restrict in, uint8_t *restrict out,
                    int64_t tap) {
    enum { LANES = CR_POOL_BYTES_LANES };
    int64_t begin, end;
    cr_conv_reach(g, CR_W, tap, &begin, &end);
    in += (begin * g->stride[CR_W] + tap * g->dilation[CR_W] - g->pad[CR_W]) * LANES;
    for (int64_t x = begin; x < end; x++, in += g->stride[CR_W] * LANES)
        for (int lane = 0; lane < LANES; lane++)
            out[x * LANES + lane] = in[lane] > out[x * LANES + lane] ? in[lane] : out[x * LANES + lane];
}

static void max_line(const cr_conv_geometry *g, const uint8_t *plane, int64_t z, int64_t y, uint8_t *out) {
    const int64_t row = g->in[CR_W] * CR_POOL_BYTES_LANES;
    memset(out, 0, (size_t)(g->out[CR_W] * CR_POOL_BYTES_LANES));
    for (int64_t d = 0; d < g->kernel[CR_D]; d++)
        for (int64_t h = 0; h < g->kernel[CR_H]; h++) {
            const int64_t in_z = z * g->stride[CR_D] + d * g->dilation[CR_D] - g->pad[CR_D];
            const int64_t in_y = y * g->stride[CR_H] + h * g->dilation[CR_H] - g->pad[CR_H];
            if (in_z < 0 || in_z >= g->in[CR_D] || in_y < 0 || in_y >= g->in[CR_H])
                continue;
            for (int64_t w = 0; w < g->kernel[CR_W]; w++)
                max_row(g, plane + (in_z * g->in[CR_H] + in_y) * row, out, w);
        }
}

void cr_max_pool_bytes(const cr_pooling *pool, const uint8_t *in, uint8_t *out, int64_t begin, int64_t end) {
    const cr_conv_geometry *g = &pool->geometry;
    const int64_t lines = g->out[CR_D] * g->out[CR_H];
    const int64_t plane = g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_POOL_BYTES_LANES;
    for (int64_t line = begin; line < end; line++)
        max_line(g, in + line / lines * plane, line % lines / g->out[CR_H], line % g->out[CR_H],
                 out + line * g->out[CR_W] * CR_POOL_BYTES_LANES);
}
