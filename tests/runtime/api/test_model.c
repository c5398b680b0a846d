/* What a model says of itself. */
#include "tests/runtime/api/network.h"

Test(model, names_dynamic_dimensions) {
    crease_model *model = network_load(true);
    crease_value_info info = {.struct_size = sizeof info};
    cr_assert(crease_model_input_at(model, 0, &info));
    cr_assert_str_eq(info.name, "x");
    cr_assert_eq(info.dtype, CREASE_FLOAT);
    cr_assert_arr_eq(info.dims, ((int64_t[]){-1, 2, -1, -1}), sizeof(int64_t[4]));
    cr_assert_str_eq(info.dim_names[0], "batch");
    cr_assert_null(info.dim_names[1]);
    cr_assert_str_eq(info.dim_names[2], "size");
    cr_assert_str_eq(info.dim_names[3], "size");
    cr_assert_not(crease_model_input_at(model, 1, &info));
    crease_model_free(model);
}

Test(model, answers_stay_as_they_are) {
    crease_model *model = network_load(true);
    crease_value_info input = {.struct_size = sizeof input}, output = {.struct_size = sizeof output};
    cr_assert(crease_model_input_at(model, 0, &input));
    for (int i = 0; i < 10; i++)
        cr_assert(crease_model_output_at(model, 0, &output));
    cr_assert_arr_eq(output.dims, ((int64_t[]){-1, 5}), sizeof(int64_t[2]));
    cr_assert_arr_eq(input.dims, ((int64_t[]){-1, 2, -1, -1}), sizeof(int64_t[4]));
    crease_model_free(model);
}
