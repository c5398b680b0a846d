#include "runtime/ops/control.h"
#include "runtime/ops/infer.h"

#include <string.h>

/* Scan (ONNX 8; 9 to 25): a body runs for each slice of the scanned inputs, carries states and gives a slice
 * of each scanned output. Version 8 does so for each element of a batch, along axis 1, for as many slices as
 * sequence_lens says; what a shorter sequence does not give is 0. */

typedef struct scan_state {
    cr_graph *body;
    bool batched;
    int first;                  /* input of the node where the states begin */
    int states, scanned, given; /* states; inputs and outputs that are cut into slices */
    const int64_t *in_axes, *in_back, *out_axes, *out_back; /* NULL: zeros */
    cr_tensor *inputs, *outputs;                            /* of the body; states hold a reference */
    cr_tensor *slices;                                      /* memory for slices that are not contiguous */
    cr_tensor *results;                                     /* [given] */
} scan_state;

static int64_t item(const int64_t *list, int i) {
    return list ? list[i] : 0;
}

/* ---- attributes ---- */

static crease_status read_list(const cr_node *node, const char *name, int wanted, const int64_t **list) {
    int n;
    CR_TRY(cr_attr_ints(node, name, list, &n));
    if (*list && n != wanted)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "'%s' has %d values, expected %d", name, n, wanted);
    return CREASE_OK;
}

static crease_status read_scan(const cr_node *node, const cr_op *op, scan_state *s) {
    int64_t scanned;
    *s = (scan_state){.batched = op->variant == CR_SCAN_BATCHED};
    s->first = s->batched ? 1 : 0;
    CR_TRY(cr_attr_int(node, "num_scan_inputs", 0, &scanned));
    if (scanned < 1 || scanned > node->n_inputs - s->first)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "num_scan_inputs is %lld of %d inputs",
                            (long long)scanned, node->n_inputs - s->first);
    s->scanned = (int)scanned;
    s->states = node->n_inputs - s->first - s->scanned;
    CR_TRY(cr_control_body(node, "body", s->states + s->scanned, s->states, &s->body));
    s->given = s->body->n_outputs - s->states;
    if (node->n_outputs > s->body->n_outputs)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%d outputs, but the body gives %d", node->n_outputs,
                            s->body->n_outputs);
    if (s->batched)
        return read_list(node, "directions", s->scanned, &s->in_back);
    CR_TRY(read_list(node, "scan_input_axes", s->scanned, &s->in_axes));
    CR_TRY(read_list(node, "scan_input_directions", s->scanned, &s->in_back));
    CR_TRY(read_list(node, "scan_output_axes", s->given, &s->out_axes));
    return read_list(node, "scan_output_directions", s->given, &s->out_back);
}

/* ---- shapes ---- */

/* Axis of scanned input i and the shape of one slice. */
static crease_status slice_shape(const cr_node *node, const scan_state *s, int i, const cr_shape *whole,
                                 int *axis, cr_shape *slice) {
    int lost = s->batched ? 2 : 1;
    *axis = 1;
    if (whole->rank < lost)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "scanned input %d has rank %d", i, whole->rank);
    if (!s->batched)
        CR_TRY(cr_node_axis(node, item(s->in_axes, i), whole->rank, axis));
    slice->rank = 0;
    for (int d = s->batched ? 1 : 0; d < whole->rank; d++)
        if (d != *axis)
            slice->dims[slice->rank++] = whole->dims[d];
    return CREASE_OK;
}

static crease_status stacked_shape(const cr_node *node, const scan_state *s, int i, const cr_shape *slice,
                                   int64_t n, int *axis, cr_shape *whole) {
    if (slice->rank >= CR_MAX_RANK - 1)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "a scanned output of rank %d", slice->rank + 1);
    CR_TRY(cr_node_axis(node, item(s->out_axes, i), slice->rank + 1, axis));
    whole->rank = slice->rank + 1;
    for (int d = 0, e = 0; d < whole->rank; d++)
        whole->dims[d] = d == *axis ? n : slice->dims[e++];
    return CREASE_OK;
}

static crease_status infer_outputs(cr_infer *infer, const scan_state *s, const cr_info *in,
                                   const cr_info *out, int64_t n) {
    for (int i = 0; i < infer->n_out; i++) {
        int axis;
        infer->out[i].dtype = i < s->states ? in[i].dtype : out[i].dtype;
        if (i < s->states)
            infer->out[i].shape = in[i].shape;
        else if (cr_shape_is_static(&out[i].shape))
            CR_TRY(
                stacked_shape(infer->node, s, i - s->states, &out[i].shape, n, &axis, &infer->out[i].shape));
    }
    return CREASE_OK;
}

/* Version 8 is left to the run. */
static crease_status infer_body(cr_infer *infer, const scan_state *s, cr_arena *arena) {
    cr_info *in, *out;
    int axis = 0;
    int64_t n = CR_DIM_UNKNOWN;
    CR_TRY(cr_control_infos(s->body, arena, &in, &out));
    for (int i = 0; i < s->states + s->scanned; i++) {
        in[i] = *infer->in[i];
        in[i].known = NULL;
        if (i < s->states || in[i].shape.rank < 0)
            continue;
        CR_TRY(slice_shape(infer->node, s, i - s->states, &infer->in[i]->shape, &axis, &in[i].shape));
        n = infer->in[i]->shape.dims[axis];
    }
    bool settled;
    CR_TRY(cr_control_settle(infer, s->body, in, 0, out, 0, s->states, &settled));
    return settled ? infer_outputs(infer, s, in, out, n) : CREASE_OK;
}

crease_status cr_scan_infer(cr_infer *infer) {
    scan_state s;
    CR_TRY(read_scan(infer->node, infer->op, &s));
    for (int i = s.first; i < infer->n_in; i++)
        CR_TRY(cr_infer_need(infer, i));
    if (!infer->body || s.batched)
        return CREASE_OK;
    cr_arena arena;
    cr_arena_init(&arena, infer->node->graph->model->heap);
    crease_status status = infer_body(infer, &s, &arena);
    cr_arena_clear(&arena);
    return status;
}

/* ---- preparing ---- */

/* Slices must agree in number; a slice that is not contiguous gets memory. */
static crease_status prepare_input(cr_prepare *p, scan_state *s, int i, int64_t *n) {
    int axis;
    size_t bytes;
    void *block;
    const cr_info *whole = p->in[s->first + s->states + i];
    cr_tensor *slice = &s->slices[i];
    slice->dtype = whole->dtype;
    CR_TRY(slice_shape(p->node, s, i, &whole->shape, &axis, &slice->shape));
    if (crease_dtype_bits(whole->dtype) < 8 || !cr_tensor_bytes(whole->dtype, 0, &slice->shape, &bytes))
        return cr_node_fail(p->node, CREASE_ERROR_UNSUPPORTED, "scanning %s",
                            crease_dtype_name(whole->dtype));
    if (i > 0 && *n != whole->shape.dims[axis])
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "scanned inputs have %lld and %lld slices",
                            (long long)*n, (long long)whole->shape.dims[axis]);
    *n = whole->shape.dims[axis];
    if (axis > (s->batched ? 1 : 0)) {
        CR_TRY(cr_arena_alloc(p->arena, bytes, &block));
        slice->data = block;
    }
    return CREASE_OK;
}

crease_status cr_scan_prepare(cr_prepare *p) {
    scan_state *s;
    int64_t n = 0;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_scan(p->node, p->op, s));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->inputs, (size_t)s->body->n_inputs));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->outputs, (size_t)s->body->n_outputs + 1));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->slices, (size_t)s->scanned));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->results, (size_t)s->body->n_outputs + 1));
    for (int i = 0; i < s->scanned; i++)
        CR_TRY(prepare_input(p, s, i, &n));
    return CREASE_OK;
}

/* ---- slices ---- */

/* Element `at` of an axis of a dense tensor: `outer` pieces of `bytes`, `stride` bytes apart. */
typedef struct strip {
    int64_t outer;
    size_t bytes, stride, offset;
} strip;

static strip strip_of(const cr_tensor *t, int axis, int64_t at) {
    size_t element = cr_element_bytes(t->dtype);
    size_t bytes = (size_t)cr_shape_extent(&t->shape, axis + 1, t->shape.rank) * element;
    return (strip){cr_shape_extent(&t->shape, 0, axis), bytes, bytes * (size_t)t->shape.dims[axis],
                   bytes * (size_t)at};
}

/* Lend slice `at` of a scanned input to the body: without a buffer, so that nobody keeps it. */
static void lend_slice(cr_run *r, scan_state *s, int i, int64_t batch, int64_t at) {
    const cr_tensor *whole = r->in[s->first + s->states + i];
    cr_tensor *slice = &s->inputs[s->states + i];
    int axis = 1;
    *slice = s->slices[i];
    crease_status status = slice_shape(r->node, s, i, &whole->shape, &axis, &slice->shape);
    (void)status; /* prepare has seen it succeed */
    int64_t n = whole->shape.dims[axis];
    strip from = strip_of(whole, axis, item(s->in_back, i) && !s->batched ? n - 1 - at : at);
    const char *data = (const char *)whole->data + from.offset;
    if (s->batched || !slice->data) {
        slice->data = (void *)(uintptr_t)(data + (size_t)batch * from.stride);
        return;
    }
    for (int64_t o = 0; o < from.outer && from.bytes; o++)
        memcpy((char *)slice->data + (size_t)o * from.bytes, data + (size_t)o * from.stride, from.bytes);
}

/* Memory for scanned output i, zeroed, when its first slice shows what it is like. */
static crease_status make_result(cr_run *r, scan_state *s, int i, const cr_tensor *slice, int64_t batches,
                                 int64_t n) {
    cr_shape whole;
    int axis;
    size_t bytes;
    cr_tensor *result = &s->results[i];
    CR_TRY(stacked_shape(r->node, s, i, &slice->shape, n, &axis, &whole));
    if (s->batched) {
        memmove(whole.dims + 1, whole.dims, (size_t)whole.rank++ * sizeof *whole.dims);
        whole.dims[0] = batches;
    }
    CR_TRY(cr_shape_check(&whole, CREASE_ERROR_RUN, r->node->name));
    if (crease_dtype_bits(slice->dtype) < 8)
        return cr_node_fail(r->node, CREASE_ERROR_UNSUPPORTED, "a scanned output of %s",
                            crease_dtype_name(slice->dtype));
    CR_TRY(cr_tensor_create(r->heap, slice->dtype, &whole, result));
    if (s->batched && cr_tensor_bytes(result->dtype, 0, &whole, &bytes))
        memset(result->data, 0, bytes);
    return CREASE_OK;
}

static crease_status keep_slice(cr_run *r, scan_state *s, int i, const cr_tensor *slice, int64_t batch,
                                int64_t at) {
    cr_tensor *result = &s->results[i];
    cr_shape whole;
    int axis;
    CR_TRY(stacked_shape(r->node, s, i, &slice->shape, 0, &axis, &whole));
    axis += s->batched ? 1 : 0;
    bool same =
        slice->dtype == result->dtype && slice->shape.rank + (s->batched ? 2 : 1) == result->shape.rank;
    for (int d = 0, e = 0; same && d < result->shape.rank; d++)
        if (d != axis && !(s->batched && d == 0))
            same = slice->shape.dims[e++] == result->shape.dims[d];
    if (!same)
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "slices of an output differ in type or shape");
    int64_t n = result->shape.dims[axis];
    strip to = strip_of(result, axis, item(s->out_back, i) ? n - 1 - at : at);
    char *data = (char *)result->data + to.offset + (s->batched ? (size_t)batch * to.stride : 0);
    for (int64_t o = 0; o < (s->batched ? 1 : to.outer) && to.bytes; o++)
        memcpy(data + (size_t)o * to.stride, (const char *)slice->data + (size_t)o * to.bytes, to.bytes);
    return CREASE_OK;
}

/* ---- running ---- */

static crease_status take_outputs(cr_run *r, scan_state *s, int64_t batches, int64_t n, int64_t batch,
                                  int64_t at) {
    for (int i = 0; i < s->states; i++) {
        if (s->outputs[i].dtype != s->inputs[i].dtype)
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "state %d changes its type", i);
        cr_tensor_release(&s->inputs[i]);
        s->inputs[i] = s->outputs[i];
        s->outputs[i] = (cr_tensor){0};
    }
    for (int i = 0; i < s->given; i++) {
        const cr_tensor *slice = &s->outputs[s->states + i];
        if (s->states + i >= r->n_out || !r->out[s->states + i])
            continue;
        if (!s->results[i].data)
            CR_TRY(make_result(r, s, i, slice, batches, n));
        CR_TRY(keep_slice(r, s, i, slice, batch, at));
    }
    return CREASE_OK;
}

/* `steps` of the n slices of one sequence; the states stand among the body's inputs. */
static crease_status run_sequence(cr_run *r, scan_state *s, int64_t batches, int64_t n, int64_t batch,
                                  int64_t steps) {
    for (int64_t t = 0; t < steps; t++) {
        for (int i = 0; i < s->scanned; i++)
            lend_slice(r, s, i, batch, s->batched && item(s->in_back, i) ? steps - 1 - t : t);
        CR_TRY(r->subgraph(r, s->body, s->inputs, s->outputs));
        crease_status status = take_outputs(r, s, batches, n, batch, t);
        for (int i = 0; i < s->body->n_outputs; i++)
            cr_tensor_release(&s->outputs[i]);
        CR_TRY(status);
    }
    return CREASE_OK;
}

/* No slice ran: as declared, 0 for what is not. */
static crease_status make_empty_results(cr_run *r, scan_state *s, int64_t batches, int64_t n) {
    for (int i = 0; i < s->given; i++) {
        const int output = s->states + i;
        cr_tensor slice = {.dtype = s->body->outputs[output]->dtype,
                           .shape = cr_control_empty(s->body, output)};
        if (s->results[i].data || output >= r->n_out || !r->out[output])
            continue;
        CR_TRY(make_result(r, s, i, &slice, batches, n));
    }
    return CREASE_OK;
}

static void give_results(cr_run *r, scan_state *s) {
    for (int i = 0; i < s->given; i++)
        cr_control_give(r, s->states + i, &s->results[i]);
}

static crease_status run_plain(cr_run *r, scan_state *s, int64_t n) {
    for (int i = 0; i < s->states; i++)
        s->inputs[i] = cr_tensor_retain(r->in[i]);
    CR_TRY(run_sequence(r, s, 1, n, 0, n));
    for (int i = 0; i < s->states; i++) {
        CR_TRY(cr_control_own(r, &s->inputs[i]));
        cr_control_give(r, i, &s->inputs[i]);
    }
    CR_TRY(make_empty_results(r, s, 1, n));
    give_results(r, s);
    return CREASE_OK;
}

/* Element b of the batch of a state, in the memory of the whole. */
static cr_tensor state_of(const cr_tensor *whole, int64_t b) {
    strip part = strip_of(whole, 0, b);
    cr_tensor state = {.dtype = whole->dtype, .shape = {.rank = whole->shape.rank - 1}};
    memcpy(state.shape.dims, whole->shape.dims + 1, (size_t)state.shape.rank * sizeof *state.shape.dims);
    state.data = (char *)whole->data + part.offset;
    return state;
}

static crease_status run_batch(cr_run *r, scan_state *s, cr_tensor *finals, int64_t batches, int64_t n,
                               int64_t b) {
    int64_t steps = r->in[0] ? cr_tensor_int(r->in[0], b) : n;
    if (steps < 0 || steps > n)
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "sequence %lld has %lld of %lld steps", (long long)b,
                            (long long)steps, (long long)n);
    for (int i = 0; i < s->states; i++)
        s->inputs[i] = state_of(r->in[1 + i], b);
    CR_TRY(run_sequence(r, s, batches, n, b, steps));
    for (int i = 0; i < s->states; i++) {
        cr_tensor to = state_of(&finals[i], b);
        if (!cr_shape_equal(&to.shape, &s->inputs[i].shape))
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "state %d changes its shape", i);
        strip part = strip_of(&finals[i], 0, b);
        if (part.bytes)
            memcpy(to.data, s->inputs[i].data, part.bytes);
        cr_tensor_release(&s->inputs[i]);
    }
    return CREASE_OK;
}

static crease_status check_batches(cr_run *r, const scan_state *s, int64_t batches) {
    for (int i = 0; i < s->states + s->scanned; i++)
        if (r->in[1 + i]->shape.rank < 1 || r->in[1 + i]->shape.dims[0] != batches ||
            crease_dtype_bits(r->in[1 + i]->dtype) < 8)
            return cr_node_fail(r->node, CREASE_ERROR_MODEL, "input %d is not a batch of %lld", 1 + i,
                                (long long)batches);
    if (r->in[0] && (r->in[0]->dtype != CREASE_INT64 || cr_shape_n(&r->in[0]->shape) != batches))
        return cr_node_fail(r->node, CREASE_ERROR_MODEL, "sequence_lens is not one int64 for each sequence");
    return CREASE_OK;
}

static crease_status run_batches(cr_run *r, scan_state *s, cr_tensor *finals, int64_t batches, int64_t n) {
    CR_TRY(check_batches(r, s, batches));
    for (int i = 0; i < s->states; i++)
        CR_TRY(cr_tensor_create(r->heap, r->in[1 + i]->dtype, &r->in[1 + i]->shape, &finals[i]));
    for (int64_t b = 0; b < batches; b++)
        CR_TRY(run_batch(r, s, finals, batches, n, b));
    CR_TRY(make_empty_results(r, s, batches, n));
    for (int i = 0; i < s->states; i++)
        cr_control_give(r, i, &finals[i]);
    give_results(r, s);
    return CREASE_OK;
}

crease_status cr_scan_run(cr_run *r) {
    scan_state *s = r->state;
    int axis;
    cr_shape slice;
    const cr_shape *whole = &r->in[s->first + s->states]->shape;
    cr_tensor *finals = s->results + s->given; /* there is room for every output of the body */
    CR_TRY(slice_shape(r->node, s, 0, whole, &axis, &slice));
    crease_status status = s->batched ? run_batches(r, s, finals, whole->dims[0], whole->dims[axis])
                                      : run_plain(r, s, whole->dims[axis]);
    for (int i = 0; i < s->states; i++)
        cr_tensor_release(&s->inputs[i]);
    for (int i = 0; i < s->body->n_outputs; i++)
        cr_tensor_release(&s->results[i]);
    return status;
}
