#include "passes/affine.h"
#include "runtime/base/whole.h"
#include "runtime/graph/attr.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cr_refuse(cr_refusal *refusal, const char *code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    refusal->code = code;
    vsnprintf(refusal->detail, sizeof refusal->detail, format, arguments);
    va_end(arguments);
}

/* ---- affines ---- */

crease_status cr_affine_create(cr_arena *arena, int axis, int64_t n, cr_affine *affine) {
    *affine = (cr_affine){.axis = axis, .n = n};
    CR_TRY(CR_ARENA_NEW(arena, &affine->s, (size_t)n));
    CR_TRY(CR_ARENA_NEW(arena, &affine->mean, (size_t)n));
    return CR_ARENA_NEW(arena, &affine->beta, (size_t)n);
}

crease_status cr_affine_pick(cr_arena *arena, const cr_affine *whole, int axis, const int64_t *from,
                             int64_t n, cr_affine *part) {
    CR_TRY(cr_affine_create(arena, axis, n, part));
    for (int64_t i = 0; i < n; i++) {
        part->s[i] = whole->s[from[i]];
        part->mean[i] = whole->mean[from[i]];
        part->beta[i] = whole->beta[from[i]];
    }
    return CREASE_OK;
}

crease_status cr_affine_scale_only(cr_arena *arena, const cr_affine *affine, cr_affine *scale) {
    CR_TRY(cr_affine_create(arena, affine->axis, affine->n, scale));
    for (int64_t c = 0; c < affine->n; c++)
        scale->s[c] = affine->s[c];
    return CREASE_OK;
}

bool cr_affine_composable(const cr_affine *first, const cr_affine *second) {
    return first->axis == CR_AFFINE_ALL || second->axis == CR_AFFINE_ALL ||
           (first->axis == second->axis && first->n == second->n);
}

crease_status cr_affine_compose(cr_arena *arena, const cr_affine *first, const cr_affine *second,
                                cr_affine *both) {
    const cr_affine *wide = first->axis == CR_AFFINE_ALL ? second : first;
    CR_TRY(cr_affine_create(arena, wide->axis, wide->n, both));
    for (int64_t c = 0; c < both->n; c++) {
        int64_t i = first->axis == CR_AFFINE_ALL ? 0 : c, j = second->axis == CR_AFFINE_ALL ? 0 : c;
        both->s[c] = first->s[i] * second->s[j];
        if (first->s[i] == 1) { /* x + (beta1 - mean1) - mean2: keep the subtraction next to x */
            both->mean[c] = second->mean[j] - (first->beta[i] - first->mean[i]);
            both->beta[c] = second->beta[j];
        } else {
            both->mean[c] = first->mean[i];
            both->beta[c] = cr_affine_at(second, j, first->beta[i]);
        }
    }
    return CREASE_OK;
}

static int64_t channel(const cr_affine *a, int64_t c) {
    return a->axis == CR_AFFINE_ALL ? 0 : c;
}

double cr_affine_scale(const cr_affine *affine, int64_t c) {
    return affine->s[channel(affine, c)];
}

double cr_affine_at(const cr_affine *affine, int64_t c, double value) {
    c = channel(affine, c);
    return fma(value - affine->mean[c], affine->s[c], affine->beta[c]);
}

double cr_affine_shift(const cr_affine *affine, int64_t c) {
    return cr_affine_at(affine, c, 0);
}

bool cr_affine_scales(const cr_affine *affine) {
    for (int64_t c = 0; c < affine->n; c++)
        if (affine->s[c] != 1)
            return true;
    return false;
}

bool cr_affine_shifts(const cr_affine *affine) {
    for (int64_t c = 0; c < affine->n; c++)
        if (cr_affine_shift(affine, c) != 0)
            return true;
    return false;
}

/* ---- reading BatchNormalization ---- */

/* Outputs 1 to 4 carry statistics. Before opset 14 a node that has them at all is meant to train (is_test
 * answers for that before opset 7); since then training_mode says so, and they matter where they are used. */
static const cr_value *statistics(const cr_node *bn, int64_t opset) {
    for (int i = 1; i < bn->n_outputs; i++) {
        const cr_value *v = bn->outputs[i];
        if (v && ((opset >= 7 && opset < 14) || v->n_uses || v->n_outputs))
            return v;
    }
    return NULL;
}

static crease_status check_mode(const cr_node *bn, int64_t opset, cr_refusal *refusal) {
    int64_t training, is_test, spatial;
    const cr_value *extra = statistics(bn, opset);
    CR_TRY(cr_attr_int(bn, "training_mode", 0, &training));
    CR_TRY(cr_attr_int(bn, "is_test", 0, &is_test));
    CR_TRY(cr_attr_int(bn, "spatial", 1, &spatial));
    if (extra)
        cr_refuse(refusal, "extra-outputs",
                  "output '%s' carries statistics of training; export for inference", extra->name);
    else if ((opset >= 14 && training) || (opset < 7 && !is_test))
        cr_refuse(refusal, "training-mode", "attribute '%s' asks for batch statistics; export for inference",
                  opset < 7 ? "is_test" : "training_mode");
    else if (opset < 9 && !spatial && cr_node_constant(bn, 1) && cr_node_constant(bn, 1)->shape.rank != 1)
        cr_refuse(refusal, "spatial-0",
                  "attribute 'spatial' is 0: every position has parameters of its own, which no "
                  "convolution's weights have");
    return CREASE_OK;
}

static void check_parameters(const cr_node *bn, cr_refusal *refusal) {
    for (int i = 1; i < 5; i++) {
        const cr_value *v = cr_node_input(bn, i);
        if (v && v->initial)
            cr_refuse(
                refusal, "overridable-initializer",
                "'%s' is an input that a caller may override; --assume-const takes its default as fixed",
                v->name);
        else if (!v || !v->constant)
            cr_refuse(refusal, "not-constant", "'%s' is computed at run time; store it as an initializer",
                      v ? v->name : "a parameter");
        else if (!cr_dtype_is_float(v->constant->dtype) || v->constant->shape.rank != 1 ||
                 v->constant->shape.dims[0] != bn->inputs[1]->constant->shape.dims[0])
            cr_refuse(refusal, "axis-mismatch", "'%s' does not hold one float for each channel", v->name);
        if (refusal->code)
            return;
    }
}

static double parameter(const cr_node *bn, int input, int64_t c) {
    const cr_tensor *t = bn->inputs[input]->constant;
    return cr_load_float(t->dtype, t->data, c);
}

static crease_status affine_of_bn(const cr_node *bn, cr_arena *arena, cr_affine *affine,
                                  cr_refusal *refusal) {
    float epsilon;
    CR_TRY(check_mode(bn, cr_model_opset(bn->graph->model, ""), refusal));
    if (!refusal->code)
        check_parameters(bn, refusal);
    if (!refusal->code && bn->inputs[1]->constant->shape.dims[0] == 0)
        cr_refuse(refusal, "no-channels", "'%s' is empty: there is nothing to normalise",
                  bn->inputs[1]->name);
    if (refusal->code)
        return CREASE_OK;
    CR_TRY(cr_attr_float(bn, "epsilon", 1e-5f, &epsilon));
    CR_TRY(cr_affine_create(arena, 1, bn->inputs[1]->constant->shape.dims[0], affine));
    for (int64_t c = 0; c < affine->n; c++) {
        double gamma = parameter(bn, 1, c), variance = parameter(bn, 4, c), d = variance + (double)epsilon;
        affine->beta[c] = parameter(bn, 2, c);
        affine->mean[c] = parameter(bn, 3, c);
        if (!isfinite(gamma) || !isfinite(affine->beta[c]) || !isfinite(affine->mean[c]) || !isfinite(d))
            cr_refuse(refusal, "non-finite",
                      "a parameter of channel %lld is NaN or infinite; train or export anew", (long long)c);
        else if (!(d > 0))
            cr_refuse(refusal, "variance-not-positive",
                      "'%s' of channel %lld plus epsilon is %g; a variance must be positive",
                      bn->inputs[4]->name, (long long)c, d);
        affine->s[c] = gamma / sqrt(d);
    }
    return CREASE_OK;
}

/* ---- reading Mul, Add, Sub, Div by a constant ---- */

typedef enum arithmetic { MUL, ADD, SUB, DIV, NOT_ARITHMETIC } arithmetic;

static arithmetic arithmetic_of(const cr_node *node) {
    return cr_node_is(node, "Mul")   ? MUL
           : cr_node_is(node, "Add") ? ADD
           : cr_node_is(node, "Sub") ? SUB
           : cr_node_is(node, "Div") ? DIV
                                     : NOT_ARITHMETIC;
}

/* Axis of the data where dimension 0 of the constant stands: aligned at the right, or from the attribute
 * before opset 7. */
static crease_status first_axis(const cr_node *node, int rank, const cr_tensor *c, int64_t *first) {
    *first = rank - c->shape.rank;
    if (cr_model_opset(node->graph->model, "") >= 7 || !cr_attr_find(node, "axis"))
        return CREASE_OK;
    CR_TRY(cr_attr_int(node, "axis", 0, first));
    *first += *first < 0 ? rank : 0;
    return CREASE_OK;
}

/* One value, or one for each channel of one axis, without a change of the data's rank. */
static crease_status place_constant(const cr_node *node, const cr_value *data, const cr_value *constant,
                                    int *axis, int64_t *n, cr_refusal *refusal) {
    const cr_shape *shape = &constant->constant->shape;
    int rank = data->shape.rank;
    int64_t first;
    *axis = CR_AFFINE_ALL;
    *n = cr_shape_n(shape);
    if (*n == 1 && shape->rank <= (rank > 0))
        return CREASE_OK; /* a list of one value would give a scalar an axis */
    if (rank < 0) {
        cr_refuse(refusal, "shape-unknown", "the rank of '%s' is not known", data->name);
        return CREASE_OK;
    }
    CR_TRY(first_axis(node, rank, constant->constant, &first));
    bool fits = *n > 0 && first >= 0 && first + shape->rank <= rank;
    for (int d = 0; fits && d < shape->rank; d++)
        if (shape->dims[d] != 1) {
            fits = *axis == CR_AFFINE_ALL;
            *axis = (int)first + d;
        }
    int64_t channels = fits && *axis != CR_AFFINE_ALL ? data->shape.dims[*axis] : *n;
    if (channels < 0)
        cr_refuse(refusal, "shape-unknown",
                  "the channels of '%s' are not known: one would be repeated to as many as '%s' has",
                  data->name, constant->name);
    else if (!fits || channels != *n)
        cr_refuse(refusal, "axis-mismatch", "'%s' holds neither one value nor one for each channel of '%s'",
                  constant->name, data->name);
    return CREASE_OK;
}

/* x op c, or c op x where the constant comes first. */
static void read_constant(arithmetic op, bool constant_first, const cr_tensor *c, cr_affine *affine) {
    for (int64_t i = 0; i < affine->n; i++) {
        double value = cr_load_float(c->dtype, c->data, i);
        affine->s[i] = op == MUL ? value : op == DIV ? 1 / value : op == SUB && constant_first ? -1 : 1;
        affine->beta[i] = op == ADD || (op == SUB && constant_first) ? value : 0;
        affine->mean[i] = op == SUB && !constant_first ? value : 0;
    }
}

static crease_status affine_of_arithmetic(const cr_node *node, cr_arena *arena, cr_affine *affine, int *data,
                                          cr_refusal *refusal) {
    arithmetic op = arithmetic_of(node);
    int axis, constant = cr_node_constant(node, 1) ? 1 : 0;
    int64_t n;
    *data = 1 - constant;
    const cr_value *x = cr_node_input(node, *data), *c = cr_node_input(node, constant);
    if (op == NOT_ARITHMETIC || !x || !c || x->constant || !c->constant || (op == DIV && constant == 0) ||
        !cr_dtype_is_float(c->constant->dtype)) {
        cr_refuse(refusal, "not-affine", "it is no affine of one input");
        return CREASE_OK;
    }
    CR_TRY(place_constant(node, x, c, &axis, &n, refusal));
    if (refusal->code)
        return CREASE_OK;
    CR_TRY(cr_affine_create(arena, axis, n, affine));
    read_constant(op, constant == 0, c->constant, affine);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(affine->s[i]) || !isfinite(affine->beta[i]) || !isfinite(affine->mean[i]))
            cr_refuse(refusal, "non-finite", "'%s' holds a value that makes the result NaN or infinite",
                      c->name);
    return CREASE_OK;
}

crease_status cr_affine_of(const cr_node *node, cr_arena *arena, cr_affine *affine, int *data,
                           cr_refusal *refusal) {
    refusal->code = NULL;
    *data = 0;
    if (node->n_outputs < 1 || !node->outputs[0]) {
        cr_refuse(refusal, "not-affine", "it has no output");
        return CREASE_OK;
    }
    if (!cr_node_is(node, "BatchNormalization"))
        return affine_of_arithmetic(node, arena, affine, data, refusal);
    if (!cr_node_input(node, 0)) {
        cr_refuse(refusal, "not-affine", "it has no input");
        return CREASE_OK;
    }
    return affine_of_bn(node, arena, affine, refusal);
}

/* ---- storing ---- */

static void note(cr_fit *fit, double value, double stored) {
    fit->non_finite |= !isfinite(value);
    fit->overflow |= !isfinite(stored);
    fit->total += fabs(value);
    fit->lost += fabs(value - stored);
}

void cr_put(cr_tensor *tensor, int64_t i, double value, cr_fit *fit) {
    cr_store_float(tensor->dtype, tensor->data, i, value);
    note(fit, value, cr_load_float(tensor->dtype, tensor->data, i));
}

/* In a loop that compilers make vectors of. Returns the largest magnitude of what it writes, as its bits. */
static uint32_t scale_floats(float *to, const float *from, int64_t n, double s) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        to[i] = (float)((double)from[i] * s);
        memcpy(&bits, &to[i], sizeof bits);
        bits = bits & 0x7fffffff; /* without the sign */
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/* The common type. What is wrong, if anything is, comes after the loop: beside a value above 2^-100 nothing
 * counts that the numbers below the normal ones, 2^-126, may lose. */
static void put_scaled_floats(float *to, const float *from, int64_t n, double s, cr_fit *fit) {
    enum { PIECE = 256, AHEAD = 1024, LINE = 16 }; /* weights come from memory, and are soon done with */
    const uint32_t exponent = 0x7f800000;          /* all ones: NaN or infinity */
    uint32_t largest = 0;
    float value;
    for (int64_t i = 0; i < n; i += PIECE) {
        for (int64_t k = i; k < i + PIECE; k += LINE)
            __builtin_prefetch(from + k + AHEAD);
        const uint32_t of_piece = scale_floats(to + i, from + i, cr_smaller(n - i, PIECE), s);
        largest = of_piece > largest ? of_piece : largest;
    }
    memcpy(&value, &largest, sizeof value);
    if (largest < exponent && value > 0x1p-100F) {
        fit->total += (double)value;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        note(fit, (double)from[i] * s, (double)to[i]);
}

void cr_put_scaled(cr_tensor *to, const cr_tensor *from, int64_t begin, int64_t n, double s, cr_fit *fit) {
    if (to->dtype == CREASE_FLOAT) {
        put_scaled_floats((float *)to->data + begin, (const float *)from->data + begin, n, s, fit);
        return;
    }
    for (int64_t i = begin; i < begin + n; i++)
        cr_put(to, i, cr_load_float(from->dtype, from->data, i) * s, fit);
}

void cr_refuse_unfit(cr_refusal *refusal, const cr_fit *fit, const char *what, crease_dtype dtype) {
    if (fit->non_finite)
        cr_refuse(refusal, "non-finite", "the weights '%s' hold or would hold NaN or infinity", what);
    else if (fit->overflow)
        cr_refuse(refusal, "overflow", "the folded '%s' does not fit %s; store the weights in a wider type",
                  what, crease_dtype_name(dtype));
    else if (fit->lost > cr_dtype_unit(dtype) * fit->total)
        cr_refuse(
            refusal, "underflow",
            "most of the folded '%s' is below the normal numbers of %s, which keep fewer digits; store the "
            "weights in a wider type",
            what, crease_dtype_name(dtype));
}
