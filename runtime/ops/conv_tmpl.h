/* Bodies of conv.c for one element type: T, NAME(x) and GEMM are defined by the includer. */

/* Channels [o, o + m) and pixels [first, first + n) of one image and group. */
static void NAME(gemm_piece)(const conv_job *job, int64_t image, int64_t o, int64_t m, int64_t first,
                             int64_t n, T *columns) {
    const conv_state *s = job->s;
    const int64_t channel = image % s->g.groups * s->oc + o,
                  offset = (image * s->oc + o) * s->out_area + first;
    const T *x = (const T *)job->x + image * s->ic * s->in_area, *bias = job->bias;
    const T *residual = job->residual ? (const T *)job->residual + offset : NULL;
    T *y = (T *)job->y + offset;
    if (s->algorithm == IM2COL)
        NAME(cr_im2col)(&s->g, x, first, n, columns);
    for (int64_t r = 0; bias && r < m; r++)
        for (int64_t i = 0; i < n; i++)
            y[r * s->out_area + i] = bias[channel + r];
    GEMM(false, false, m, n, s->depth, 1, (const T *)job->w + channel * s->depth, s->depth,
         s->algorithm == IM2COL ? columns : x + first, s->algorithm == IM2COL ? n : s->in_area, bias ? 1 : 0,
         y, s->out_area);
    for (int64_t r = 0; r < m; r++)
        NAME(cr_plain_finish)
    (&s->epilogue, channel + r, residual ? residual + r * s->out_area : NULL, n, y + r * s->out_area);
}

static void NAME(gemm_pieces)(void *context, int64_t begin, int64_t end, int thread) {
    const conv_job *job = context;
    const conv_state *s = job->s;
    T *columns = (T *)(void *)(job->scratch + (size_t)thread * s->thread_scratch);
    for (int64_t task = begin; task < end; task++) {
        const int64_t c = task % s->channel_pieces, p = task / s->channel_pieces % s->pixel_pieces;
        const int64_t o = cr_gemm_cut(s->oc, s->channel_pieces, c);
        const int64_t first = cr_gemm_cut(s->out_area, s->pixel_pieces, p);
        NAME(gemm_piece)
        (job, task / s->channel_pieces / s->pixel_pieces, o, cr_gemm_cut(s->oc, s->channel_pieces, c + 1) - o,
         first, cr_gemm_cut(s->out_area, s->pixel_pieces, p + 1) - first, columns);
    }
}

/* A plane is one output channel of one image. */
static void NAME(planes)(void *context, int64_t begin, int64_t end, int thread) {
    const conv_job *job = context;
    const conv_state *s = job->s;
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t channel = plane % (s->g.groups * s->oc), image = plane / s->oc;
        const T *x = (const T *)job->x + image * s->ic * s->in_area,
                *w = (const T *)job->w + channel * s->depth;
        const T bias = job->bias ? ((const T *)job->bias)[channel] : 0;
        T *y = (T *)job->y + plane * s->out_area;
        if (s->algorithm == DEPTHWISE)
            NAME(cr_depthwise_plane)(&s->g, x, w, bias, y);
        else
            NAME(cr_conv_plane)(&s->g, x, w, bias, y);
        NAME(cr_plain_finish)
        (&s->epilogue, channel, job->residual ? (const T *)job->residual + plane * s->out_area : NULL,
         s->out_area, y);
    }
}

/* One output channel of one image: [taps][input pixels] = w^T x, then each tap where it belongs. */
static void NAME(transposed)(void *context, int64_t begin, int64_t end, int thread) {
    const conv_job *job = context;
    const conv_state *s = job->s;
    T *columns = (T *)(void *)(job->scratch + (size_t)thread * s->thread_scratch);
    for (int64_t plane = begin; plane < end; plane++) {
        const int64_t o = plane % s->oc, image = plane / s->oc, group = image % s->g.groups;
        GEMM(true, false, s->taps, s->in_area, s->ic, 1,
             (const T *)job->w + (group * s->ic * s->oc + o) * s->taps, s->oc * s->taps,
             (const T *)job->x + image * s->ic * s->in_area, s->in_area, 0, columns, s->in_area);
        NAME(cr_col2im)
        (&s->g, columns, job->bias ? ((const T *)job->bias)[group * s->oc + o] : 0,
         (T *)job->y + plane * s->out_area);
    }
}
