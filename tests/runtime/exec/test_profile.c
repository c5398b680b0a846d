#include "tests/passes/bodies.h"

/* tanh(conv(x)), three times: 6 channels of 5 x 7, 1x1. */
static crease_session *looping(crease_model **model) {
    const crease_options o = net_options();
    crease_session *session;
    cr_shape shapes[4];
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *y = net_body_node(t.body, "Conv", IN(t.carried, net_floats(&n, -0.3, 0.3, DIMS(6, 6, 1, 1))));
    OK(cr_graph_add_output(t.body, net_body_node(t.body, "Tanh", IN(y))));
    t.y->dtype = CREASE_FLOAT;
    net_infer(&n);
    net_output(&n, t.y);
    *model = net_publish(&n);
    OK(crease_session_create(*model, &o, &session));
    net_shapes(*model, shapes);
    net_set_inputs(session, *model, shapes, 3);
    return session;
}

static crease_step step_of(const crease_session *session, const char *op_type) {
    crease_step step = {.struct_size = sizeof step}, found = {0};
    for (size_t i = 0; crease_session_step_at(session, i, &step); i++)
        if (strcmp(step.op_type, op_type) == 0)
            found = step;
    cr_assert_not_null(found.node, "no %s", op_type);
    return found;
}

Test(profile, steps_of_a_body_stand_behind_the_one_that_runs_it) {
    crease_model *model;
    crease_session *session = looping(&model);
    crease_step step = {.struct_size = sizeof step};
    cr_assert_eq(crease_session_n_steps(session), 1, "no body has run");
    crease_session_profile(session, true);
    OK(crease_session_run(session));
    OK(crease_session_run(session));
    const size_t n = crease_session_n_steps(session);
    cr_assert_gt(n, 1);
    for (size_t i = 0; i < n; i++) {
        cr_assert(crease_session_step_at(session, i, &step));
        cr_assert_eq(step.depth, i > 0);
        cr_assert_eq(step.n_runs, 2);
    }
    cr_assert_not(crease_session_step_at(session, n, &step));
    crease_session_free(session);
    crease_model_free(model);
}

Test(profile, turns_of_a_body_are_counted_together) {
    crease_model *model;
    crease_session *session = looping(&model);
    crease_session_profile(session, true);
    OK(crease_session_run(session));
    const crease_step conv = step_of(session, "Conv"), loop = step_of(session, "Loop");
    cr_assert_eq(conv.macs, 3 * 6 * 6 * 5 * 7);
    cr_assert_geq(loop.best_seconds, conv.best_seconds);
    cr_assert_eq(loop.best_seconds, loop.seconds, "of one run");
    crease_session_free(session);
    crease_model_free(model);
}

/* What a run without profiling takes is not known afterwards. */
Test(profile, runs_are_measured_when_asked_for) {
    crease_model *model;
    crease_session *session = looping(&model);
    crease_session_profile(session, true);
    OK(crease_session_run(session));
    crease_session_profile(session, false);
    OK(crease_session_run(session));
    cr_assert_eq(step_of(session, "Conv").n_runs, 1);
    crease_session_profile(session, true);
    cr_assert_eq(step_of(session, "Conv").n_runs, 0);
    crease_session_free(session);
    crease_model_free(model);
}
