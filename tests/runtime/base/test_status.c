#include "runtime/base/status.h"

#include <criterion/criterion.h>
#undef cr_fail /* Criterion has a macro of this name, too */
#include <pthread.h>
#include <string.h>

Test(status, every_status_has_a_name) {
    for (int s = CREASE_OK; s <= CREASE_ERROR_CANCELLED; s++)
        cr_assert_eq(strncmp(crease_status_name((crease_status)s), "CREASE_", 7), 0);
    cr_assert_str_eq(crease_status_name((crease_status)99), "unknown status");
    cr_assert_str_eq(crease_status_name((crease_status)-1), "unknown status");
}

Test(status, control_characters_are_escaped) {
    cr_assert_eq(cr_fail(CREASE_ERROR_MODEL, "name '%s'", "a\n\033[31m\x7f"), CREASE_ERROR_MODEL);
    cr_assert_str_eq(crease_error_message(), "name 'a\\x0a\\x1b[31m\\x7f'");
}

Test(status, long_sentences_are_cut) {
    char name[5000];
    memset(name, '\n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    crease_status status = cr_fail(CREASE_ERROR_FILE, "%s", name);
    cr_assert_eq(status, CREASE_ERROR_FILE);
    cr_assert_leq(strlen(crease_error_message()), 511);
    cr_assert_gt(strlen(crease_error_message()), 500);
}

static void *fail_elsewhere(void *argument) {
    (void)argument;
    cr_assert_str_empty(crease_error_message());
    crease_status status = cr_fail(CREASE_ERROR_RUN, "elsewhere");
    cr_assert_eq(status, CREASE_ERROR_RUN);
    return NULL;
}

Test(status, each_thread_has_its_own_sentence) {
    pthread_t thread;
    crease_status status = cr_fail(CREASE_ERROR_MODEL, "here");
    cr_assert_eq(status, CREASE_ERROR_MODEL);
    cr_assert_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_str_eq(crease_error_message(), "here");
}
