#include "tests/passes/lists.h"

/* Sequences in bodies, into them and out of them. */

static cr_value *rows(small *s) {
    return small_node(s, "SplitToSequence", "rows", IN(s->x));
}

static void join(small *s, cr_value *q, int64_t new_axis) {
    small_output(s, small_node(s, "ConcatFromSequence", "join", IN(q)));
    OK(cr_node_set_int(small_find(s, "join"), "axis", 0));
    OK(cr_node_set_int(small_find(s, "join"), "new_axis", new_axis));
}

/* Whether x[0] is positive: what only a run can say. It is not. */
static cr_value *unknown_flag(small *s) {
    cr_value *first =
        small_node(s, "Gather", "gather", IN(small_node(s, "ReduceMin", "min", IN(s->x)), lists_at(s, 0)));
    OK(cr_node_set_int(small_find(s, "min"), "keepdims", 1));
    cr_value *y = small_node(s, "Cast", "flag", IN(small_node(s, "ReduceMax", "max", IN(first))));
    OK(cr_node_set_int(small_find(s, "max"), "keepdims", 0));
    OK(cr_node_set_int(small_find(s, "flag"), "to", CREASE_BOOL));
    return y;
}

/* ---- If ---- */

/* An If whose branches give element 0 and 2 of q, by positions or, by_input, one that only a run knows. */
static void choose(small *s, cr_value *flag, cr_value *q, cr_value *then_position) {
    small_output(s, small_node(s, "If", "if", IN(flag)));
    for (int b = 0; b < 2; b++) {
        cr_graph *body = body_of(small_find(s, "if"), b ? "then_branch" : "else_branch");
        cr_value *in[2] = {q, b ? then_position : lists_at(s, 2)};
        OK(cr_graph_add_output(body, lists_node(body, "SequenceAt", b ? "first" : "third", 2, in)));
    }
}

Test(sequences_bodies, branches_are_resolved_where_they_stand) {
    small s = lists_begin(17);
    cr_value *flag = unknown_flag(&s);
    choose(&s, flag, rows(&s), lists_at(&s, 0));
    lists_give(&s, NUMBERS(ROW(2)));
}

/* A branch that is not taken may be as wrong as it likes, if the condition is known; else it is refused. */
Test(sequences_bodies, branches_that_are_wrong) {
    for (int known = 0; known < 2; known++) {
        small s = lists_begin(17);
        cr_value *flag = known ? lists_number(&s, CREASE_BOOL, 0) : unknown_flag(&s);
        choose(&s, flag, rows(&s), lists_at(&s, 7));
        if (known)
            lists_give(&s, NUMBERS(ROW(2)));
        else
            lists_refuse(&s, "first",
                         "operator SequenceAt at position 7 of a sequence of 3 elements is not "
                         "supported");
    }
    small s = lists_begin(17);
    cr_value *flag = lists_number(&s, CREASE_BOOL, 1);
    choose(&s, flag, rows(&s), lists_at(&s, 7));
    lists_fail(&s, "node 'first/1' (SequenceAt): impossible at position 7 of a sequence of 3 elements");
}

/* Branches that give lists of one and of two elements. */
static void choose_list(small *s, cr_value *flag) {
    cr_value *q = small_node(s, "If", "if", IN(flag));
    for (int b = 0; b < 2; b++) {
        cr_graph *body = body_of(small_find(s, "if"), b ? "then_branch" : "else_branch");
        cr_value *neg = lists_node(body, "Neg", "neg", 1, &s->x), *in[2] = {s->x, neg};
        OK(cr_graph_add_output(body, lists_node(body, "SequenceConstruct", "list", 1 + b, in)));
    }
    small_output(s, small_node(s, "SequenceLength", "n", IN(q)));
}

Test(sequences_bodies, branches_that_give_lists) {
    for (int flag = 0; flag < 2; flag++) {
        small s = lists_begin(17);
        choose_list(&s, lists_number(&s, CREASE_BOOL, flag));
        lists_give(&s, NUMBERS(1.0 + flag));
    }
    small s = lists_begin(17);
    choose_list(&s, unknown_flag(&s));
    lists_refuse(&s, "if",
                 "operator If on sequences, with a condition that only a run decides, is not supported");
}

/* As PyTorch asks for an argument that may be left out. */
Test(sequences_bodies, an_element_if_there_is_one) {
    for (int there = 0; there < 2; there++) {
        small s = lists_begin(18);
        cr_value *maybe = small_node(&s, "Optional", "maybe", there, &s.x);
        cr_value *has = small_node(&s, "OptionalHasElement", "has", IN(maybe));
        small_output(&s, small_node(&s, "If", "if", IN(has)));
        cr_graph *body = body_of(small_find(&s, "if"), "then_branch");
        OK(cr_graph_add_output(body, lists_node(body, "OptionalGetElement", "get", 1, &maybe)));
        body = body_of(small_find(&s, "if"), "else_branch");
        OK(cr_graph_add_output(body, lists_node(body, "Shape", "shape", 1, &s.x)));
        if (there)
            lists_give(&s, NUMBERS(ROW(0), ROW(1), ROW(2)));
        else
            lists_give(&s, NUMBERS(3, 4));
    }
}

/* ---- Loop ---- */

typedef struct turns {
    cr_graph *body;
    cr_value *number, *condition, *carried, *out;
} turns;

/* A Loop that carries `start`, whose body's condition is the one it is given. */
static turns loop(small *s, cr_value *trips, cr_value *condition, cr_value *start) {
    turns t;
    t.out = small_node(s, "Loop", "loop", IN(trips, condition, start));
    t.body = body_of(small_find(s, "loop"), "body");
    t.number = lists_body_input(t.body, "number", CREASE_INT64);
    t.number->shape = (cr_shape){0};
    t.condition = lists_body_input(t.body, "condition", CREASE_BOOL);
    t.carried = lists_body_input(t.body, "carried", CREASE_UNDEFINED);
    return t;
}

static void go_on(turns *t, cr_value *condition) {
    OK(cr_graph_add_output(
        t->body, lists_node(t->body, "Identity", "go_on", 1, condition ? &condition : &t->condition)));
}

static cr_value *empty(small *s) {
    cr_value *q = small_node(s, "SequenceEmpty", "none", 0, NULL);
    OK(cr_node_set_int(small_find(s, "none"), "dtype", CREASE_DOUBLE));
    return q;
}

/* Appends row `number` of x, as PyTorch writes tensor_split. */
static void append_row(small *s, turns *t) {
    cr_value *row = lists_node(t->body, "Gather", "row", 2, (cr_value *[]){s->x, t->number});
    OK(cr_graph_add_output(
        t->body, lists_node(t->body, "SequenceInsert", "longer", 2, (cr_value *[]){t->carried, row})));
}

Test(sequences_bodies, a_list_that_a_loop_fills) {
    for (int opset = 11; opset < 20; opset += 4) {
        small s = lists_begin(opset);
        turns t = loop(&s, lists_at(&s, 2), lists_number(&s, CREASE_BOOL, 1), empty(&s));
        go_on(&t, NULL);
        append_row(&s, &t);
        join(&s, t.out, 1);
        lists_give(&s, NUMBERS(ROW(0), ROW(1)));
    }
}

/* Trips and condition may be left out; the condition that the body gives ends it. */
Test(sequences_bodies, a_loop_that_ends_itself) {
    small s = lists_begin(17);
    turns t = loop(&s, NULL, NULL, empty(&s));
    go_on(&t, lists_node(t.body, "Less", "less", 2, (cr_value *[]){t.number, lists_at(&s, 1)}));
    append_row(&s, &t);
    join(&s, t.out, 0);
    lists_give(&s, NUMBERS(ROW(0), ROW(1)));
}

Test(sequences_bodies, a_loop_that_does_not_run) {
    for (int how = 0; how < 2; how++) {
        small s = lists_begin(17);
        turns t = loop(&s, lists_at(&s, how ? 3 : 0), lists_number(&s, CREASE_BOOL, !how), rows(&s));
        go_on(&t, NULL);
        append_row(&s, &t);
        join(&s, t.out, 0);
        lists_give(&s, NUMBERS(ROW(0), ROW(1), ROW(2)));
    }
}

/* Elements of a list by the number of the run, summed and stacked. */
Test(sequences_bodies, a_loop_over_a_list) {
    for (int opset = 11; opset < 20; opset += 4) {
        small s = lists_begin(opset);
        cr_value *q = rows(&s),
                 *zero = small_node(&s, "Sub", "zero",
                                    IN(small_node(&s, "SequenceAt", "at", IN(q, lists_at(&s, 0))),
                                       small_node(&s, "SequenceAt", "at_too", IN(q, lists_at(&s, 0))))),
                 *stack;
        turns t = loop(&s, small_node(&s, "SequenceLength", "n", IN(q)), NULL, zero);
        cr_value *row = lists_node(t.body, "SequenceAt", "row", 2, (cr_value *[]){q, t.number});
        cr_value *sum = lists_node(t.body, "Add", "sum", 2, (cr_value *[]){t.carried, row});
        cr_value *own = lists_node(t.body, "Neg", "own", 1, &row);
        go_on(&t, NULL);
        OK(cr_graph_add_output(t.body, sum));
        OK(cr_graph_add_output(t.body, own));
        OK(cr_graph_add_value(s.model->graph, "stack", true, &stack));
        OK(cr_node_add_output(small_find(&s, "loop"), stack));
        small_output(&s, t.out);
        small_output(&s, stack);
        lists_give(&s, NUMBERS(12, 15, 18, 21, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11));
    }
}

/* A body without a sequence of its own to carry, which is resolved where it stands and goes on as a Loop. */
Test(sequences_bodies, a_loop_with_lists_inside) {
    small s = lists_begin(17);
    cr_value *q = rows(&s);
    turns t = loop(&s, lists_at(&s, 3), NULL, s.x);
    cr_value *row = lists_node(t.body, "SequenceAt", "row", 2, (cr_value *[]){q, lists_at(&s, 1)});
    go_on(&t, NULL);
    OK(cr_graph_add_output(t.body, lists_node(t.body, "Add", "sum", 2, (cr_value *[]){t.carried, row})));
    small_output(&s, t.out);
    crease_model *model = lists_publish(&s);
    crease_node_info node = {.struct_size = sizeof node};
    bool has_loop = false;
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++)
        has_loop |= strcmp(node.op_type, "Loop") == 0;
    cr_assert(has_loop);
    lists_run(model, true, false, NUMBERS(12, 16, 20, 24, 16, 20, 24, 28, 20, 24, 28, 32));
    crease_model_free(model);
}

/* Bodies in the body are copied with their own constants. */
Test(sequences_bodies, branches_in_a_loop) {
    small s = lists_begin(17);
    cr_value *flag = unknown_flag(&s);
    turns t = loop(&s, lists_at(&s, 2), NULL, empty(&s));
    cr_value *row = lists_node(t.body, "Gather", "row", 2, (cr_value *[]){s.x, t.number});
    cr_value *chosen = lists_node(t.body, "If", "chosen", 1, &flag);
    for (int b = 0; b < 2; b++) {
        cr_graph *branch = body_of(chosen->producer, b ? "then_branch" : "else_branch");
        cr_value *ten;
        cr_tensor *tensor;
        OK(cr_graph_new_constant(branch, "ten", CREASE_DOUBLE, &(cr_shape){0}, &ten, &tensor));
        *(double *)tensor->data = b ? 100 : 10;
        OK(cr_graph_add_output(branch, lists_node(branch, "Add", "more", 2, (cr_value *[]){row, ten})));
    }
    go_on(&t, NULL);
    OK(cr_graph_add_output(
        t.body, lists_node(t.body, "SequenceInsert", "longer", 2, (cr_value *[]){t.carried, chosen})));
    join(&s, t.out, 0);
    lists_give(&s, NUMBERS(10, 11, 12, 13, 14, 15, 16, 17));
}

Test(sequences_bodies, loops_that_are_not_known) {
    small s = lists_begin(17);
    turns t = loop(&s, lists_input(&s, "n", CR_KIND_TENSOR, CREASE_INT64), NULL, empty(&s));
    go_on(&t, NULL);
    append_row(&s, &t);
    join(&s, t.out, 0);
    lists_refuse(&s, "loop", "operator Loop on sequences, as often as only a run decides, is not supported");

    s = lists_begin(17);
    t = loop(&s, lists_at(&s, 3), unknown_flag(&s), empty(&s));
    go_on(&t, NULL);
    append_row(&s, &t);
    join(&s, t.out, 0);
    lists_refuse(&s, "loop", "operator Loop on sequences, as often as only a run decides, is not supported");

    s = lists_begin(17);
    cr_value *flag = unknown_flag(&s);
    t = loop(&s, lists_at(&s, 3), NULL, empty(&s));
    go_on(&t, flag);
    append_row(&s, &t);
    join(&s, t.out, 0);
    lists_refuse(&s, "loop",
                 "operator Loop on sequences, with a condition that only a run decides, is not supported");

    s = lists_begin(17);
    t = loop(&s, lists_at(&s, 3), NULL, lists_input(&s, "list", CR_KIND_SEQUENCE, 0));
    go_on(&t, NULL);
    append_row(&s, &t);
    join(&s, t.out, 0);
    lists_refuse(&s, "loop", "operator Loop on 'list', an input of the model, is not supported");
}

Test(sequences_bodies, loops_that_run_too_often) {
    small s = lists_begin(17);
    turns t = loop(&s, NULL, NULL, empty(&s));
    go_on(&t, NULL);
    cr_value *in[2] = {t.carried, s.x};
    OK(cr_graph_add_output(t.body, lists_node(t.body, "SequenceInsert", "longer", 2, in)));
    join(&s, t.out, 0);
    crease_model *model = lists_publish(&s);
    crease_problem problem = {.struct_size = sizeof problem};
    cr_assert(crease_model_problem_at(model, 0, &problem));
    cr_assert_str_eq(problem.op_type, "Loop");
    cr_assert_str_eq(problem.reason,
                     "operator Loop on sequences, in a model whose bodies take more than 65536 "
                     "nodes, is not supported");
    cr_assert_eq(crease_model_n_nodes(model), 3, "what was written out is gone");
    crease_model_free(model);
}

Test(sequences_bodies, results_of_no_run) {
    small s = lists_begin(17);
    cr_value *stack;
    turns t = loop(&s, lists_at(&s, 0), NULL, empty(&s));
    go_on(&t, NULL);
    append_row(&s, &t);
    OK(cr_graph_add_output(t.body, lists_node(t.body, "Neg", "own", 1, &s.x)));
    OK(cr_graph_add_value(s.model->graph, "stack", true, &stack));
    OK(cr_node_add_output(small_find(&s, "loop"), stack));
    small_output(&s, stack);
    small_output(&s, small_node(&s, "SequenceLength", "n", IN(t.out)));
    lists_refuse(&s, "loop", "operator Loop on sequences, with results of no run, is not supported");
}

/* ---- SequenceMap ---- */

/* Pairs of elements of two lists, or of a list and a tensor, go through a body that gives two lists. */
static void map(small *s, cr_value *other) {
    cr_value *sums = small_node(s, "SequenceMap", "map", IN(rows(s), other)), *shapes;
    OK(cr_graph_add_value(s->model->graph, "shapes", true, &shapes));
    OK(cr_node_add_output(small_find(s, "map"), shapes));
    cr_graph *body = body_of(small_find(s, "map"), "body");
    cr_value *a = lists_body_input(body, "a", CREASE_DOUBLE), *b = lists_body_input(body, "b", CREASE_DOUBLE);
    OK(cr_graph_add_output(body, lists_node(body, "Add", "sum", 2, (cr_value *[]){a, b})));
    OK(cr_graph_add_output(body, lists_node(body, "Shape", "shape", 1, &b)));
    join(s, sums, 0);
    small_output(s, small_node(s, "SequenceAt", "at", IN(shapes, lists_at(s, -1))));
}

Test(sequences_bodies, map_over_lists_and_tensors) {
    small s = lists_begin(17);
    map(&s, small_node(&s, "SplitToSequence", "others", IN(small_node(&s, "Neg", "neg", IN(s.x)))));
    lists_give(&s, NUMBERS(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4));
    s = lists_begin(17);
    cr_value *one;
    cr_tensor *t;
    OK(cr_graph_new_constant(s.model->graph, "one", CREASE_DOUBLE, &(cr_shape){1, {1}}, &one, &t));
    *(double *)t->data = 1;
    map(&s, one);
    lists_give(&s, NUMBERS(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1));
}

Test(sequences_bodies, map_over_what_does_not_fit) {
    small s = lists_begin(17);
    map(&s, small_node(&s, "SequenceConstruct", "one", IN(s.x)));
    lists_fail(&s, "node 'map' (SequenceMap): impossible on sequences of 3 and 1 elements");
    s = lists_begin(17);
    map(&s, lists_input(&s, "list", CR_KIND_SEQUENCE, 0));
    lists_refuse(&s, "map", "operator SequenceMap on 'list', an input of the model, is not supported");
    s = lists_begin(17);
    map(&s, s.x);
    OK(cr_node_keep_inputs(small_find(&s, "map"), 1));
    lists_fail(&s, "node 'map' (SequenceMap): impossible with a body of other inputs or outputs");
}

/* ---- memory that ends ---- */

static long allocations_left = -1;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    void *block = NULL;
    (void)user;
    if (allocations_left == 0)
        return NULL;
    allocations_left -= allocations_left > 0;
    return posix_memalign(&block, alignment < sizeof block ? sizeof block : alignment, bytes ? bytes : 1)
               ? NULL
               : block;
}

static void release(void *user, void *memory) {
    (void)user;
    free(memory);
}

/* A loop that fills a list, in memory that ends at the n-th call of the pass. */
static crease_status resolve_with(long n) {
    const crease_allocator allocator = {.allocate = allocate, .release = release};
    small s = {.seed = 7};
    allocations_left = -1;
    OK(cr_heap_create(&allocator, 0, &s.heap));
    OK(cr_model_create(s.heap, &s.model));
    OK(cr_model_set_opset(s.model, "", 17));
    OK(cr_graph_add_value(s.model->graph, "x", true, &s.x));
    s.x->dtype = CREASE_DOUBLE;
    s.x->shape = cr_shape_of(DIMS(3, 4));
    OK(cr_graph_add_input(s.model->graph, s.x));
    turns t = loop(&s, lists_at(&s, 70), NULL, rows(&s));
    go_on(&t, NULL);
    append_row(&s, &t);
    join(&s, t.out, 0);
    OK(cr_model_resolve(s.model));
    allocations_left = n;
    const crease_status status = cr_pass_resolve_sequences(s.model);
    allocations_left = -1;
    cr_model_destroy(s.model);
    cr_assert_eq(cr_heap_used(s.heap), 0);
    cr_heap_release(s.heap);
    return status;
}

Test(sequences_bodies, every_allocation_may_fail) {
    long n = 0;
    while (resolve_with(n) == CREASE_ERROR_MEMORY)
        n++;
    cr_assert_gt(n, 10);
    cr_assert_neq(resolve_with(n), CREASE_ERROR_MEMORY);
}
