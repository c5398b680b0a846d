#include "cli/interrupt.h"
#include "cli/file.h"
#include "cli/message.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic(crease_session *) running;

static void end_now(int number) {
    static const char line[] = "crease: interrupted\n";
    file_discard();
    if (number == SIGINT) {
        ssize_t n = write(STDERR_FILENO, line, sizeof line - 1);
        (void)n;
        _exit(CLI_INTERRUPTED);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void handle(int number) {
    crease_session *session = number == SIGINT ? atomic_exchange(&running, NULL) : NULL;
    if (session)
        crease_session_cancel(session);
    else
        end_now(number);
}

static void fill(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

void interrupt_install(void) {
    struct sigaction action = {.sa_handler = handle}, old;
    fill(&action.sa_mask);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        /* a signal that the parent had ignored (nohup) stays ignored */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is a failed write like others, and temporaries go */
}

crease_status interrupt_run(crease_session *session) {
    atomic_store(&running, session);
    crease_status status = crease_session_run(session);
    atomic_store(&running, NULL);
    return status;
}

void interrupt_hold(void) {
    sigset_t set;
    fill(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void interrupt_release(void) {
    sigset_t set;
    fill(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
