#ifndef CREASE_PASSES_AFFINE_H
#define CREASE_PASSES_AFFINE_H

#include "runtime/graph/graph.h"

/* The arithmetic of folding, all of it in double with one rounding at the end, and nowhere else.
 *
 * An affine is y = s (x - mean) + beta, per channel. A batch normalisation at inference is one, with s =
 * gamma / sqrt(var + epsilon) (Ioffe and Szegedy 2015; ONNX BatchNormalization 1 to 15); so are Mul, Add, Sub
 * and Div by a constant. x - mean stays apart, because s x + (beta - mean s) cancels where x is near the
 * mean. */

enum { CR_AFFINE_ALL = -1 }; /* axis of an affine that treats every element alike; n is 1 */

typedef struct cr_affine {
    int axis; /* channel axis of the data, counted from the left, or CR_AFFINE_ALL */
    int64_t n;
    double *s, *mean, *beta; /* [n] */
} cr_affine;

/* Why a fold is refused: a stable code and a sentence that names the tensor or attribute and what the user
 * can change. */
typedef struct cr_refusal {
    const char *code; /* NULL: not refused */
    char detail[448];
} cr_refusal;

void cr_refuse(cr_refusal *refusal, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The affine that `node` computes from its input *data. Refused with "not-affine" when it computes no affine
 * at all. Arrays come from the arena. */
crease_status cr_affine_of(const cr_node *node, cr_arena *arena, cr_affine *affine, int *data,
                           cr_refusal *refusal) CREASE_MUST_TEST;

crease_status cr_affine_create(cr_arena *arena, int axis, int64_t n, cr_affine *affine) CREASE_MUST_TEST;
/* part[i] = whole[from[i]], with channel axis `axis`. */
crease_status cr_affine_pick(cr_arena *arena, const cr_affine *whole, int axis, const int64_t *from,
                             int64_t n, cr_affine *part) CREASE_MUST_TEST;
/* The same scale with no shift. */
crease_status cr_affine_scale_only(cr_arena *arena, const cr_affine *affine,
                                   cr_affine *scale) CREASE_MUST_TEST;

/* second after first; false when their channels differ. */
bool cr_affine_composable(const cr_affine *first, const cr_affine *second);
crease_status cr_affine_compose(cr_arena *arena, const cr_affine *first, const cr_affine *second,
                                cr_affine *both) CREASE_MUST_TEST;

/* For channel c of the data (any c for CR_AFFINE_ALL). */
double cr_affine_scale(const cr_affine *affine, int64_t c);
double cr_affine_shift(const cr_affine *affine, int64_t c);            /* its value at 0: beta - mean s */
double cr_affine_at(const cr_affine *affine, int64_t c, double value); /* (value - mean) s + beta */
bool cr_affine_scales(const cr_affine *affine);                        /* some s is not 1 */
bool cr_affine_shifts(const cr_affine *affine);                        /* some shift is not 0 */

/* What happened to the elements stored so far. */
typedef struct cr_fit {
    bool non_finite;    /* a value was NaN or infinite before it was rounded */
    bool overflow;      /* a finite value became infinite in the storage type */
    double lost, total; /* what rounding changed and the magnitudes, summed; of ordinary floats the largest */
} cr_fit;

/* Round value once into element i of a tensor of a float type. */
void cr_put(cr_tensor *tensor, int64_t i, double value, cr_fit *fit);
/* to[i] = from[i] s for i in [begin, begin + n); both of the same type. */
void cr_put_scaled(cr_tensor *to, const cr_tensor *from, int64_t begin, int64_t n, double s, cr_fit *fit);
/* Refuse with "non-finite" or "overflow" where fit says so, and with "underflow" where more is lost than the
 * unit of the type explains, since most of it is below the normal numbers; `what` names the tensor. */
void cr_refuse_unfit(cr_refusal *refusal, const cr_fit *fit, const char *what, crease_dtype dtype);

#endif
