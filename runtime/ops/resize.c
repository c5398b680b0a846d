#include "runtime/ops/op.h"

/* Resize and Upsample are not supported: models that hold them are refused. */
    {0},
};
