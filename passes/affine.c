#include "passes/affine.h"
#include "runtime/graph/attr.h"

#include <math.h>

static const char *unfit_semantics(const cr_node *bn, int64_t opset) {
    int64_t training = 0, is_test = opset < 7 ? 0 : 1, spatial = 1;
    if (cr_attr_int(bn, "training_mode", 0, &training) ||
        (opset < 7 && cr_attr_int(bn, "is_test", 0, &is_test)) ||
        (opset < 9 && cr_attr_int(bn, "spatial", 1, &spatial)))
        return "bad-attribute";
    for (int i = 1; i < bn->n_outputs; i++)
        if (bn->outputs[i] && (bn->outputs[i]->n_uses || bn->outputs[i]->n_outputs))
            return "extra-outputs";
    if (training)
        return "training-mode";
    return spatial ? NULL : "spatial-0";
}

static const char *unfit_parameters(const cr_node *bn) {
    for (int i = 1; i < 5; i++) {
        const cr_value *v = cr_node_input(bn, i);
        if (!v || !v->constant)
            return v && v->initial ? "overridable-initializer" : "not-constant";
        if (!cr_dtype_is_float(v->constant->dtype) || v->constant->shape.rank != 1 ||
            v->constant->shape.dims[0] != bn->inputs[1]->constant->shape.dims[0])
            return "axis-mismatch";
    }
    return NULL;
}

crease_status cr_affine_of(const cr_node *bn, cr_affine *affine, const char **reason) {
    cr_model *model = bn->graph->model;
    float epsilon;
    *reason = unfit_semantics(bn, cr_model_opset(model, ""));
    if (!*reason)
        *reason = unfit_parameters(bn);
    if (*reason)
        return CREASE_OK;
    CR_TRY(cr_attr_float(bn, "epsilon", 1e-5f, &epsilon));
    affine->n = bn->inputs[1]->constant->shape.dims[0];
    CR_TRY(CR_ARENA_NEW(&model->arena, &affine->gamma_over_sigma, (size_t)affine->n));
    CR_TRY(CR_ARENA_NEW(&model->arena, &affine->mean, (size_t)affine->n));
    CR_TRY(CR_ARENA_NEW(&model->arena, &affine->beta, (size_t)affine->n));
    for (int64_t c = 0; c < affine->n; c++) {
        double p[4];
        for (int i = 0; i < 4; i++)
            p[i] = cr_load_float(bn->inputs[i + 1]->constant->dtype, bn->inputs[i + 1]->constant->data, c);
        double d = p[3] + (double)epsilon;
        if (!isfinite(p[0]) || !isfinite(p[1]) || !isfinite(p[2]) || !isfinite(d))
            *reason = "non-finite";
        else if (!(d > 0))
            *reason = "variance-not-positive";
        affine->gamma_over_sigma[c] = p[0] / sqrt(d);
        affine->beta[c] = p[1];
        affine->mean[c] = p[2];
    }
    return CREASE_OK;
}

bool cr_store_rounded(cr_tensor *tensor, int64_t i, double value) {
    cr_store_float(tensor->dtype, tensor->data, i, value);
    return isfinite(cr_load_float(tensor->dtype, tensor->data, i));
}
