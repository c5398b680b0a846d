#include "runtime/ops/op.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <string.h>

static const char *domain_of(const cr_op *op) {
    return op->domain ? op->domain : "";
}

static bool same_operator(const cr_op *a, const cr_op *b) {
    return strcmp(a->name, b->name) == 0 && strcmp(domain_of(a), domain_of(b)) == 0;
}

static int last_version(const cr_op *op) {
    return op->until ? op->until : 1 << 20;
}

Test(registry, ranges_are_ranges_and_do_not_overlap) {
    const cr_op *a, *b;
    for (size_t i = 0; (a = cr_op_at(i)); i++) {
        cr_assert(a->since >= 1 && a->since <= last_version(a), "%s %d-%d", a->name, a->since, a->until);
        cr_assert(a->infer && a->run, "%s %d", a->name, a->since);
        for (size_t j = 0; j < i && (b = cr_op_at(j)); j++)
            if (same_operator(a, b))
                cr_assert(last_version(a) < b->since || last_version(b) < a->since, "%s: %d-%d and %d-%d",
                          a->name, a->since, a->until, b->since, b->until);
    }
}

/* A row that ends is followed at once by the next, or by none at all. */
Test(registry, ranges_leave_no_hole) {
    const cr_op *a, *b;
    for (size_t i = 0; (a = cr_op_at(i)); i++) {
        bool follows = false, later = false;
        for (size_t j = 0; (b = cr_op_at(j)); j++)
            if (a->until && same_operator(a, b)) {
                follows |= b->since == a->until + 1;
                later |= b->since > a->until;
            }
        cr_assert(follows == later, "%s has nothing for operator set %d", a->name, a->until + 1);
    }
}

/* The rows of one operator stand together, oldest first, so that a reader sees its history. */
Test(registry, rows_of_an_operator_are_in_order) {
    const cr_op *previous = NULL, *op;
    for (size_t i = 0; (op = cr_op_at(i)); i++) {
        if (previous && same_operator(previous, op))
            cr_assert_lt(previous->since, op->since, "%s", op->name);
        previous = op;
    }
}

Test(registry, find_agrees_with_the_rows) {
    const cr_op *op;
    for (size_t i = 0; (op = cr_op_at(i)); i++) {
        cr_assert_eq(cr_op_find(domain_of(op), op->name, op->since), op);
        cr_assert_eq(cr_op_find(domain_of(op), op->name, last_version(op)), op);
        cr_assert_null(cr_op_find("elsewhere", op->name, op->since));
    }
    cr_assert_null(cr_op_find("", "Relu", 0));
    cr_assert_null(cr_op_find("", "relu", 13));
}

/* What crease promises to run, from the operator set that brought it on. */
Test(registry, promised_operators_are_there_in_every_version) {
    static const struct {
        const char *name;
        int since, until;
    } promised[] = {
        {"Abs", 1, 0},
        {"Add", 1, 0},
        {"ArgMax", 1, 0},
        {"AveragePool", 1, 0},
        {"BatchNormalization", 1, 0},
        {"Cast", 1, 0},
        {"Ceil", 1, 0},
        {"Clip", 1, 0},
        {"Concat", 1, 0},
        {"Constant", 1, 0},
        {"ConstantOfShape", 9, 0},
        {"Conv", 1, 0},
        {"ConvTranspose", 1, 0},
        {"DepthToSpace", 1, 0},
        {"Div", 1, 0},
        {"Dropout", 1, 0},
        {"Elu", 1, 0},
        {"Erf", 9, 0},
        {"Exp", 1, 0},
        {"Expand", 8, 0},
        {"Flatten", 1, 0},
        {"Floor", 1, 0},
        {"Gather", 1, 0},
        {"Gemm", 1, 0},
        {"GlobalAveragePool", 1, 0},
        {"GlobalMaxPool", 1, 0},
        {"GroupNormalization", 18, 0},
        {"HardSigmoid", 1, 0},
        {"HardSwish", 14, 0},
        {"Identity", 1, 0},
        {"InstanceNormalization", 1, 0},
        {"LRN", 1, 0},
        {"LeakyRelu", 1, 0},
        {"Log", 1, 0},
        {"LogSoftmax", 1, 0},
        {"MatMul", 1, 0},
        {"Max", 1, 0},
        {"MaxPool", 1, 0},
        {"Mean", 1, 0},
        {"Min", 1, 0},
        {"Mish", 18, 0},
        {"Mul", 1, 0},
        {"Neg", 1, 0},
        {"PRelu", 1, 0},
        {"Pad", 1, 0},
        {"Pow", 1, 0},
        {"Reciprocal", 1, 0},
        {"ReduceMax", 1, 0},
        {"ReduceMean", 1, 0},
        {"ReduceMin", 1, 0},
        {"ReduceSum", 1, 0},
        {"Relu", 1, 0},
        {"Reshape", 1, 0},
        {"Resize", 10, 0},
        {"Shape", 1, 0},
        {"Sigmoid", 1, 0},
        {"Sign", 9, 0},
        {"Slice", 1, 0},
        {"Softmax", 1, 0},
        {"Softplus", 1, 0},
        {"SpaceToDepth", 1, 0},
        {"Split", 1, 0},
        {"Sqrt", 1, 0},
        {"Squeeze", 1, 0},
        {"Sub", 1, 0},
        {"Sum", 1, 0},
        {"Swish", 24, 0},
        {"Tanh", 1, 0},
        {"Tile", 1, 0},
        {"Transpose", 1, 0},
        {"Unsqueeze", 1, 0},
        {"Upsample", 1, 9},
    };
    const int newest = 24;
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++)
        for (int v = promised[i].since; v <= (promised[i].until ? promised[i].until : newest); v++)
            cr_assert(cr_op_find("", promised[i].name, v), "%s in operator set %d", promised[i].name, v);
}
