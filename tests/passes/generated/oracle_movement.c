#include "tests/passes/generated/oracle.h"
#include "tests/passes/generated/network.h"

/* Identity, Dropout, Cast, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, DepthToSpace, SpaceToDepth, Pad,
 * Concat. */

static bool is(const operands *p, const char *op) {
    return cr_node_is(p->node, op);
}

/* ---- the flat order stays ---- */

static int reshape_dims(const operands *p, int64_t *dims) {
    int64_t known = 1;
    int n = oracle_ints(p, "shape", 1, dims), open = -1;
    for (int d = 0; d < n; d++) {
        dims[d] = dims[d] == 0 ? p->in[0]->dims[d] : dims[d];
        if (dims[d] < 0)
            open = d;
        else
            known *= dims[d];
    }
    if (open >= 0)
        dims[open] = p->in[0]->n / known;
    return n;
}

static int flatten_dims(const operands *p, int64_t *dims) {
    int64_t axis = oracle_int(p->node, "axis", 1);
    dims[0] = dims[1] = 1;
    for (int d = 0; d < p->in[0]->rank; d++)
        dims[d >= axis] *= p->in[0]->dims[d];
    return 2;
}

/* Squeeze and Unsqueeze by a set of axes, bit d for axis d of the longer shape. */
static int squeeze_dims(const operands *p, int64_t *dims) {
    int64_t axes[ORACLE_MAX_RANK];
    int n = oracle_ints(p, "axes", 1, axes), rank = 0, from = 0;
    bool longer = is(p, "Unsqueeze");
    int long_rank = p->in[0]->rank + (longer ? n : 0);
    for (int d = 0; d < long_rank; d++) {
        bool named = false;
        for (int i = 0; i < n; i++)
            named |= axes[i] == d || axes[i] + long_rank == d;
        if (longer)
            dims[rank++] = named ? 1 : p->in[0]->dims[from++];
        else if (!named)
            dims[rank++] = p->in[0]->dims[d];
    }
    return rank;
}

static bool flat(operands *p) {
    int64_t dims[ORACLE_MAX_RANK];
    int rank = p->in[0]->rank;
    for (int d = 0; d < rank; d++)
        dims[d] = p->in[0]->dims[d];
    if (is(p, "Reshape"))
        rank = reshape_dims(p, dims);
    else if (is(p, "Flatten"))
        rank = flatten_dims(p, dims);
    else if (is(p, "Squeeze") || is(p, "Unsqueeze"))
        rank = squeeze_dims(p, dims);
    else if (!is(p, "Identity") && !is(p, "Dropout") && !is(p, "Cast"))
        return false;
    *p->out = oracle_new(p->oracle, rank, dims);
    for (int64_t i = 0; i < p->out->n; i++)
        oracle_move(p->out, i, p->in[0], i);
    return true;
}

/* ---- other orders ---- */

static void transpose(operands *p) {
    const tracked *x = p->in[0];
    int64_t perm[ORACLE_MAX_RANK], dims[ORACLE_MAX_RANK], at[ORACLE_MAX_RANK] = {0}, i = 0;
    if (oracle_ints(p, "perm", 0, perm) == 0)
        for (int d = 0; d < x->rank; d++)
            perm[d] = x->rank - 1 - d;
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[perm[d]];
    *p->out = oracle_new(p->oracle, x->rank, dims);
    do {
        int64_t from[ORACLE_MAX_RANK];
        for (int d = 0; d < x->rank; d++)
            from[perm[d]] = at[d];
        oracle_move(p->out, i++, x, oracle_at(x->rank, x->dims, from));
    } while (oracle_next(x->rank, dims, at));
}

/* Channel of the deep side where position (y, x) of block (by, bx) of shallow channel c stands. */
static int64_t deep_channel(const operands *p, int64_t c, int64_t by, int64_t bx, int64_t b,
                            int64_t shallow) {
    bool crd = is(p, "DepthToSpace") && oracle_text_is(p->node, "mode", "DCR", "CRD");
    return crd ? (c * b + by) * b + bx : (by * b + bx) * shallow + c;
}

static void depth(operands *p) {
    const tracked *x = p->in[0];
    bool to_space = is(p, "DepthToSpace");
    int64_t b = oracle_int(p->node, "blocksize", 1), at[4] = {0};
    int64_t deep[4] = {x->dims[0], x->dims[1], x->dims[2], x->dims[3]}, shallow[4] = {x->dims[0]};
    if (!to_space)
        deep[1] *= b * b, deep[2] /= b, deep[3] /= b;
    shallow[1] = deep[1] / (b * b), shallow[2] = deep[2] * b, shallow[3] = deep[3] * b;
    *p->out = oracle_new(p->oracle, 4, to_space ? shallow : deep);
    do {
        int64_t other[4] = {at[0], deep_channel(p, at[1], at[2] % b, at[3] % b, b, shallow[1]), at[2] / b,
                            at[3] / b};
        int64_t i = oracle_at(4, shallow, at), j = oracle_at(4, deep, other);
        oracle_move(p->out, to_space ? i : j, x, to_space ? j : i);
    } while (oracle_next(4, shallow, at));
}

/* Position in [0, n) that a position outside stands for; -1: the constant. */
static int64_t inside(const operands *p, int64_t at, int64_t n) {
    if (at >= 0 && at < n)
        return at;
    if (oracle_text_is(p->node, "mode", "constant", "constant"))
        return -1;
    if (oracle_text_is(p->node, "mode", "constant", "edge"))
        return at < 0 ? 0 : n - 1;
    return at < 0 ? -at : 2 * n - 2 - at; /* reflect, by less than n */
}

static void pad(operands *p) {
    const tracked *x = p->in[0], *v = p->in[2];
    int64_t pads[2 * ORACLE_MAX_RANK], dims[ORACLE_MAX_RANK], at[ORACLE_MAX_RANK] = {0}, i = 0;
    oracle_ints(p, "pads", 1, pads);
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[d] + pads[d] + pads[x->rank + d];
    *p->out = oracle_new(p->oracle, x->rank, dims);
    do {
        int64_t from[ORACLE_MAX_RANK];
        bool fill = false;
        for (int d = 0; d < x->rank; d++)
            fill |= (from[d] = inside(p, at[d] - pads[d], x->dims[d])) < 0;
        if (!fill)
            oracle_move(p->out, i, x, oracle_at(x->rank, x->dims, from));
        else if (v)
            oracle_move(p->out, i, v, 0);
        else
            p->out->value[i] = oracle_float(p->node, "value", 0);
        i++;
    } while (oracle_next(x->rank, dims, at));
}

static void concat(operands *p) {
    const tracked *x = p->in[0];
    int64_t axis = oracle_int(p->node, "axis", 1), dims[ORACLE_MAX_RANK], before = 0;
    axis += axis < 0 ? x->rank : 0;
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[d];
    for (int j = 1; j < p->node->n_inputs; j++)
        dims[axis] += p->in[j]->dims[axis];
    *p->out = oracle_new(p->oracle, x->rank, dims);
    for (int j = 0; j < p->node->n_inputs; before += p->in[j++]->dims[axis]) {
        int64_t at[ORACLE_MAX_RANK] = {0}, i = 0;
        do {
            int64_t to[ORACLE_MAX_RANK];
            for (int d = 0; d < x->rank; d++)
                to[d] = at[d] + (d == axis ? before : 0);
            oracle_move(p->out, oracle_at(x->rank, dims, to), p->in[j], i++);
        } while (oracle_next(x->rank, p->in[j]->dims, at));
    }
}

bool oracle_movement(operands *p) {
    if (is(p, "Transpose"))
        transpose(p);
    else if (is(p, "DepthToSpace") || is(p, "SpaceToDepth"))
        depth(p);
    else if (is(p, "Pad"))
        pad(p);
    else if (is(p, "Concat"))
        concat(p);
    else
        return flat(p);
    return true;
}
