#include "runtime/kernels/resize.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Element-wise operators of two or more inputs with ONNX broadcasting (Add, Sub, Mul, Div, Pow, Max, Min,
 * Sum, Mean, PRelu, Mod, the bitwise ones, comparisons and logic), and Where. */
enum {
    ADD,
    SUB,
    MUL,
    DIV,
    POW,
    MAX,
    MIN,
    SUM,
    MEAN,
    PRELU,
    MOD,  /* sign of the divisor, as Python's % */
    FMOD, /* sign of the dividend, as C's fmod */
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    SHIFT_LEFT,
    SHIFT_RIGHT,
    FIRST_LOGIC, /* from here on the result is bool */
    EQUAL = FIRST_LOGIC,
    GREATER,
    LESS,
    GREATER_EQUAL,
    LESS_EQUAL,
    AND,
    OR,
    XOR
};

typedef void row_function(int op, const void *a, int64_t sa, const void *b, int64_t sb, void *y, int64_t n);

typedef struct pair_job {
    int op;
    row_function *row;
    const cr_tensor *a, *b;
    cr_tensor *y;
    int rank; /* of the axes that are left when those that go on alike are one; at least 1 */
    int64_t dims[CR_MAX_RANK];
    int64_t stride_a[CR_MAX_RANK], stride_b[CR_MAX_RANK]; /* elements; 0 where an extent of 1 repeats */
    int64_t period; /* unless 0, along the last axis one operand is so many elements again and again */
    bool a_repeats; /* that is a, else b */
} pair_job;

/* Until opset 6, b is aligned with a from `axis` on when broadcast = 1, a list of slopes with channels. */
static crease_status align(const cr_node *node, const cr_shape *a, cr_shape *b) {
    int64_t broadcast = b->rank == 1, axis = 1; /* of slopes */
    if (!node->op->until || a->rank < 0 || b->rank < 0)
        return CREASE_OK;
    if (node->op->variant != PRELU) {
        CR_TRY(cr_attr_int(node, "broadcast", 0, &broadcast));
        CR_TRY(cr_attr_int(node, "axis", a->rank - b->rank, &axis));
    }
    axis += axis < 0 ? a->rank : 0;
    if (!broadcast || axis < 0 || axis > a->rank - b->rank)
        return CREASE_OK;
    while (b->rank < a->rank - axis)
        b->dims[b->rank++] = 1;
    return CREASE_OK;
}

static crease_status binary_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    if (infer->op->variant <= POW || infer->op->variant >= PRELU) {
        if (infer->n_in > 2)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%d inputs, expected 2", infer->n_in);
        CR_TRY(cr_infer_need(infer, 1));
    }
    if (infer->op->variant != POW)
        for (int i = 1; i < infer->n_in; i++)
            CR_TRY(cr_infer_same_type(infer, 0, i));
    for (int i = 1; i < infer->n_in; i++) {
        CR_TRY(cr_infer_need(infer, i));
        cr_shape b = infer->in[i]->shape;
        CR_TRY(align(infer->node, &infer->in[0]->shape, &b));
        CR_TRY(cr_node_broadcast(infer->node, &infer->out[0].shape, &b, &infer->out[0].shape));
    }
    if (infer->op->variant >= FIRST_LOGIC)
        infer->out[0].dtype = CREASE_BOOL;
    return CREASE_OK;
}

static void strides_of(const cr_shape *part, const cr_shape *whole, int64_t *strides) {
    int64_t stride = 1;
    for (int d = 1; d <= whole->rank; d++) {
        int64_t extent = d <= part->rank ? part->dims[part->rank - d] : 1;
        strides[whole->rank - d] = extent == 1 ? 0 : stride;
        stride *= extent;
    }
}

#define POSITION(expression)                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        const __typeof__(*y) u = a[i * sa], v = b[i * sb];                                                   \
        y[i] = (expression);                                                                                 \
    }                                                                                                        \
    break

/* Three strides cover what networks do (both run, one repeats); naming them lets the compiler vectorise each.
 */
#define DEFINE_ROW(T, W, name, div, power, max_of, min_of, ...)                                              \
    static inline __attribute__((always_inline)) void name##_strided(                                        \
        int op, const T *a, int64_t sa, const T *b, int64_t sb, T *y, int64_t n) {                           \
        switch (op) {                                                                                        \
        case ADD:                                                                                            \
        case SUM:                                                                                            \
        case MEAN:                                                                                           \
            POSITION((T)((W)u + (W)v));                                                                      \
        case SUB:                                                                                            \
            POSITION((T)((W)u - (W)v));                                                                      \
        case MUL:                                                                                            \
            POSITION((T)((W)u * (W)v));                                                                      \
        case DIV:                                                                                            \
            POSITION(div);                                                                                   \
        case POW:                                                                                            \
            POSITION(power);                                                                                 \
        case MAX:                                                                                            \
            POSITION(max_of);                                                                                \
        case MIN:                                                                                            \
            POSITION(min_of);                                                                                \
        default:                                                                                             \
            POSITION(u < 0 ? (T)((W)u * (W)v) : u);                                                          \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }                                                                                                        \
    static void name(int op, const void *a, int64_t sa, const void *b, int64_t sb, void *y, int64_t n) {     \
        if (sa == 1 && sb == 1)                                                                              \
            name##_strided(op, a, 1, b, 1, y, n);                                                            \
        else if (sa == 1 && sb == 0)                                                                         \
            name##_strided(op, a, 1, b, 0, y, n);                                                            \
        else                                                                                                 \
            name##_strided(op, a, sa, b, sb, y, n);                                                          \
    }

static double modulo(double u, double v) {
    double rest = fmod(u, v);
    return rest != 0 && (rest < 0) != (v < 0) ? rest + v : rest;
}

#define FLOAT_MORE                                                                                           \
    case MOD:                                                                                                \
        POSITION((__typeof__(*y))modulo((double)u, (double)v));                                              \
    case FMOD:                                                                                               \
        POSITION((__typeof__(*y))fmod((double)u, (double)v));

/* The remainder by 0 and by -1 (which may overflow) is 0. Shifts by the width or more give 0. */
#define INT_MORE(T)                                                                                          \
    case MOD:                                                                                                \
        POSITION(v == 0 || ((T)-1 < 0 && v == (T)-1)      ? 0                                                \
                 : u % v != 0 && ((u % v < 0) != (v < 0)) ? (T)(u % v + v)                                   \
                                                          : (T)(u % v));                                     \
    case FMOD:                                                                                               \
        POSITION(v == 0 || ((T)-1 < 0 && v == (T)-1) ? 0 : (T)(u % v));                                      \
    case BIT_AND:                                                                                            \
        POSITION((T)(u & v));                                                                                \
    case BIT_OR:                                                                                             \
        POSITION((T)(u | v));                                                                                \
    case BIT_XOR:                                                                                            \
        POSITION((T)(u ^ v));                                                                                \
    case SHIFT_LEFT:                                                                                         \
        POSITION((uint64_t)v < 8 * sizeof u ? (T)((uint64_t)u << v) : 0);                                    \
    case SHIFT_RIGHT:                                                                                        \
        POSITION((uint64_t)v < 8 * sizeof u ? (T)(u >> v) : 0);

/* max and min hand NaN on, as numpy's do */
#define FLOAT_ROW(T, name)                                                                                   \
    DEFINE_ROW(T, T, name, u / v, (T)pow((double)u, (double)v),                                              \
               u != u            ? u                                                                         \
               : v > u || v != v ? v                                                                         \
                                 : u,                                                                        \
               u != u            ? u                                                                         \
               : v < u || v != v ? v                                                                         \
                                 : u,                                                                        \
               FLOAT_MORE)
/* base^exponent modulo 2^64, by squaring; a fraction (exponent < 0) is cut toward zero. */
static uint64_t power_of_int(uint64_t base, int64_t exponent) {
    if (exponent < 0)
        return base == 1 ? 1 : base == UINT64_MAX ? (exponent & 1 ? base : 1) : 0;
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        result *= exponent & 1 ? base : 1;
    return result;
}

/* Integers wrap, so they are computed as uint64. Division by zero must not trap: it gives 0. */
#define INT_ROW(T, name)                                                                                     \
    DEFINE_ROW(T, uint64_t, name,                                                                            \
               v == 0                    ? (T)0                                                              \
               : (T)-1 < 0 && v == (T)-1 ? (T)(0 - (uint64_t)u)                                              \
                                         : (T)(u / v),                                                       \
               (T)power_of_int((uint64_t)u, (int64_t)v), v > u ? v : u, v < u ? v : u, INT_MORE(T))
FLOAT_ROW(float, row_f32)
FLOAT_ROW(double, row_f64)
INT_ROW(int8_t, row_i8)
INT_ROW(int16_t, row_i16)
INT_ROW(int32_t, row_i32)
INT_ROW(int64_t, row_i64)
INT_ROW(uint8_t, row_u8)
INT_ROW(uint16_t, row_u16)
INT_ROW(uint32_t, row_u32)
INT_ROW(uint64_t, row_u64)

/* ---- results of type bool ---- */

#define DECIDE(expression)                                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        const __typeof__(*a) u = a[i * sa], v = b[i * sb];                                                   \
        y[i] = (expression);                                                                                 \
    }                                                                                                        \
    break

#define LOGIC_ROW(T, name)                                                                                   \
    static void name(int op, const void *left, int64_t sa, const void *right, int64_t sb, void *out,         \
                     int64_t n) {                                                                            \
        const T *a = left, *b = right;                                                                       \
        uint8_t *y = out;                                                                                    \
        switch (op) {                                                                                        \
        case EQUAL:                                                                                          \
            DECIDE(u == v);                                                                                  \
        case GREATER:                                                                                        \
            DECIDE(u > v);                                                                                   \
        case LESS:                                                                                           \
            DECIDE(u < v);                                                                                   \
        case GREATER_EQUAL:                                                                                  \
            DECIDE(u >= v);                                                                                  \
        case LESS_EQUAL:                                                                                     \
            DECIDE(u <= v);                                                                                  \
        case AND:                                                                                            \
            DECIDE(u &&v);                                                                                   \
        case OR:                                                                                             \
            DECIDE(u || v);                                                                                  \
        default:                                                                                             \
            DECIDE(!u != !v);                                                                                \
        }                                                                                                    \
    }
LOGIC_ROW(float, logic_f32)
LOGIC_ROW(double, logic_f64)
LOGIC_ROW(int8_t, logic_i8)
LOGIC_ROW(int16_t, logic_i16)
LOGIC_ROW(int32_t, logic_i32)
LOGIC_ROW(int64_t, logic_i64)
LOGIC_ROW(uint8_t, logic_u8)
LOGIC_ROW(uint16_t, logic_u16)
LOGIC_ROW(uint32_t, logic_u32)
LOGIC_ROW(uint64_t, logic_u64)

static row_function *row_for(int op, crease_dtype dtype) {
    static row_function *const rows[][2] = {
        [CREASE_FLOAT] = {row_f32, logic_f32},  [CREASE_DOUBLE] = {row_f64, logic_f64},
        [CREASE_INT8] = {row_i8, logic_i8},     [CREASE_INT16] = {row_i16, logic_i16},
        [CREASE_INT32] = {row_i32, logic_i32},  [CREASE_INT64] = {row_i64, logic_i64},
        [CREASE_UINT8] = {row_u8, logic_u8},    [CREASE_UINT16] = {row_u16, logic_u16},
        [CREASE_UINT32] = {row_u32, logic_u32}, [CREASE_UINT64] = {row_u64, logic_u64},
        [CREASE_BOOL] = {NULL, logic_u8},
    };
    return (size_t)dtype < sizeof rows / sizeof *rows ? rows[dtype][op >= FIRST_LOGIC] : NULL;
}

/* Leave out extents of 1, and make one axis of two along which both operands go on alike. */
static void merge_axes(pair_job *j, const cr_shape *y) {
    j->rank = 0;
    for (int d = 0; d < y->rank; d++) {
        const int64_t n = y->dims[d], sa = j->stride_a[d], sb = j->stride_b[d];
        int at = j->rank - 1;
        if (n == 1)
            continue;
        if (at < 0 || j->stride_a[at] != n * sa || j->stride_b[at] != n * sb)
            j->dims[at = j->rank++] = 1;
        j->dims[at] *= n;
        j->stride_a[at] = sa;
        j->stride_b[at] = sb;
    }
    if (j->rank == 0)
        j->dims[j->rank++] = 1;
}

enum { TILE = 128, SHORT_ROW = 32 }; /* elements */

/* Short rows that one operand repeats while the other goes on become one long row. */
static void join_short_rows(pair_job *j) {
    const int last = j->rank - 1, above = last - 1;
    if (above < 0 || j->dims[last] > SHORT_ROW || j->stride_a[last] != 1 || j->stride_b[last] != 1)
        return;
    const bool a_repeats = j->stride_a[above] == 0;
    if ((a_repeats ? j->stride_b : j->stride_a)[above] != j->dims[last] ||
        (a_repeats ? j->stride_a : j->stride_b)[above] != 0)
        return;
    j->period = j->dims[last];
    j->a_repeats = a_repeats;
    j->dims[above] *= j->period;
    j->stride_a[above] = j->stride_b[above] = 1;
    j->rank--;
}

/* n elements from `phase` on of what repeats each `period`; phase < period. */
static void fill_tile(char *tile, const char *from, size_t bytes, int64_t period, int64_t phase, int64_t n) {
    for (int64_t i = 0; i < period && i < n; i++)
        memcpy(tile + (size_t)i * bytes, from + (size_t)((phase + i) % period) * bytes, bytes);
    for (int64_t have = period, more; have < n; have += more) {
        more = have < n - have ? have : n - have;
        memcpy(tile + (size_t)have * bytes, tile, (size_t)more * bytes);
    }
}

/* n elements from `column` on of a row of the last axis that begins at a and b, into y. */
static void joined_row(const pair_job *j, const char *a, const char *b, char *y, int64_t column, int64_t n) {
    const size_t in = cr_element_bytes(j->a->dtype), out = cr_element_bytes(j->y->dtype);
    const int64_t whole = TILE / j->period * j->period;
    uint64_t tile[TILE];
    fill_tile((char *)tile, j->a_repeats ? a : b, in, j->period, column % j->period, n < whole ? n : whole);
    for (int64_t i = 0; i < n; i += whole) {
        const size_t at = (size_t)(column + i) * in;
        j->row(j->op, j->a_repeats ? (const char *)tile : a + at, 1,
               j->a_repeats ? b + at : (const char *)tile, 1, y + (size_t)i * out,
               n - i < whole ? n - i : whole);
    }
}

/* Elements [begin, end) of the result, along rows of the last axis. */
static void pair_range(void *context, int64_t begin, int64_t end, int thread) {
    const pair_job *j = context;
    const size_t in = cr_element_bytes(j->a->dtype), out = cr_element_bytes(j->y->dtype);
    const int last = j->rank - 1;
    const int64_t columns = j->dims[last], sa = j->stride_a[last], sb = j->stride_b[last];
    (void)thread;
    for (int64_t i = begin, n; i < end; i += n) {
        const int64_t column = i % columns;
        int64_t oa = 0, ob = 0, rest = i / columns;
        n = columns - column < end - i ? columns - column : end - i;
        for (int d = last - 1; d >= 0; rest /= j->dims[d--]) {
            oa += rest % j->dims[d] * j->stride_a[d];
            ob += rest % j->dims[d] * j->stride_b[d];
        }
        const char *a = (const char *)j->a->data + (size_t)oa * in;
        const char *b = (const char *)j->b->data + (size_t)ob * in;
        char *y = (char *)j->y->data + (size_t)i * out;
        if (j->period)
            joined_row(j, a, b, y, column, n);
        else
            j->row(j->op, a + (size_t)(column * sa) * in, sa, b + (size_t)(column * sb) * in, sb, y, n);
    }
}

static void apply(cr_run *r, pair_job *j, const cr_shape *a, const cr_shape *b) {
    const int64_t n = cr_shape_n(&j->y->shape);
    if (n == 0)
        return;
    j->row = row_for(j->op, j->a->dtype);
    strides_of(a, &j->y->shape, j->stride_a);
    strides_of(b, &j->y->shape, j->stride_b);
    merge_axes(j, &j->y->shape);
    join_short_rows(j);
    cr_parallel_grain(r->pool, n, 16384, pair_range, j);
}

typedef struct binary_state {
    int op;
    cr_shape b; /* of the second operand, aligned */
} binary_state;

static crease_status binary_prepare(cr_prepare *p) {
    binary_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    s->op = p->op->variant;
    s->b = p->in[1]->shape;
    return align(p->node, &p->in[0]->shape, &s->b);
}

/* Pow's exponent may have another type than its base: scratch holds it converted. */
static cr_tensor convert_exponent(const cr_run *r) {
    const cr_tensor *b = r->in[1];
    const cr_tensor converted = {.dtype = r->in[0]->dtype, .shape = b->shape, .data = r->scratch};
    const size_t from_bytes = cr_element_bytes(b->dtype), bytes = cr_element_bytes(converted.dtype);
    for (int64_t i = 0, n = cr_shape_n(&b->shape); i < n; i++) {
        double v;
        if (cr_dtype_is_float(b->dtype))
            v = cr_load_float(b->dtype, b->data, i);
        else
            cr_integers_to_doubles(b->dtype, (const char *)b->data + (size_t)i * from_bytes, &v, 1);
        if (cr_dtype_is_float(converted.dtype))
            cr_store_float(converted.dtype, converted.data, i, v);
        else
            cr_doubles_to_integers(converted.dtype, &v, (char *)converted.data + (size_t)i * bytes, 1);
    }
    return converted;
}

/* What networks mostly ask Pow for; the product is pow's value, rounded once. */
static bool is_square(const pair_job *j) {
    return j->op == POW && cr_dtype_is_float(j->b->dtype) && cr_shape_n(&j->b->shape) == 1 &&
           cr_load_float(j->b->dtype, j->b->data, 0) == 2;
}

/* Of a and j->b, whose dims are `b`. */
static void apply_or_square(cr_run *r, pair_job *j, const cr_shape *b) {
    const bool square = is_square(j);
    if (square) {
        j->op = MUL;
        j->b = j->a;
    }
    apply(r, j, &j->a->shape, square ? &j->a->shape : b);
}

static crease_status binary_run(cr_run *r) {
    const binary_state *s = r->state;
    const bool convert = r->in[0]->dtype != r->in[1]->dtype;
    const cr_tensor b = convert ? convert_exponent(r) : *r->in[1];
    pair_job j = {.op = s->op, .a = r->in[0], .b = &b, .y = r->out[0]};
    apply_or_square(r, &j, &s->b);
    return CREASE_OK;
}

static crease_status pow_prepare(cr_prepare *p) {
    const cr_info *x = p->in[0], *exponent = p->in[1];
    CR_TRY(binary_prepare(p));
    if (!cr_dtype_is_float(exponent->dtype) && !(CR_T_INTS & CR_T(exponent->dtype)))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the exponent is %s, expected a number",
                            crease_dtype_name(exponent->dtype));
    if (x->dtype != exponent->dtype && !cr_tensor_bytes(x->dtype, 0, &exponent->shape, &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the exponent is too large");
    return CREASE_OK;
}

static void scale(cr_tensor *y, double factor) {
    for (int64_t i = 0, n = cr_shape_n(&y->shape); i < n; i++)
        cr_store_float(y->dtype, y->data, i, cr_load_float(y->dtype, y->data, i) * factor);
}

/* y = x0, y = y op x1, ... */
static crease_status variadic_run(cr_run *r) {
    cr_tensor *y = r->out[0];
    size_t bytes;
    pair_job j = {.op = MAX, .a = r->in[0], .b = r->in[0], .y = y}; /* max(x, x) copies with broadcasting */
    if (!cr_tensor_bytes(y->dtype, 0, &y->shape, &bytes))
        return CREASE_OK;
    apply(r, &j, &r->in[0]->shape, &r->in[0]->shape);
    for (int i = 1; i < r->n_in; i++) {
        j = (pair_job){.op = r->op->variant, .a = y, .b = r->in[i], .y = y};
        apply(r, &j, &y->shape, &r->in[i]->shape);
    }
    if (r->op->variant == MEAN)
        scale(y, 1.0 / r->n_in);
    return CREASE_OK;
}

/* ---- operators whose attributes choose among the above ---- */

static crease_status mod_prepare(cr_prepare *p) {
    int64_t like_c;
    CR_TRY(binary_prepare(p));
    CR_TRY(cr_attr_int(p->node, "fmod", 0, &like_c));
    ((binary_state *)p->state)->op = like_c ? FMOD : MOD;
    return CREASE_OK;
}

static crease_status shift_prepare(cr_prepare *p) {
    const char *direction;
    CR_TRY(binary_prepare(p));
    CR_TRY(cr_attr_string(p->node, "direction", "", &direction));
    const bool left = strcmp(direction, "LEFT") == 0;
    ((binary_state *)p->state)->op = left ? SHIFT_LEFT : SHIFT_RIGHT;
    if (!left && strcmp(direction, "RIGHT") != 0)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "direction is '%.40s', expected LEFT or RIGHT",
                            direction);
    return CREASE_OK;
}

/* ---- Where: elements of any type ---- */

static crease_status where_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 2));
    if (infer->n_in > 3)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%d inputs, expected 3", infer->n_in);
    CR_TRY(cr_infer_same_type(infer, 1, 2));
    CR_TRY(cr_infer_broadcast(infer));
    infer->out[0].dtype = infer->in[1]->dtype ? infer->in[1]->dtype : infer->in[2]->dtype;
    if (infer->out[0].dtype && !((cr_types)CR_T_BYTES & CR_T(infer->out[0].dtype)))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "element type %s is not supported",
                            crease_dtype_name(infer->out[0].dtype));
    return CREASE_OK;
}

/* One row of the last dimension, and its elements' distances there. */
typedef struct where_row {
    const uint8_t *decision;
    const char *yes, *no;
    int64_t step[3]; /* of the three inputs: 0 or 1 */
} where_row;

/* A constant size lets the compiler copy without a call. */
#define CHOOSE(bytes)                                                                                        \
    for (int64_t i = 0; i < n; i++)                                                                          \
        memcpy(y + (size_t)i * (bytes),                                                                      \
               row->decision[i * row->step[0]] ? row->yes + (size_t)(i * row->step[1]) * (bytes)             \
                                               : row->no + (size_t)(i * row->step[2]) * (bytes),             \
               (bytes));                                                                                     \
    break

static void choose_row(const where_row *row, size_t bytes, char *y, int64_t n) {
    switch (bytes) {
    case 1:
        CHOOSE(1);
    case 2:
        CHOOSE(2);
    case 4:
        CHOOSE(4);
    case 8:
        CHOOSE(8);
    default:
        CHOOSE(bytes);
    }
}

static void where_range(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const cr_shape *y = &r->out[0]->shape;
    const size_t bytes = cr_element_bytes(r->out[0]->dtype);
    const int last = y->rank - 1;
    const int64_t columns = y->rank ? y->dims[last] : 1;
    int64_t strides[3][CR_MAX_RANK] = {{0}};
    (void)thread;
    for (int k = 0; k < 3; k++)
        strides_of(&r->in[k]->shape, y, strides[k]);
    for (int64_t i = begin, n; i < end; i += n) {
        const int64_t column = i % columns;
        int64_t at[3], rest = i / columns;
        n = columns - column < end - i ? columns - column : end - i;
        for (int k = 0; k < 3; k++)
            at[k] = y->rank ? column * strides[k][last] : 0;
        for (int d = last - 1; d >= 0; rest /= y->dims[d--])
            for (int k = 0; k < 3; k++)
                at[k] += rest % y->dims[d] * strides[k][d];
        const where_row row = {
            (const uint8_t *)r->in[0]->data + at[0],
            (const char *)r->in[1]->data + (size_t)at[1] * bytes,
            (const char *)r->in[2]->data + (size_t)at[2] * bytes,
            {y->rank ? strides[0][last] : 0, y->rank ? strides[1][last] : 0, y->rank ? strides[2][last] : 0}};
        choose_row(&row, bytes, (char *)r->out[0]->data + (size_t)i * bytes, n);
    }
}

static crease_status where_run(cr_run *r) {
    cr_parallel_grain(r->pool, cr_shape_n(&r->out[0]->shape), 4096, where_range, r);
    return CREASE_OK;
}

#define TWO(name, variant)                                                                                   \
    {name, 1, 6, CR_T_NUMBERS, binary_infer, binary_prepare, binary_run, variant, CR_OP_INPLACE, 0, NULL}, { \
        name, 7, 0, CR_T_NUMBERS, binary_infer, binary_prepare, binary_run, variant, CR_OP_INPLACE, 0, NULL  \
    }

#define DECISION(name, since, types, variant)                                                                \
    {name, since, 6, types, binary_infer, binary_prepare, binary_run, variant, 0, 0, NULL}, {                \
        name, 7, 0, types, binary_infer, binary_prepare, binary_run, variant, 0, 0, NULL                     \
    }
#define LATER(name, since, types, prepare, variant)                                                          \
    { name, since, 0, types, binary_infer, prepare, binary_run, variant, 0, 0, NULL }

const cr_op cr_ops_binary[] = {
    TWO("Add", ADD),
    TWO("Sub", SUB),
    TWO("Mul", MUL),
    TWO("Div", DIV),
    {"Pow", 1, 6, CR_T_NUMBERS, binary_infer, pow_prepare, binary_run, POW, CR_OP_INPLACE, 0, NULL},
    {"Pow", 7, 0, CR_T_NUMBERS, binary_infer, pow_prepare, binary_run, POW, CR_OP_INPLACE, 0, NULL},
    TWO("PRelu", PRELU),
    {"Max", 1, 0, CR_T_NUMBERS, binary_infer, NULL, variadic_run, MAX, 0, 0, NULL},
    {"Min", 1, 0, CR_T_NUMBERS, binary_infer, NULL, variadic_run, MIN, 0, 0, NULL},
    {"Sum", 1, 0, CR_T_FLOATS, binary_infer, NULL, variadic_run, SUM, 0, 0, NULL},
    {"Mean", 1, 0, CR_T_FLOATS, binary_infer, NULL, variadic_run, MEAN, 0, 0, NULL},
    LATER("Mod", 10, CR_T_NUMBERS, mod_prepare, MOD),
    LATER("BitShift", 11, CR_T_UNSIGNED, shift_prepare, SHIFT_LEFT),
    LATER("BitwiseAnd", 18, CR_T_INTS, binary_prepare, BIT_AND),
    LATER("BitwiseOr", 18, CR_T_INTS, binary_prepare, BIT_OR),
    LATER("BitwiseXor", 18, CR_T_INTS, binary_prepare, BIT_XOR),
    DECISION("Equal", 1, CR_T_NUMBERS | CR_T_BOOL, EQUAL),
    DECISION("Greater", 1, CR_T_NUMBERS, GREATER),
    DECISION("Less", 1, CR_T_NUMBERS, LESS),
    LATER("GreaterOrEqual", 12, CR_T_NUMBERS, binary_prepare, GREATER_EQUAL),
    LATER("LessOrEqual", 12, CR_T_NUMBERS, binary_prepare, LESS_EQUAL),
    DECISION("And", 1, CR_T_BOOL, AND),
    DECISION("Or", 1, CR_T_BOOL, OR),
    DECISION("Xor", 1, CR_T_BOOL, XOR),
    {"Where", 9, 0, CR_T_BOOL, where_infer, NULL, where_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
