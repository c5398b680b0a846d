#ifndef CREASE_CLI_TENSOR_PB_H
#define CREASE_CLI_TENSOR_PB_H

#include "cli/file.h"
#include "cli/tensor.h"

/* ONNX TensorProto (onnx.proto, message TensorProto) in protobuf's wire format: every element type, in
 * raw_data or in the typed fields. External data are refused. */

/* Not a TensorProto at all is CLI_INPUT without a line: the caller knows what else the file could be.
 * *recognised: whether a line was printed or the tensor read. */
int tensor_pb_read(const char *source, const blob *file, tensor *out, bool *recognised);

/* The message up to the tensor's data, which follow as they are; of strings, all of it. Release head->data.
 */
void tensor_pb_header(const crease_tensor *t, blob *head);

#endif
