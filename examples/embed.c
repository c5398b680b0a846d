#include "include/crease/crease.h"

#include <stdio.h>
#include <stdlib.h>

/* The six calls that embed a network: load, create, set_input, run, output, free.
 * usage: embed MODEL.onnx, a network with one float32 input; dynamic dimensions are taken as 1. */

static int fail(void) {
    fprintf(stderr, "embed: %s\n", crease_error_message());
    return 1;
}

int main(int argc, char **argv) {
    crease_model *model = NULL;
    crease_session *session = NULL;
    crease_value_info input = {.struct_size = sizeof input};
    crease_tensor output = {.struct_size = sizeof output};
    int64_t dims[16], n = 1;

    if (argc != 2)
        return 2;
    if (crease_model_load_file(argv[1], NULL, &model) != CREASE_OK)
        return fail();
    if (!crease_model_input_at(model, 0, &input) || input.rank < 0)
        return 2;
    for (int d = 0; d < input.rank; d++)
        n *= dims[d] = input.dims[d] < 0 ? 1 : input.dims[d];
    float *pixels = calloc((size_t)n, sizeof *pixels);

    if (!pixels || crease_session_create(model, NULL, &session) != CREASE_OK ||
        crease_session_set_input(session, NULL, CREASE_FLOAT, input.rank, dims, pixels) != CREASE_OK ||
        crease_session_run(session) != CREASE_OK || crease_session_output(session, 0, &output) != CREASE_OK)
        return fail();
    printf("%s: %zu bytes, first value %g\n", output.name, output.bytes, (double)*(const float *)output.data);

    crease_session_free(session);
    crease_model_free(model);
    free(pixels);
    return 0;
}
