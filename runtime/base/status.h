#ifndef CREASE_RUNTIME_BASE_STATUS_H
#define CREASE_RUNTIME_BASE_STATUS_H

#include "include/crease/crease.h"

/* Record the sentence behind crease_error_message() for this thread and return `status`. Control characters
 * in the result are escaped, since names come from model files. Thread-safe. */
crease_status cr_fail(crease_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

#define CR_TRY(call)                                                                                         \
    do {                                                                                                     \
        crease_status cr_try_status = (call);                                                                \
        if (cr_try_status != CREASE_OK)                                                                      \
            return cr_try_status;                                                                            \
    } while (0)

#endif
