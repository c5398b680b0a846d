#include "criterion.h"

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

/* How the fork of a test ends. Not 0 and 1, with which a test that calls exit would end. */
enum { PASSED = 40, SKIPPED, FAILED };

static harness_test *tests;

void harness_add(harness_test *test) {
    harness_test **end = &tests;
    while (*end)
        end = &(*end)->next;
    *end = test;
}

_Noreturn static void leave(int how) {
    fflush(NULL);
    _exit(how);
}

void harness_fail(const char *file, int line, const char *condition, const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("%s:%d: not so: %s:", file, line, condition);
    vprintf(format, args);
    puts("");
    leave(FAILED);
}

void harness_skip(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("skipped:");
    vprintf(format, args);
    puts("");
    leave(SKIPPED);
}

static void call(void (*function)(void)) {
    if (function)
        function();
}

_Noreturn static void run(const harness_test *test) {
    static const harness_test bare;
    const harness_test *suite = tests;
    while (suite && (suite->name || strcmp(suite->suite, test->suite) != 0))
        suite = suite->next;
    if (!suite)
        suite = &bare;
    alarm((unsigned)test->timeout);
    call(suite->init);
    call(test->init);
    test->run();
    call(test->fini);
    call(suite->fini);
    leave(PASSED);
}

/* PASSED, SKIPPED or FAILED. */
static int result_of(const harness_test *test) {
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run(test);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return FAILED;
    if (WIFSIGNALED(status))
        printf("signal %d\n", WTERMSIG(status));
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
    return code == PASSED || code == SKIPPED ? code : FAILED;
}

int main(void) {
    int n[FAILED + 1] = {0};
    for (const harness_test *test = tests; test; test = test->next) {
        if (!test->name)
            continue;
        const int result = result_of(test);
        n[result]++;
        if (result != PASSED)
            printf("%s %s/%s\n", result == SKIPPED ? "SKIPPED" : "FAILED", test->suite, test->name);
    }
    printf("%d passed, %d skipped, %d failed\n", n[PASSED], n[SKIPPED], n[FAILED]);
    return n[FAILED] > 0 || n[PASSED] + n[SKIPPED] == 0;
}
