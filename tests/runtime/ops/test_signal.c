#include "tests/runtime/ops/one.h"

/* ---- STFT ---- */

/* Frames of 4, 2 apart, of the signal 0, 1, ..., 7. */
static one frames_of(int rank, const int64_t *dims) {
    one o = one_begin("STFT", 17, 1);
    one_floats(&o, 0, rank, dims);
    one_scalar(&o, 2);
    one_skip(&o);
    one_scalar(&o, 4);
    return o;
}

/* Of 0, 1, 2, 3: their sum, -2 + 2 i and -2; each frame is larger by 2. */
#define SPECTRA 6, 0, -2, 2, -2, 0, 14, 0, -2, 2, -2, 0, 22, 0, -2, 2, -2, 0

Test(stft, of_a_real_signal) {
    one o = frames_of(DIMS(1, 8, 1));
    ONE_GIVES(&o, (DIMS(1, 3, 3, 2)), SPECTRA);
}

Test(stft, the_last_axis_may_be_left_out) {
    one o = frames_of(DIMS(1, 8));
    ONE_GIVES(&o, (DIMS(1, 3, 3, 2)), SPECTRA);
}

Test(stft, other_ranks_and_longer_frames_are_refused) {
    one flat = frames_of(DIMS(8)), deep = frames_of(DIMS(1, 1, 8, 1)), brief = frames_of(DIMS(2, 3));
    ONE_FAILS(&flat, CREASE_ERROR_MODEL, "last axis");
    ONE_FAILS(&deep, CREASE_ERROR_MODEL, "rank 4");
    ONE_FAILS(&brief, CREASE_ERROR_MODEL, "frames of 4");
}
