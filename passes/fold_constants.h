#ifndef CREASE_PASSES_FOLD_CONSTANTS_H
#define CREASE_PASSES_FOLD_CONSTANTS_H

#include "runtime/graph/graph.h"

/* before: any node whose inputs are all constant (Constant, Identity, ConstantOfShape, shape arithmetic ...)
 * after:  its results as constants
 * not:    random operators, bodies, nodes crease cannot run, graph outputs, results of more than 2^22
 * elements, which would only make the file larger. Values are those of the operator itself, so they are
 * preserved. */
crease_status cr_pass_fold_constants(cr_model *model) CREASE_MUST_TEST;

#endif
