#include "passes/extents.h"
#include "tests/passes/net.h"

/* Networks of x [n, 6, h, w], all of them symbols, and what is known of their extents. */

static net begin(void) {
    net n = net_begin(13, DIMS(1, 6, 8, 8));
    OK(cr_model_symbol(n.ir, "n", &n.x->shape.dims[0]));
    OK(cr_model_symbol(n.ir, "h", &n.x->shape.dims[2]));
    OK(cr_model_symbol(n.ir, "w", &n.x->shape.dims[3]));
    return n;
}

static void end(net *n) {
    cr_model_destroy(n->ir);
    cr_heap_release(n->heap);
}

static bool same(const net *n, const cr_value *a, const cr_value *b) {
    cr_extents *extents;
    OK(cr_extents_create(n->ir->graph, &extents));
    const bool are = cr_extents_same(extents, a, b);
    cr_assert_eq(are, cr_extents_same(extents, b, a));
    cr_extents_free(extents);
    return are;
}

/* Whether extent `da` of a is extent `db` of b. */
static bool same_at(const net *n, const cr_value *a, int da, const cr_value *b, int db) {
    cr_extents *extents;
    OK(cr_extents_create(n->ir->graph, &extents));
    const bool are = cr_extents_same_at(extents, a, da, b, db);
    cr_extents_free(extents);
    return are;
}

typedef struct window {
    int64_t kernel, stride, pads[4], dilation, ceil_mode;
    const char *auto_pad;
} window;

static void set_window(cr_node *node, const window *w) {
    OK(cr_node_set_ints(node, "strides", (int64_t[]){w->stride, w->stride}, 2));
    OK(cr_node_set_ints(node, "kernel_shape", (int64_t[]){w->kernel, w->kernel}, 2));
    if (w->dilation)
        OK(cr_node_set_ints(node, "dilations", (int64_t[]){w->dilation, w->dilation}, 2));
    if (w->auto_pad)
        OK(cr_node_set_string(node, "auto_pad", w->auto_pad));
    else
        OK(cr_node_set_ints(node, "pads", w->pads, 4));
    if (w->ceil_mode)
        OK(cr_node_set_int(node, "ceil_mode", 1));
}

static cr_value *windowed(net *n, const char *op, cr_value *x, window w) {
    cr_value *y, *inputs[] = {x, NULL};
    const bool pool = strstr(op, "Pool") != NULL;
    if (!pool)
        inputs[1] = net_floats(n, -1, 1, DIMS(6, 6, w.kernel, w.kernel));
    set_window(net_add(n, op, pool ? 1 : 2, inputs, 1, &y), &w);
    net_infer(n);
    return y;
}

#define WINDOW(op, x, k, s, ...) windowed(&n, op, (x), (window){.kernel = (k), .stride = (s), __VA_ARGS__})
#define CONV(x, k, s, ...)       WINDOW("Conv", x, k, s, __VA_ARGS__)
#define POOL(x, k, s, ...)       WINDOW("MaxPool", x, k, s, __VA_ARGS__)
#define UP(x, k, s, ...)         WINDOW("ConvTranspose", x, k, s, __VA_ARGS__)

Test(extents, windows_that_keep_the_extents) {
    net n = begin();
    cr_assert(same(&n, n.x, CONV(n.x, 3, 1, .pads = {1, 1, 1, 1})));
    cr_assert(same(&n, n.x, CONV(n.x, 3, 1, .pads = {2, 0, 0, 2})));
    cr_assert(same(&n, n.x, CONV(n.x, 3, 1, .pads = {2, 2, 2, 2}, .dilation = 2)));
    cr_assert(same(&n, n.x, CONV(n.x, 5, 1, .auto_pad = "SAME_LOWER")));
    cr_assert(same(&n, n.x, POOL(n.x, 3, 1, .pads = {1, 1, 1, 1}, .ceil_mode = 1)));
    cr_assert(same(&n, n.x, CONV(CONV(n.x, 3, 1, .pads = {0}), 3, 1, .pads = {2, 2, 2, 2})));
    cr_assert_not(same(&n, n.x, CONV(n.x, 3, 1, .pads = {1, 1, 1, 0})));
    cr_assert_not(same(&n, n.x, CONV(n.x, 3, 1, .pads = {0})));
    cr_assert_not(same(&n, n.x, CONV(n.x, 2, 1, .pads = {0})));
    end(&n);
}

Test(extents, windows_that_halve_the_extents) {
    net n = begin();
    const cr_value *y = CONV(n.x, 3, 2, .pads = {1, 1, 1, 1});
    cr_assert(same(&n, y, CONV(n.x, 1, 2, .pads = {0})));
    cr_assert(same(&n, y, POOL(n.x, 3, 2, .pads = {0, 0, 2, 2})));
    cr_assert(same(&n, y, CONV(n.x, 7, 2, .pads = {3, 3, 3, 3})));
    cr_assert(same(&n, y, CONV(n.x, 6, 2, .auto_pad = "SAME_UPPER")));
    cr_assert(same(&n, y, CONV(CONV(n.x, 3, 1, .pads = {1, 1, 1, 1}), 1, 2, .pads = {0})));
    cr_assert_not(same(&n, y, CONV(n.x, 3, 2, .pads = {0})));
    cr_assert_not(same(&n, y, CONV(n.x, 3, 2, .pads = {1, 1, 0, 0})));
    cr_assert_not(same(&n, y, CONV(n.x, 2, 2, .pads = {0})));
    cr_assert_not(same(&n, y, CONV(n.x, 2, 2, .auto_pad = "VALID")));
    cr_assert_not(same(&n, y, CONV(n.x, 3, 3, .pads = {1, 1, 1, 1})));
    cr_assert_not(same(&n, y, CONV(n.x, 3, 2, .pads = {1, 1, 1, 1}, .dilation = 2)));
    end(&n);
}

Test(extents, windows_one_after_another) {
    net n = begin();
    cr_value *half = CONV(n.x, 3, 2, .pads = {1, 1, 1, 1});
    cr_assert(same(&n, CONV(half, 3, 2, .pads = {1, 1, 1, 1}), CONV(n.x, 1, 4, .pads = {0})));
    cr_assert(same(&n, CONV(half, 1, 2, .pads = {0}),
                   CONV(CONV(n.x, 1, 2, .pads = {0}), 3, 2, .pads = {1, 1, 1, 1})));
    cr_assert_not(same(&n, CONV(half, 2, 2, .pads = {0}), CONV(n.x, 1, 4, .pads = {0})));
    end(&n);
}

Test(extents, pools_that_round_up) {
    net n = begin();
    const cr_value *y = POOL(n.x, 2, 2, .pads = {0}, .ceil_mode = 1);
    cr_assert(same(&n, y, CONV(n.x, 1, 2, .pads = {0})));
    cr_assert_not(same(&n, y, POOL(n.x, 2, 2, .pads = {0})));
    /* the window that would begin in the padding is left out, now and then */
    cr_assert_not(same(&n, POOL(n.x, 2, 2, .pads = {1, 1, 1, 1}, .ceil_mode = 1),
                       POOL(n.x, 1, 2, .pads = {1, 1, 1, 1})));
    end(&n);
}

Test(extents, transposed_convolutions) {
    net n = begin();
    cr_assert(same(&n, UP(n.x, 2, 2, .pads = {0}), UP(n.x, 4, 2, .pads = {1, 1, 1, 1})));
    cr_assert(same(&n, UP(n.x, 2, 2, .pads = {0}), UP(n.x, 3, 2, .auto_pad = "SAME_UPPER")));
    cr_assert(same(&n, n.x, UP(n.x, 3, 1, .pads = {1, 1, 1, 1})));
    cr_assert(same(&n, n.x, CONV(UP(n.x, 2, 2, .pads = {0}), 2, 2, .pads = {0})));
    cr_assert_not(same(&n, UP(n.x, 2, 2, .pads = {0}), UP(n.x, 3, 2, .pads = {1, 1, 1, 1})));
    cr_assert_not(same(&n, n.x, UP(CONV(n.x, 2, 2, .pads = {0}), 2, 2, .pads = {0}))); /* odd ones shrink */
    end(&n);
}

Test(extents, kept_by_operators) {
    net n = begin();
    cr_value *y = net_node(&n, "Relu", IN(net_bn(&n, n.x)));
    cr_assert(same(&n, n.x, y));
    cr_assert(same(&n, n.x, net_node(&n, "Add", IN(y, n.x))));
    cr_assert(same(&n, n.x, net_node(&n, "Mul", IN(net_node(&n, "GlobalAveragePool", IN(y)), n.x))));
    cr_assert(same(&n, n.x, net_node(&n, "Add", IN(net_floats(&n, 0, 1, DIMS(6, 1, 1)), n.x))));
    cr_value *joined = net_node_int(&n, "Concat", IN(y, n.x), "axis", 1);
    cr_assert_not(same(&n, n.x, joined));
    cr_assert(same_at(&n, n.x, 3, joined, 3));
    joined = net_node_int(&n, "Concat", IN(y, n.x), "axis", 3);
    cr_assert(same_at(&n, n.x, 2, joined, 2));
    cr_assert_not(same_at(&n, n.x, 3, joined, 3));
    end(&n);
}

Test(extents, sums_of_what_may_be_one) {
    net n = begin();
    cr_value *small = CONV(n.x, 3, 2, .pads = {1, 1, 1, 1});
    cr_value *sum = net_node(&n, "Add", IN(small, n.x)); /* h = 1 and h = 2 would both do */
    cr_assert_not(same_at(&n, sum, 2, n.x, 2));
    cr_assert_not(same_at(&n, sum, 2, small, 2));
    cr_assert(same_at(&n, sum, 0, n.x, 0));
    end(&n);
}

Test(extents, other_symbols_differ) {
    net n = begin();
    cr_assert_not(same_at(&n, n.x, 2, n.x, 3));
    cr_assert_not(same_at(&n, n.x, 0, n.x, 2));
    cr_value *y = net_input(&n, "y", DIMS(1, 6, 8, 8));
    OK(cr_model_symbol(n.ir, "h", &y->shape.dims[2]));
    y->shape.dims[3] = CR_DIM_UNKNOWN;
    cr_assert(same_at(&n, n.x, 2, y, 2));
    cr_assert_not(same_at(&n, n.x, 3, y, 3));
    end(&n);
}

static cr_value *resize(net *n, cr_value *x, cr_value *scales, cr_value *sizes) {
    return sizes ? net_node(n, "Resize", IN(x, NULL, NULL, sizes))
                 : net_node(n, "Resize", IN(x, NULL, scales));
}

static cr_value *scales(net *n, float by) {
    cr_value *value = net_floats(n, 1, 1, DIMS(4));
    float *s = value->constant->data;
    s[2] = s[3] = by;
    return value;
}

Test(extents, resizes_by_scales) {
    net n = begin();
    cr_assert(same(&n, resize(&n, n.x, scales(&n, 2), NULL), UP(n.x, 2, 2, .pads = {0})));
    cr_assert(same(&n, resize(&n, n.x, scales(&n, 1), NULL), n.x));
    cr_assert_not(same(&n, resize(&n, n.x, scales(&n, 1.5F), NULL), resize(&n, n.x, scales(&n, 2), NULL)));
    cr_assert_not(same(&n, resize(&n, n.x, scales(&n, 1.5F), NULL), n.x));
    end(&n);
}

/* Elements [from, to) of the shape of x. */
static cr_value *part_of_shape(net *n, cr_value *x, int64_t from, int64_t to) {
    cr_value *shape = net_node(n, "Shape", IN(x));
    return net_node(n, "Slice", IN(shape, net_ints(n, 1, &from), net_ints(n, 1, &to)));
}

Test(extents, resizes_by_computed_sizes) {
    net n = begin();
    cr_value *small = CONV(n.x, 2, 2, .pads = {0});
    cr_value *sizes = net_node_int(
        &n, "Concat", IN(part_of_shape(&n, small, 0, 2), part_of_shape(&n, n.x, 2, 4)), "axis", 0);
    cr_assert(same(&n, resize(&n, small, NULL, sizes), n.x));
    sizes = net_node_int(&n, "Concat", IN(part_of_shape(&n, small, 0, 2), part_of_shape(&n, n.x, 1, 3)),
                         "axis", 0);
    cr_assert_not(same(&n, resize(&n, small, NULL, sizes), n.x));
    cr_value *two = net_ints(&n, 1, (int64_t[]){2});
    sizes = net_node_int(
        &n, "Concat",
        IN(part_of_shape(&n, n.x, 0, 2), net_node(&n, "Mul", IN(two, part_of_shape(&n, n.x, 2, 4)))), "axis",
        0);
    cr_assert(same(&n, resize(&n, n.x, NULL, sizes), UP(n.x, 2, 2, .pads = {0})));
    end(&n);
}

Test(extents, numbers_are_recorded) {
    net n = begin();
    cr_extents *extents;
    cr_value *sizes = net_node_int(
        &n, "Concat", IN(part_of_shape(&n, n.x, 0, 2), net_ints(&n, 2, (int64_t[]){9, 7})), "axis", 0);
    cr_value *y = net_node(&n, "Relu", IN(resize(&n, n.x, NULL, sizes)));
    y->shape = cr_shape_unknown();
    OK(cr_extents_create(n.ir->graph, &extents));
    cr_extents_record(extents);
    cr_extents_free(extents);
    cr_assert_eq(y->shape.rank, 4);
    cr_assert_lt(y->shape.dims[0], 0);
    cr_assert_eq(y->shape.dims[1], 6);
    cr_assert_eq(y->shape.dims[2], 9);
    cr_assert_eq(y->shape.dims[3], 7);
    end(&n);
}

static cr_value *reshape(net *n, cr_value *x, int count, const int64_t *to) {
    return net_node(n, "Reshape", IN(x, net_ints(n, count, to)));
}

Test(extents, reshapes) {
    net n = begin();
    cr_value *fixed =
        resize(&n, n.x, NULL,
               net_node_int(&n, "Concat",
                            IN(part_of_shape(&n, n.x, 0, 2), net_ints(&n, 2, (int64_t[]){9, 7})), "axis", 0));
    cr_assert(same_at(&n, n.x, 0, reshape(&n, n.x, DIMS(0, 2, 3, -1)), 0));
    cr_assert(same_at(&n, n.x, 0, reshape(&n, fixed, DIMS(-1, 2, 3, 9, 7)), 0));
    cr_assert_not(same_at(&n, n.x, 0, reshape(&n, fixed, DIMS(-1, 2, 3, 7)), 0));
    cr_assert_not(same_at(&n, n.x, 0, reshape(&n, n.x, DIMS(-1, 6, 9, 7)), 0));
    cr_assert_not(same_at(&n, n.x, 2, reshape(&n, n.x, DIMS(0, 2, -1, 3)), 2));
    cr_value *to = net_node_int(
        &n, "Concat",
        IN(part_of_shape(&n, n.x, 0, 1), net_ints(&n, 2, (int64_t[]){2, -1}), part_of_shape(&n, n.x, 2, 4)),
        "axis", 0);
    cr_value *split = net_node(&n, "Reshape", IN(n.x, to));
    cr_assert(same_at(&n, n.x, 0, split, 0));
    cr_assert(same_at(&n, n.x, 3, split, 4));
    cr_assert_not(same_at(&n, n.x, 3, split, 3));
    cr_assert(same(&n, n.x, reshape(&n, n.x, DIMS(0, 0, 0, 0))));
    end(&n);
}

Test(extents, transposes_pads_and_slices) {
    net n = begin();
    cr_value *turned, *padded;
    OK(cr_node_set_ints(net_add(&n, "Transpose", 1, &n.x, 1, &turned), "perm", (int64_t[]){0, 1, 3, 2}, 4));
    net_infer(&n);
    cr_assert(same_at(&n, n.x, 2, turned, 3));
    cr_assert_not(same_at(&n, n.x, 2, turned, 2));
    padded = net_node(&n, "Pad", IN(n.x, net_ints(&n, 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1})));
    cr_assert(same(&n, padded, CONV(n.x, 1, 1, .pads = {1, 1, 1, 1})));
    cr_assert_not(same(&n, padded, n.x));
    const int64_t axis = 2, zero = 0, one = 1, two = 2, most = INT64_MAX, last = -1;
    cr_value *even = net_node(&n, "Slice",
                              IN(n.x, net_ints(&n, 1, &zero), net_ints(&n, 1, &most), net_ints(&n, 1, &axis),
                                 net_ints(&n, 1, &two)));
    cr_value *odd = net_node(&n, "Slice",
                             IN(n.x, net_ints(&n, 1, &one), net_ints(&n, 1, &most), net_ints(&n, 1, &axis),
                                net_ints(&n, 1, &two)));
    cr_value *cut = net_node(
        &n, "Slice", IN(padded, net_ints(&n, 1, &one), net_ints(&n, 1, &last), net_ints(&n, 1, &axis)));
    cr_assert(same_at(&n, even, 2, CONV(n.x, 1, 2, .pads = {0}), 2));
    cr_assert(same_at(&n, odd, 2, CONV(n.x, 2, 2, .pads = {0}), 2));
    cr_assert_not(same_at(&n, odd, 2, even, 2));
    cr_assert(same_at(&n, even, 3, n.x, 3));
    cr_assert(same_at(&n, cut, 2, n.x, 2));
    end(&n);
}

/* Which the model states, though there is no such tensor. */
Test(extents, absurd_ones_stay_unknown) {
    net n = begin();
    cr_value *sizes = net_node_int(
        &n, "Concat", IN(part_of_shape(&n, n.x, 0, 2), net_ints(&n, 2, (int64_t[]){-3, INT64_MAX})), "axis",
        0);
    cr_value *y = resize(&n, n.x, NULL, sizes);
    cr_extents *extents;
    OK(cr_extents_create(n.ir->graph, &extents));
    cr_extents_record(extents);
    cr_extents_free(extents);
    cr_assert_eq(y->shape.dims[2], CR_DIM_UNKNOWN);
    cr_assert_eq(y->shape.dims[3], CR_DIM_UNKNOWN);
    end(&n);
}
