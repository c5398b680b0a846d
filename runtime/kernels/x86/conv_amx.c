/* Convolution on AMX: four tiles of sums, two of inputs and two of weights. */
#ifdef __x86_64__
#define CR_LANES  16
#define CR_SUFFIX amx
#include "runtime/kernels/conv/amx.h"
#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/conv/prologue_tmpl.h"

#include <immintrin.h>

/* ---- splitting ---- */

/* A bfloat16 as a float: the first bits of v, rounded to nearest or toward 0. */
CR_INLINE __m512 first_bits(bool rounds, __m512 v) {
    __m512i bits = _mm512_castps_si512(v);
    if (rounds)
        bits = _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000));
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)));
}

/* The parts of 32 numbers, `step` numbers apart; of both vectors side by side. What is NaN is so in its high
 * part or, if that holds none of its bits, by what they leave. */
CR_INLINE void store_parts(__m512 even, __m512 odd, ptrdiff_t step, uint16_t *to) {
    CR_UNROLL
    for (int part = 0; part < CR_AMX_PARTS; part++, to += step) {
        const __m512 first = first_bits(part == 1, even), second = first_bits(part == 1, odd);
        _mm512_storeu_si512(to, _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(first), 16),
                                                _mm512_castps_si512(second)));
        even -= first;
        odd -= second;
    }
}

static void split(const float *first, const float *second, int64_t n, ptrdiff_t step, int channels,
                  uint16_t *records) {
    const __mmask16 low = (__mmask16)((1u << (channels < 16 ? channels : 16)) - 1),
                    high = (__mmask16)(channels > 16 ? (1u << (channels - 16)) - 1 : 0);
    second = second != NULL ? second : first;
    for (int64_t i = 0; i < n; i++, first += step, second += step, records += CR_AMX_RECORD)
        store_parts(_mm512_maskz_loadu_ps(low, first), _mm512_maskz_loadu_ps(high, second), CR_AMX_CHANNELS,
                    records);
}

/* Rows [begin, end) of the tiles of each part, of each block of outputs: of channels as split pairs them. */
CR_INLINE void split_weights(int columns, const float *weights, ptrdiff_t block_step, int begin, int end,
                             uint16_t *parts) {
    CR_UNROLL
    for (int b = 0; b < columns; b++) {
        const float *even = weights + b * block_step, *odd = even + CR_AMX_TILE / 2;
        CR_UNROLL
        for (int k = begin; k < end; k++)
            store_parts(_mm512_loadu_ps(even + k * CR_LANES), _mm512_loadu_ps(odd + k * CR_LANES),
                        CR_AMX_TILE, parts + b * CR_AMX_PARTS * CR_AMX_TILE + k * CR_AMX_CHANNELS);
    }
}

/* ---- products ---- */

/* What tiles look like, the same for all eight: 16 rows of 64 bytes. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

static void begin(void) {
    _tile_loadconfig(&config);
}

static void end(void) {
    _tile_release();
}

/* Tiles 0 to 3 are sums of pixel tile i and output tile j, 2 i + j; 4 and 5 inputs, 6 and 7 weights. */
#define ROW_BYTES 64
enum { HIGH = 0, MIDDLE = CR_AMX_CHANNELS, LOW = 2 * CR_AMX_CHANNELS }; /* parts of a record */

CR_INLINE void load_pixels(int rows, ptrdiff_t pixel_step, const uint16_t *input) {
    const size_t bytes = (size_t)pixel_step * sizeof *input;
    _tile_loadd(4, input, bytes);
    if (rows > 1)
        _tile_loadd(5, input + CR_AMX_PIXELS * pixel_step, bytes);
}

CR_INLINE void load_weights(int columns, const uint16_t *parts) {
    _tile_loadd(6, parts, ROW_BYTES);
    if (columns > 1)
        _tile_loadd(7, parts + CR_AMX_PARTS * CR_AMX_TILE, ROW_BYTES);
}

CR_INLINE void add_products(int rows, int columns) {
    _tile_dpbf16ps(0, 4, 6);
    if (columns > 1)
        _tile_dpbf16ps(1, 4, 7);
    if (rows > 1)
        _tile_dpbf16ps(2, 5, 6);
    if (rows > 1 && columns > 1)
        _tile_dpbf16ps(3, 5, 7);
}

/* Weights of the step after the one at hand, to be split between its products: a few at a time, so that the
 * processor reaches further products meanwhile. */
typedef struct next_step {
    const float *weights;
    ptrdiff_t block_step;
    uint16_t *parts; /* NULL: not to be split */
} next_step;

CR_INLINE void split_some(int columns, const next_step *next, int begin, int end) {
    if (next->parts != NULL)
        split_weights(columns, next->weights, next->block_step, begin, end, next->parts);
}

/* The products of the parts of 32 channels, in an order that loads few tiles twice. */
CR_INLINE void add_step(int rows, int columns, ptrdiff_t pixel_step, const uint16_t *input,
                        const uint16_t *parts, const next_step *next) {
    load_pixels(rows, pixel_step, input + LOW);
    load_weights(columns, parts);
    add_products(rows, columns);
    split_some(columns, next, 0, 3);
    load_pixels(rows, pixel_step, input + MIDDLE);
    add_products(rows, columns);
    split_some(columns, next, 3, 6);
    load_weights(columns, parts + CR_AMX_TILE);
    add_products(rows, columns);
    split_some(columns, next, 6, 9);
    load_pixels(rows, pixel_step, input + HIGH);
    add_products(rows, columns);
    split_some(columns, next, 9, 12);
    load_weights(columns, parts);
    add_products(rows, columns);
    split_some(columns, next, 12, 14);
    load_weights(columns, parts + 2 * CR_AMX_TILE);
    add_products(rows, columns);
    split_some(columns, next, 14, 16);
}

CR_INLINE void fetch(const cr_amx_pass *pass, int64_t step) {
    enum { LINE = 16 }; /* floats of a cache line */
    const float *from = pass->fetch + step * pass->fetch_lines * LINE;
    for (int64_t i = 0; i < pass->fetch_lines; i++)
        __builtin_prefetch(from + i * LINE, 0, 2);
}

/* A part of three or four tiles of pixels, times weights in tile 6 or 7; tile i sums those of tile i. */
#define ADD_PIXELS(sum, tile, part, of_weights)                                                              \
    if (rows > sum) {                                                                                        \
        _tile_loadd(tile, input + part + sum * CR_AMX_PIXELS * pixel_step,                                   \
                    (size_t)pixel_step * sizeof *input);                                                     \
        _tile_dpbf16ps(sum, tile, of_weights);                                                               \
    }
#define ADD_ROWS(part, of_weights)                                                                           \
    ADD_PIXELS(0, 4, part, of_weights)                                                                       \
    ADD_PIXELS(1, 5, part, of_weights)                                                                       \
    ADD_PIXELS(2, 4, part, of_weights)                                                                       \
    ADD_PIXELS(3, 5, part, of_weights)

/* In the order of add_step, since the shape of a pass may depend on the number of threads. */
CR_INLINE void add_tall_step(int rows, ptrdiff_t pixel_step, const uint16_t *input, const uint16_t *parts,
                             const next_step *next) {
    _tile_loadd(6, parts, ROW_BYTES);
    ADD_ROWS(LOW, 6)
    split_some(1, next, 0, 3);
    _tile_loadd(7, parts + CR_AMX_TILE, ROW_BYTES);
    ADD_ROWS(MIDDLE, 6)
    split_some(1, next, 3, 6);
    ADD_ROWS(MIDDLE, 7)
    split_some(1, next, 6, 9);
    ADD_ROWS(HIGH, 7)
    split_some(1, next, 9, 12);
    ADD_ROWS(HIGH, 6)
    split_some(1, next, 12, 14);
    _tile_loadd(6, parts + 2 * CR_AMX_TILE, ROW_BYTES);
    ADD_ROWS(HIGH, 6)
    split_some(1, next, 14, 16);
}

CR_INLINE void store_sums(int rows, int columns, float *sums) {
    enum { TILE_FLOATS = CR_AMX_PIXELS * CR_LANES };
    _tile_stored(0, sums, ROW_BYTES);
    if (rows > 2) {
        _tile_stored(1, sums + TILE_FLOATS, ROW_BYTES);
        _tile_stored(2, sums + 2 * TILE_FLOATS, ROW_BYTES);
        if (rows > 3)
            _tile_stored(3, sums + 3 * TILE_FLOATS, ROW_BYTES);
        return;
    }
    if (rows > 1)
        _tile_stored(2, sums + TILE_FLOATS, ROW_BYTES);
    if (columns > 1)
        _tile_stored(1, sums + rows * TILE_FLOATS, ROW_BYTES);
    if (rows > 1 && columns > 1)
        _tile_stored(3, sums + 3 * TILE_FLOATS, ROW_BYTES);
}

CR_INLINE void multiply_tiles(int rows, int columns, bool splits, const cr_amx_pass *pass, float *sums) {
    const int64_t steps = pass->pairs * pass->n_taps, step_parts = columns * CR_AMX_PARTS * CR_AMX_TILE;
    const uint16_t *input = pass->input;
    next_step next = {pass->weights, pass->block_step, NULL};
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (splits && steps > 0)
        split_weights(columns, pass->weights + pass->taps[0].weights, pass->block_step, 0,
                      CR_AMX_CHANNELS / 2, pass->parts);
    for (int64_t pair = 0, step = 0; pair < pass->pairs; pair++, input += pass->input_step)
        for (int64_t t = 0; t < pass->n_taps; t++, step++) {
            const bool last = t + 1 == pass->n_taps;
            const uint16_t *const parts = pass->parts + (rows > 2 ? step % 2 : step) * step_parts;
            next.parts = NULL;
            if (splits && step + 1 < steps) {
                next.weights =
                    pass->weights + (pair + last) * pass->weights_step + pass->taps[last ? 0 : t + 1].weights;
                next.parts = pass->parts + (rows > 2 ? (step + 1) % 2 : step + 1) * step_parts;
            }
            fetch(pass, step);
            __asm__ volatile("" ::: "memory"); /* compilers do not know that tiles are read from memory */
            if (rows > 2)
                add_tall_step(rows, pass->pixel_step, input + pass->taps[t].input, parts, &next);
            else
                add_step(rows, columns, pass->pixel_step, input + pass->taps[t].input, parts, &next);
        }
    store_sums(rows, columns, sums);
}

/* One copy of the loop for each shape. */
#define MULTIPLY(rows, columns)                                                                              \
    static void multiply_##rows##x##columns(bool splits, const cr_amx_pass *pass, float *sums) {             \
        if (splits)                                                                                          \
            multiply_tiles(rows, columns, true, pass, sums);                                                 \
        else                                                                                                 \
            multiply_tiles(rows, columns, false, pass, sums);                                                \
    }
MULTIPLY(1, 1)
MULTIPLY(1, 2)
MULTIPLY(2, 1)
MULTIPLY(2, 2)

static void multiply_3x1(const cr_amx_pass *pass, float *sums) {
    multiply_tiles(3, 1, true, pass, sums);
}

static void multiply_4x1(const cr_amx_pass *pass, float *sums) {
    multiply_tiles(4, 1, true, pass, sums);
}

static void multiply(int rows, int columns, bool splits, const cr_amx_pass *pass, float *sums) {
    static void (*const shapes[2][2])(bool, const cr_amx_pass *, float *) = {{multiply_1x1, multiply_1x2},
                                                                             {multiply_2x1, multiply_2x2}};
    if (rows > 2)
        (rows > 3 ? multiply_4x1 : multiply_3x1)(pass, sums);
    else
        shapes[rows - 1][columns - 1](splits, pass, sums);
}

/* ---- epilogue ---- */

static void finish(const cr_epilogue *epilogue, const cr_clamp_epilogue *clamp, float *sums, int64_t n,
                   int64_t channel, int64_t offset, float *output) {
    const cr_clamp_epilogue own = *clamp; /* which no store to the output can change */
    if (!own.applies) {
        cr_store_epilogue_vectors(sums, n, epilogue, channel, offset, output);
        return;
    }
    for (int64_t i = 0; i < n * CR_LANES; i += CR_LANES) {
        const cr_vec v = cr_load(sums + i);
        cr_store_clamped(1, &v, &own, channel, offset + i, output);
    }
}

/* ---- the row ---- */

const cr_amx_kernels cr_amx_kernels_x86 = {.begin = begin,
                                           .end = end,
                                           .split = split,
                                           .multiply = multiply,
                                           .finish = finish,
                                           .transform = cr_prologue_vectors};

static void run(const cr_conv *conv, const cr_conv_args *args, int64_t task_begin, int64_t task_end,
                void *workspace) {
    cr_amx_run(conv, &cr_amx_kernels_x86, args, task_begin, task_end, workspace);
}

const cr_conv_algorithm cr_conv_amx = {.name = "amx",
                                       .refuses = cr_amx_refuses,
                                       .cost = cr_amx_cost,
                                       .packed_bytes = cr_amx_packed_bytes,
                                       .pack = cr_amx_pack,
                                       .workspace_bytes = cr_amx_workspace_bytes,
                                       .tasks = cr_amx_tasks,
                                       .run = run};

#endif
