#ifndef CREASE_CLI_ARGS_H
#define CREASE_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum arg_kind {
    ARG_FLAG,   /* bool, set to true */
    ARG_CLEAR,  /* bool, set to false */
    ARG_TEXT,   /* const char *, borrowed from argv; the last one counts */
    ARG_LIST,   /* arg_list, in order */
    ARG_INT,    /* int within [min, max] */
    ARG_SEED,   /* uint64_t */
    ARG_NUMBER, /* double within [min, max] */
} arg_kind;

typedef struct arg_list {
    const char **items; /* free() it; the texts are borrowed from argv */
    size_t n, capacity;
} arg_list;

/* A row of a command's table; rows end with one without a name. */
typedef struct arg_option {
    const char *name; /* without the two dashes */
    char letter;      /* 0: none */
    arg_kind kind;
    void *value;
    const char *meta; /* the value in the help, e.g. "FILE"; NULL for flags */
    const char *help;
    double min, max;
} arg_option;

typedef struct arg_command {
    const char *name, *positionals, *summary;
    const char *details; /* further help, ending with a newline; may be NULL */
    int min_positionals, max_positionals;
    const arg_option *options;
} arg_command;

/* Read a command line; argv[0] is the command's name. Fills the options' values and positionals
 * [max_positionals] (NULL where absent). --help prints the help and ends the program. Returns CLI_OK, or
 * CLI_USAGE with the line printed. */
int args_parse(const arg_command *command, int argc, char **argv, const char **positionals);

/* Whole of text as a number; false when it is none or out of [min, max]. */
bool args_int(const char *text, int64_t min, int64_t max, int64_t *value);
bool args_number(const char *text, double min, double max, double *value);
bool args_seed(const char *text, uint64_t *seed);

/* End the program after output on stdout was complete, or say that it was not. */
int args_finish(int code);

#endif
