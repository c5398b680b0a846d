#include "runtime/exec/batch.h"

/* 1. Steps that may run for some images alone form runs.
 * 2. Of each run, the part that gains most becomes a loop, the same for any number of threads.
 * 3. Values that stay inside shrink to a part; those that do not are handed over part by part. */

typedef struct search {
    cr_plan *plan;
    size_t part_bytes;
    int threads;
    int *step_of; /* by node id; -1: none */
} search;

static const cr_info *info_of(const cr_plan *plan, const cr_value *value) {
    return &plan->walk.infos[value->id];
}

static bool has_batch(const cr_plan *plan, const cr_value *value, int64_t images) {
    const cr_shape *shape = &info_of(plan, value)->shape;
    return shape->rank > 0 && shape->dims[0] == images;
}

static int64_t images_of(const cr_plan *plan, const cr_step *step) {
    const cr_value *out = step->node->outputs[0];
    return out && info_of(plan, out)->shape.rank > 0 ? info_of(plan, out)->shape.dims[0] : 0;
}

/* Constants are weights and rows of channels, but for those in the blocked layout; what is computed belongs
 * to one image or to all of them. */
static bool takes_part(const cr_plan *plan, const cr_value *value, int64_t images) {
    const cr_info *info = info_of(plan, value);
    if (info->known)
        return info->lanes == 0;
    return has_batch(plan, value, images) || (info->shape.rank > 0 && info->shape.dims[0] == 1);
}

/* Whether a step computes each of its images from the same image of its inputs. */
static bool is_by_image(const cr_plan *plan, const cr_step *step) {
    const cr_node *node = step->node;
    const int64_t images = images_of(plan, step);
    if (step->late || !(node->op->flags & CR_OP_IMAGES) || images < 2)
        return false;
    bool any = false;
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i]) {
            if (!takes_part(plan, node->inputs[i], images))
                return false;
            any = any || (!info_of(plan, node->inputs[i])->known && has_batch(plan, node->inputs[i], images));
        }
    for (int i = 0; i < node->n_outputs; i++)
        if (!node->outputs[i] || !has_batch(plan, node->outputs[i], images))
            return false;
    return any;
}

/* ---- sizes ---- */

typedef struct bytes {
    size_t maps, weights;
} bytes;

static size_t bytes_of(const cr_info *info) {
    size_t n;
    return cr_tensor_bytes(info->dtype, info->lanes, &info->shape, &n) ? n : SIZE_MAX / 4;
}

static bytes touched(const cr_plan *plan, const cr_step *step) {
    bytes b = {0};
    for (int i = 0; i < step->node->n_inputs; i++)
        if (step->node->inputs[i]) {
            const cr_info *info = info_of(plan, step->node->inputs[i]);
            *(info->known ? &b.weights : &b.maps) += bytes_of(info);
        }
    for (int i = 0; i < step->node->n_outputs; i++)
        b.maps += bytes_of(info_of(plan, step->node->outputs[i]));
    return b;
}

/* Weights count this much more than maps: for Winograd they are packed to up to four times their size, and
 * all threads read them. Measured on mobilenet_v2, shufflenet_v2, resnet18 and resnet50 with one thread and
 * two. */
enum { WEIGHTS_COST = 4 };

/* Bytes that the step need not fetch from memory if it runs for one image at a time, less those of the
 * weights that it fetches anew for each. */
static double gain_of(const search *s, const cr_step *step) {
    const bytes b = touched(s->plan, step);
    return (b.maps > s->part_bytes ? (double)b.maps : 0) -
           WEIGHTS_COST * (double)b.weights * (double)images_of(s->plan, step);
}

/* As many images for each thread as its cache holds, such that all parts are equal. */
static int64_t images_of_part(const search *s, const cr_loop *loop, int64_t images) {
    size_t most = 1;
    for (int i = loop->first; i < loop->end; i++) {
        const size_t maps = touched(s->plan, &s->plan->steps[i]).maps / (size_t)images;
        most = maps > most ? maps : most;
    }
    const size_t each = s->part_bytes / most;
    int64_t part = each < 1 ? s->threads : s->threads * (int64_t)each;
    part = part < images ? part : images;
    while (images % part)
        part--;
    return part;
}

/* ---- values ---- */

static bool is_inside(const search *s, const cr_loop *loop, const cr_node *node) {
    const int step = node && node->graph == s->plan->graph ? s->step_of[node->id] : -1;
    return step >= loop->first && step < loop->end;
}

/* Whether nobody outside sees the value. */
static bool stays_inside(const search *s, const cr_loop *loop, const cr_value *value) {
    if (value->n_outputs || !is_inside(s, loop, value->producer))
        return false;
    for (int i = 0; i < value->n_uses; i++)
        if (!is_inside(s, loop, value->uses[i].node))
            return false;
    return true;
}

static void add_part(cr_loop *loop, const cr_plan *plan, const cr_value *value) {
    cr_part *part = &loop->parts[loop->n_parts++];
    *part = (cr_part){.value = value->id, .info = *info_of(plan, value)};
    part->info.shape.dims[0] /= loop->passes;
    part->tensor =
        (cr_tensor){.dtype = part->info.dtype, .lanes = part->info.lanes, .shape = part->info.shape};
    part->pass_bytes = bytes_of(&part->info);
}

static void set_value(const search *s, cr_loop *loop, const cr_value *value, int64_t images) {
    cr_plan *plan = s->plan;
    cr_info *info = &plan->walk.infos[value->id];
    if (info->known || cr_loop_part(loop, value->id) || !has_batch(plan, value, images))
        return;
    if (!stays_inside(s, loop, value)) {
        add_part(loop, plan, value);
        return;
    }
    info->shape.dims[0] /= loop->passes;
    plan->tensors[value->id].shape = info->shape;
}

static crease_status set_values(const search *s, cr_loop *loop, int64_t images) {
    size_t n = 0;
    for (int i = loop->first; i < loop->end; i++)
        n += (size_t)(s->plan->steps[i].node->n_inputs + s->plan->steps[i].node->n_outputs);
    CR_TRY(CR_ARENA_NEW(&s->plan->arena, &loop->parts, n));
    for (int i = loop->first; i < loop->end; i++) {
        const cr_node *node = s->plan->steps[i].node;
        for (int k = 0; k < node->n_inputs; k++)
            if (node->inputs[k])
                set_value(s, loop, node->inputs[k], images);
        for (int k = 0; k < node->n_outputs; k++)
            set_value(s, loop, node->outputs[k], images);
    }
    return CREASE_OK;
}

/* ---- loops ---- */

/* One past the last of the steps from `first` on that may share a loop. */
static int end_of_run(const cr_plan *plan, int first) {
    const int64_t images = images_of(plan, &plan->steps[first]);
    int end = first;
    while (end < plan->n_steps && is_by_image(plan, &plan->steps[end]) &&
           images_of(plan, &plan->steps[end]) == images)
        end++;
    return end;
}

/* The part of a run that gains most: the subarray of the largest sum (Kadane). */
static cr_loop best_of(const search *s, int first, int end) {
    cr_loop best = {.first = first, .end = first};
    double sum = 0, most = 0;
    for (int i = first, begin = first; i < end; i++) {
        if (sum <= 0) {
            sum = 0;
            begin = i;
        }
        sum += gain_of(s, &s->plan->steps[i]);
        if (sum > most) {
            most = sum;
            best.first = begin;
            best.end = i + 1;
        }
    }
    return best;
}

static crease_status add_loop(search *s, cr_loop loop) {
    if (loop.end - loop.first < 2) /* nothing is handed on */
        return CREASE_OK;
    const int64_t images = images_of(s->plan, &s->plan->steps[loop.first]);
    loop.passes = images / images_of_part(s, &loop, images);
    cr_loop *added = &s->plan->loops[s->plan->n_loops++];
    *added = loop;
    return set_values(s, added, images);
}

static crease_status number_steps(search *s) {
    const cr_plan *plan = s->plan;
    CR_TRY(CR_ARENA_NEW(&s->plan->arena, &s->step_of, (size_t)plan->model->n_nodes));
    for (int i = 0; i < plan->model->n_nodes; i++)
        s->step_of[i] = -1;
    for (int i = 0; i < plan->n_steps; i++)
        s->step_of[plan->steps[i].node->id] = i;
    return CREASE_OK;
}

crease_status cr_plan_batch(cr_plan *plan, size_t part_bytes, int threads) {
    search s = {.plan = plan, .part_bytes = part_bytes, .threads = threads};
    CR_TRY(number_steps(&s));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &plan->loops, (size_t)plan->n_steps));
    for (int first = 0; first < plan->n_steps; first++) {
        const int end = end_of_run(plan, first);
        if (end == first)
            continue;
        CR_TRY(add_loop(&s, best_of(&s, first, end)));
        first = end - 1;
    }
    return CREASE_OK;
}

cr_loop *cr_plan_loop(const cr_plan *plan, int s) {
    for (int i = 0; i < plan->n_loops; i++)
        if (s >= plan->loops[i].first && s < plan->loops[i].end)
            return &plan->loops[i];
    return NULL;
}

cr_part *cr_loop_part(const cr_loop *loop, int value) {
    for (int i = 0; i < loop->n_parts; i++)
        if (loop->parts[i].value == value)
            return &loop->parts[i];
    return NULL;
}

void cr_loop_set_pass(const cr_plan *plan, cr_loop *loop, int64_t pass) {
    for (int i = 0; i < loop->n_parts; i++) {
        cr_part *part = &loop->parts[i];
        part->tensor.data = (char *)plan->tensors[part->value].data + (size_t)pass * part->pass_bytes;
    }
}
