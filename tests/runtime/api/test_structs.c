/* Programs compiled against an older header: their structs end early, and what stands behind is theirs. */
#include "tests/runtime/api/network.h"

enum { GUARD = 0xa5, SHORT = 2 * sizeof(size_t) }; /* struct_size and one member */

#define OLD(type)                                                                                            \
    union {                                                                                                  \
        type now;                                                                                            \
        size_t struct_size;                                                                                  \
        unsigned char bytes[sizeof(type)];                                                                   \
    }

static void make_old(void *old, size_t bytes, size_t struct_size) {
    memset(old, GUARD, bytes);
    memcpy(old, &struct_size, sizeof struct_size);
}

static bool is_guard(const unsigned char *bytes, size_t from, size_t to) {
    while (from < to && bytes[from] == GUARD)
        from++;
    return from == to;
}

/* `call` fills *old: its first member and nothing behind it. */
#define EXPECT_FILLED(type, call)                                                                            \
    do {                                                                                                     \
        OLD(type) old;                                                                                       \
        make_old(&old, sizeof old, SHORT);                                                                   \
        call;                                                                                                \
        cr_assert_eq(old.struct_size, SHORT, #type);                                                         \
        cr_assert_not(is_guard(old.bytes, sizeof(size_t), SHORT), #type);                                    \
        cr_assert(is_guard(old.bytes, SHORT, sizeof old), #type);                                            \
    } while (0)

static crease_verify_report *verify(crease_model *model, const crease_verify_options *options) {
    crease_verify_report *report;
    float *x = network_input(1, 6, 3);
    const crease_tensor input = {sizeof input,      "x", CREASE_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, x,
                                 72 * sizeof(float)};
    OK(crease_verify(model, NULL, &input, 1, NULL, options, &report));
    free(x);
    return report;
}

Test(structs, of_models_are_filled_as_far_as_they_go) {
    crease_model *model = network_load(false);
    EXPECT_FILLED(crease_value_info, cr_assert(crease_model_input_at(model, 0, &old.now)));
    EXPECT_FILLED(crease_value_info, cr_assert(crease_model_output_at(model, 0, &old.now)));
    EXPECT_FILLED(crease_node_info, cr_assert(crease_model_node_at(model, 0, &old.now)));
    EXPECT_FILLED(crease_model_info, crease_model_get_info(model, &old.now));
    EXPECT_FILLED(crease_operator_info, cr_assert(crease_operator_at(0, &old.now)));
    crease_model_free(model);
}

Test(structs, of_sessions_are_filled_as_far_as_they_go) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    const crease_fold_report *report = crease_session_fold_report(session);
    EXPECT_FILLED(crease_step, cr_assert(crease_session_step_at(session, 0, &old.now)));
    EXPECT_FILLED(crease_memory, crease_session_get_memory(session, &old.now));
    EXPECT_FILLED(crease_fold_entry, cr_assert(crease_fold_report_entry_at(report, 0, &old.now)));
    EXPECT_FILLED(crease_machine, OK(crease_measure_machine(1, 0, &old.now)));
    crease_session_free(session);
    crease_model_free(model);
}

Test(structs, of_comparisons_are_filled_as_far_as_they_go) {
    crease_model *model = network_load(false);
    crease_verify_report *report = verify(model, NULL);
    EXPECT_FILLED(crease_verify_entry, cr_assert(crease_verify_report_output_at(report, 0, &old.now)));
    crease_verify_report_free(report);
    crease_model_free(model);
}

/* Every byte that an older program does not know is one that would show. */
Test(structs, of_options_are_read_as_far_as_they_go) {
    OLD(crease_options) engine;
    OLD(crease_fold_options) fold;
    OLD(crease_verify_options) compare;
    crease_model *model = network_load(false), *folded;
    make_old(&engine, sizeof engine, sizeof(size_t));
    make_old(&fold, sizeof fold, sizeof(size_t));
    make_old(&compare, sizeof compare, sizeof(size_t));
    crease_session_free(network_session(model, &engine.now));
    OK(crease_fold(model, &fold.now, &folded, NULL));
    crease_model_free(folded);
    crease_verify_report *report = verify(model, &compare.now);
    cr_assert(crease_verify_report_pass(report));
    crease_verify_report_free(report);
    crease_model_free(model);
}

#define EXPECT_INIT(type, init)                                                                              \
    do {                                                                                                     \
        OLD(type) old;                                                                                       \
        memset(&old, GUARD, sizeof old);                                                                     \
        init(&old.now, SHORT);                                                                               \
        cr_assert_eq(old.struct_size, SHORT, #type);                                                         \
        cr_assert_not(is_guard(old.bytes, sizeof(size_t), SHORT), #type);                                    \
        cr_assert(is_guard(old.bytes, SHORT, sizeof old), #type);                                            \
    } while (0)

Test(structs, of_options_are_initialised_as_far_as_they_go) {
    EXPECT_INIT(crease_options, crease_options_init_sized);
    EXPECT_INIT(crease_fold_options, crease_fold_options_init_sized);
    EXPECT_INIT(crease_verify_options, crease_verify_options_init_sized);
    EXPECT_INIT(crease_calibrate_options, crease_calibrate_options_init_sized);
}

/* A newer program may say more than this library knows. */
Test(structs, of_options_may_be_longer) {
    struct {
        crease_options known;
        int64_t newer[2];
    } options = {.newer = {1, 1}};
    crease_model *model = network_load(false);
    crease_options_init_sized(&options.known, sizeof options);
    cr_assert_eq(options.known.struct_size, sizeof options);
    cr_assert(options.known.fold);
    cr_assert_eq(options.newer[0] | options.newer[1], 0);
    crease_session_free(network_session(model, &options.known));
    crease_model_free(model);
}
