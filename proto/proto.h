#ifndef CREASE_PROTO_PROTO_H
#define CREASE_PROTO_PROTO_H

#include "runtime/graph/graph.h"

/* ONNX files in and out. Bytes are hostile: every size is checked, a failure is one sentence, nothing is
 * half-written. */

/* Load a model; assume_const makes constants of overridable initializers. On failure *model is NULL. */
crease_status cr_proto_load_file(const char *path, cr_heap *heap, bool assume_const,
                                 cr_model **model) CREASE_MUST_TEST;
crease_status cr_proto_load_memory(const void *data, size_t bytes, cr_heap *heap, bool assume_const,
                                   cr_model **model) CREASE_MUST_TEST;

/* Serialize; *data comes from cr_alloc on heap. The same model gives the same bytes. */
crease_status cr_proto_save(const cr_model *model, cr_heap *heap, void **data,
                            size_t *bytes) CREASE_MUST_TEST;
/* To a temporary file beside path that is renamed when it is whole. */
crease_status cr_proto_save_file(const cr_model *model, const char *path) CREASE_MUST_TEST;

/* ---- originals.c: the model that a folded one came from ---- */

bool cr_proto_has_originals(const cr_model *folded);
/* Store in the metadata of `folded` what is needed to write `original`, the bytes of an ONNX file, again:
 * all of it but the weights that `folded` still has. External data are UNSUPPORTED. */
crease_status cr_proto_store_originals(cr_model *folded, const void *original, size_t bytes) CREASE_MUST_TEST;
/* The stored file; *data comes from cr_alloc on heap. Fails with INPUT when nothing is stored, with MODEL
 * when what is stored is damaged or a weight it refers to has changed since. */
crease_status cr_proto_restore_originals(const cr_model *folded, cr_heap *heap, void **data,
                                         size_t *bytes) CREASE_MUST_TEST;

#endif
