/* Body of norm.c for one element type: T, NAME(f), POW(x, y), SQRT(x). See norm.h. */

static double NAME(sum)(const void *data, int64_t n) {
    const T *x = data;
    double chains[CHAINS] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + CHAINS <= n; i += CHAINS)
        for (int k = 0; k < CHAINS; k++)
            chains[k] += (double)x[i + k];
    for (; i < n; i++)
        sum += (double)x[i];
    for (int k = 0; k < CHAINS; k++)
        sum += chains[k];
    return sum;
}

static double NAME(squares)(const void *data, int64_t n, double center) {
    const T *x = data;
    double chains[CHAINS] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + CHAINS <= n; i += CHAINS)
        for (int k = 0; k < CHAINS; k++) {
            double d = (double)x[i + k] - center;
            chains[k] += d * d;
        }
    for (; i < n; i++)
        sum += ((double)x[i] - center) * ((double)x[i] - center);
    for (int k = 0; k < CHAINS; k++)
        sum += chains[k];
    return sum;
}

static void NAME(affine)(const void *in, void *out, int64_t n, double s, double t) {
    const T *x = in, scale = (T)s, shift = (T)t;
    T *y = out;
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * x[i] + shift;
}

static void NAME(normalize)(const void *in, void *out, int64_t n, double center, double factor,
                            const void *scales, const void *shifts) {
    const T *x = in, *scale = scales, *shift = shifts, c = (T)center, f = (T)factor;
    T *y = out;
    if (scale && shift)
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - c) * f * scale[i] + shift[i];
    else if (scale)
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - c) * f * scale[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - c) * f + (shift ? shift[i] : 0);
}

/* base^-beta; three quarters is what nearly every network has. */
static void NAME(divide_by_power)(const T *x, T *y, const T *base, int64_t n, T beta) {
    if (beta == (T)0.75)
        for (int64_t i = 0; i < n; i++) {
            T root = SQRT(base[i]);
            y[i] = x[i] / (root * SQRT(root));
        }
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] / POW(base[i], beta);
}

static void NAME(lrn)(const void *image, void *out, int64_t channels, int64_t area, int64_t c,
                      const cr_lrn *lrn) {
    enum { PART = 256 };
    const T *x = image, factor = (T)(lrn->alpha / (double)lrn->size), bias = (T)lrn->bias;
    int64_t before = (lrn->size - 1) / 2, after = lrn->size / 2;
    int64_t low = before < c ? c - before : 0, high = after < channels - c ? c + after + 1 : channels;
    for (int64_t begin = 0; begin < area; begin += PART) {
        int64_t n = area - begin < PART ? area - begin : PART;
        T sum[PART] = {0};
        for (int64_t k = low; k < high; k++)
            for (int64_t i = 0; i < n; i++)
                sum[i] += x[k * area + begin + i] * x[k * area + begin + i];
        for (int64_t i = 0; i < n; i++)
            sum[i] = bias + factor * sum[i];
        NAME(divide_by_power)(x + c * area + begin, (T *)out + begin, sum, n, (T)lrn->beta);
    }
}

const cr_norm_kernels NAME(cr_norm) = {NAME(sum), NAME(squares), NAME(affine), NAME(normalize)};
