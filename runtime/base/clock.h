#ifndef CREASE_RUNTIME_BASE_CLOCK_H
#define CREASE_RUNTIME_BASE_CLOCK_H

double cr_clock_seconds(void); /* monotonic */

#endif
