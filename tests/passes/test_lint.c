#include "tests/passes/small.h"

/* x [1, 4, 2, 2] -> BN whose parameters are 1, 0.5, 0.25 and 2 */
static small one_bn(void) {
    static const double values[] = {1, 0.5, 0.25, 2};
    small s = small_begin(17, DIMS(1, 4, 2, 2));
    small_output(&s, small_bn(&s, "bn", s.x, 4));
    for (int i = 1; i < 5; i++)
        for (int c = 0; c < 4; c++)
            ((double *)small_find(&s, "bn")->inputs[i]->constant->data)[c] = values[i - 1];
    return s;
}

static void set(const small *s, int input, int channel, double value) {
    ((double *)small_find(s, "bn")->inputs[input]->constant->data)[channel] = value;
}

/* The findings in order, separated by spaces; `says`: part of the first detail. */
static void expect_findings(small s, const char *codes, const char *says) {
    crease_fold_finding f = {.struct_size = sizeof f};
    char found[256] = "";
    OK(cr_optimize_fold(s.model, NULL, s.report));
    size_t n = crease_fold_report_n_findings(s.report);
    for (size_t i = 0; i < n; i++) {
        cr_assert(crease_fold_report_finding_at(s.report, i, &f));
        cr_assert_eq(f.struct_size, sizeof f);
        cr_assert(i || !says || strstr(f.detail, says), "%s", f.detail);
        if (f.node)
            cr_assert_str_eq(f.node, "bn");
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i ? " " : "", f.code);
    }
    cr_assert_not(crease_fold_report_finding_at(s.report, n, &f));
    cr_assert_str_eq(found, codes);
    small_end(&s);
}

Test(lint, ordinary) {
    expect_findings(one_bn(), "", NULL);
}

Test(lint, dead_channels) {
    small s = one_bn();
    set(&s, 1, 2, 0);
    set(&s, 1, 3, -0.0);
    expect_findings(s, "dead-channels", "2 of 4 channels");
    s = one_bn();
    set(&s, 1, 2, 1e-30);
    expect_findings(s, "", NULL);
}

Test(lint, tiny_variance) {
    small s = one_bn();
    set(&s, 4, 0, 5.6e-45);
    expect_findings(s, "tiny-variance", "1 of 4 channels");
    s = one_bn();
    set(&s, 4, 0, 1e-6);
    expect_findings(s, "", NULL);
}

Test(lint, untrained_statistics) {
    small s = one_bn();
    for (int c = 0; c < 4; c++) {
        set(&s, 3, c, 0);
        set(&s, 4, c, 1);
    }
    expect_findings(s, "untrained-statistics", NULL);
    s = one_bn(); /* one channel has seen data */
    for (int c = 0; c < 4; c++) {
        set(&s, 3, c, 0);
        set(&s, 4, c, c ? 1 : 1.0001);
    }
    expect_findings(s, "", NULL);
}

Test(lint, identity) {
    small s = one_bn();
    for (int c = 0; c < 4; c++) {
        set(&s, 1, c, 3);
        set(&s, 2, c, 0.25);
        set(&s, 4, c, 9);
    }
    expect_findings(s, "identity", NULL);
    s = one_bn();
    for (int c = 0; c < 4; c++) {
        set(&s, 1, c, 3);
        set(&s, 4, c, 9);
    }
    expect_findings(s, "", NULL);
}

Test(lint, huge_gain) {
    small s = one_bn();
    set(&s, 1, 1, -4);
    set(&s, 4, 1, 0);
    expect_findings(s, "tiny-variance huge-gain", NULL);
    s = one_bn();
    set(&s, 1, 1, -1400);
    expect_findings(s, "", NULL); /* 1400 / sqrt(2) = 990 */
    s = one_bn();
    set(&s, 1, 1, -1500);
    expect_findings(s, "huge-gain", "channel 1");
}

Test(lint, no_batch_norm) {
    small s = small_begin(17, DIMS(1, 4));
    small_output(&s, small_node(&s, "Relu", "relu", IN(s.x)));
    expect_findings(s, "no-batch-norm", "TrainingMode.PRESERVE");
}

Test(lint, hostile_parameters_are_passed_over) {
    small s = one_bn();
    set(&s, 1, 1, NAN);
    set(&s, 4, 0, -3);
    set(&s, 4, 2, INFINITY);
    expect_findings(s, "", NULL);
    s = one_bn();
    cr_value *variance = small_find(&s, "bn")->inputs[4];
    variance->constant = NULL;
    OK(cr_graph_add_input(s.model->graph, variance));
    expect_findings(s, "", NULL);
}
