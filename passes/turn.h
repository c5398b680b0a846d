#ifndef CREASE_PASSES_TURN_H
#define CREASE_PASSES_TURN_H

#include "runtime/graph/graph.h"

/* A turned tensor is one that a Transpose makes of another, the straight one: its axis i is that one's axis
 * axis[i]. */
typedef struct cr_turn {
    int rank;
    int axis[CR_MAX_RANK];
} cr_turn;

/* How an operator on turned data becomes the same operator on straight data. */
typedef struct cr_turn_rule {
    const char *op_type;
    bool broadcasts; /* all inputs are data, and constants may be among them; otherwise input 0 is */
    /* Whether it can, and how the outputs are turned then: as `turn`, unless it says otherwise. */
    crease_status (*check)(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can);
    /* Change attributes and lists. Inputs that are data are the caller's business. */
    crease_status (*change)(cr_node *node, const cr_turn *turn);
} cr_turn_rule;

/* NULL: there is none. */
const cr_turn_rule *cr_turn_rule_of(const cr_node *node);

#endif
