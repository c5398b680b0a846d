#include "passes/pass.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/verify.h"
#include "runtime/ops/infer.h"

#include <stdio.h>

static const char no_batch_norm[] =
    "0 BatchNormalization nodes: the exporter folded them, or the network has none. To export them unfolded "
    "from PyTorch: torch.onnx.export(model.eval(), ..., training=torch.onnx.TrainingMode.PRESERVE, "
    "do_constant_folding=False)";

/* Every BatchNormalization of the model as it came: what no pass spoke of was removed because nobody needs
 * it. */
typedef struct census {
    cr_arena arena;
    const cr_node **nodes;
    size_t n;
} census;

static crease_status count(cr_graph *graph, void *context) {
    census *c = context;
    CR_FOR_NODES(node, graph)
    c->n += cr_node_is(node, "BatchNormalization");
    return CREASE_OK;
}

static crease_status list(cr_graph *graph, void *context) {
    census *c = context;
    CR_FOR_NODES(node, graph)
    if (cr_node_is(node, "BatchNormalization"))
        c->nodes[c->n++] = node;
    return CREASE_OK;
}

static crease_status take_census(cr_model *model, census *c) {
    CR_TRY(cr_model_each_graph(model, count, c));
    CR_TRY(CR_ARENA_NEW(&c->arena, &c->nodes, c->n));
    c->n = 0;
    return cr_model_each_graph(model, list, c);
}

static crease_status complete_report(cr_report *report, const census *c) {
    for (size_t i = 0; i < c->n; i++)
        if (!cr_report_has(report, c->nodes[i]))
            CR_TRY(
                cr_report_kept(report, c->nodes[i], "unused", "nobody uses its result, and it was removed"));
    return CREASE_OK;
}

static crease_status leave_provenance(cr_model *model, const cr_report *report) {
    char text[64];
    size_t n = cr_report_n_folded(report);
    snprintf(text, sizeof text, "%zu nodes folded by crease %s", n, crease_version());
    return n ? cr_model_set_property(model, "crease.fold", text) : CREASE_OK;
}

static crease_status tidy(cr_model *model, cr_report *report) {
    CR_TRY(cr_model_verify_after(model, cr_pass_lift_invariants(model)));
    CR_TRY(cr_model_verify_after(model, cr_pass_fold_constants(model, report)));
    CR_TRY(cr_model_verify_after(model, cr_pass_drop_noops(model)));
    return cr_model_drop_dead(model);
}

static crease_status optimize(cr_model *model, const cr_fold_settings *settings, cr_report *report,
                              census *c) {
    CR_TRY(cr_model_resolve(model));
    CR_TRY(cr_graph_infer(model->graph));
    CR_TRY(take_census(model, c));
    CR_TRY(cr_pass_check_globs(model, settings));
    if (c->n == 0)
        CR_TRY(cr_report_find(report, NULL, "no-batch-norm", no_batch_norm));
    CR_TRY(tidy(model, report));
    CR_TRY(cr_pass_lint(model, report));
    CR_TRY(cr_graph_infer(model->graph)); /* shapes that constants have decided */
    CR_TRY(cr_model_verify_after(model, cr_pass_fold(model, settings, report)));
    CR_TRY(cr_model_drop_dead(model));
    CR_TRY(complete_report(report, c));
    CR_TRY(leave_provenance(model, report));
    return cr_model_resolve(model); /* a MatMul may have become a Gemm */
}

crease_status cr_optimize_fold(cr_model *model, const cr_fold_settings *settings, cr_report *report) {
    const cr_fold_settings all = {0};
    census c = {0};
    cr_arena_init(&c.arena, model->heap);
    crease_status status = optimize(model, settings ? settings : &all, report, &c);
    cr_arena_clear(&c.arena);
    return status;
}
