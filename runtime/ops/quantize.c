#include "runtime/kernels/narrow.h"
#include "runtime/kernels/quantize.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* QuantizeLinear and DequantizeLinear (ONNX 10, 13, 19 to 25), DynamicQuantizeLinear (11): one scale and zero
 * point for the tensor, for each index of an axis, or for each block along it. */

enum { QUANTIZE, DEQUANTIZE };
enum { IN_X, IN_SCALE, IN_ZERO };
enum {
    QUANTIZED = CR_T(CREASE_UINT8) | CR_T(CREASE_INT8) | CR_T(CREASE_UINT16) | CR_T(CREASE_INT16) |
                CR_T_FLOAT8 | CR_T(CREASE_FLOAT4E2M1) | CR_T(CREASE_UINT4) | CR_T(CREASE_INT4) |
                CR_T(CREASE_UINT2) | CR_T(CREASE_INT2),
    SCALES = CR_T_FLOATS | CR_T(CREASE_FLOAT8E8M0)
};

/* ---- shapes ---- */

typedef struct grouping {
    int axis;
    int64_t block; /* elements along the axis with one scale; 0: all */
    bool each;     /* a scale for each index of the axis alone, not of the others */
} grouping;

static crease_status does_not_fit(const cr_node *node, const cr_shape *x, const cr_shape *scale) {
    char a[128], b[128];
    return cr_node_fail(node, CREASE_ERROR_MODEL, "scales %s do not fit the input %s",
                        cr_shape_print(scale, a, sizeof a), cr_shape_print(x, b, sizeof b));
}

/* How scales of this shape are meant; both shapes static. */
static crease_status read_grouping(const cr_node *node, const cr_shape *x, const cr_shape *scale,
                                   grouping *g) {
    int64_t axis, block;
    CR_TRY(cr_attr_int(node, "axis", 1, &axis));
    CR_TRY(cr_attr_int(node, "block_size", 0, &block));
    *g = (grouping){0};
    if (block < 0)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "block_size is %lld", (long long)block);
    if (block == 0 && scale->rank <= 1 && cr_shape_n(scale) == 1)
        return CREASE_OK;
    CR_TRY(cr_node_axis(node, axis, x->rank, &g->axis));
    const int64_t extent = x->dims[g->axis];
    g->block = block ? block : 1;
    g->each = scale->rank == 1 && block == 0;
    if (g->each)
        return scale->dims[0] == extent ? CREASE_OK : does_not_fit(node, x, scale);
    bool fits = scale->rank == x->rank && block > 0;
    for (int d = 0; fits && d < x->rank; d++)
        fits = scale->dims[d] == (d == g->axis ? extent / block + (extent % block != 0) : x->dims[d]);
    return fits ? CREASE_OK : does_not_fit(node, x, scale);
}

static bool is_one(const cr_shape *shape) {
    return shape->rank == 0 || (shape->rank == 1 && shape->dims[0] == 1);
}

static crease_status check_parameters(const cr_infer *infer) {
    grouping g;
    const cr_info *scale = infer->in[IN_SCALE], *zero = infer->n_in > IN_ZERO ? infer->in[IN_ZERO] : NULL;
    if (scale->dtype && !(CR_T(scale->dtype) & (cr_types)SCALES))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "scales of %s are not supported",
                            crease_dtype_name(scale->dtype));
    if (zero && !is_one(&zero->shape) && !cr_shape_fits(&zero->shape, &scale->shape))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "scales and zero points differ in shape");
    if (cr_shape_is_static(&infer->in[IN_X]->shape) && cr_shape_is_static(&scale->shape))
        return read_grouping(infer->node, &infer->in[IN_X]->shape, &scale->shape, &g);
    return CREASE_OK;
}

static crease_status quantized_type(const cr_infer *infer, crease_dtype *dtype) {
    const cr_info *zero = infer->n_in > IN_ZERO ? infer->in[IN_ZERO] : NULL;
    int64_t stated;
    CR_TRY(cr_attr_int(infer->node, "output_dtype", 0, &stated));
    if (zero && zero->dtype && stated && stated != (int64_t)zero->dtype)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "output_dtype is not the zero point's type");
    *dtype = zero ? zero->dtype : stated ? (crease_dtype)stated : CREASE_UINT8;
    if (*dtype && (!cr_dtype_valid(*dtype) || !(CR_T(*dtype) & (cr_types)QUANTIZED)))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "quantizing to type %d is not supported",
                            (int)*dtype);
    return CREASE_OK;
}

static crease_status quantize_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, IN_X));
    CR_TRY(cr_infer_need(infer, IN_SCALE));
    CR_TRY(check_parameters(infer));
    infer->out[0].shape = infer->in[IN_X]->shape;
    return quantized_type(infer, &infer->out[0].dtype);
}

static crease_status dequantize_infer(cr_infer *infer) {
    int64_t stated;
    CR_TRY(cr_infer_need(infer, IN_X));
    CR_TRY(cr_infer_need(infer, IN_SCALE));
    CR_TRY(cr_infer_same_type(infer, IN_X, IN_ZERO));
    CR_TRY(check_parameters(infer));
    CR_TRY(cr_attr_int(infer->node, "output_dtype", 0, &stated));
    infer->out[0].shape = infer->in[IN_X]->shape;
    infer->out[0].dtype = stated ? (crease_dtype)stated : infer->in[IN_SCALE]->dtype;
    if (infer->out[0].dtype && !cr_dtype_is_float(infer->out[0].dtype))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED,
                            "dequantizing to type %lld is not supported", (long long)stated);
    return CREASE_OK;
}

/* ---- run ---- */

typedef struct quantize_state {
    int64_t outer, extent, inner, block; /* block: of the axis */
    bool each, saturate;
} quantize_state;

static crease_status quantize_prepare(cr_prepare *p) {
    quantize_state *s;
    grouping g;
    int64_t saturate;
    const cr_shape *x = &p->in[IN_X]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_grouping(p->node, x, &p->in[IN_SCALE]->shape, &g));
    CR_TRY(cr_attr_int(p->node, "saturate", 1, &saturate));
    s->saturate = saturate != 0;
    s->block = g.block;
    s->each = g.each;
    s->outer = g.block ? cr_shape_extent(x, 0, g.axis) : 1;
    s->extent = g.block ? x->dims[g.axis] : 1;
    s->inner = g.block ? cr_shape_extent(x, g.axis + 1, x->rank) : cr_shape_n(x);
    return CREASE_OK;
}

typedef struct quantize_job {
    const quantize_state *s;
    const cr_tensor *x, *scale, *zero;
    cr_tensor *y;
    bool back;
} quantize_job;

/* Elements [at, at + n) with the scale at index `group`. */
static void convert(const quantize_job *j, int64_t at, int64_t n, int64_t group) {
    const cr_scaling scaling = {
        (float)cr_number_load(j->scale->dtype, j->scale->data, group),
        j->zero ? cr_number_load(j->zero->dtype, j->zero->data, is_one(&j->zero->shape) ? 0 : group) : 0,
        j->s->saturate,
    };
    if (j->back)
        cr_dequantize(&scaling, j->x->dtype, j->x->data, j->y->dtype, j->y->data, at, n);
    else
        cr_quantize(&scaling, j->x->dtype, j->x->data, j->y->dtype, j->y->data, at, n);
}

/* Lines of the axis: all inner elements of one index; with blocks, inner elements have scales of their own.
 */
static void convert_lines(void *context, int64_t begin, int64_t end, int thread) {
    const quantize_job *j = context;
    const quantize_state *s = j->s;
    (void)thread;
    for (int64_t line = begin; line < end; line++) {
        const int64_t o = line / s->extent, k = line % s->extent;
        if (!s->block || s->each) {
            convert(j, line * s->inner, s->inner, s->block ? k : 0);
            continue;
        }
        const int64_t blocks = s->extent / s->block + (s->extent % s->block != 0);
        for (int64_t i = 0; i < s->inner; i++)
            convert(j, line * s->inner + i, 1, (o * blocks + k / s->block) * s->inner + i);
    }
}

static crease_status quantize_run(cr_run *r) {
    const quantize_state *s = r->state;
    size_t bytes;
    quantize_job job = {s,
                        r->in[IN_X],
                        r->in[IN_SCALE],
                        r->n_in > IN_ZERO ? r->in[IN_ZERO] : NULL,
                        r->out[0],
                        r->op->variant == DEQUANTIZE};
    const bool packed = crease_dtype_bits(job.y->dtype) < 8;
    if (packed && cr_tensor_bytes(job.y->dtype, 0, &job.y->shape, &bytes))
        memset(job.y->data, 0, bytes); /* the bits after the last element */
    if (cr_shape_n(&job.x->shape) == 0)
        return CREASE_OK;
    /* lines of packed elements may share a byte */
    cr_parallel_grain(packed ? NULL : r->pool, s->outer * s->extent, 16384 / s->inner + 1, convert_lines,
                      &job);
    return CREASE_OK;
}

/* ---- DynamicQuantizeLinear ---- */

static crease_status dynamic_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0] = (cr_info){.dtype = CREASE_UINT8, .shape = infer->in[0]->shape};
    if (infer->n_out > 1)
        infer->out[1] = (cr_info){.dtype = CREASE_FLOAT, .shape = {.rank = 0}};
    if (infer->n_out > 2)
        infer->out[2] = (cr_info){.dtype = CREASE_UINT8, .shape = {.rank = 0}};
    return CREASE_OK;
}

/* The range is widened to contain 0, so that 0 is exact. */
static crease_status dynamic_run(cr_run *r) {
    const float *x = r->in[0]->data;
    const int64_t n = cr_shape_n(&r->in[0]->shape);
    float low, high;
    cr_range_with_zero(x, n, &low, &high);
    const float scale = high > low ? (high - low) / 255 : 1;
    const float zero = nearbyintf(fminf(fmaxf(-low / scale, 0), 255));
    const cr_scaling scaling = {scale, (double)zero, true};
    if (r->out[0])
        cr_quantize(&scaling, CREASE_FLOAT, x, CREASE_UINT8, r->out[0]->data, 0, n);
    if (r->n_out > 1 && r->out[1])
        *(float *)r->out[1]->data = scale;
    if (r->n_out > 2 && r->out[2])
        *(uint8_t *)r->out[2]->data = (uint8_t)zero;
    return CREASE_OK;
}

const cr_op cr_ops_quantize[] = {
    {"QuantizeLinear", 10, 0, CR_T_FLOATS | CR_T(CREASE_INT32), quantize_infer, quantize_prepare,
     quantize_run, QUANTIZE, CR_OP_HALF, 0, NULL},
    {"DequantizeLinear", 10, 0, QUANTIZED | CR_T(CREASE_INT32), dequantize_infer, quantize_prepare,
     quantize_run, DEQUANTIZE, CR_OP_HALF, 0, NULL},
    {"DynamicQuantizeLinear", 11, 0, CR_T(CREASE_FLOAT), dynamic_infer, NULL, dynamic_run, 0, 0, 0, NULL},
    {0},
};
