#ifndef CREASE_PASSES_LOWER_H
#define CREASE_PASSES_LOWER_H

#include "runtime/graph/graph.h"

/* The rewrites for running only: they may use operators of the domain "crease", so the result is never saved.
 */
typedef struct cr_lower_settings {
    bool keep_all;     /* every tensor must stay visible: no fusing */
    bool plain_layout; /* no channel-blocked layout */
} cr_lower_settings;

crease_status cr_lower(cr_model *model, const cr_lower_settings *settings) CREASE_MUST_TEST;

#endif
