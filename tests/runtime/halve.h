#ifndef CREASE_TESTS_RUNTIME_HALVE_H
#define CREASE_TESTS_RUNTIME_HALVE_H

#include "runtime/base/float_mode.h"

/* A task (cr_task) that shows the floating-point mode of its thread: of float context[], half the smallest
 * normal number goes to element `thread`. It is 0 where subnormal numbers are. */
static inline void halve(void *context, int64_t begin, int64_t end, int thread) {
    static volatile float smallest = 0x1p-126f;
    (void)begin, (void)end;
    ((float *)context)[thread] = smallest * 0.5f;
}

#endif
