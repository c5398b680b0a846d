/* Choice and interpolation of pixels for one instruction set; see cr_pixel_gather and cr_linear_resize in
 * blocked.h. */
#include "runtime/kernels/blocked/blocked.h"
#include "runtime/kernels/vec_tmpl.h"

static void gather_line(const float *row, const int32_t *index, int64_t width, cr_vec fill, float *out) {
    for (int64_t x = 0; x < width; x++)
        cr_store(out + x * CR_LANES, index[x] < 0 ? fill : cr_load(row + (int64_t)index[x] * CR_LANES));
}

static void gather_pixels(const cr_pixel_gather *gather, const float *in, float *out, int64_t begin,
                          int64_t end) {
    const int64_t *extent = gather->in, width = gather->out[CR_W];
    const cr_vec fill = cr_broadcast(gather->fill);
    for (int64_t line = begin; line < end; line++) {
        const int64_t y = gather->index[CR_H][line % gather->out[CR_H]];
        const int64_t z = gather->index[CR_D][line / gather->out[CR_H] % gather->out[CR_D]];
        const int64_t plane = line / gather->out[CR_H] / gather->out[CR_D];
        float *to = out + line * width * CR_LANES;
        if (y < 0 || z < 0)
            for (int64_t x = 0; x < width; x++)
                cr_store(to + x * CR_LANES, fill);
        else
            gather_line(in + ((plane * extent[CR_D] + z) * extent[CR_H] + y) * extent[CR_W] * CR_LANES,
                        gather->index[CR_W], width, fill, to);
    }
}

CR_INLINE cr_vec mix(cr_vec low, cr_vec high, float weight) {
    return cr_fma(high - low, cr_broadcast(weight), low);
}

/* Rows of the corners of a line: [low, high of depth][low, high of height]. */
typedef struct linear_rows {
    const float *row[2][2];
    float z_weight, y_weight;
} linear_rows;

CR_INLINE cr_vec mix_column(const linear_rows *rows, int z, int64_t offset) {
    return mix(cr_load(rows->row[z][0] + offset), cr_load(rows->row[z][1] + offset), rows->y_weight);
}

/* depth: whether two planes take part. */
CR_INLINE void linear_line(bool depth, const linear_rows *rows, const cr_linear_axis *across, int64_t width,
                           float *out) {
    for (int64_t x = 0; x < width; x++) {
        const int64_t low = (int64_t)across->low[x] * CR_LANES, high = (int64_t)across->high[x] * CR_LANES;
        cr_vec near = mix_column(rows, 0, low), far = mix_column(rows, 0, high);
        if (depth) {
            near = mix(near, mix_column(rows, 1, low), rows->z_weight);
            far = mix(far, mix_column(rows, 1, high), rows->z_weight);
        }
        cr_store(out + x * CR_LANES, mix(near, far, across->weight[x]));
    }
}

static void linear_place(const cr_linear_resize *resize, const float *plane, int64_t z, int64_t y,
                         linear_rows *rows) {
    const cr_linear_axis *down = &resize->axis[CR_H], *deep = &resize->axis[CR_D];
    const int32_t zs[2] = {deep->low[z], deep->high[z]}, ys[2] = {down->low[y], down->high[y]};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            rows->row[i][j] = plane + (zs[i] * resize->in[CR_H] + ys[j]) * resize->in[CR_W] * CR_LANES;
    rows->z_weight = deep->weight[z];
    rows->y_weight = down->weight[y];
}

static void resize_linear(const cr_linear_resize *resize, const float *in, float *out, int64_t begin,
                          int64_t end) {
    const int64_t in_plane = resize->in[CR_D] * resize->in[CR_H] * resize->in[CR_W] * CR_LANES;
    const int64_t width = resize->out[CR_W];
    for (int64_t line = begin; line < end; line++) {
        const int64_t y = line % resize->out[CR_H], z = line / resize->out[CR_H] % resize->out[CR_D];
        linear_rows rows;
        linear_place(resize, in + line / resize->out[CR_H] / resize->out[CR_D] * in_plane, z, y, &rows);
        if (rows.row[0][0] == rows.row[1][0])
            linear_line(false, &rows, &resize->axis[CR_W], width, out + line * width * CR_LANES);
        else
            linear_line(true, &rows, &resize->axis[CR_W], width, out + line * width * CR_LANES);
    }
}
