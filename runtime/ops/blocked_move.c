#include "runtime/ops/blocked.h"

#include <string.h>

/* Choices of channels on the blocked layout:
 *   Concat     along axis 1, as ONNX's
 *   Split      along axis 1, as ONNX's
 *   Trim       x -> its first channels, as many as "channels" says, which need all of its blocks: a view
 *   Channels   x, ... -> channel i of the output is channel channels[i] of input sources[i]; without the
 *              attribute "sources" of input 0: slices and shuffles of axis 1
 * Parts that begin and end with whole blocks may share memory with the whole (CR_OP_JOIN, CR_OP_PART); what
 * already stands where it belongs is not copied. */

typedef struct gather_state {
    cr_channel_ref *map;        /* of all outputs, one after another */
    cr_channel_ref *own;        /* Concat: channel c of source 0 is channel c */
    cr_channel_source *sources; /* Concat, Channels: filled at each run */
} gather_state;

typedef struct gather_job {
    const cr_blocked_kernels *kernels;
    cr_channel_gather gather;
    float *out;
} gather_job;

static void gather_task(void *context, int64_t begin, int64_t end, int thread) {
    const gather_job *j = context;
    (void)thread;
    j->kernels->gather_channels(&j->gather, j->out, begin, end);
}

static void gather(const cr_run *r, const cr_channel_source *sources, const cr_channel_ref *map,
                   const cr_tensor *out) {
    gather_job job = {cr_blocked(cr_cpu_isa()), {.sources = sources, .map = map}, out->data};
    job.gather.shape = cr_blocked_shape_of(&out->shape, r->node->lanes);
    cr_blocked_parallel_vectors(r->pool, &job.gather.shape, gather_task, &job);
}

static crease_status make_map(cr_prepare *p, int64_t channels, gather_state **state) {
    CR_TRY(CR_PREPARE_STATE(p, state));
    return CR_ARENA_NEW(p->arena, &(*state)->map, (size_t)channels);
}

/* ---- Concat ---- */

static crease_status concat_prepare(cr_prepare *p) {
    gather_state *s;
    const int64_t channels = p->out[0].shape.dims[1];
    CR_TRY(make_map(p, channels, &s));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->own, (size_t)channels));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->sources, (size_t)p->n_in));
    cr_channel_ref *to = s->map;
    for (int i = 0; i < p->n_in; i++)
        for (int64_t c = 0; c < p->in[i]->shape.dims[1]; c++)
            *to++ = (cr_channel_ref){i, (int32_t)c};
    for (int64_t c = 0; c < channels; c++)
        s->own[c] = (cr_channel_ref){0, (int32_t)c};
    return CREASE_OK;
}

/* Whether the parts of one image stand one after another in the whole: all but the last fill their blocks. */
static bool has_whole_blocks(const cr_tensor *const *parts, int n) {
    for (int i = 0; i + 1 < n; i++)
        if (parts[i]->shape.dims[1] % parts[i]->lanes)
            return false;
    return parts[0]->shape.dims[0] == 1;
}

/* Input by input, so that those which stand in the output already cost nothing. */
static void join_blocks(const cr_run *r, const gather_state *s) {
    float *at = r->out[0]->data;
    for (int i = 0; i < r->n_in; i++) {
        const cr_channel_source source = {r->in[i]->data, r->in[i]->shape.dims[1]};
        cr_tensor part = *r->in[i];
        part.data = at;
        if (at != r->in[i]->data)
            gather(r, &source, s->own, &part);
        at += cr_tensor_physical_n(r->in[i]);
    }
}

static void list_sources(const cr_run *r, const gather_state *s) {
    for (int i = 0; i < r->n_in; i++)
        s->sources[i] = (cr_channel_source){r->in[i]->data, r->in[i]->shape.dims[1]};
}

static crease_status concat_run(cr_run *r) {
    const gather_state *s = r->state;
    list_sources(r, s);
    if (has_whole_blocks(r->in, r->n_in))
        join_blocks(r, s);
    else
        gather(r, s->sources, s->map, r->out[0]);
    return CREASE_OK;
}

/* ---- Split ---- */

static crease_status split_prepare(cr_prepare *p) {
    gather_state *s;
    const int64_t channels = p->in[0]->shape.dims[1];
    CR_TRY(make_map(p, channels, &s));
    for (int64_t c = 0; c < channels; c++)
        s->map[c] = (cr_channel_ref){0, (int32_t)c};
    return CREASE_OK;
}

static crease_status split_run(cr_run *r) {
    const gather_state *s = r->state;
    const cr_channel_source source = {r->in[0]->data, r->in[0]->shape.dims[1]};
    const cr_channel_ref *map = s->map;
    const bool whole = has_whole_blocks((const cr_tensor *const *)r->out, r->n_out);
    const char *at = r->in[0]->data;
    for (int i = 0; i < r->n_out; i++) {
        if (!whole || at != r->out[i]->data)
            gather(r, &source, map, r->out[i]);
        map += r->out[i]->shape.dims[1];
        at += (size_t)cr_tensor_physical_n(r->out[i]) * sizeof(float);
    }
    return CREASE_OK;
}

/* ---- Trim ---- */

static crease_status trim_infer(cr_infer *infer) {
    const int lanes = infer->node->lanes;
    int64_t channels;
    CR_TRY(cr_blocked_infer_same(infer));
    CR_TRY(cr_attr_int(infer->node, "channels", 0, &channels));
    cr_shape *shape = &infer->out[0].shape;
    if (shape->rank < 2 || shape->dims[1] < 0)
        return CREASE_OK;
    if (channels < 1 || channels > shape->dims[1] || (channels - 1) / lanes != (shape->dims[1] - 1) / lanes)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld of %lld channels do not need all blocks",
                            (long long)channels, (long long)shape->dims[1]);
    shape->dims[1] = channels;
    return CREASE_OK;
}

static crease_status trim_run(cr_run *r) {
    const size_t bytes = (size_t)cr_tensor_physical_n(r->in[0]) * sizeof(float);
    if (r->out[0]->data != r->in[0]->data && bytes)
        memcpy(r->out[0]->data, r->in[0]->data, bytes);
    return CREASE_OK;
}

/* ---- Channels ---- */

static crease_status channels_infer(cr_infer *infer) {
    const int64_t *channels;
    int n;
    CR_TRY(cr_blocked_infer_same(infer));
    CR_TRY(cr_attr_ints(infer->node, "channels", &channels, &n));
    if (infer->out[0].shape.rank >= 2)
        infer->out[0].shape.dims[1] = n;
    return CREASE_OK;
}

/* Inputs agree in all but their channels, since each part of the map may name any of them. */
static crease_status check_inputs(const cr_prepare *p) {
    for (int i = 1; i < p->n_in; i++) {
        cr_shape shape = p->in[i]->shape;
        if (shape.rank >= 2)
            shape.dims[1] = p->in[0]->shape.dims[1];
        if (!cr_shape_equal(&shape, &p->in[0]->shape))
            return cr_node_fail(p->node, CREASE_ERROR_MODEL, "input %d has another shape than input 0", i);
    }
    return CREASE_OK;
}

static crease_status channels_prepare(cr_prepare *p) {
    gather_state *s;
    const int64_t *channels, *sources;
    int n, n_sources;
    CR_TRY(check_inputs(p));
    CR_TRY(cr_attr_ints(p->node, "channels", &channels, &n));
    CR_TRY(cr_attr_ints(p->node, "sources", &sources, &n_sources));
    CR_TRY(make_map(p, n, &s));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->sources, (size_t)p->n_in));
    for (int i = 0; i < n; i++) {
        const int64_t source = i < n_sources ? sources[i] : 0;
        if (source < 0 || source >= p->n_in || channels[i] < 0 || channels[i] >= p->in[source]->shape.dims[1])
            return cr_node_fail(p->node, CREASE_ERROR_MODEL, "channel %lld of input %lld does not exist",
                                (long long)channels[i], (long long)source);
        s->map[i] = (cr_channel_ref){(int32_t)source, (int32_t)channels[i]};
    }
    return CREASE_OK;
}

static crease_status channels_run(cr_run *r) {
    const gather_state *s = r->state;
    list_sources(r, s);
    gather(r, s->sources, s->map, r->out[0]);
    return CREASE_OK;
}

const cr_op cr_ops_blocked_move[] = {
    {"Concat", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, concat_prepare, concat_run, 0,
     CR_OP_JOIN | CR_OP_IMAGES, 0, "crease"},
    {"Split", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, split_prepare, split_run, 0,
     CR_OP_PART | CR_OP_IMAGES, 0, "crease"},
    {"Trim", 1, 0, CR_T(CREASE_FLOAT), trim_infer, NULL, trim_run, 0, CR_OP_VIEW | CR_OP_IMAGES, 0, "crease"},
    {"Channels", 1, 0, CR_T(CREASE_FLOAT), channels_infer, channels_prepare, channels_run, 0, CR_OP_IMAGES, 0,
     "crease"},
    {0},
};
