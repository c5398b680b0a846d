/* Bodies of conv.c for one element type: T, NAME(x) and GEMM are defined by the includer. */

/* Columns [first, first + n) of the matrix [ic taps][out_area] of one image and group. */
static void NAME(im2col)(const conv_state *s, const T *x, int64_t first, int64_t n, T *columns) {
    int64_t row = 0, plane = s->out[1] * s->out[2];
    for (int64_t c = 0; c < s->ic; c++)
        for (int64_t kd = 0; kd < s->kernel[0]; kd++)
            for (int64_t kh = 0; kh < s->kernel[1]; kh++)
                for (int64_t kw = 0; kw < s->kernel[2]; kw++, row++) {
                    T *to = columns + row * n;
                    const T *from = x + c * s->in_area;
                    for (int64_t i = 0; i < n;) {
                        int64_t pixel = first + i, od = pixel / plane, oh = pixel % plane / s->out[2],
                                ow = pixel % s->out[2];
                        int64_t run = s->out[2] - ow < n - i ? s->out[2] - ow : n - i;
                        int64_t d = od * s->stride[0] - s->pad[0] + kd * s->dilation[0];
                        int64_t h = oh * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                        int64_t w = ow * s->stride[2] - s->pad[2] + kw * s->dilation[2];
                        bool inside = d >= 0 && d < s->in[0] && h >= 0 && h < s->in[1];
                        const T *line = inside ? from + (d * s->in[1] + h) * s->in[2] : from;
                        for (int64_t j = 0; j < run; j++, w += s->stride[2])
                            to[i + j] = inside && w >= 0 && w < s->in[2] ? line[w] : 0;
                        i += run;
                    }
                }
}

static void NAME(gemm_piece)(void *context, int64_t begin, int64_t end, int thread) {
    const conv_job *job = context;
    const conv_state *s = job->s;
    T *columns = (T *)(void *)(job->scratch + (size_t)thread * s->thread_scratch);
    int64_t depth = s->ic * s->taps;
    for (int64_t task = begin; task < end; task++) {
        int64_t piece = task % job->pieces, image = task / job->pieces, group = image % s->groups;
        int64_t first = s->out_area * piece / job->pieces, last = s->out_area * (piece + 1) / job->pieces,
                n = last - first;
        const T *x = (const T *)job->x + image * s->ic * s->in_area,
                *w = (const T *)job->w + group * s->oc * depth;
        T *y = (T *)job->y + image * s->oc * s->out_area + first;
        if (!s->pointwise) {
            NAME(im2col)(s, x, first, n, columns);
        }
        for (int64_t o = 0; job->bias && o < s->oc; o++) {
            T b = ((const T *)job->bias)[group * s->oc + o];
            for (int64_t i = 0; i < n; i++)
                y[o * s->out_area + i] = b;
        }
        GEMM(false, false, s->oc, n, depth, 1, w, depth, s->pointwise ? x + first : columns,
             s->pointwise ? s->in_area : n, job->bias ? 1 : 0, y, s->out_area);
    }
}

/* One output channel of one image; taps outside, then a row of the output at a time. */
static void NAME(depthwise)(void *context, int64_t begin, int64_t end, int thread) {
    const conv_job *job = context;
    const conv_state *s = job->s;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        int64_t o = task % (s->groups * s->oc);
        const T *x = (const T *)job->x + task / s->oc * s->in_area, *w = (const T *)job->w + o * s->taps;
        T *y = (T *)job->y + task * s->out_area, bias = job->bias ? ((const T *)job->bias)[o] : 0;
        for (int64_t i = 0; i < s->out_area; i++)
            y[i] = bias;
        for (int64_t od = 0; od < s->out[0]; od++)
            for (int64_t oh = 0; oh < s->out[1]; oh++)
                for (int64_t k = 0; k < s->taps; k++) {
                    int64_t kw = k % s->kernel[2], kh = k / s->kernel[2] % s->kernel[1],
                            kd = k / s->kernel[2] / s->kernel[1];
                    int64_t d = od * s->stride[0] - s->pad[0] + kd * s->dilation[0];
                    int64_t h = oh * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                    int64_t shift = kw * s->dilation[2] - s->pad[2], step = s->stride[2];
                    if (d < 0 || d >= s->in[0] || h < 0 || h >= s->in[1])
                        continue;
                    /* output columns whose tap lies inside */
                    int64_t low = shift < 0 ? (-shift + step - 1) / step : 0;
                    int64_t high = s->in[2] - shift <= 0 ? 0 : (s->in[2] - shift + step - 1) / step;
                    high = high > s->out[2] ? s->out[2] : high;
                    T *to = y + (od * s->out[1] + oh) * s->out[2], weight = w[k];
                    const T *from = x + (d * s->in[1] + h) * s->in[2] + shift;
                    if (step == 1)
                        for (int64_t i = low; i < high; i++)
                            to[i] += weight * from[i];
                    else
                        for (int64_t i = low; i < high; i++)
                            to[i] += weight * from[i * step];
                }
    }
}

/* One output channel of one image: [taps][in_area] = w^T x by GEMM, then each tap is added where it belongs.
 */
static void NAME(transposed)(void *context, int64_t begin, int64_t end, int thread) {
    const conv_job *job = context;
    const conv_state *s = job->s;
    T *columns = (T *)(void *)(job->scratch + (size_t)thread * s->thread_scratch);
    for (int64_t task = begin; task < end; task++) {
        int64_t o = task % s->oc, image = task / s->oc, group = image % s->groups;
        const T *x = (const T *)job->x + image * s->ic * s->in_area;
        const T *w = (const T *)job->w + (group * s->ic * s->oc + o) * s->taps;
        T *y = (T *)job->y + task * s->out_area,
          bias = job->bias ? ((const T *)job->bias)[group * s->oc + o] : 0;
        GEMM(true, false, s->taps, s->in_area, s->ic, 1, w, s->oc * s->taps, x, s->in_area, 0, columns,
             s->in_area);
        for (int64_t i = 0; i < s->out_area; i++)
            y[i] = bias;
        for (int64_t k = 0; k < s->taps; k++) {
            int64_t kw = k % s->kernel[2], kh = k / s->kernel[2] % s->kernel[1],
                    kd = k / s->kernel[2] / s->kernel[1];
            for (int64_t i = 0; i < s->in_area; i++) {
                int64_t d = i / (s->in[1] * s->in[2]), h = i / s->in[2] % s->in[1], q = i % s->in[2];
                int64_t yd = d * s->stride[0] - s->pad[0] + kd * s->dilation[0];
                int64_t yh = h * s->stride[1] - s->pad[1] + kh * s->dilation[1];
                int64_t yw = q * s->stride[2] - s->pad[2] + kw * s->dilation[2];
                if (yd >= 0 && yd < s->out[0] && yh >= 0 && yh < s->out[1] && yw >= 0 && yw < s->out[2])
                    y[(yd * s->out[1] + yh) * s->out[2] + yw] += columns[k * s->in_area + i];
            }
        }
    }
}
