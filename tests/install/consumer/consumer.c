#include <crease/crease.h>

#include <stdio.h>

int main(int argc, char **argv) {
    crease_model *model;
    if (argc != 2 || crease_model_load_file(argv[1], NULL, &model) != CREASE_OK) {
        fprintf(stderr, "%s\n", crease_error_message());
        return 1;
    }
    printf("%zu input, %zu output\n", crease_model_n_inputs(model), crease_model_n_outputs(model));
    crease_model_free(model);
    return 0;
}
