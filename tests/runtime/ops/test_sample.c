#include "tests/runtime/ops/one.h"

static void floats(one *o, int i, int rank, const int64_t *dims, const float *values) {
    void *data = one_input_at(o, i, CREASE_FLOAT, rank, dims);
    memcpy(data, values, cr_buffer_bytes(o->in[i].buffer));
}

static float first(const one *o) {
    return ((const float *)o->out[0].data)[0];
}

/* One point of a row 10, 20, 30 read under every border rule. */
static float sample(const char *mode, const char *border, bool align, float x) {
    one o = one_begin("GridSample", 20, 1);
    OK(cr_node_set_string(o.node, "mode", mode));
    OK(cr_node_set_string(o.node, "padding_mode", border));
    OK(cr_node_set_int(o.node, "align_corners", align));
    floats(&o, 0, 4, (int64_t[]){1, 1, 1, 3}, (float[]){10, 20, 30});
    floats(&o, 1, 4, (int64_t[]){1, 1, 1, 2}, (float[]){x, 0});
    OK(one_run(&o));
    const float y = first(&o);
    one_end(&o);
    return y;
}

Test(sample, grids_read_between_and_beyond_elements) {
    cr_assert_float_eq(sample("linear", "zeros", true, -0.5f), 15, 1e-5f);
    cr_assert_float_eq(sample("linear", "zeros", true, 1.5f), 15, 1e-5f); /* half of 30, half of nothing */
    cr_assert_float_eq(sample("linear", "border", true, 9), 30, 1e-5f);
    cr_assert_float_eq(sample("linear", "reflection", true, 2), 20, 1e-5f);
    cr_assert_float_eq(sample("linear", "reflection", false, 1.5f), 27.5f, 1e-4f);
    cr_assert_float_eq(sample("nearest", "zeros", true, 0.6f), 30, 1e-5f);
    cr_assert_float_eq(sample("nearest", "zeros", true, -3), 0, 1e-5f);
    cr_assert_float_eq(sample("cubic", "border", true, 0), 20, 1e-4f);
    cr_assert_float_eq(sample("linear", "zeros", true, NAN), 0, 1e-5f);
    cr_assert_float_eq(sample("linear", "reflection", true, INFINITY), 0, 1e-5f);
}

/* An element of a picture, 0 outside of it. */
static double element(crease_dtype dtype, const void *x, const int64_t *size, int64_t row, int64_t column) {
    const bool inside = row >= 0 && row < size[0] && column >= 0 && column < size[1];
    return inside ? cr_load_float(dtype, x, row * size[1] + column) : 0;
}

/* Between the four elements around a point of the grid, as ONNX defines it. */
static double between(crease_dtype dtype, const void *x, const int64_t *size, bool edge, bool align,
                      const double *point) {
    double at[2], sum = 0;
    for (int d = 0; d < 2; d++) {
        const double n = (double)size[d], g = point[1 - d];
        at[d] = align ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
        at[d] = edge ? fmin(fmax(at[d], 0), n - 1) : at[d];
    }
    for (int tap = 0; tap < 4; tap++) {
        const double row = floor(at[0]) + tap / 2, column = floor(at[1]) + tap % 2;
        sum += (1 - fabs(at[0] - row)) * (1 - fabs(at[1] - column)) *
               element(dtype, x, size, (int64_t)row, (int64_t)column);
    }
    return sum;
}

/* Two images of three channels, at points inside, outside and exactly on elements. */
static void check_grid(crease_dtype dtype, const int64_t *size, const int64_t *points, bool edge,
                       bool align) {
    const int64_t area = size[0] * size[1], n = points[0] * points[1];
    one o = one_begin("GridSample", 20, 1);
    OK(cr_node_set_string(o.node, "padding_mode", edge ? "border" : "zeros"));
    OK(cr_node_set_int(o.node, "align_corners", align));
    one_input_at(&o, 0, dtype, 4, (int64_t[]){2, 3, size[0], size[1]});
    one_input_at(&o, 1, dtype, 4, (int64_t[]){2, points[0], points[1], 2});
    for (int64_t i = 0; i < 6 * area; i++)
        cr_store_float(dtype, o.in[0].data, i, one_random(-2, 2));
    for (int64_t i = 0; i < 4 * n; i++)
        cr_store_float(dtype, o.in[1].data, i, i % 3 ? one_random(-1.3, 1.3) : floor(one_random(-2, 3)));
    OK(one_run(&o));
    for (int64_t i = 0; i < 6 * n; i++) {
        const int64_t plane = i / n, point = (plane / 3 * n + i % n) * 2;
        const char *x = (const char *)o.in[0].data + (size_t)(plane * area) * cr_element_bytes(dtype);
        const double at[] = {cr_load_float(dtype, o.in[1].data, point),
                             cr_load_float(dtype, o.in[1].data, point + 1)};
        cr_assert_float_eq(cr_load_float(dtype, o.out[0].data, i), between(dtype, x, size, edge, align, at),
                           4 * cr_dtype_unit(dtype) + 1e-13, "%s, size %d, element %d",
                           crease_dtype_name(dtype), (int)area, (int)i);
    }
    one_end(&o);
}

Test(sample, grids_follow_the_definition) {
    static const crease_dtype types[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_FLOAT16};
    static const int64_t sizes[][2] = {{1, 1}, {1, 5}, {4, 1}, {2, 2}, {7, 9}};
    static const int64_t points[][2] = {{1, 1}, {3, 11}, {8, 8}, {5, 13}};
    for (int way = 0; way < 3 * 4 * 20; way++)
        check_grid(types[way % 3], sizes[way / 3 % 5], points[way / 15 % 4], way / 60 & 1, way / 60 & 2);
}

/* Coordinate `row` of point i, from all terms in turn. */
static double affine(const one *o, const int64_t *size, int rank, bool align, int64_t i, int row) {
    const int64_t *extent = size + 2;
    int64_t points = 1;
    double sum = 0;
    for (int d = 0; d < rank; d++)
        points *= extent[d];
    for (int64_t k = 0, rest = i % points; k <= rank; k++) {
        const int64_t n = k < rank ? extent[rank - 1 - k] : 1, at = rest % n;
        const double base = k == rank ? 1
                            : align   ? n > 1 ? -1 + 2 * (double)at / (double)(n - 1) : 0
                                      : -1 + (2 * (double)at + 1) / (double)n;
        sum +=
            base * cr_load_float(o->in[0].dtype, o->in[0].data, (i / points * rank + row) * (rank + 1) + k);
        rest /= n;
    }
    return sum;
}

Test(sample, affine_grids_follow_the_definition) {
    static const crease_dtype types[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_FLOAT16};
    static const int64_t sizes[][5] = {
        {2, 1, 3, 5}, {3, 2, 1, 1}, {1, 1, 7, 1}, {2, 3, 2, 1, 9}, {2, 1, 4, 3, 2}};
    for (int way = 0; way < 30; way++) {
        const crease_dtype dtype = types[way % 3];
        const int64_t *size = sizes[way / 3 % 5];
        const int rank = size[4] ? 3 : 2;
        const bool align = way / 15;
        one o = one_begin("AffineGrid", 20, 1);
        OK(cr_node_set_int(o.node, "align_corners", align));
        one_input_at(&o, 0, dtype, 3, (int64_t[]){size[0], rank, rank + 1});
        memcpy(one_input_at(&o, 1, CREASE_INT64, 1, (int64_t[]){rank + 2}), size,
               (size_t)(rank + 2) * sizeof *size);
        for (int64_t i = 0; i < cr_shape_n(&o.in[0].shape); i++)
            cr_store_float(dtype, o.in[0].data, i, one_random(-1, 1));
        OK(one_run(&o));
        for (int64_t i = 0; i < cr_shape_n(&o.out[0].shape); i++)
            cr_assert_float_eq(cr_load_float(dtype, o.out[0].data, i),
                               affine(&o, size, rank, align, i / rank, (int)(i % rank)),
                               4 * cr_dtype_unit(dtype) + 1e-13, "way %d, element %d", way, (int)i);
        one_end(&o);
    }
}

Test(sample, boxes_from_data_cannot_ask_for_endless_work) {
    static const float wild[][4] = {{0, 0, 1e9f, 1e9f}, {0, 0, NAN, 1}, {-INFINITY, 0, 1, 1}};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        one o = one_begin("RoiAlign", 16, 1);
        floats(&o, 0, 4, (int64_t[]){1, 1, 2, 2}, (float[]){1, 2, 3, 4});
        floats(&o, 1, 2, (int64_t[]){1, 4}, wild[i]);
        *(int64_t *)one_input_at(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = 0;
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}

Test(sample, a_box_outside_of_the_batch_is_refused) {
    for (int64_t image = -1; image < 2; image += 2) {
        one o = one_begin("RoiAlign", 16, 1);
        floats(&o, 0, 4, (int64_t[]){1, 1, 2, 2}, (float[]){1, 2, 3, 4});
        floats(&o, 1, 2, (int64_t[]){1, 4}, (float[]){0, 0, 1, 1});
        *(int64_t *)one_input_at(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = image;
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}

/* Two boxes, one of them partly outside, on `n` channels of 6 x 5. */
static one align(crease_dtype dtype, bool largest, int sampling, int64_t n, const double *image) {
    static const double boxes[] = {0.3, 0.7, 4.1, 5.9, -3, 2, 9, 4};
    one o = one_begin("RoiAlign", 16, 1);
    OK(cr_node_set_string(o.node, "mode", largest ? "max" : "avg"));
    OK(cr_node_set_int(o.node, "sampling_ratio", sampling));
    OK(cr_node_set_int(o.node, "output_height", 3));
    OK(cr_node_set_int(o.node, "output_width", 2));
    one_input_at(&o, 0, dtype, 4, (int64_t[]){1, n, 6, 5});
    one_input_at(&o, 1, dtype, 2, (int64_t[]){2, 4});
    for (int64_t i = 0; i < n * 30; i++)
        cr_store_float(dtype, o.in[0].data, i, image[i]);
    for (int64_t i = 0; i < 8; i++)
        cr_store_float(dtype, o.in[1].data, i, boxes[i]);
    memset(one_input_at(&o, 2, CREASE_INT64, 1, (int64_t[]){2}), 0, 16);
    OK(one_run(&o));
    return o;
}

Test(sample, boxes_are_read_alike_in_every_channel) {
    enum { CHANNELS = 5, BINS = 6 };
    static const crease_dtype types[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_FLOAT16};
    double image[CHANNELS * 30];
    for (int i = 0; i < CHANNELS * 30; i++)
        image[i] = one_random(-2, 2);
    for (int way = 0; way < 12; way++) {
        const crease_dtype dtype = types[way / 4];
        one all = align(dtype, way & 1, way & 2, CHANNELS, image);
        for (int64_t c = 0; c < CHANNELS; c++) {
            one alone = align(dtype, way & 1, way & 2, 1, image + c * 30);
            for (int64_t i = 0; i < 2 * BINS; i++)
                cr_assert_eq(
                    cr_load_float(dtype, all.out[0].data, (i / BINS * CHANNELS + c) * BINS + i % BINS),
                    cr_load_float(dtype, alone.out[0].data, i), "way %d, channel %d, element %d", way, (int)c,
                    (int)i);
            one_end(&alone);
        }
        one_end(&all);
    }
}

Test(sample, bins_take_their_largest_element) {
    one o = one_begin("MaxRoiPool", 1, 1);
    OK(cr_node_set_ints(o.node, "pooled_shape", (int64_t[]){1, 2}, 2));
    OK(cr_node_set_float(o.node, "spatial_scale", 0.5f));
    floats(&o, 0, 4, (int64_t[]){1, 1, 2, 4}, (float[]){1, 2, 3, 4, 5, 8, 7, 6});
    floats(&o, 1, 2, (int64_t[]){1, 5}, (float[]){0, 0, 0, 6, 2}); /* columns 0 to 3, rows 0 and 1 */
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((float[]){8, 7}), 8);
    one_end(&o);
}

Test(sample, suppression_keeps_the_best_of_what_overlaps) {
    one o = one_begin("NonMaxSuppression", 11, 1);
    floats(&o, 0, 3, (int64_t[]){1, 3, 4}, (float[]){0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 5, 5, 6, 6});
    floats(&o, 1, 3, (int64_t[]){1, 1, 3}, (float[]){0.5f, 0.9f, 0.4f});
    *(int64_t *)one_input_at(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = 9;
    floats(&o, 3, 0, NULL, (float[]){0.5f});
    floats(&o, 4, 0, NULL, (float[]){0.1f});
    OK(one_run(&o));
    cr_assert_eq(o.out[0].shape.dims[0], 2);
    cr_assert_arr_eq(o.out[0].data, ((int64_t[]){0, 0, 1, 0, 0, 2}), 48);
    one_end(&o);
}

/* Corners of random boxes in one picture, moved apart by class, all beginning at one place, or with special
 * values among them. */
static void random_boxes(float *boxes, int64_t n, int how) {
    static const float special[] = {NAN, INFINITY, -INFINITY, 3e38F, -3e38F, 0, 1e-40F};
    for (int64_t i = 0; i < n; i++) {
        const float moved = how == 1 ? 100 * floorf((float)one_random(0, 20)) : 0;
        for (int d = 0; d < 2; d++) {
            boxes[i * 4 + d] = moved + (how == 2 ? 7 : (float)one_random(-50, 50));
            boxes[i * 4 + 2 + d] =
                boxes[i * 4 + d] + (float)(one_random(0, 1) < 0.1 ? 0 : one_random(-30, 30));
        }
        if (how == 3 && one_random(0, 1) < 0.4)
            boxes[i * 4 + (int64_t)one_random(0, 4)] = special[(size_t)one_random(0, 7)];
    }
}

static bool too_near(const float *a, const float *b, float threshold) {
    float sides[2], all = 0;
    for (int d = 0; d < 2; d++)
        sides[d] = fminf(fmaxf(a[d], a[d + 2]), fmaxf(b[d], b[d + 2])) -
                   fmaxf(fminf(a[d], a[d + 2]), fminf(b[d], b[d + 2]));
    for (int i = 0; i < 2; i++) {
        const float *box = i ? b : a;
        all +=
            (fmaxf(box[0], box[2]) - fminf(box[0], box[2])) * (fmaxf(box[1], box[3]) - fminf(box[1], box[3]));
    }
    all -= sides[0] * sides[1];
    return sides[0] > 0 && sides[1] > 0 && all > 0 && sides[0] * sides[1] / all > threshold;
}

/* Scores fall with the index, so that boxes are met in order. */
Test(sample, suppression_chooses_as_if_all_were_compared) {
    for (int round = 0; round < 200; round++) {
        const int64_t n = (int64_t)one_random(1, 300);
        const float threshold = (float[]){0, 0.1F, 0.45F, 0.9F}[round / 4 % 4];
        one o = one_begin("NonMaxSuppression", 11, 1);
        float *boxes = one_input_at(&o, 0, CREASE_FLOAT, 3, (int64_t[]){1, n, 4});
        float *scores = one_input_at(&o, 1, CREASE_FLOAT, 3, (int64_t[]){1, 1, n});
        int64_t expected[300], count = 0;
        random_boxes(boxes, n, round % 4);
        for (int64_t i = 0; i < n; i++)
            scores[i] = 1 - (float)i / 1000;
        *(int64_t *)one_input_at(&o, 2, CREASE_INT64, 1, (int64_t[]){1}) = n;
        floats(&o, 3, 0, NULL, &threshold);
        OK(one_run(&o));
        for (int64_t i = 0, k; i < n; i++) {
            for (k = 0; k < count && !too_near(boxes + i * 4, boxes + expected[k] * 4, threshold); k++)
                continue;
            if (k == count)
                expected[count++] = i;
        }
        cr_assert_eq(o.out[0].shape.dims[0], count, "round %d: %d boxes, expected %d", round,
                     (int)o.out[0].shape.dims[0], (int)count);
        for (int64_t k = 0; k < count; k++)
            cr_assert_eq(((const int64_t *)o.out[0].data)[k * 3 + 2], expected[k], "round %d", round);
        one_end(&o);
    }
}
