#ifndef CREASE_RUNTIME_API_JUDGE_H
#define CREASE_RUNTIME_API_JUDGE_H

#include "runtime/api/model.h"

/* The model in float64: every value, constant and attribute of type float32, float16 or bfloat16 becomes
 * double. Other types stay. A Cast of constants is carried out first, since what it rounds is the network
 * itself. What verification compares with. */
crease_status cr_judge_create(const crease_model *model, crease_model **judge) CREASE_MUST_TEST;

#endif
