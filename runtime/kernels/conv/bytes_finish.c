#include "runtime/kernels/conv/bytes_finish.h"

#include <math.h>

/* Vector instructions take the second of the two if x is NaN, which so stays what it is. */
static float clamp(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

static void narrow(float *low, float *high, float to_low, float to_high) {
    *low = clamp(*low, to_low, to_high);
    *high = clamp(*high, to_low, to_high);
}

/* Of the rounding and of the output, where they are. */
static void set_ranges(cr_bytes_finish *f) {
    const cr_bytes_epilogue *e = f->epilogue;
    f->round_low = f->low_after = -INFINITY;
    f->round_high = f->high_after = INFINITY;
    if (e->rounds) {
        f->round_inverse = 1 / e->rounded.scale;
        f->round_low = (float)(e->round_low - e->rounded.zero) * e->rounded.scale;
        f->round_high = (float)(e->round_high - e->rounded.zero) * e->rounded.scale;
    }
    if (f->to_bytes) {
        f->output_inverse = 1 / e->output.scale;
        f->low_after = (float)-e->output.zero * e->output.scale;
        f->high_after = (float)(UINT8_MAX - e->output.zero) * e->output.scale;
    }
}

/* Makes one clamp of all. */
static void make_plain(cr_bytes_finish *f, float low_after, float high_after) {
    const cr_bytes_epilogue *e = f->epilogue;
    narrow(&f->low, &f->high, low_after, high_after);
    if (!f->to_bytes)
        return;
    f->lane_factor = f->output_inverse;
    f->low *= f->output_inverse;
    f->high *= f->output_inverse;
    narrow(&f->low, &f->high, (float)-e->output.zero, (float)(UINT8_MAX - e->output.zero));
    f->output_inverse = 1;
    f->raises = f->low > (float)-e->output.zero;
}

cr_bytes_finish cr_bytes_finish_of(const cr_bytes_conv *conv, const cr_bytes_epilogue *e) {
    cr_bytes_finish f = {.epilogue = e, .to_bytes = !conv->output_float, .lane_factor = 1, .raises = true};
    float low_after, high_after;
    const bool first = cr_activation_is_clamp(&e->act, &f.low, &f.high),
               second = cr_activation_is_clamp(&e->act_after, &low_after, &high_after);
    f.clamps = first && second;
    f.plain = f.clamps && !e->rounds && e->residual == NULL;
    set_ranges(&f);
    if (f.plain) {
        make_plain(&f, low_after, high_after);
    } else if (f.clamps) {
        const float lowest = f.low_after;
        narrow(&f.low, &f.high, f.round_low, f.round_high);
        narrow(&low_after, &high_after, f.low_after, f.high_after);
        f.low_after = low_after;
        f.high_after = high_after;
        f.raises = low_after > lowest;
    }
    f.narrows = f.clamps && (f.low > -INFINITY || f.high < INFINITY);
    return f;
}

static float activated(const cr_activation *act, float v, int64_t channel) {
    return act->kind == CR_ACT_NONE ? v : (float)cr_activation_value(act, (double)v, channel);
}

/* The value before the output, which clamps it. */
static float value_of(const cr_bytes_finish *f, int32_t sum, int64_t channel, int64_t at) {
    const cr_bytes_epilogue *e = f->epilogue;
    const float bias = e->bias != NULL ? e->bias[channel] * f->lane_factor : 0;
    float v = fmaf((float)sum, e->scale[channel] * f->lane_factor, bias);
    if (f->clamps)
        v = clamp(v, f->low, f->high);
    else
        v = clamp(activated(&e->act, v, channel), f->round_low, f->round_high);
    if (f->plain)
        return v;
    if (e->rounds)
        v = rintf(v * f->round_inverse) * e->rounded.scale;
    if (e->residual != NULL)
        v = fmaf((float)(e->residual[at] - e->residual_scaling.zero), e->residual_scaling.scale, v);
    if (!f->clamps)
        v = activated(&e->act_after, v, channel);
    return clamp(v, f->low_after, f->high_after);
}

void cr_bytes_finish_plain(const cr_bytes_finish *f, const int32_t *sums, int64_t n, int64_t channel,
                           int64_t offset, void *output) {
    for (int64_t i = 0; i < n * CR_BYTES_LANES; i++) {
        const float v = value_of(f, sums[i], channel + i % CR_BYTES_LANES, offset + i);
        if (f->to_bytes)
            ((uint8_t *)output)[offset + i] =
                v == v ? (uint8_t)(lrintf(v * f->output_inverse) + f->epilogue->output.zero) : 0;
        else
            ((float *)output)[offset + i] = v;
    }
}
