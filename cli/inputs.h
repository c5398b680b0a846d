#ifndef CREASE_CLI_INPUTS_H
#define CREASE_CLI_INPUTS_H

#include "cli/args.h"
#include "cli/image.h"

/* What --input and its relatives say. */
typedef struct input_options {
    arg_list inputs; /* [NAME=]SPEC */
    arg_list shapes; /* [NAME=]1x3x224x224 */
    image_options image;
} input_options;

#define INPUT_ARGS(o)                                                                                        \
    {"input", 'i', ARG_LIST, &(o).inputs, "[NAME=]SPEC", "an input; repeat for more (see below)", 0, 0},     \
        {"shape", 0, ARG_LIST, &(o).shapes, "[NAME=]DIMS", "shape of a dynamic input, e.g. x=1x3x224x224",   \
         0,       0},                                                                                        \
        IMAGE_ARGS((o).image)

/* For the details of a command's help. */
#define INPUT_HELP                                                                                           \
    "NAME ends at the first '='; without one, a file goes to the input of the tensor's own name, or to the " \
    "next\n"                                                                                                 \
    "input. SPEC is a file, recognised by its content: .npy, .npz, TensorProto .pb, PNG, JPEG; an ONNX\n"    \
    "test_data_set folder; or random[:SEED], zeros, ones, raw:FILE. A dynamic batch is 1 unless --shape "    \
    "says else.\n"

void inputs_options_free(input_options *options);

/* The tensors for a run, in no particular order; each has its name. */
typedef struct input_set {
    tensor *list;
    size_t n;
} input_set;

/* What happens to an input that is not given. */
typedef enum missing_input {
    MISSING_FAILS,
    MISSING_RANDOM, /* random numbers by the seed, and a note on stderr that says so */
    MISSING_RANDOM_SILENT
} missing_input;

/* Read and make all inputs of a model. `seed` is for those that are random without a seed of their own.
 * Release *out also after a failure. */
int inputs_collect(const crease_model *model, const input_options *options, missing_input missing,
                   uint64_t seed, input_set *out);
void inputs_free(input_set *set);

/* Give the tensors to a session, which borrows their memory. */
int inputs_bind(const input_set *set, crease_session *session);

/* The library's views; free() the array, not what it points to. */
crease_tensor *inputs_views(const input_set *set);

/* The test_data_set folder among the options, or NULL. */
const char *inputs_folder(const input_options *options);

/* A file that must be one tensor: .npy or TensorProto. */
int inputs_read_tensor(const char *path, tensor *out);

#endif
