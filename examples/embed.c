#include <crease/crease.h>

#include <stdio.h>
#include <stdlib.h>

/* The six calls that embed a network: load, create, set_input, run, output, free.
 *
 *     embed MODEL.onnx
 *
 * runs a network with one float32 input on zeros, taking dynamic dimensions as 1, and prints the first
 * output. */

enum { MAX_RANK = 16 };

static int64_t choose_dims(const crease_value_info *input, int64_t dims[MAX_RANK]) {
    int64_t n = 1;
    for (int d = 0; d < input->rank; d++) {
        dims[d] = input->dims[d] < 0 ? 1 : input->dims[d];
        n *= dims[d];
    }
    return n;
}

static crease_status run(crease_session *session, const crease_value_info *input, crease_tensor *output) {
    int64_t dims[MAX_RANK], n = choose_dims(input, dims);
    float *data = calloc((size_t)n, sizeof *data);
    crease_status status =
        crease_session_set_input(session, input->name, CREASE_FLOAT, input->rank, dims, data);
    free(data); /* the session has its own copy */
    if (status == CREASE_OK)
        status = crease_session_run(session);
    return status == CREASE_OK ? crease_session_output(session, 0, output) : status;
}

static void print(const crease_tensor *output) {
    const float *values = output->data;
    printf("%s:", output->name);
    for (size_t i = 0; output->dtype == CREASE_FLOAT && i < output->bytes / sizeof *values && i < 10; i++)
        printf(" %g", (double)values[i]);
    printf("\n");
}

int main(int argc, char **argv) {
    crease_model *model = NULL;
    crease_session *session = NULL;
    crease_value_info input = {.struct_size = sizeof input};
    crease_tensor output = {.struct_size = sizeof output};

    if (argc != 2) {
        fprintf(stderr, "usage: embed MODEL.onnx\n");
        return 2;
    }
    crease_status status = crease_model_load_file(argv[1], NULL, &model);
    if (status == CREASE_OK)
        status = crease_session_create(model, NULL, &session);
    if (status == CREASE_OK && crease_model_input_at(model, 0, &input) && input.rank >= 0)
        status = run(session, &input, &output);
    if (status == CREASE_OK && output.data)
        print(&output);
    else
        fprintf(stderr, "embed: %s\n", crease_error_message());

    crease_session_free(session); /* the output was a view into the session */
    crease_model_free(model);
    return status == CREASE_OK ? 0 : 1;
}
