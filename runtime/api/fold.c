#include "passes/pass.h"
#include "runtime/api/model.h"
#include "runtime/graph/edit.h"

void crease_fold_options_init(crease_fold_options *options) {
    *options = (crease_fold_options){.struct_size = sizeof *options};
}

static crease_status optimize(cr_model *ir, const crease_fold_options *o, crease_fold_report *report) {
    if (o->assume_const)
        CR_TRY(cr_model_assume_constant(ir));
    cr_fold_settings settings = {.only = o->only, .keep = o->keep};
    return cr_optimize_fold(ir, &settings, report);
}

crease_status crease_fold(const crease_model *model, const crease_fold_options *options,
                          crease_model **folded, crease_fold_report **report) {
    crease_fold_options o;
    crease_fold_report *own;
    cr_model *ir;
    crease_model *result = NULL;
    if (!model)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_fold: model must not be NULL");
    crease_fold_options_init(&o);
    if (options)
        o = *options;
    if (folded)
        *folded = NULL;
    if (report)
        *report = NULL;
    CR_TRY(cr_model_clone(model->ir, model->ir->heap, &ir));
    crease_status status = cr_report_create(model->ir->heap, &own);
    if (status == CREASE_OK)
        status = optimize(ir, &o, own);
    if (status == CREASE_OK)
        status = cr_model_publish(ir, &result);
    else
        cr_model_destroy(ir);
    if (status == CREASE_OK && folded)
        *folded = result;
    else
        crease_model_free(result);
    if (status == CREASE_OK && report)
        *report = own;
    else
        crease_fold_report_free(own);
    return status;
}
