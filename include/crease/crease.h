#ifndef CREASE_CREASE_H
#define CREASE_CREASE_H

/* crease: run ONNX networks on CPU, with every batch normalisation folded or explained.
 *
 * In learning order: status, types, options, models, folding, sessions, profiles, verification, calibration.
 * The shortest use is six calls (examples/embed.c):
 *
 *     crease_model_load_file("net.onnx", NULL, &model);
 *     crease_session_create(model, NULL, &session);
 *     crease_session_set_input(session, NULL, CREASE_FLOAT, 4, dims, pixels);
 *     crease_session_run(session);
 *     crease_session_output(session, 0, &tensor);
 *     crease_session_free(session); crease_model_free(model);
 *
 * Rules that hold everywhere: nothing is printed, nothing exits or aborts, no environment is needed, no
 * network is used. A function that can fail returns a crease_status, and crease_error_message() has the
 * sentence. Every free function takes NULL. Structs begin with struct_size, which the caller sets to sizeof
 * the struct (the *_init functions do), so that a program compiled against an older header keeps working:
 * new members come last, and no more is written than the caller has. crease_tensor and crease_string, of
 * which there are arrays, stay as they are. Dimensions are int64_t. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CREASE_API       __attribute__((visibility("default")))
#define CREASE_MUST_TEST __attribute__((warn_unused_result))
#else
#define CREASE_API
#define CREASE_MUST_TEST
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ---- */

typedef enum crease_status {
    CREASE_OK = 0,
    CREASE_ERROR_ARGUMENT = 1,    /* the call itself is wrong: NULL, an unknown name, a bad option */
    CREASE_ERROR_FILE = 2,        /* a file cannot be read or written */
    CREASE_ERROR_MODEL = 3,       /* not a valid ONNX model */
    CREASE_ERROR_INPUT = 4,       /* an input tensor is missing or has the wrong shape, type or content */
    CREASE_ERROR_UNSUPPORTED = 5, /* valid ONNX that crease cannot run */
    CREASE_ERROR_MEMORY = 6,      /* the allocator gave nothing, or the memory limit is reached */
    CREASE_ERROR_RUN = 7,         /* the network itself failed at run time, e.g. an index out of range */
    CREASE_ERROR_CANCELLED = 8    /* crease_session_cancel() was called */
} crease_status;

/* The name of a status, e.g. "CREASE_ERROR_MODEL". Never NULL. */
CREASE_API const char *crease_status_name(crease_status status);

/* One sentence about the last failure in the calling thread: who, what was found, what was expected. Never
 * NULL, at most 511 bytes, valid until the next crease call in this thread. */
CREASE_API const char *crease_error_message(void);

/* "major.minor.patch". */
CREASE_API const char *crease_version(void);

/* One line: version, instruction set in use, BLAS in use and its core, compiler. Loads the BLAS library.
 * Valid for the life of the process. */
CREASE_API const char *crease_build_info(void);

/* Two parts of it, for reports: the instruction set of the kernels, e.g. "avx512" or "amx", and the BLAS and
 * its core. Where the processor has AMX, the first that asks, or the first session, has Linux allow this
 * process to use it: signal frames of threads that compute grow by 8 KB, which an alternate signal stack
 * must have room for. The environment variable CREASE_CPU=avx512 does without. */
CREASE_API const char *crease_kernels_name(void);
CREASE_API const char *crease_blas_name(void);

/* ---- Types ---- */

/* Element types, with the numbers of ONNX TensorProto.DataType. */
typedef enum crease_dtype {
    CREASE_UNDEFINED = 0,
    CREASE_FLOAT = 1,
    CREASE_UINT8 = 2,
    CREASE_INT8 = 3,
    CREASE_UINT16 = 4,
    CREASE_INT16 = 5,
    CREASE_INT32 = 6,
    CREASE_INT64 = 7,
    CREASE_STRING = 8,
    CREASE_BOOL = 9, /* one byte each */
    CREASE_FLOAT16 = 10,
    CREASE_DOUBLE = 11,
    CREASE_UINT32 = 12,
    CREASE_UINT64 = 13,
    CREASE_COMPLEX64 = 14,
    CREASE_COMPLEX128 = 15,
    CREASE_BFLOAT16 = 16,
    CREASE_FLOAT8E4M3FN = 17,
    CREASE_FLOAT8E4M3FNUZ = 18,
    CREASE_FLOAT8E5M2 = 19,
    CREASE_FLOAT8E5M2FNUZ = 20,
    CREASE_UINT4 = 21, /* 4-bit and 2-bit types: packed, low bits first, as in ONNX */
    CREASE_INT4 = 22,
    CREASE_FLOAT4E2M1 = 23,
    CREASE_FLOAT8E8M0 = 24,
    CREASE_UINT2 = 25,
    CREASE_INT2 = 26
} crease_dtype;

/* "float32", "int64", ... (ONNX's lower-case names). Never NULL. */
CREASE_API const char *crease_dtype_name(crease_dtype dtype);

/* Bits of one element; 0 for CREASE_UNDEFINED and CREASE_STRING. */
CREASE_API size_t crease_dtype_bits(crease_dtype dtype);

/* An element of type CREASE_STRING. */
typedef struct crease_string {
    const char *data; /* not zero-terminated */
    size_t bytes;
} crease_string;

/* A dense row-major tensor. Who owns name, dims and data is said where the struct is used. Strings: data is
 * an array of crease_string, and bytes is the size of that array. */
typedef struct crease_tensor {
    size_t struct_size;
    const char *name;
    crease_dtype dtype;
    int rank;
    const int64_t *dims; /* [rank] */
    const void *data;
    size_t bytes;
} crease_tensor;

/* What a model says of one of its inputs, outputs or weights. Strings and arrays belong to the model. */
typedef struct crease_value_info {
    size_t struct_size;
    const char *name;
    crease_dtype dtype;
    int rank;                     /* -1: not known */
    const int64_t *dims;          /* [rank]; -1: dynamic */
    const char *const *dim_names; /* [rank]; the symbolic name of a dynamic dimension, or NULL */
} crease_value_info;

typedef struct crease_node_info {
    size_t struct_size;
    const char *name; /* never NULL; made from the first output where the model gives none */
    const char *op_type;
    const char *domain; /* "" is ONNX's own */
    int since_version;  /* of the behaviour that runs it; 0: not supported */
    int n_inputs, n_outputs;
    int64_t macs;       /* multiply-accumulates for one run at the model's static shapes; -1: not known */
    int64_t parameters; /* elements of constant inputs that only this node uses first */
    const char *output; /* name of the first output */
} crease_node_info;

/* ---- Options ---- */

/* Memory comes from here when given. allocate returns at least `bytes` bytes aligned to `alignment` (a power
 * of two, at most 64) or NULL; release takes what allocate gave. Both are called from any thread. */
typedef struct crease_allocator {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *user;
} crease_allocator;

typedef struct crease_options {
    size_t struct_size;
    int threads;                       /* at most 1024; 0: one for each core that the process may use */
    const crease_allocator *allocator; /* copied; NULL: the C library's */
    size_t memory_limit_bytes;         /* of one model or one session; 0: none */
    bool fold;                         /* sessions fold batch normalisations; default true */
    bool exact;                        /* convolutions sum products of floats: no Winograd, no AMX */
    bool assume_const;                 /* treat overridable initializers (IR >= 4) as constants */
    bool keep_all;     /* keep every intermediate for crease_session_peek(); no fusing, more memory */
    bool plain_layout; /* no channel-blocked layout: all is row-major, as in ONNX */
    /* Force this algorithm by name where it accepts; NULL: choose. A name that no algorithm has is ARGUMENT,
     * with all names in the sentence. */
    const char *convolution;
    /* Try the algorithms of each convolution when shapes are planned, and take the fastest. Timing decides:
     * two sessions may differ in rounding, as they otherwise do not. */
    bool tune;
    /* With tune: the file that keeps choices, keyed by processor, version, threads and convolution. Made when
     * missing; wrong lines are ignored. NULL: they are not kept. Session creation, or the first run with new
     * shapes, fails with FILE when it cannot be written. */
    const char *tune_cache;
    /* crease_session_create() takes over the caller's reference to the model, also when it fails. Where that
     * was the last one, weights are given back as they are folded and packed, and never stand in memory
     * twice. */
    bool take_model;
    /* What packed weights may take together (crease_memory.weight_bytes); 0: whatever is fastest. Beyond it
     * convolutions are given algorithms with smaller weights, those first that lose the least time for each
     * byte. A wish: where the smallest are larger, they are taken. Those given up are not tried by `tune`. */
    size_t weight_limit_bytes;
} crease_options;

/* Fill with defaults. `options` must not be NULL. From C the program's size of the struct goes along, since
 * it is not the library's where that is newer; the function that other languages call fills the library's. */
CREASE_API void crease_options_init(crease_options *options);
CREASE_API void crease_options_init_sized(crease_options *options, size_t bytes);
#define crease_options_init(options) crease_options_init_sized((options), sizeof(crease_options))

/* ---- Models ---- */

/* A loaded model. Immutable; may be used by any number of threads and sessions at once. */
typedef struct crease_model crease_model;

/* Load an ONNX model. External tensor data are looked for in the file's folder only and never outside it.
 * options may be NULL; allocator, memory limit and assume_const are used. Large external data stay mapped
 * to their file, which must not be changed while the model lives. Sequences and optionals whose structure is
 * the same in every run are written as the tensors they hold: the model's nodes are those after that. On
 * failure *model is NULL. Fails with FILE, MODEL, MEMORY; operators crease does not know are no failure here
 * (see crease_model_check). */
CREASE_API crease_status crease_model_load_file(const char *path, const crease_options *options,
                                                crease_model **model) CREASE_MUST_TEST;

/* The same from memory, which is copied. External data are refused. */
CREASE_API crease_status crease_model_load_memory(const void *data, size_t bytes,
                                                  const crease_options *options,
                                                  crease_model **model) CREASE_MUST_TEST;

/* One more owner; returns model. Each owner calls crease_model_free(). Thread-safe. */
CREASE_API crease_model *crease_model_retain(crease_model *model);
CREASE_API void crease_model_free(crease_model *model);

/* Inputs that a caller sets (initializers are not among them), outputs, top-level nodes in execution order.
 * Each _at function fills *info and returns false when index is out of range. */
CREASE_API size_t crease_model_n_inputs(const crease_model *model);
CREASE_API bool crease_model_input_at(const crease_model *model, size_t index, crease_value_info *info);
CREASE_API size_t crease_model_n_outputs(const crease_model *model);
CREASE_API bool crease_model_output_at(const crease_model *model, size_t index, crease_value_info *info);
CREASE_API size_t crease_model_n_nodes(const crease_model *model);
CREASE_API bool crease_model_node_at(const crease_model *model, size_t index, crease_node_info *info);

typedef struct crease_model_info {
    size_t struct_size;
    int64_t ir_version, opset; /* opset of ONNX's own domain; 0: not imported */
    const char *producer_name, *producer_version, *graph_name;
    int64_t parameters;      /* elements of all weights */
    int64_t parameter_bytes; /* their size */
    int64_t macs;            /* sum over the nodes for which it is known */
    int n_batch_norms;       /* BatchNormalization nodes, subgraphs included */
} crease_model_info;
CREASE_API void crease_model_get_info(const crease_model *model, crease_model_info *info);

/* Whether crease can run every node. CREASE_OK, or CREASE_ERROR_UNSUPPORTED with a sentence that names the
 * operators and nodes; problem_at gives all of them. */
CREASE_API crease_status crease_model_check(const crease_model *model) CREASE_MUST_TEST;

typedef struct crease_problem {
    size_t struct_size;
    const char *node, *op_type, *domain; /* belong to the model */
    const char *reason;                  /* one sentence, belongs to the model */
} crease_problem;
CREASE_API size_t crease_model_n_problems(const crease_model *model);
CREASE_API bool crease_model_problem_at(const crease_model *model, size_t index, crease_problem *problem);

/* One behaviour of an operator that crease can run, valid in operator-set versions since..until of its
 * domain. An operator whose meaning changed has several. Strings live as long as the process. */
typedef struct crease_operator_info {
    size_t struct_size;
    const char *name;
    const char *domain; /* "" is ONNX's own */
    int since, until;   /* both included; until 0: the newest */
    uint64_t types;     /* bit 1 << dtype for each element type of its main input; 0: said by the inputs */
} crease_operator_info;
CREASE_API size_t crease_n_operators(void);
CREASE_API bool crease_operator_at(size_t index, crease_operator_info *info);

/* Write the model as ONNX. A file is written beside the target and renamed, so that it is whole or not there.
 * The same model gives the same bytes. Fails with FILE, MEMORY. */
CREASE_API crease_status crease_model_save_file(const crease_model *model, const char *path) CREASE_MUST_TEST;

/* The same into memory; *data is released with crease_memory_free(). */
CREASE_API crease_status crease_model_save_memory(const crease_model *model, void **data,
                                                  size_t *bytes) CREASE_MUST_TEST;
CREASE_API void crease_memory_free(void *data);

/* ---- Folding ---- */

/* BatchNormalization at inference (Ioffe & Szegedy 2015; ONNX BatchNormalization 1-15) is, per channel,
 *     y = s x + t,   s = gamma / sqrt(var + eps),   t = beta - mean s.
 * Folding moves s and t into a neighbouring linear operator, in double arithmetic with one rounding. */
typedef struct crease_fold_options {
    size_t struct_size;
    const char *only; /* glob on node names: fold these alone; NULL: all. No match is CREASE_ERROR_ARGUMENT */
    const char *keep; /* glob on node names: leave these; NULL: none. No match is CREASE_ERROR_ARGUMENT */
    bool assume_const; /* treat overridable initializers (IR >= 4) as constants */
    /* Run the network on these, in float64, and measure what each fold does to it by itself. Matched by name;
     * a NULL name is the only input. NULL: nothing is measured. */
    const crease_tensor *inputs;
    size_t n_inputs;
    double max_error; /* leave what moves its result by more than this (relative to the largest magnitude),
                         with the reason "max-error"; needs inputs. 0: no limit */
    int threads;      /* for measuring; 0: one for each core */
    /* The bytes of the ONNX file that the model was loaded from: the folded model then carries what
     * crease_unfold() needs to write that file again. NULL: it does not. */
    const void *original;
    size_t original_bytes;
} crease_fold_options;
CREASE_API void crease_fold_options_init(crease_fold_options *options);
CREASE_API void crease_fold_options_init_sized(crease_fold_options *options, size_t bytes);
#define crease_fold_options_init(options)                                                                    \
    crease_fold_options_init_sized((options), sizeof(crease_fold_options))

typedef struct crease_fold_entry {
    size_t struct_size;
    const char *name; /* of the BatchNormalization (or affine) node */
    const char *op;   /* its operator */
    bool folded;
    const char *into;    /* the node(s) that took it in, comma-separated; NULL when kept */
    const char *pattern; /* stable code such as "conv-bn"; NULL when kept */
    const char *reason;  /* stable code such as "several-consumers"; NULL when folded */
    const char *detail;  /* one sentence: what is at fault, what the user can change; may be NULL */
    /* A-priori bounds of rounding for each element y' = sum w' x + b' of the result, relative to sum |w'| |x|
     * + |b'| of that element; u is the largest relative error of one rounding (2^-24 in float32, 2^-53 in
     * float64, 2^-11 in float16, 2^-8 in bfloat16). Both are 0 when kept. A weight below the smallest normal
     * number of its type errs by up to half of the smallest number of all instead. */
    double bound;       /* what rounding the new weights adds: u of their type; 0: no weight changed */
    double layer_bound; /* what computing the folded layer may err by in all, with new weights and sums in
                           floating point: 3 u sqrt(K) + 2 u, K being the products summed (input channels of a
                           group times the kernel's size); u of the result's type. Rounding errors are taken
                           to be independent, as they are in practice; in the worst case K replaces sqrt(K).
                           With several layers (a Concat's inputs) the largest. */
    double measured;    /* relative error at the folded node's output that the fold causes by itself, found in
                           float64, in a body the worst of its runs; -1: not measured */
} crease_fold_entry;

/* What was done to each BatchNormalization. Immutable; entries belong to the report. */
typedef struct crease_fold_report crease_fold_report;

/* A new model with every possible batch normalisation folded; `model` is untouched and shares its weights.
 * options and report may be NULL. The new model has standard operators only and can be saved. */
CREASE_API crease_status crease_fold(const crease_model *model, const crease_fold_options *options,
                                     crease_model **folded, crease_fold_report **report) CREASE_MUST_TEST;

/* The ONNX file that a folded model came from, bit for bit in graph and weights, where it was folded with its
 * original. *data is released with crease_memory_free(). Fails with INPUT when the model carries no original,
 * MODEL when that is damaged or a weight it shares with the folded model was changed since, MEMORY. */
CREASE_API crease_status crease_unfold(const crease_model *folded, void **data,
                                       size_t *bytes) CREASE_MUST_TEST;

CREASE_API size_t crease_fold_report_n_entries(const crease_fold_report *report);
CREASE_API bool crease_fold_report_entry_at(const crease_fold_report *report, size_t index,
                                            crease_fold_entry *entry);

/* What is odd about the batch normalisations themselves, whether or not they fold. Strings belong to the
 * report. Codes: "dead-channels" (scale 0), "tiny-variance" (far below epsilon), "untrained-statistics" (mean
 * 0 and variance 1 throughout), "identity", "huge-gain", and "no-batch-norm" for a model without any. */
typedef struct crease_fold_finding {
    size_t struct_size;
    const char *node;   /* name; NULL: the whole model */
    const char *code;   /* stable */
    const char *detail; /* one sentence: what was found, what the user can do */
} crease_fold_finding;
CREASE_API size_t crease_fold_report_n_findings(const crease_fold_report *report);
CREASE_API bool crease_fold_report_finding_at(const crease_fold_report *report, size_t index,
                                              crease_fold_finding *finding);
CREASE_API void crease_fold_report_free(crease_fold_report *report);

/* ---- Sessions ---- */

/* A model made ready to run. Used by one thread at a time; sessions of one model may run at the same time. */
typedef struct crease_session crease_session;

/* Optimise, plan and pack. The session keeps what it needs of the model, which may be freed at once: weights
 * that were folded or packed are then given back (options.take_model: while the session is made). options may
 * be NULL. With static input shapes all memory for running is allocated here; otherwise at the first run with
 * new shapes. Fails with ARGUMENT (options.convolution, threads), UNSUPPORTED, MODEL, MEMORY. */
CREASE_API crease_status crease_session_create(crease_model *model, const crease_options *options,
                                               crease_session **session) CREASE_MUST_TEST;
CREASE_API void crease_session_free(crease_session *session);

/* Copy a tensor in. name NULL: the model's only input. dims are [rank], data is dense and row-major and is
 * not needed after the call. The input keeps its value for further runs. Fails with ARGUMENT (name), INPUT
 * (type, rank, dims). */
CREASE_API crease_status crease_session_set_input(crease_session *session, const char *name,
                                                  crease_dtype dtype, int rank, const int64_t *dims,
                                                  const void *data) CREASE_MUST_TEST;

/* Use the caller's memory without a copy: data must stay valid and unchanged until it is bound anew or the
 * session is freed. No alignment or padding is asked for. */
CREASE_API crease_status crease_session_bind_input(crease_session *session, const char *name,
                                                   crease_dtype dtype, int rank, const int64_t *dims,
                                                   const void *data) CREASE_MUST_TEST;

/* Write output `name` (NULL: the only one) into the caller's memory of `bytes` bytes from the next run on;
 * data NULL ends that. The run fails with ARGUMENT when it is too small. */
CREASE_API crease_status crease_session_bind_output(crease_session *session, const char *name, void *data,
                                                    size_t bytes) CREASE_MUST_TEST;

/* Run the network on the inputs set. On x86-64 and 64-bit ARM, operators that were made for this machine,
 * nearly all convolutions among them, take subnormal numbers (float32 below 1.2e-38, also between steps of a
 * computation) for 0; the calling thread's floating-point mode is restored. Fails with INPUT when one is
 * missing, RUN, MEMORY, UNSUPPORTED, CANCELLED. */
CREASE_API crease_status crease_session_run(crease_session *session) CREASE_MUST_TEST;

/* Outputs of the model. */
CREASE_API size_t crease_session_n_outputs(const crease_session *session);

/* View of an output; dims and data are valid until the next run, set_input or free. Fails with ARGUMENT. */
CREASE_API crease_status crease_session_output(crease_session *session, size_t index,
                                               crease_tensor *tensor) CREASE_MUST_TEST;

/* The same for any tensor of the model by name; needs options.keep_all unless it is an output. */
CREASE_API crease_status crease_session_peek(crease_session *session, const char *name,
                                             crease_tensor *tensor) CREASE_MUST_TEST;

/* Make the run in progress, or else the next one, end with CREASE_ERROR_CANCELLED within one node. From any
 * thread or a signal handler. */
CREASE_API void crease_session_cancel(crease_session *session);

typedef struct crease_memory {
    size_t struct_size;
    size_t weight_bytes; /* packed weights held by the session */
    size_t arena_bytes;  /* planned activations and scratch */
    size_t peak_bytes;   /* most the session ever held at once */
} crease_memory;
CREASE_API void crease_session_get_memory(const crease_session *session, crease_memory *memory);

/* The fold report of the session's own optimisation; NULL with options.fold false. Belongs to the session. */
CREASE_API const crease_fold_report *crease_session_fold_report(const crease_session *session);

/* ---- Profiles ---- */

/* Start or stop timing each step of the following runs; starting clears the counts. */
CREASE_API void crease_session_profile(crease_session *session, bool on);

/* One step of the plan, in execution order. Strings belong to the session. Where shapes follow from data, all
 * but the times is of the last run, strings until the next one, and nothing is known before the first. Steps
 * in the body of an If, Loop or Scan come behind the one that runs it, whose times hold theirs, once the body
 * has run: planned for the last shapes, and all turns in a run of the model counted as one. */
typedef struct crease_step {
    size_t struct_size;
    const char *node, *op_type;
    const char *algorithm; /* what runs it, e.g. "direct", "winograd4", "im2col"; may be "" */
    const char *note;      /* what else it computes: the parts fused into it; may be "" */
    int64_t macs;          /* -1: not known */
    int64_t n_runs;
    double seconds;                    /* sum over n_runs */
    double best_seconds;               /* least of one run; 0 before the first */
    const char *refused;               /* why not by other algorithms: "name: reason; ..."; may be "" */
    int64_t input_bytes, output_bytes; /* of its tensors, weights included */
    int depth; /* 0: of the main graph; n: of a body n levels deep, that of the last step of n - 1 */
} crease_step;
CREASE_API size_t crease_session_n_steps(const crease_session *session);
CREASE_API bool crease_session_step_at(const crease_session *session, size_t index, crease_step *step);

/* What the machine can do at most, as measured now with this many threads: the scale for the times of steps.
 */
typedef struct crease_machine {
    size_t struct_size;
    double gflops;        /* float32 multiply-adds that stay in registers, counted as two, all threads */
    double gb_per_second; /* 10^9 bytes read and written while passing over a block in place */
} crease_machine;

/* Takes some tens of milliseconds. threads 0: one for each core. block_bytes decides which caches the block
 * fits; 0: gb_per_second stays 0. Fails with ARGUMENT, MEMORY. */
CREASE_API crease_status crease_measure_machine(int threads, size_t block_bytes,
                                                crease_machine *machine) CREASE_MUST_TEST;

/* ---- Verification ---- */

/* A network computed on the same inputs unfolded, folded, and both again in float64, where the unfolded one
 * is the judge. folded - unfolded is then the sum of three parts that are each measured: the rounding of the
 * folded network's kernels, what folding did to the weights, and the rounding of the unfolded one's kernels.
 * The a-priori bound says how far rounding may move a tensor; it is stated for a network and its folded self,
 * and holds with overwhelming probability (docs/verify.md). */
typedef struct crease_verify_options {
    size_t struct_size;
    /* |a - b| <= atol + rtol * max|b| over the output; default 0 and 1e-4. Where the output is float16 or
     * bfloat16, rtol is at least a unit in its last place, 2^-10 or 2^-7. */
    double atol, rtol;
    bool layers; /* also compare every fold, at the output of the folded node, in a body the worst of all
                    its runs; they decide, too */
    bool judge;  /* run in float64 and state bounds; default true */
} crease_verify_options;
CREASE_API void crease_verify_options_init(crease_verify_options *options);
CREASE_API void crease_verify_options_init_sized(crease_verify_options *options, size_t bytes);
#define crease_verify_options_init(options)                                                                  \
    crease_verify_options_init_sized((options), sizeof(crease_verify_options))

typedef struct crease_verify_entry {
    size_t struct_size;
    const char *name;
    bool pass;             /* an output: within the tolerance, and the bounds where there are any; a layer:
                              within the bounds, or else the tolerance */
    int64_t n;             /* elements compared */
    double max_abs;        /* largest |folded - unfolded| */
    double max_rel;        /* the same over the largest magnitude */
    double unfolded_error; /* largest |unfolded - judge| over the largest magnitude; -1: no judge */
    double folded_error;   /* the same for folded; -1: no judge */
    double bound;          /* a-priori bound for max_rel by rounding; 0: none stated */
    int top1;              /* 1: same arg max in every row, 0: not, -1: does not apply */
    double fold_error;     /* |folded - unfolded|, both in float64, over the largest magnitude: what folding
                              did apart from the kernels; -1: no judge */
    double fold_bound;     /* a-priori bound for fold_error; 0: none stated */
    const char *cause;     /* "folding" or "kernels": the larger part of the difference; NULL: none known */
    const char *node;      /* of a layer: the folded node; name is then the tensor compared. Else NULL */
} crease_verify_entry;

typedef struct crease_verify_report crease_verify_report;

/* Compare `a` (NULL b: a unfolded, with a folded) with `b` on inputs (n_inputs tensors, matched by name; name
 * NULL: the only input). The report holds outputs, and layers in the order of the network: the first layer
 * that does not pass is where the two part. CREASE_OK also when the comparison fails: see _pass. */
CREASE_API crease_status crease_verify(crease_model *a, crease_model *b, const crease_tensor *inputs,
                                       size_t n_inputs, const crease_options *options,
                                       const crease_verify_options *verify_options,
                                       crease_verify_report **report) CREASE_MUST_TEST;
CREASE_API bool crease_verify_report_pass(const crease_verify_report *report);
CREASE_API size_t crease_verify_report_n_outputs(const crease_verify_report *report);
CREASE_API bool crease_verify_report_output_at(const crease_verify_report *report, size_t index,
                                               crease_verify_entry *entry);
CREASE_API size_t crease_verify_report_n_layers(const crease_verify_report *report);
CREASE_API bool crease_verify_report_layer_at(const crease_verify_report *report, size_t index,
                                              crease_verify_entry *entry);
CREASE_API void crease_verify_report_free(crease_verify_report *report);

/* ---- Calibration ---- */

/* Estimating the statistics of every BatchNormalization anew, from data: a forward pass in which each one
 * normalises by the mean and the biased variance of the batch before it, layer by layer, and accumulates them
 * (Ioffe & Szegedy 2015; ONNX BatchNormalization-15 with training_mode = 1):
 *     running = running momentum + batch (1 - momentum).
 * In the body of a control-flow node every run is a batch; one that never runs keeps its statistics. Weights
 * stay as they are, and Dropout does nothing. */
typedef struct crease_calibrate_options {
    size_t struct_size;
    double momentum; /* of the running value; below 0, the default: each node's own attribute */
    bool cumulative; /* the plain average over all batches instead; what was stored counts for nothing */
    int threads;     /* 0: one for each core */
} crease_calibrate_options;
CREASE_API void crease_calibrate_options_init(crease_calibrate_options *options);
CREASE_API void crease_calibrate_options_init_sized(crease_calibrate_options *options, size_t bytes);
#define crease_calibrate_options_init(options)                                                               \
    crease_calibrate_options_init_sized((options), sizeof(crease_calibrate_options))

/* A calibration in the making. Used by one thread at a time. */
typedef struct crease_calibration crease_calibration;

/* Keeps the model alive. Fails with UNSUPPORTED, and with ARGUMENT when the model has no BatchNormalization
 * at all. */
CREASE_API crease_status crease_calibration_create(crease_model *model,
                                                   const crease_calibrate_options *options,
                                                   crease_calibration **calibration) CREASE_MUST_TEST;
/* One batch: all inputs of the model, matched by name; a NULL name is the only input. Fails with INPUT, also
 * when a channel has one value in the batch and therefore no variance; what was accumulated is then lost. */
CREASE_API crease_status crease_calibration_add(crease_calibration *calibration, const crease_tensor *inputs,
                                                size_t n_inputs) CREASE_MUST_TEST;
/* A new model with the statistics found so far. Fails with ARGUMENT before the first batch. */
CREASE_API crease_status crease_calibration_finish(const crease_calibration *calibration,
                                                   crease_model **calibrated) CREASE_MUST_TEST;
CREASE_API void crease_calibration_free(crease_calibration *calibration);

#ifdef __cplusplus
}
#endif

#endif
