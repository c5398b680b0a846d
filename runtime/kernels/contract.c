#include "runtime/kernels/contract.h"

/* Step an odometer over axes [first, first + n); false after the last turn. */
static bool advance(const cr_contraction *c, int first, int n, int64_t *index, int64_t *offset) {
    for (int d = first + n - 1; d >= first; d--) {
        for (int i = 0; i < c->n_operands; i++)
            offset[i] += c->stride[i][d];
        if (++index[d] < c->extent[d])
            return true;
        for (int i = 0; i < c->n_operands; i++)
            offset[i] -= c->stride[i][d] * c->extent[d];
        index[d] = 0;
    }
    return false;
}

static void locate(const cr_contraction *c, int64_t element, int64_t *index, int64_t *offset) {
    for (int i = 0; i < c->n_operands; i++)
        offset[i] = 0;
    for (int d = c->n_kept + c->n_summed - 1; d >= 0; d--) {
        index[d] = d < c->n_kept ? element % c->extent[d] : 0;
        element = d < c->n_kept ? element / c->extent[d] : element;
        for (int i = 0; i < c->n_operands; i++)
            offset[i] += index[d] * c->stride[i][d];
    }
}

static bool sums_nothing(const cr_contraction *c) {
    for (int d = c->n_kept; d < c->n_kept + c->n_summed; d++)
        if (c->extent[d] == 0)
            return true;
    return false;
}

#define DEFINE_CONTRACT(name, T, SUM)                                                                        \
    static void name(const cr_contraction *c, const void *const *operands, T *y, int64_t begin,              \
                     int64_t end) {                                                                          \
        int64_t index[CR_CONTRACT_AXES], offset[CR_CONTRACT_OPERANDS];                                       \
        const bool nothing = sums_nothing(c);                                                                \
        if (begin >= end)                                                                                    \
            return;                                                                                          \
        locate(c, begin, index, offset);                                                                     \
        for (int64_t e = begin; e < end; e++) {                                                              \
            SUM sum = 0;                                                                                     \
            do {                                                                                             \
                SUM product = 1;                                                                             \
                for (int i = 0; i < c->n_operands && !nothing; i++)                                          \
                    product *= (SUM)((const T *)operands[i])[offset[i]];                                     \
                sum += nothing ? 0 : product;                                                                \
            } while (!nothing && advance(c, c->n_kept, c->n_summed, index, offset));                         \
            y[e] = (T)sum;                                                                                   \
            advance(c, 0, c->n_kept, index, offset);                                                         \
        }                                                                                                    \
    }
DEFINE_CONTRACT(contract_f32, float, double)
DEFINE_CONTRACT(contract_f64, double, double)
DEFINE_CONTRACT(contract_32, uint32_t, uint32_t)
DEFINE_CONTRACT(contract_64, uint64_t, uint64_t)

void cr_contract(const cr_contraction *c, crease_dtype dtype, const void *const *operands, void *y,
                 int64_t begin, int64_t end) {
    if (dtype == CREASE_FLOAT)
        contract_f32(c, operands, y, begin, end);
    else if (dtype == CREASE_DOUBLE)
        contract_f64(c, operands, y, begin, end);
    else if (crease_dtype_bits(dtype) == 32)
        contract_32(c, operands, y, begin, end);
    else
        contract_64(c, operands, y, begin, end);
}
