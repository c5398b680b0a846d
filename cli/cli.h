#ifndef CREASE_CLI_CLI_H
#define CREASE_CLI_CLI_H

#include "include/crease/crease.h"

#include <stdio.h>

/* What the commands share. A function that can fail returns an exit code; the failing line has printed the
 * one sentence. */
enum {
    EXIT_OK = 0,
    EXIT_MISMATCH = 1, /* a comparison or expectation failed */
    EXIT_USAGE = 2,
    EXIT_BAD_INPUT = 3, /* bad model or input */
    EXIT_UNSUPPORTED = 4,
    EXIT_RUNTIME = 5, /* out of memory, limit reached, run-time failure */
    EXIT_INTERRUPTED = 130
};

/* Print "crease: ..." as one line of at most 512 bytes, control characters escaped; returns code. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a failed library call: its sentence, its exit code; `who` (may be NULL) goes in front. */
int fail_status(crease_status status, const char *who);
/* A message on stderr unless -q. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- the command line ---- */

enum { MAX_LIST = 64 };

typedef struct arguments {
    const char *positional[4];
    int n_positional;
    const char *inputs[MAX_LIST], *shapes[MAX_LIST];
    int n_inputs, n_shapes;
    const char *output, *output_dir, *report, *only, *keep, *json, *labels, *profile, *preset, *layout, *mean,
        *std, *algorithm;
    double atol, rtol, seconds, scale;
    int64_t threads, runs, seed, top, expect_folded, max_memory_mib;
    bool no_fold, assume_const, exact, layers, nodes, dry_run, markdown, quiet, help, plain_layout;
} arguments;

int parse_arguments(int argc, char **argv, const char *command, arguments *a);
crease_options options_of(const arguments *a);

int command_run(const arguments *a);
int command_fold(const arguments *a);
int command_verify(const arguments *a);
int command_bench(const arguments *a);
int command_inspect(const arguments *a);
int command_ops(const arguments *a);
int command_demo(const arguments *a);

/* Load a.positional[index]. */
int load_model(const arguments *a, int index, crease_model **model);
/* The session that SIGINT cancels; NULL: none. */
void set_interruptible(crease_session *session);

/* ---- tensors ---- */

enum { MAX_RANK = 16 };

/* A tensor of the program's own; free with tensor_free. */
typedef struct tensor {
    char name[256];
    crease_dtype dtype;
    int rank;
    int64_t dims[MAX_RANK];
    void *data;
    size_t bytes;
} tensor;

void tensor_free(tensor *t);
int64_t tensor_n(const tensor *t);
/* Zeroed memory for dtype, rank and dims already set. */
int tensor_allocate(tensor *t, const char *who);

typedef struct bytes {
    unsigned char *data;
    size_t n;
} bytes;

int read_file(const char *path, bytes *file);
/* Write to a temporary name beside path, then rename: whole or not there. */
int write_file(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes);

int parse_npy(const char *path, const bytes *file, tensor *t);
int write_npy(const char *path, const crease_tensor *t);
bool npy_can_hold(crease_dtype dtype);
int parse_tensor_proto(const char *path, const bytes *file, tensor *t);
int write_tensor_proto(const char *path, const crease_tensor *t);
bool is_picture(const bytes *file);
/* Decode PNG or JPEG and bring it into the shape of a model input. */
int parse_picture(const char *path, const bytes *file, const arguments *a, const crease_value_info *want,
                  tensor *t);

/* One tensor for every input of the model, in its order. Inputs not given: an error, or random data where
 * `random` (then said on stderr). */
int gather_inputs(const crease_model *model, const arguments *a, bool random, uint64_t seed, tensor **inputs,
                  size_t *n);
void free_inputs(tensor *inputs, size_t n);
int set_inputs(crease_session *session, const tensor *inputs, size_t n);
crease_tensor view_of(const tensor *t);

/* ---- JSON ---- */

void json_string(FILE *out, const char *text);
void json_number(FILE *out, double value); /* non-finite: null */
/* "-" is stdout; otherwise a file that appears when json_close succeeds. */
FILE *json_open(const char *path, char *temporary, size_t bytes);
int json_close(FILE *out, const char *path, const char *temporary);

#endif
