#include "tests/passes/lists.h"

/* One rule after another: what becomes of it, and each way in which it does not. */

static cr_value *split(small *s, int64_t axis, int64_t keep, cr_value *sizes) {
    cr_value *q = small_node(s, "SplitToSequence", "q", sizes ? 2 : 1, (cr_value *[]){s->x, sizes});
    OK(cr_node_set_int(small_find(s, "q"), "axis", axis));
    if (keep != 1)
        OK(cr_node_set_int(small_find(s, "q"), "keepdims", keep));
    return q;
}

static cr_value *pick(small *s, cr_value *q, const char *name, int64_t position) {
    return small_node(s, "SequenceAt", name, IN(q, lists_at(s, position)));
}

static void output_at(small *s, cr_value *q, int64_t position) {
    small_output(s, pick(s, q, "at", position));
}

static cr_value *join(small *s, cr_value *q, const char *name, int64_t axis, int64_t new_axis) {
    cr_value *y = small_node(s, "ConcatFromSequence", name, IN(q));
    OK(cr_node_set_int(small_find(s, name), "axis", axis));
    if (new_axis)
        OK(cr_node_set_int(small_find(s, name), "new_axis", new_axis));
    return y;
}

/* The rows of x as a sequence of [1, 4]. */
static cr_value *rows(small *s) {
    return split(s, 0, 1, NULL);
}

/* ---- SplitToSequence ---- */

static const int64_t opsets[] = {11, 13, 18, 24};

Test(sequences, parts_of_a_size) {
    for (int i = 0; i < 4; i++) {
        small s = lists_begin(opsets[i]);
        cr_value *q = split(&s, 1, 1, lists_at(&s, 3));
        small_output(&s, pick(&s, q, "first", 0));
        small_output(&s, pick(&s, q, "last", -1));
        small_output(&s, small_node(&s, "SequenceLength", "n", IN(q)));
        lists_give(&s, NUMBERS(0, 1, 2, 4, 5, 6, 8, 9, 10, 3, 7, 11, 2));
    }
}

Test(sequences, parts_as_listed) {
    for (int i = 0; i < 4; i++) {
        small s = lists_begin(opsets[i]);
        cr_value *q = split(&s, -1, 1, LIST(&s, 1, 0, 3));
        small_output(&s, pick(&s, q, "one", -1));
        small_output(&s, pick(&s, q, "none", 1));
        small_output(&s, pick(&s, q, "two", 0));
        lists_give(&s, NUMBERS(1, 2, 3, 5, 6, 7, 9, 10, 11, 0, 4, 8));
    }
}

/* The axis goes where nobody asks for sizes, or for 1, as PyTorch writes unbind. */
Test(sequences, parts_without_their_axis) {
    for (int i = 0; i < 8; i++) {
        small s = lists_begin(opsets[i / 2]);
        cr_value *q = split(&s, -2, 0, i % 2 ? lists_number(&s, CREASE_INT32, 1) : NULL);
        cr_value *sum = small_node(&s, "Add", "add", IN(pick(&s, q, "a", 0), pick(&s, q, "b", 2)));
        small_output(&s, sum);
        crease_model *model = lists_publish(&s);
        crease_value_info info = {.struct_size = sizeof info};
        cr_assert(crease_model_output_at(model, 0, &info));
        cr_assert_eq(info.rank, 1);
        for (int how = 0; how < 4; how++)
            lists_run(model, how & 1, how & 2, NUMBERS(8, 10, 12, 14));
        crease_model_free(model);
    }
}

Test(sequences, other_parts_keep_their_axis) {
    for (int i = 0; i < 3; i++) {
        small s = lists_begin(17);
        cr_value *q = split(&s, 0, i != 0, i == 2 ? LIST(&s, 2, 1) : i == 1 ? NULL : lists_at(&s, 2));
        small_output(&s, small_node(&s, "Shape", "shape", IN(pick(&s, q, "at", -1))));
        lists_give(&s, NUMBERS(1, 4));
    }
}

Test(sequences, an_extent_that_is_not_known) {
    small s = lists_begin(17);
    s.x->shape.dims[0] = CR_DIM_UNKNOWN;
    output_at(&s, split(&s, 0, 1, LIST(&s, 1, 2)), 1); /* the sizes are all it takes */
    lists_give(&s, NUMBERS(ROW(1), ROW(2)));
    for (int sized = 0; sized < 2; sized++) {
        s = lists_begin(17);
        s.x->shape.dims[0] = CR_DIM_UNKNOWN;
        output_at(&s, split(&s, 0, 1, sized ? lists_at(&s, 2) : NULL), 1);
        lists_refuse(&s, "q",
                     "operator SplitToSequence along axis 0 of 'x', whose extent only a run decides, "
                     "is not supported");
    }
    s = lists_begin(17);
    s.x->shape = cr_shape_unknown();
    output_at(&s, split(&s, 0, 1, NULL), 1);
    lists_refuse(&s, "q",
                 "operator SplitToSequence along axis 0 of 'x', whose extent only a run decides, "
                 "is not supported");
}

Test(sequences, an_extent_of_nothing) {
    small s = small_begin(17, DIMS(0, 4));
    small_output(&s, small_node(&s, "SequenceLength", "n", IN(rows(&s))));
    crease_model *model = lists_publish(&s);
    OK(crease_model_check(model));
    crease_model_free(model);
}

Test(sequences, sizes_that_are_not_known) {
    small s = lists_begin(17);
    output_at(&s, split(&s, 0, 1, lists_input(&s, "sizes", CR_KIND_TENSOR, CREASE_INT64)), 1);
    lists_refuse(&s, "q", "operator SplitToSequence with sizes that only a run decides is not supported");
}

Test(sequences, sizes_that_cannot_be) {
    static const char *const sentences[] = {
        "node 'q' (SplitToSequence): impossible in parts of 0",
        "node 'q' (SplitToSequence): impossible in parts of -1",
        "node 'q' (SplitToSequence): impossible in a part of -1",
        "node 'q' (SplitToSequence): impossible in parts of 5 in sum along an extent of 4",
        "node 'q' (SplitToSequence): impossible in a part of 9223372036854775807",
        "node 'q' (SplitToSequence): impossible with sizes of type bool",
        "node 'q' (SplitToSequence): impossible with sizes of rank 2",
        "node 'q' (SplitToSequence): impossible along axis 2 of a tensor of rank 2",
        "node 'q' (SplitToSequence): impossible along axis -3 of a tensor of rank 2",
        "node 'q' (SplitToSequence): impossible without a tensor",
    };
    for (int i = 0; i < 10; i++) {
        small s = lists_begin(17);
        cr_value *sizes = i < 2    ? lists_at(&s, -i)
                          : i == 2 ? LIST(&s, 5, -1)
                          : i == 3 ? LIST(&s, 2, 3)
                          : i == 4 ? LIST(&s, INT64_MAX, INT64_MAX)
                          : i == 5 ? lists_number(&s, CREASE_BOOL, 1)
                                   : LIST(&s, 2, 2);
        if (i == 6)
            sizes->shape = sizes->constant->shape = cr_shape_of(DIMS(1, 2));
        output_at(&s, split(&s, i == 7 ? 2 : i == 8 ? -3 : 1, 1, sizes), 0);
        if (i == 9)
            OK(cr_node_set_input(small_find(&s, "q"), 0, NULL));
        lists_fail(&s, sentences[i]);
    }
}

/* A file of a few bytes may ask for as many tensors as it likes. */
Test(sequences, more_parts_than_are_sensible) {
    small s = small_begin(17, DIMS(1LL << 40));
    small_output(&s, small_node(&s, "SequenceLength", "n", IN(rows(&s))));
    lists_refuse(&s, "q",
                 "operator SplitToSequence on a sequence of 1099511627776 elements, more than 65536, "
                 "is not supported");
}

/* ---- lists ---- */

/* [c, x1, x0] out of insertions at every kind of place, then erasures. */
Test(sequences, lists_that_grow_and_shrink) {
    for (int i = 0; i < 4; i++) {
        small s = lists_begin(opsets[i]);
        cr_value *r = rows(&s), *x0 = pick(&s, r, "x0", 0), *x1 = pick(&s, r, "x1", 1),
                 *x2 = pick(&s, r, "x2", 2), *q = small_node(&s, "SequenceEmpty", "none", 0, NULL);
        OK(cr_node_set_int(small_find(&s, "none"), "dtype", CREASE_DOUBLE));
        q = small_node(&s, "SequenceInsert", "i0", IN(q, x0));
        q = small_node(&s, "SequenceInsert", "i1", IN(q, x1, lists_number(&s, CREASE_INT32, 0)));
        q = small_node(&s, "SequenceInsert", "i2", IN(q, x2, LIST(&s, -1))); /* before the last */
        cr_value *three = small_node(&s, "SequenceInsert", "i3", IN(q, x1, lists_at(&s, 3)));
        small_output(&s, join(&s, three, "all", 0, 0)); /* 1 2 0 1 */
        q = small_node(&s, "SequenceErase", "e0", IN(three, lists_at(&s, -4)));
        q = small_node(&s, "SequenceErase", "e1", IN(q));
        small_output(&s, join(&s, q, "left", 0, 0)); /* 2 0 */
        small_output(&s, small_node(&s, "SequenceLength", "n", IN(three)));
        lists_give(&s, NUMBERS(ROW(1), ROW(2), ROW(0), ROW(1), ROW(2), ROW(0), 4));
    }
}

Test(sequences, construct_and_stack) {
    for (int i = 0; i < 4; i++) {
        small s = lists_begin(opsets[i]);
        cr_value *r = split(&s, 0, 0, NULL);
        cr_value *q = small_node(&s, "SequenceConstruct", "made",
                                 IN(pick(&s, r, "a", 1), pick(&s, r, "b", 0), pick(&s, r, "c", 1)));
        small_output(&s, join(&s, q, "rows", 0, 1));
        small_output(&s, join(&s, q, "columns", -1, 1));
        lists_give(&s, NUMBERS(ROW(1), ROW(0), ROW(1), 4, 0, 4, 5, 1, 5, 6, 2, 6, 7, 3, 7));
    }
}

/* Elements that are a graph input, and twice the same output. */
Test(sequences, elements_that_are_outputs) {
    small s = lists_begin(17);
    cr_value *neg = small_node(&s, "Neg", "neg", IN(s.x));
    cr_value *q = small_node(&s, "SequenceConstruct", "made", IN(s.x, neg));
    small_output(&s, pick(&s, q, "a", 0));
    small_output(&s, pick(&s, q, "b", 1));
    small_output(&s, pick(&s, q, "c", 1));
    lists_give(&s, NUMBERS(ROW(0), ROW(1), ROW(2), 0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, 0, -1, -2,
                           -3, -4, -5, -6, -7, -8, -9, -10, -11));
}

Test(sequences, positions_that_follow_from_shapes) {
    small s = lists_begin(17);
    s.x->shape.dims[0] = 3;
    cr_value *shape = small_node(&s, "Shape", "shape", IN(s.x));
    cr_value *last =
        small_node(&s, "Sub", "sub",
                   IN(small_node(&s, "Gather", "gather", IN(shape, lists_at(&s, 0))), lists_at(&s, 1)));
    small_output(
        &s, small_node(&s, "SequenceAt", "at", IN(small_node(&s, "Identity", "same", IN(rows(&s))), last)));
    lists_give(&s, NUMBERS(ROW(2)));
}

Test(sequences, positions_that_are_not_known) {
    small s = lists_begin(17);
    small_output(&s, small_node(&s, "SequenceAt", "at",
                                IN(rows(&s), lists_input(&s, "i", CR_KIND_TENSOR, CREASE_INT64))));
    lists_refuse(&s, "at", "operator SequenceAt with a position that only a run decides is not supported");
    s = lists_begin(17); /* what follows from it is not named again */
    cr_value *i = lists_input(&s, "i", CR_KIND_TENSOR, CREASE_INT64), *q = rows(&s);
    q = small_node(&s, "SequenceErase", "erase", IN(q, i));
    q = small_node(&s, "SequenceInsert", "insert", IN(q, s.x, i));
    small_output(&s, join(&s, q, "join", 0, 0));
    lists_refuse(&s, "erase",
                 "operator SequenceErase with a position that only a run decides is not supported");
}

/* The element is still a tensor, and may be one of another list. */
Test(sequences, elements_at_positions_that_are_not_known) {
    small s = lists_begin(17);
    cr_value *q = rows(&s), *i = lists_input(&s, "i", CR_KIND_TENSOR, CREASE_INT64);
    q = small_node(&s, "SequenceConstruct", "made", IN(small_node(&s, "SequenceAt", "at", IN(q, i)), s.x));
    small_output(&s, join(&s, q, "join", 0, 0));
    lists_refuse(&s, "at", "operator SequenceAt with a position that only a run decides is not supported");
}

/* A default of the file may be another in a run. */
Test(sequences, positions_that_may_be_overridden) {
    for (int assume = 0; assume < 2; assume++) {
        small s = lists_begin(17);
        cr_value *i = lists_input(&s, "i", CR_KIND_TENSOR, CREASE_INT64), *one = lists_at(&s, 1);
        i->initial = one->constant;
        small_output(&s, small_node(&s, "SequenceAt", "at", IN(rows(&s), i)));
        if (assume)
            OK(cr_model_assume_constant(s.model));
        if (assume)
            lists_give(&s, NUMBERS(ROW(1)));
        else
            lists_refuse(&s, "at",
                         "operator SequenceAt with a position that the caller may override unless "
                         "assume_const is set is not supported");
    }
}

Test(sequences, positions_out_of_range) {
    static const struct {
        const char *op;
        int64_t position;
        const char *sentence;
    } cases[] = {
        {"SequenceAt", 3, "node 'op' (SequenceAt): impossible at position 3 of a sequence of 3 elements"},
        {"SequenceAt", -4, "node 'op' (SequenceAt): impossible at position -4 of a sequence of 3 elements"},
        {"SequenceAt", INT64_MIN,
         "node 'op' (SequenceAt): impossible at position -9223372036854775808 of a sequence of 3 elements"},
        {"SequenceErase", 3,
         "node 'op' (SequenceErase): impossible at position 3 of a sequence of 3 elements"},
        {"SequenceErase", -4,
         "node 'op' (SequenceErase): impossible at position -4 of a sequence of 3 elements"},
        {"SequenceInsert", 4,
         "node 'op' (SequenceInsert): impossible at position 4 of a sequence of 3 elements"},
        {"SequenceInsert", -4,
         "node 'op' (SequenceInsert): impossible at position -4 of a sequence of 3 elements"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small s = lists_begin(17);
        cr_value *in[3] = {rows(&s), s.x, lists_at(&s, cases[i].position)};
        const bool insert = strcmp(cases[i].op, "SequenceInsert") == 0;
        if (!insert)
            in[1] = in[2];
        small_output(&s, small_node(&s, cases[i].op, "op", insert ? 3 : 2, in));
        lists_fail(&s, cases[i].sentence);
    }
    small s = lists_begin(17);
    cr_value *none = small_node(&s, "SequenceEmpty", "none", 0, NULL);
    small_output(&s, small_node(&s, "SequenceErase", "op", IN(none)));
    lists_fail(&s, "node 'op' (SequenceErase): impossible at position -1 of a sequence of 0 elements");
}

Test(sequences, lists_that_cannot_be) {
    static const char *const sentences[] = {
        "node 'op' (SequenceAt): impossible with a position of type bool",
        "node 'op' (SequenceAt): impossible with 2 positions",
        "node 'op' (SequenceAt): impossible without a position",
        "node 'op' (SequenceAt): impossible on the tensor 'x'",
        "node 'op' (SequenceAt): impossible without a sequence",
        "node 'op' (SequenceConstruct): impossible with an element 'number' of type int64 among others of "
        "type "
        "float64",
        "node 'op' (SequenceConstruct): impossible with an element 'q_out' that is no tensor",
        "node 'op' (SequenceInsert): impossible with an element 'number' of type int64 among others of type "
        "float64",
        "node 'op' (SequenceInsert): impossible without its input 1",
        "node 'op' (ConcatFromSequence): impossible without an axis",
        "node 'op' (ConcatFromSequence): impossible on an empty sequence",
    };
    for (int i = 0; i < 11; i++) {
        small s = lists_begin(17);
        cr_value *q = rows(&s), *none = small_node(&s, "SequenceEmpty", "none", 0, NULL);
        cr_value *number = lists_at(&s, 0);
        cr_value *in[2] = {i == 3    ? s.x
                           : i == 4  ? NULL
                           : i == 5  ? s.x
                           : i == 10 ? none
                                     : q,
                           i == 0   ? lists_number(&s, CREASE_BOOL, 0)
                           : i == 1 ? LIST(&s, 0, 1)
                           : i == 8 ? NULL
                                    : number};
        const char *op = i < 5   ? "SequenceAt"
                         : i < 7 ? "SequenceConstruct"
                         : i < 9 ? "SequenceInsert"
                                 : "ConcatFromSequence";
        small_output(&s, small_node(&s, op, "op", i == 2 || i > 8 ? 1 : 2, in));
        if (i == 10)
            OK(cr_node_set_int(small_find(&s, "op"), "axis", 0));
        lists_fail(&s, sentences[i]);
    }
}

/* Concat has the sentence for elements that do not fit. */
Test(sequences, elements_that_do_not_fit) {
    small s = lists_begin(17);
    cr_value *q = split(&s, 0, 1, LIST(&s, 1, 2));
    small_output(&s, join(&s, q, "op", 1, 0));
    crease_model *model;
    cr_assert_eq(cr_model_publish(s.model, &model), CREASE_ERROR_MODEL);
    cr_assert(strstr(crease_error_message(), "node 'op' (Concat)"), "%s", crease_error_message());
    s.model = NULL;
    small_end(&s);
}

/* A list of n elements from each of n nodes. */
Test(sequences, lists_that_are_too_long_in_all) {
    enum { CHAIN = 6000 };
    small s = lists_begin(17);
    cr_value *q = rows(&s);
    char name[32];
    for (int i = 0; i < CHAIN; i++) {
        snprintf(name, sizeof name, "i%d", i);
        q = small_node(&s, "SequenceInsert", name, IN(q, s.x));
    }
    small_output(&s, small_node(&s, "SequenceLength", "n", IN(q)));
    lists_refuse(&s, "i5789",
                 "operator SequenceInsert in a model whose sequences have more than 16777216 elements is not "
                 "supported");
}

/* ---- what a model gives and takes ---- */

Test(sequences, inputs_and_outputs_stay) {
    small s = lists_begin(17);
    small_output(&s, small_node(&s, "SequenceAt", "at",
                                IN(lists_input(&s, "list", CR_KIND_SEQUENCE, 0), lists_at(&s, 0))));
    lists_refuse(&s, "at", "operator SequenceAt on 'list', an input of the model, is not supported");
    s = lists_begin(17);
    small_output(&s, rows(&s));
    lists_refuse(&s, "q",
                 "operator SplitToSequence giving 'q_out', an output of the model, is not supported");
    s = lists_begin(17); /* somebody who has no rule needs one */
    small_output(&s, small_node(&s, "Neg", "neg", IN(rows(&s))));
    lists_refuse(&s, "q",
                 "operator SplitToSequence giving 'q_out', which node 'neg' (Neg) needs, is not supported");
}

/* Where operators are not these yet, and where there are none, nothing happens. */
Test(sequences, other_models_stay_as_they_are) {
    small s = lists_begin(10);
    output_at(&s, rows(&s), 0);
    OK(cr_model_resolve(s.model));
    OK(cr_pass_resolve_sequences(s.model));
    cr_assert_eq(small_count(&s, "SplitToSequence"), 1);
    cr_assert_null(small_find(&s, "q")->obstacle);
    small_end(&s);
    s = lists_begin(17);
    small_output(&s, small_node(&s, "Neg", "neg", IN(small_node(&s, "Identity", "same", IN(s.x)))));
    small_node(&s, "Abs", "unused", IN(s.x));
    OK(cr_model_resolve(s.model));
    OK(cr_pass_resolve_sequences(s.model));
    cr_assert_eq(s.model->graph->n_nodes, 3);
    small_end(&s);
}

/* ---- optionals ---- */

Test(sequences, optionals_with_something_in_them) {
    for (int opset = 15; opset < 19; opset += 3) {
        small s = lists_begin(opset);
        cr_value *one = small_node(&s, "Optional", "one", IN(pick(&s, rows(&s), "at", 1)));
        cr_value *list =
            small_node(&s, "Optional", "list", IN(small_node(&s, "SequenceConstruct", "made", IN(s.x, s.x))));
        small_output(&s, small_node(&s, "OptionalHasElement", "has", IN(one)));
        small_output(&s, small_node(&s, "OptionalGetElement", "get", IN(one)));
        small_output(&s, small_node(&s, "OptionalHasElement", "has_list", IN(list)));
        small_output(&s, small_node(&s, "SequenceLength", "n",
                                    IN(small_node(&s, "OptionalGetElement", "get_list", IN(list)))));
        lists_give(&s, NUMBERS(1, ROW(1), 1, 2));
    }
}

Test(sequences, optionals_with_nothing_in_them) {
    small s = lists_begin(18);
    cr_value *none = small_node(&s, "Optional", "none", 0, NULL);
    small_output(&s, small_node(&s, "OptionalHasElement", "has", IN(none)));
    small_output(&s, small_node(&s, "OptionalHasElement", "no_input", 0, NULL));
    lists_give(&s, NUMBERS(0, 0));
    for (int input = 0; input < 2; input++) {
        s = lists_begin(18);
        none = small_node(&s, "Optional", "none", 0, NULL);
        small_output(&s, small_node(&s, "OptionalGetElement", "op", input, &none));
        lists_fail(&s, "node 'op' (OptionalGetElement): impossible on an optional with nothing in it");
    }
}

/* From ONNX 18 on a tensor or a sequence may stand for it. */
Test(sequences, tensors_in_place_of_optionals) {
    small s = lists_begin(18);
    small_output(&s, small_node(&s, "OptionalHasElement", "has", IN(s.x)));
    small_output(&s, small_node(&s, "OptionalHasElement", "has_list", IN(rows(&s))));
    small_output(&s, small_node(&s, "OptionalGetElement", "get", IN(s.x)));
    lists_give(&s, NUMBERS(1, 1, ROW(0), ROW(1), ROW(2)));
}

Test(sequences, optionals_that_are_not_known) {
    static const char *const ops[] = {"Optional", "OptionalHasElement", "OptionalGetElement"};
    char reason[128];
    for (int i = 0; i < 6; i++) {
        small s = lists_begin(18);
        cr_value *maybe = lists_input(&s, "maybe", i < 3 ? CR_KIND_OPTIONAL : CR_KIND_TENSOR, 0);
        small_output(&s, small_node(&s, ops[i % 3], "op", IN(maybe)));
        snprintf(reason, sizeof reason, "operator %s on 'maybe', an input of the model, is not supported",
                 ops[i % 3]);
        lists_refuse(&s, "op", reason);
    }
    small s = lists_begin(18);
    small_output(&s, small_node(&s, "SequenceAt", "op",
                                IN(small_node(&s, "Optional", "one", IN(s.x)), lists_at(&s, 0))));
    lists_fail(&s, "node 'op' (SequenceAt): impossible on the optional 'one_out'");
}
