#include "cli/generate.h"
#include "cli/message.h"
#include "cli/random.h"

/* FNV-1a (Fowler, Noll and Vo): a stream number from a name. */
static uint64_t hash(const char *name) {
    uint64_t h = 0xcbf29ce484222325;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        h = (h ^ *c) * 0x100000001b3;
    return h;
}

int generate(const char *name, generator kind, uint64_t seed, tensor *t) {
    int64_t n;
    if (kind == GENERATE_ZEROS)
        return CLI_OK;
    if (!tensor_is_number(t->dtype) || !tensor_count(t->rank, t->dims, &n)) {
        int code = fail(CLI_INPUT, "input '%.200s' is of type %s, for which no data are made up: give a file",
                        name, crease_dtype_name(t->dtype));
        tensor_free(t);
        return code;
    }
    random_state r = random_start(seed, hash(name));
    for (int64_t i = 0; i < n; i++)
        tensor_set(t->dtype, t->data, i,
                   kind == GENERATE_ONES       ? 1
                   : tensor_is_float(t->dtype) ? random_normal(&r)
                                               : (double)(random_bits(&r) >> 63));
    return CLI_OK;
}
