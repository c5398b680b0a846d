#ifndef CREASE_CLI_BATCHES_H
#define CREASE_CLI_BATCHES_H

#include "cli/inputs.h"

/* Data for many runs, one batch after the other: the samples of all --input, in order, along the first axis.
 * Only what a batch needs is in memory. */
typedef struct batch_source {
    const crease_model *model;
    const input_options *options;
    char **specs; /* [n_specs] with folders of samples replaced by their files */
    size_t n_specs, capacity, next;
    input_set current; /* of one round of specs */
    int64_t taken;     /* samples of it that are used up */
} batch_source;

/* Returns an exit code; close it in any case. */
int batches_open(const crease_model *model, const input_options *options, batch_source *source);
void batches_close(batch_source *source);

/* The next batch of at most `size` samples, an input each; *n is how many it has, 0 at the end. Release *out
 * with inputs_free(), also after a failure. */
int batches_next(batch_source *source, int64_t size, input_set *out, int64_t *n);

#endif
