#include "tests/runtime/ops/one.h"

static int64_t below(int64_t n) {
    return (int64_t)one_random(0, (double)n);
}

static uint8_t *bytes(one *o, int i, crease_dtype dtype, int rank, const int64_t *dims) {
    uint8_t *data = one_input_at(o, i, dtype, rank, dims);
    for (int64_t k = 0; k < cr_shape_n(&o->in[i].shape); k++)
        data[k] = (uint8_t)below(256);
    return data;
}

static int32_t at(const one *o, int i, int64_t k) {
    const cr_tensor *t = &o->in[i];
    const int64_t j = cr_shape_n(&t->shape) == 1 ? 0 : k;
    return t->dtype == CREASE_INT8 ? ((const int8_t *)t->data)[j] : ((const uint8_t *)t->data)[j];
}

/* Zero points for each row of a and each column of b. */
Test(integer, products_are_exact) {
    const int64_t m = 5, n = 7, k = 300;
    one o = one_begin("MatMulInteger", 10, 1);
    bytes(&o, 0, CREASE_UINT8, 2, (int64_t[]){m, k});
    bytes(&o, 1, CREASE_INT8, 2, (int64_t[]){k, n});
    bytes(&o, 2, CREASE_UINT8, 1, &m);
    bytes(&o, 3, CREASE_INT8, 1, &n);
    OK(one_run(&o));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int32_t sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (at(&o, 0, i * k + p) - at(&o, 2, i)) * (at(&o, 1, p * n + j) - at(&o, 3, j));
            cr_assert_eq(((const int32_t *)o.out[0].data)[i * n + j], sum);
        }
    one_end(&o);
}

/* Channel c of a 1-D convolution with padding, scaled: padding counts as the zero point. */
static uint8_t expected(const one *o, int64_t c, int64_t x, const int32_t *bias, const float *scales) {
    int32_t sum = bias[c];
    for (int64_t ic = 0; ic < 2; ic++)
        for (int64_t t = 0; t < 3; t++)
            if (x + t - 1 >= 0 && x + t - 1 < 9)
                sum += (at(o, 0, ic * 9 + x + t - 1) - at(o, 2, 0)) *
                       (at(o, 3, (c * 2 + ic) * 3 + t) - at(o, 5, c));
    const double y = (double)nearbyintf((float)sum * (0.5f * scales[c] / 64)) + at(o, 7, 0);
    return (uint8_t)(y < 0 ? 0 : y > 255 ? 255 : y);
}

Test(integer, convolutions_are_scaled_by_channel) {
    const int64_t channels = 4;
    one o = one_begin("QLinearConv", 10, 1);
    OK(cr_node_set_ints(o.node, "pads", (int64_t[]){1, 1}, 2));
    bytes(&o, 0, CREASE_UINT8, 3, (int64_t[]){1, 2, 9});
    *(float *)one_input_at(&o, 1, CREASE_FLOAT, 0, NULL) = 0.5f;
    bytes(&o, 2, CREASE_UINT8, 0, NULL);
    bytes(&o, 3, CREASE_INT8, 3, (int64_t[]){channels, 2, 3});
    float *scales = one_input_at(&o, 4, CREASE_FLOAT, 1, &channels);
    bytes(&o, 5, CREASE_INT8, 1, &channels);
    *(float *)one_input_at(&o, 6, CREASE_FLOAT, 0, NULL) = 64;
    *(uint8_t *)one_input_at(&o, 7, CREASE_UINT8, 0, NULL) = 100;
    int32_t *bias = one_input_at(&o, 8, CREASE_INT32, 1, &channels);
    for (int c = 0; c < channels; c++) {
        scales[c] = 0.25f + 0.25f * (float)c;
        bias[c] = 1000 * c - 1500;
    }
    OK(one_run(&o));
    for (int64_t i = 0; i < channels * 9; i++)
        cr_assert_eq(((const uint8_t *)o.out[0].data)[i], expected(&o, i / 9, i % 9, bias, scales));
    one_end(&o);
}

Test(integer, parameters_that_do_not_fit_are_refused) {
    one o = one_begin("MatMulInteger", 10, 1);
    bytes(&o, 0, CREASE_UINT8, 2, (int64_t[]){2, 3});
    bytes(&o, 1, CREASE_UINT8, 2, (int64_t[]){3, 2});
    bytes(&o, 2, CREASE_UINT8, 1, (int64_t[]){3});
    cr_assert_eq(one_run(&o), CREASE_ERROR_UNSUPPORTED);
    one_end(&o);
}
