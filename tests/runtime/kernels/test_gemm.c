#include <criterion/criterion.h>

#include "runtime/kernels/gemm.h"
#include "runtime/kernels/gemm_kernels.h"

#include "tests/runtime/kernels/guard.h"

static const struct {
    const char *name;
    cr_isa isa;
    cr_sgemm_kernel *gemm;
    cr_sgemv_kernel *gemv;
    cr_sgemm_dots_kernel *dots;
    const cr_sgemm_pack_kernels *packs;
} variants[] = {
#if defined __x86_64__
    {"avx512", CR_ISA_AVX512, cr_sgemm_avx512, cr_sgemv_avx512, cr_sgemm_dots_avx512, &cr_sgemm_packs_avx512},
    {"avx2", CR_ISA_AVX2, cr_sgemm_avx2, cr_sgemv_avx2, cr_sgemm_dots_avx2, &cr_sgemm_packs_avx2},
#endif
    {"generic", CR_ISA_VECTOR, cr_sgemm_generic, cr_sgemv_generic, cr_sgemm_dots_generic,
     &cr_sgemm_packs_generic},
    {"chosen", CR_ISA_PLAIN, cr_sgemm, NULL, NULL, NULL},
};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

typedef struct product {
    bool trans_a, trans_b;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
} product;

static float some_factor(void) {
    const int64_t which = random_int(0, 2);
    return which < 2 ? (float)which : random_float();
}

static product random_product(void) {
    product p = {.trans_a = random_chance(50), .trans_b = random_chance(50)};
    const bool vector = random_chance(30);
    p.m = vector ? random_int(0, 1) : random_int(0, 130);
    p.n = random_chance(15) ? 1 : random_int(0, 150);
    p.k = random_chance(30) ? random_int(250, 530) : random_int(0, 70);
    p.lda = (p.trans_a ? p.m : p.k) + random_int(0, 3);
    p.ldb = (p.trans_b ? p.k : p.n) + random_int(0, 3);
    p.ldc = p.n + random_int(0, 3);
    p.alpha = some_factor();
    p.beta = some_factor();
    return p;
}

/* rows x columns with NaN between the rows. */
static guarded random_matrix(int64_t rows, int64_t columns, int64_t stride) {
    guarded g = guarded_new((size_t)(rows * stride));
    for (int64_t i = 0; i < rows * stride; i++)
        if (i % stride < columns)
            g.data[i] = random_float();
    return g;
}

/* The definition, in double. */
static double element(const product *p, const float *a, const float *b, double c, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t q = 0; q < p->k; q++)
        sum += (double)a[p->trans_a ? q * p->lda + i : i * p->lda + q] *
               (double)b[p->trans_b ? j * p->ldb + q : q * p->ldb + j];
    return (double)p->alpha * sum + (p->beta == 0 ? 0 : (double)p->beta * c);
}

static bool near(double want, double got, int64_t k) {
    return fabs(want - got) <= 2e-7 * (double)(k + 10);
}

static void check_gemm(const product *p, cr_sgemm_kernel *gemm, const char *name) {
    guarded a = random_matrix(p->trans_a ? p->k : p->m, p->trans_a ? p->m : p->k, p->lda);
    guarded b = random_matrix(p->trans_b ? p->n : p->k, p->trans_b ? p->k : p->n, p->ldb);
    guarded c = random_matrix(p->m, p->n, p->ldc), before = guarded_new(c.n);
    if (p->beta == 0) /* must not be read */
        memset(c.data, 0xff, c.n * sizeof *c.data);
    memcpy(before.data, c.data, c.n * sizeof *c.data);
    gemm(p->trans_a, p->trans_b, p->m, p->n, p->k, p->alpha, a.data, p->lda, b.data, p->ldb, p->beta, c.data,
         p->ldc);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->ldc; j++) {
            const float got = c.data[i * p->ldc + j];
            const double want =
                j < p->n ? element(p, a.data, b.data, (double)before.data[i * p->ldc + j], i, j) : NAN;
            cr_assert(j < p->n ? near(want, (double)got, p->k) : isnan(got),
                      "%s %c%c m %d n %d k %d alpha %g beta %g: [%d, %d] is %g, not %g (seed %llu)", name,
                      p->trans_a ? 'T' : 'N', p->trans_b ? 'T' : 'N', (int)p->m, (int)p->n, (int)p->k,
                      (double)p->alpha, (double)p->beta, (int)i, (int)j, (double)got, want,
                      (unsigned long long)test_seed_value);
        }
    cr_assert(guarded_intact(&c), "%s writes outside C (seed %llu)", name,
              (unsigned long long)test_seed_value);
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&c);
    guarded_free(&before);
}

Test(gemm, every_kernel_agrees_with_the_definition) {
    test_seed();
    for (int i = 0; i < 600; i++) {
        const product p = random_product();
        const size_t v = (size_t)i % N_VARIANTS;
        if (isa_runs(variants[v].isa))
            check_gemm(&p, variants[v].gemm, variants[v].name);
    }
}

/* The kernel for a packed B, in two ranges of columns, in the shape of the others. */
static const cr_sgemm_pack_kernels *packs;

static void by_packing(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                       const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                       int64_t ldc) {
    const int64_t whole = (n + packs->lanes - 1) / packs->lanes * packs->lanes;
    const int64_t cut = n / 2 / packs->strip * packs->strip;
    guarded packed = guarded_new((size_t)(whole * k));
    packs->pack(trans_b, n, k, b, ldb, packed.data);
    cr_assert(guarded_intact(&packed), "packing writes outside (seed %llu)",
              (unsigned long long)test_seed_value);
    packs->multiply(trans_a, m, cut, k, alpha, a, lda, packed.data, beta, c, ldc, NULL);
    packs->multiply(trans_a, m, n - cut, k, alpha, a, lda, packed.data + cut * k, beta, c + cut, ldc, NULL);
    guarded_free(&packed);
}

Test(gemm, packed_kernels_agree_with_the_definition) {
    test_seed();
    for (int i = 0; i < 600; i++) {
        const product p = random_product();
        const size_t v = (size_t)i % (N_VARIANTS - 1);
        packs = variants[v].packs;
        if (isa_runs(variants[v].isa))
            check_gemm(&p, by_packing, variants[v].name);
    }
}

/* What stands behind a product: a bias, a residual that may be C, an activation; done with it, or after it by
 * the function for that. */
typedef struct ended {
    product p;
    bool bias, residual, in_place, apart;
    int64_t ldr;
    cr_activation act;
} ended;

static ended random_ended(void) {
    static const cr_act kinds[] = {CR_ACT_NONE, CR_ACT_NONE, CR_ACT_RELU,
                                   CR_ACT_GELU, CR_ACT_CLIP, CR_ACT_SILU};
    ended e = {.p = random_product(), .bias = random_chance(60), .residual = random_chance(50)};
    e.p.k += 1;
    e.p.n = random_chance(30) ? random_int(250, 600) : e.p.n;
    e.p.lda = e.p.trans_a ? e.p.m : e.p.k;
    e.p.ldb = e.p.trans_b ? e.p.k : e.p.n;
    e.p.ldc = e.p.n + random_int(0, 3);
    e.p.beta = 0;
    e.in_place = random_chance(50);
    e.apart = !e.residual && random_chance(20);
    e.ldr = e.in_place ? e.p.ldc : e.p.n + random_int(0, 3);
    e.act = (cr_activation){.kind = kinds[random_int(0, 5)], .a = -0.25f, .b = 0.5f};
    return e;
}

static void multiply_ended(const ended *e, const cr_sgemm_pack_kernels *kernels, const float *a,
                           const float *b, const cr_gemm_end *end, float *c) {
    const product *p = &e->p;
    const int64_t whole = (p->n + kernels->lanes - 1) / kernels->lanes * kernels->lanes;
    guarded packed = guarded_new((size_t)(whole * p->k));
    kernels->pack(p->trans_b, p->n, p->k, b, p->ldb, packed.data);
    kernels->multiply(p->trans_a, p->m, p->n, p->k, p->alpha, a, p->lda, packed.data, 0, c, p->ldc,
                      e->apart ? NULL : end);
    if (e->apart)
        kernels->finish(end, p->m, p->n, c, p->ldc);
    guarded_free(&packed);
}

static void check_ended(const ended *e, const cr_sgemm_pack_kernels *kernels, const char *name) {
    const product *p = &e->p;
    guarded a = random_matrix(p->trans_a ? p->k : p->m, p->trans_a ? p->m : p->k, p->lda);
    guarded b = random_matrix(p->trans_b ? p->n : p->k, p->trans_b ? p->k : p->n, p->ldb);
    guarded bias = random_buffer((size_t)p->n), residual = random_matrix(p->m, p->n, e->ldr);
    guarded c = guarded_new((size_t)(p->m * p->ldc));
    const bool in_c = e->residual && e->in_place;
    if (in_c && residual.n)
        memcpy(c.data, residual.data, residual.n * sizeof *c.data);
    const cr_gemm_end end = {e->bias ? bias.data : NULL,
                             !e->residual ? NULL
                             : in_c       ? c.data
                                          : residual.data,
                             e->ldr, e->act};
    multiply_ended(e, kernels, a.data, b.data, &end, c.data);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            const double sum = element(p, a.data, b.data, 0, i, j) +
                               (e->residual ? (double)residual.data[i * e->ldr + j] : 0) +
                               (e->bias ? (double)bias.data[j] : 0);
            const double want = cr_activation_value(&e->act, sum, 0), got = (double)c.data[i * p->ldc + j];
            /* no activation here is steeper than 1.2 */
            cr_assert(fabs(want - got) <= 3e-7 * (double)(p->k + 10),
                      "%s m %d n %d k %d act %d: [%d, %d] is %g, not %g (seed %llu)", name, (int)p->m,
                      (int)p->n, (int)p->k, (int)e->act.kind, (int)i, (int)j, got, want,
                      (unsigned long long)test_seed_value);
        }
    cr_assert(guarded_intact(&c), "%s writes outside C (seed %llu)", name,
              (unsigned long long)test_seed_value);
    guarded *const all[] = {&a, &b, &bias, &residual, &c};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

Test(gemm, ends_agree_with_the_definition) {
    test_seed();
    for (int i = 0; i < 600; i++) {
        const ended e = random_ended();
        const size_t v = (size_t)i % (N_VARIANTS - 1);
        if (isa_runs(variants[v].isa))
            check_ended(&e, variants[v].packs, variants[v].name);
    }
}

/* The columns of every piece are what the grid says, and all of them. */
Test(gemm, packed_products_are_cut_without_gaps) {
    for (int64_t n = 1; n < 700 && cr_sgemm_packs(100); n += 13)
        for (int threads = 1; threads < 5; threads++) {
            int64_t rows, columns, at = 0;
            cr_sgemm_packed_grid(100, n, threads, &rows, &columns);
            cr_assert(rows >= 1 && columns >= 1);
            for (int64_t i = 0; i < columns; i++) {
                cr_assert_eq(cr_sgemm_packed_cut(n, columns, i), at);
                at = cr_sgemm_packed_cut(n, columns, i + 1);
            }
            cr_assert_eq(at, n);
        }
}

/* The same product as a matrix of one row, through the kernel for vectors. */
static void check_gemv(product p, cr_sgemv_kernel *gemv, const char *name) {
    p.m = 1;
    p.trans_a = false;
    guarded x = random_buffer((size_t)p.k), y = random_buffer((size_t)p.n), before = guarded_new(y.n);
    guarded b = random_matrix(p.trans_b ? p.n : p.k, p.trans_b ? p.k : p.n, p.ldb);
    memcpy(before.data, y.data, y.n * sizeof *y.data);
    gemv(p.trans_b, p.n, p.k, p.alpha, x.data, b.data, p.ldb, p.beta, y.data);
    for (int64_t j = 0; j < p.n; j++) {
        const double want = element(&p, x.data, b.data, (double)before.data[j], 0, j);
        cr_assert(near(want, (double)y.data[j], p.k), "%s n %d k %d: [%d] is %g, not %g (seed %llu)", name,
                  (int)p.n, (int)p.k, (int)j, (double)y.data[j], want, (unsigned long long)test_seed_value);
    }
    cr_assert(guarded_intact(&y));
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&b);
    guarded_free(&before);
}

Test(gemm, vector_kernels_agree_with_the_definition) {
    test_seed();
    for (int i = 0; i < 300; i++) {
        product p = random_product();
        const size_t v = (size_t)i % (N_VARIANTS - 1);
        if (random_chance(10)) /* more than one chunk of columns */
            p.n += 2048;
        p.ldb = (p.trans_b ? p.k : p.n) + random_int(0, 3);
        if (isa_runs(variants[v].isa))
            check_gemv(p, variants[v].gemv, variants[v].name);
    }
}

/* A kernel for few rows in the form of the others, of the variant at hand. */
static cr_sgemm_dots_kernel *dots_at_hand;

static void multiply_by_dots(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                             const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                             int64_t ldc) {
    cr_assert(!trans_a && trans_b);
    dots_at_hand(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

Test(gemm, kernels_for_few_rows_agree_with_the_definition) {
    test_seed();
    for (int i = 0; i < 300; i++) {
        product p = random_product();
        const size_t v = (size_t)i % (N_VARIANTS - 1);
        p.trans_a = false;
        p.trans_b = true;
        p.m = random_int(0, 18);
        p.lda = p.k + random_int(0, 3);
        p.ldb = p.k + random_int(0, 3);
        dots_at_hand = variants[v].dots;
        if (isa_runs(variants[v].isa))
            check_gemm(&p, multiply_by_dots, variants[v].name);
    }
}

Test(gemm, doubles_agree_with_the_reference) {
    enum { M = 19, N = 23, K = 31 };
    static double a[M * K], b[K * N], got[M * N], want[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = i % 7 - 3;
    for (int i = 0; i < K * N; i++)
        b[i] = i % 5 - 2;
    cr_dgemm(false, false, M, N, K, 1, a, K, b, N, 0, got, N);
    cr_dgemm_reference(false, false, M, N, K, 1, a, K, b, N, 0, want, N);
    for (int i = 0; i < M * N; i++)
        cr_assert(got[i] == want[i]);
}

/* Bits must not depend on the pieces that threads get. */
Test(gemm, own_kernels_do_not_depend_on_the_cut) {
    enum { M = 70, N = 133, K = 300 };
    test_seed();
    guarded a = random_buffer(M * K), b = random_buffer(K * N), whole = guarded_new(M * N),
            cut = guarded_new(M * N);
    for (size_t v = 0; v + 1 < N_VARIANTS; v++) {
        if (!isa_runs(variants[v].isa))
            continue;
        variants[v].gemm(false, false, M, N, K, 1, a.data, K, b.data, N, 0, whole.data, N);
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < 2; j++) {
                const int64_t r = cr_gemm_cut(M, 3, i), c = cr_gemm_cut(N, 2, j);
                variants[v].gemm(false, false, cr_gemm_cut(M, 3, i + 1) - r, cr_gemm_cut(N, 2, j + 1) - c, K,
                                 1, a.data + r * K, K, b.data + c, N, 0, cut.data + r * N + c, N);
            }
        cr_assert(memcmp(whole.data, cut.data, M * N * sizeof(float)) == 0, "%s", variants[v].name);
    }
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&whole);
    guarded_free(&cut);
}

Test(gemm, cuts_cover_an_extent_in_order) {
    for (int64_t extent = 0; extent < 300; extent += 7)
        for (int64_t pieces = 1; pieces < 30; pieces++) {
            cr_assert(cr_gemm_cut(extent, pieces, 0) == 0);
            cr_assert(cr_gemm_cut(extent, pieces, pieces) == extent);
            for (int64_t i = 0; i < pieces; i++)
                cr_assert(cr_gemm_cut(extent, pieces, i) <= cr_gemm_cut(extent, pieces, i + 1));
        }
}
