#include "runtime/graph/names.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdio.h>

enum { N = 5000 };

Test(names, are_found_after_the_table_has_grown) {
    static char text[N][16];
    cr_heap *heap;
    cr_names *names;
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    cr_assert_eq(cr_names_create(heap, &names), CREASE_OK);
    cr_assert_not(cr_names_has(names, ""));
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "%d", i);
        cr_assert_not(cr_names_has(names, text[i]));
        cr_assert_eq(cr_names_add(names, text[i]), CREASE_OK);
        cr_assert_eq(cr_names_add(names, text[i]), CREASE_OK); /* twice is fine */
    }
    for (int i = 0; i < N; i++)
        cr_assert(cr_names_has(names, text[i]));
    cr_assert_not(cr_names_has(names, "5000"));
    cr_names_destroy(names);
    cr_names_destroy(NULL);
    cr_assert_eq(cr_heap_used(heap), 0);
    cr_heap_release(heap);
}

Test(names, hashes_differ) {
    cr_assert_neq(cr_name_hash("a"), cr_name_hash("b"));
    cr_assert_neq(cr_name_hash(""), cr_name_hash("a"));
    cr_assert_eq(cr_name_hash("conv1"), cr_name_hash("conv1"));
}
