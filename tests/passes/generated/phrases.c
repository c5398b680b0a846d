#include "tests/passes/generated/network.h"

/* Affines and linear operators, in either order, with passages between them. */

/* BatchNormalization, or arithmetic with one value or with one for each of several channels. */
static affine any_affine(network *n, bool negative, bool shifts) {
    int rank = n->end->shape.rank, axis = net_pick(n, 0, 4) ? 1 : net_pick(n, -1, rank - 1);
    if (rank >= 2 && net_chance(n, 60))
        return net_affine_bn(n, negative, shifts);
    if (axis >= rank || (axis >= 0 && net_dim(n->end, axis) == 1))
        axis = -1;
    return net_affine_arithmetic(n, axis, negative, shifts);
}

/* More affines on the axis of the first; what they may be at most is said of all. */
static int extend(network *n, affine *chain, bool negative, bool shifts) {
    int count = 1;
    for (; count < 4 && net_chance(n, 40); count++) {
        int axis = net_chance(n, 30) ? -1 : chain[0].axis;
        chain[count] = axis == 1 && net_chance(n, 40) ? net_affine_bn(n, negative, shifts)
                                                      : net_affine_arithmetic(n, axis, negative, shifts);
        chain[count].axis = chain[0].axis; /* they move as one */
    }
    return count;
}

static void walk(network *n, route *r) {
    for (int steps = net_pick(n, -2, 3); steps > 0; steps--)
        route_step(r, n);
}

void phrase_behind(network *n) {
    linear l = net_linear(n);
    affine chain[4];
    route r;
    route_begin(&r, n, l.out_axis);
    walk(n, &r);
    bool negative = net_chance(n, 60), shifts = net_chance(n, 70);
    int count = 1;
    chain[0] = any_affine(n, negative, shifts);
    net_settle(n);
    meeting m = {&r, &l, route_gathers(&r, chain[0].axis), true};
    if (!net_reasons(n, &m, negative, shifts)[0] && !net_is_exotic(&m, &chain[0]) && chain[0].axis >= 0)
        count = extend(n, chain, negative, shifts);
    for (int i = 0; i < count; i++)
        net_expect_meeting(n, &m, &chain[i], net_reasons(n, &m, chain[0].negative, chain[0].shifts));
    route_end(&r);
    net_barrier(n);
}

/* Of a chain that cannot go ahead as a whole, parts may go into one another. */
void phrase_ahead(network *n) {
    affine chain[4];
    route r;
    bool negative = net_chance(n, 60), shifts = net_chance(n, 70), any_negative = false, any_shift = false;
    chain[0] = any_affine(n, negative, shifts);
    int count = chain[0].axis >= 0 && net_chance(n, 50) ? extend(n, chain, negative, shifts) : 1;
    net_settle(n);
    route_begin(&r, n, chain[0].axis);
    walk(n, &r);
    linear l = net_linear(n);
    meeting m = {&r, &l, route_spreads(&r, chain[0].axis < 0 ? -1 : l.in_axis), false};
    for (int i = 0; i < count; i++) {
        any_negative |= chain[i].negative;
        any_shift |= chain[i].shifts;
    }
    const char *reasons = net_reasons(n, &m, any_negative, any_shift);
    for (int i = 0; i < count; i++)
        if (reasons[0] && count > 1)
            net_expect(n, chain[i].name, "*");
        else
            net_expect_meeting(n, &m, &chain[i], reasons);
    route_end(&r);
    net_barrier(n);
}
