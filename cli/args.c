#include "cli/args.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

bool args_int(const char *text, int64_t min, int64_t max, int64_t *value) {
    char *end;
    errno = 0;
    long long read = strtoll(text, &end, 10);
    if (end == text || *end || errno || read < min || read > max)
        return false;
    *value = read;
    return true;
}

bool args_number(const char *text, double min, double max, double *value) {
    char *end;
    double read = strtod(text, &end);
    if (end == text || *end || !isfinite(read) || read < min || read > max)
        return false;
    *value = read;
    return true;
}

bool args_seed(const char *text, uint64_t *seed) {
    char *end;
    errno = 0;
    unsigned long long read = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        return false;
    *seed = read;
    return true;
}

static void append(arg_list *list, const char *item) {
    list->items = memory_grow(list->items, &list->capacity, list->n + 1, sizeof *list->items);
    list->items[list->n++] = item;
}

static int set_number(const arg_option *option, const char *text) {
    int64_t integer = 0;
    bool whole = option->kind == ARG_INT;
    if (whole && args_int(text, (int64_t)option->min, (int64_t)option->max, &integer)) {
        *(int *)option->value = (int)integer;
        return CLI_OK;
    }
    if (!whole && args_number(text, option->min, option->max, option->value))
        return CLI_OK;
    return fail(CLI_USAGE, "--%s: '%s' is not a %s from %.15g to %.15g", option->name, text,
                whole ? "whole number" : "number", option->min, option->max);
}

static int set_value(const arg_option *option, const char *text) {
    switch (option->kind) {
    case ARG_FLAG:
    case ARG_CLEAR:
        *(bool *)option->value = option->kind == ARG_FLAG;
        return CLI_OK;
    case ARG_TEXT:
    case ARG_LIST:
        if (!*text)
            return fail(CLI_USAGE, "--%s: the value is empty", option->name);
        if (option->kind == ARG_TEXT)
            *(const char **)option->value = text;
        else
            append(option->value, text);
        return CLI_OK;
    case ARG_SEED:
        if (args_seed(text, option->value))
            return CLI_OK;
        return fail(CLI_USAGE, "--%s: '%s' is not a seed, a whole number from 0", option->name, text);
    case ARG_INT:
    case ARG_NUMBER:
        break;
    }
    return set_number(option, text);
}

/* ---- help ---- */

int args_finish(int code) {
    note_flush();
    if (fflush(stdout) != 0 || ferror(stdout))
        return code ? code : fail(CLI_RUN, "standard output cannot be written: %s", strerror(errno));
    return code;
}

static void print_option(const arg_option *option) {
    char left[80], letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->meta ? " " : "",
             option->meta ? option->meta : "");
    printf(strlen(left) <= 28 ? "  %-28s %s\n" : "  %s\n                               %s\n", left,
           option->help);
}

static void print_help(const arg_command *command) {
    printf("usage: crease %s%s%s [OPTIONS]\n\n%s\n\n", command->name, command->positionals[0] ? " " : "",
           command->positionals, command->summary);
    for (const arg_option *option = command->options; option->name; option++)
        print_option(option);
    puts("  -q, --quiet                  nothing on stderr but failures\n"
         "  -h, --help                   this text");
    if (command->details)
        printf("\n%s", command->details);
}

/* ---- the line ---- */

typedef struct arg_line {
    const arg_command *command;
    char **next; /* ends with NULL */
    const char **positionals;
    int n_positionals;
} arg_line;

static const arg_option *find_option(const arg_command *command, const char *name, size_t length,
                                     char letter) {
    for (const arg_option *option = command->options; option->name; option++)
        if (letter ? option->letter == letter
                   : strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

/* `value`: what came in the same word, or NULL. */
static int take_option(arg_line *line, const arg_option *option, const char *value) {
    bool flag = option->kind == ARG_FLAG || option->kind == ARG_CLEAR;
    if (flag && value)
        return fail(CLI_USAGE, "--%s takes no value", option->name);
    if (!flag && !value && !(value = *line->next++))
        return fail(CLI_USAGE, "--%s needs a value: %s", option->name, option->meta);
    return set_value(option, value);
}

static int take_word(arg_line *line, const char *word) {
    const arg_command *command = line->command;
    if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0) {
        note_quiet();
        return CLI_OK;
    }
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        print_help(command);
        exit(args_finish(CLI_OK));
    }
    const arg_option *option;
    const char *value = NULL;
    if (word[1] == '-') {
        size_t length = strcspn(word + 2, "=");
        option = find_option(command, word + 2, length, 0);
        value = word[2 + length] ? word + 2 + length + 1 : NULL;
    } else {
        option = find_option(command, NULL, 0, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (!option)
        return fail(CLI_USAGE, "unknown option '%s'; see 'crease %s --help'", word, command->name);
    return take_option(line, option, value);
}

static int take_positional(arg_line *line, const char *word) {
    const arg_command *command = line->command;
    if (!*word)
        return fail(CLI_USAGE, "an argument is empty; see 'crease %s --help'", command->name);
    if (line->n_positionals == command->max_positionals)
        return fail(CLI_USAGE, "'%s' is one argument too many; see 'crease %s --help'", word, command->name);
    line->positionals[line->n_positionals++] = word;
    return CLI_OK;
}

int args_parse(const arg_command *command, int argc, char **argv, const char **positionals) {
    (void)argc;
    arg_line line = {command, argv + 1, positionals, 0};
    bool only_positionals = false;
    for (int i = 0; i < command->max_positionals; i++)
        positionals[i] = NULL;
    while (*line.next) {
        const char *word = *line.next++;
        bool dash = word[0] == '-' && word[1] && !only_positionals;
        if (dash && strcmp(word, "--") == 0) {
            only_positionals = true;
            continue;
        }
        int code = dash ? take_word(&line, word) : take_positional(&line, word);
        if (code)
            return code;
    }
    if (line.n_positionals < command->min_positionals)
        return fail(CLI_USAGE, "%s needs %s; see 'crease %s --help'", command->name, command->positionals,
                    command->name);
    return CLI_OK;
}
