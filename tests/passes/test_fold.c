#include "tests/passes/small.h"

/* The search for a place, whatever the operators: its limits, names that choose, what nodes say afterwards.
 */

static cr_value *conv(small *s, const char *name) {
    return small_node(s, "Conv", name, IN(s->x, small_constant(s, "w", -1, 1, DIMS(3, 3, 1, 1))));
}

/* ---- limits of the search ---- */

Test(fold, a_long_chain_is_folded_in_parts) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "add%d", i);
        y = small_node(&s, "Add", name, IN(y, small_constant(&s, "c", -1, 1, DIMS(3, 1, 1))));
    }
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_expect(&s, "bn", "conv-bn");
}

Test(fold, a_path_without_end_is_given_up) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    for (int i = 0; i < 80; i++) {
        char name[16];
        snprintf(name, sizeof name, "turn%d", i);
        y = small_node(&s, "Transpose", name, IN(y));
        OK(cr_node_set_ints(small_find(&s, name), "perm", (int64_t[]){0, 1, 3, 2}, 4));
    }
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_expect(&s, "bn", "no-linear-neighbour");
}

/* ---- names and notes ---- */

Test(fold, only_the_named_are_folded) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    for (int i = 0; i < 2; i++) {
        cr_value *y = small_node(&s, "Conv", i ? "conv1" : "conv0",
                                 IN(s.x, small_constant(&s, "w", -1, 1, DIMS(3, 3, 1, 1))));
        small_output(&s, small_bn(&s, i ? "right" : "left", y, 3));
    }
    small_fold_with(&s, &(cr_fold_settings){.only = "l*"});
    cr_assert(small_entry(&s, "left").folded);
    cr_assert_str_eq(small_entry(&s, "right").reason, "keep");
    small_end(&s);
}

/* A chain ends where a name says so: what is left behind it stays. */
Test(fold, a_chain_stops_at_a_kept_name) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    y = small_bn(&s, "bn", y, 3);
    small_output(&s, small_node(&s, "Mul", "scale", IN(y, small_constant(&s, "c", 1, 2, DIMS(3, 1, 1)))));
    small_fold_with(&s, &(cr_fold_settings){.keep = "scale"});
    cr_assert(small_entry(&s, "bn").folded);
    cr_assert_eq(small_count(&s, "Mul"), 1);
    small_end(&s);
}

Test(fold, what_a_node_says_already_is_kept) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    OK(cr_node_set_doc(small_find(&s, "conv"), "first layer"));
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_fold_with(&s, NULL);
    cr_assert_eq(strncmp(small_find(&s, "conv")->doc, "first layer\n", 12), 0);
    cr_assert(strstr(small_find(&s, "conv")->doc, "'bn'"));
    cr_assert_str_eq(small_entry(&s, "bn").into, "conv");
    small_end(&s);
}

Test(fold, two_new_constants_are_one_note) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    small_output(&s, small_bn(&s, "bn", conv(&s, "conv"), 3));
    small_fold_with(&s, NULL);
    const char *doc = small_find(&s, "conv")->doc;
    cr_assert_not(strchr(doc, '\n'), "%s", doc);
    small_end(&s);
}

/* What keeps it from a linear operator tells more than the activation on its other side. */
Test(fold, the_reason_is_that_of_the_linear_operator) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    small_output(&s, y);
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", y, 3))));
    small_expect(&s, "bn", "graph-output");
    s = small_begin(13, DIMS(1, 3, 2, 2));
    y = conv(&s, "conv");
    small_output(&s, small_node(&s, "Sigmoid", "other", IN(y)));
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", y, 3))));
    small_expect(&s, "bn", "several-consumers");
}
