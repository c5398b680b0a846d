#ifndef CREASE_MODELS_DEMO_H
#define CREASE_MODELS_DEMO_H

#include "include/crease/crease.h"

/* Standard image networks as an exporter writes them in training mode: every BatchNormalization unfolded,
 * weights from a seeded generator scaled so that activations stay sane at any depth. Input "input" is float32
 * [1, 3, S, S], output "output" class scores (unet: a score map). The same name and seed give the same model.
 * On success the caller owns *model. Fails with ARGUMENT for an unknown name, MEMORY. Thread-safe. */
CREASE_MUST_TEST crease_status crease_demo_model(const char *name, uint64_t seed, crease_model **model);

/* The names, ended by NULL. */
const char *const *crease_demo_names(void);

#endif
