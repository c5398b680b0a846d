#include "tests/runtime/kernels/blocked/check.h"

typedef struct elementwise {
    cr_blocked_shape shape;
    cr_activation act;
    cr_prologue affine;
    cr_binary binary;
} elementwise;

static void activate(const cr_blocked_kernels *kernels, const void *arguments, const float *in, float *out,
                     int64_t begin, int64_t end) {
    const elementwise *e = arguments;
    kernels->activate(&e->shape, &e->act, in, out, begin, end);
}

static void affine(const cr_blocked_kernels *kernels, const void *arguments, const float *in, float *out,
                   int64_t begin, int64_t end) {
    const elementwise *e = arguments;
    kernels->affine(&e->shape, &e->affine, in, out, begin, end);
}

static void binary(const cr_blocked_kernels *kernels, const void *arguments, const float *in, float *out,
                   int64_t begin, int64_t end) {
    const elementwise *e = arguments;
    kernels->binary(&e->shape, &e->binary, in, out, begin, end);
}

/* None that quantises: results in between may differ in their last bit, and then by a step. */
static cr_activation random_activation(const float *slope) {
    cr_activation act = {.kind = (cr_act)random_int(0, CR_ACT_QUANTIZE - 1), .slope = slope};
    act.a = act.kind == CR_ACT_CLIP ? -0.75f : 0.2f;
    act.b = act.kind == CR_ACT_CLIP ? 0.75f : 0.5f;
    return act;
}

static void check(const elementwise *e, const char *name, bound_kernel *kernel,
                  const cr_blocked_kernels *kernels, const guarded *in) {
    check_kernel(&(kernel_check){.name = name,
                                 .kernel = kernel,
                                 .arguments = e,
                                 .in = in,
                                 .out_floats = shape_floats(&e->shape),
                                 .units = cr_blocked_vectors(&e->shape),
                                 .out_shape = e->shape,
                                 .tolerance = 2e-6, /* some ulp of results below 3 */
                                 .in_place = true},
                 kernels);
}

static size_t operand_floats(cr_operand operand, const cr_blocked_shape *shape) {
    switch (operand) {
    case CR_OPERAND_SAME:
        return shape_floats(shape);
    case CR_OPERAND_CHANNELS:
        return (size_t)(shape->n * cr_blocked_blocks(shape) * shape->lanes);
    case CR_OPERAND_PIXELS:
        return (size_t)(shape->n * shape->pixels);
    default:
        return 1;
    }
}

static void check_binary(elementwise *e, const cr_blocked_kernels *kernels, const guarded *in) {
    for (int op = 0; op < CR_BINARY_OP_COUNT; op++)
        for (int operand = 0; operand < CR_OPERAND_COUNT; operand++) {
            guarded b = random_buffer(operand_floats((cr_operand)operand, &e->shape));
            const bool shared = random_chance(50);
            e->binary = (cr_binary){
                .op = (cr_binary_op)op, .operand = (cr_operand)operand, .b = b.data, .act = e->act};
            e->binary.batch_stride = shared ? 0 : (int64_t)b.n / e->shape.n;
            check(e, "binary", binary, kernels, in);
            guarded_free(&b);
        }
}

static void check_all(const cr_blocked_kernels *kernels) {
    elementwise e = {.shape = random_shape(kernels->lanes)};
    const size_t row = (size_t)(cr_blocked_blocks(&e.shape) * e.shape.lanes);
    guarded in = random_buffer(shape_floats(&e.shape)), slope = random_buffer(row);
    guarded scale = random_buffer(row * (size_t)e.shape.n), shift = random_buffer(row * (size_t)e.shape.n);
    e.act = random_activation(slope.data);
    check(&e, "activate", activate, kernels, &in);
    e.affine = (cr_prologue){scale.data, shift.data, random_chance(50) ? (int64_t)row : 0, e.act};
    check(&e, "affine", affine, kernels, &in);
    check_binary(&e, kernels, &in);
    guarded *const all[] = {&in, &slope, &scale, &shift};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_assert(guarded_intact(all[i]));
        guarded_free(all[i]);
    }
}

Test(elementwise, agrees_with_the_reference) {
    for_each_kernels(20, check_all);
}
