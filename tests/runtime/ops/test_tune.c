#include "runtime/ops/tune.h"
#include "runtime/kernels/conv/algorithms.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { CHANNELS = 32, SIDE = 12 };

static char folder[] = "/tmp/crease-tune-XXXXXX", path[64];
static cr_heap *heap;
static float weights[CHANNELS * CHANNELS * 9];

static void begin(void) {
    if (!cr_conv_lanes(cr_cpu_isa()))
        cr_skip_test("plain kernels have one algorithm, so there is nothing to choose");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/choices", folder);
    OK(cr_heap_create(NULL, 0, &heap));
}

static void end(void) {
    if (!heap)
        return;
    unlink(path);
    rmdir(folder);
    cr_heap_release(heap);
}

TestSuite(tune, .init = begin, .fini = end);

/* A convolution for which every Winograd stands beside direct summation. */
static cr_conv conv_of(bool exact) {
    cr_conv conv = {.lanes = cr_conv_lanes(cr_cpu_isa()),
                    .input_blocked = true,
                    .output_blocked = true,
                    .exact = exact,
                    .threads = 1};
    conv.geometry = (cr_conv_geometry){.n = 1, .groups = 1, .ic = CHANNELS, .oc = CHANNELS};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        conv.geometry.in[axis] = conv.geometry.out[axis] = axis == CR_D ? 1 : SIDE;
        conv.geometry.kernel[axis] = axis == CR_D ? 1 : 3;
        conv.geometry.pad[axis] = axis == CR_D ? 0 : 1;
        conv.geometry.stride[axis] = conv.geometry.dilation[axis] = 1;
    }
    return conv;
}

/* What a tuner that knows the file chooses; the file is saved. */
static const cr_conv_algorithm *choose_conv(const cr_conv *conv) {
    const cr_epilogue epilogue = {.act = {.kind = CR_ACT_PRELU}};
    const cr_prologue prologue = {0};
    const cr_tune_case tuned = {conv, &epilogue, &prologue, weights};
    const cr_conv_algorithm *chosen = cr_conv_choose(cr_conv_algorithms(cr_cpu_isa()), conv, NULL);
    cr_tuner *tuner;
    OK(cr_tuner_create(heap, path, &tuner));
    OK(cr_tune(tuner, NULL, &tuned, &chosen));
    OK(cr_tuner_save(tuner));
    cr_tuner_destroy(tuner);
    return chosen;
}

static const char *choose(bool exact) {
    const cr_conv conv = conv_of(exact);
    return choose_conv(&conv)->name;
}

static void write_file(const char *text, size_t bytes) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, bytes, file), bytes);
    fclose(file);
}

static size_t read_file(char *text, size_t bytes) {
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    const size_t n = fread(text, 1, bytes - 1, file);
    text[n] = 0;
    fclose(file);
    return n;
}

/* Make the file's one choice this one. */
static void write_choice(const char *name) {
    char text[1024], changed[1100];
    read_file(text, sizeof text);
    char *line = strchr(text, '\n') + 1, *rest = strchr(line + 17, ' ');
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(line + 17 - text), text, name, rest);
    write_file(changed, strlen(changed));
}

Test(tune, keeps_what_it_chose) {
    char text[1024];
    const char *chosen = choose(false);
    read_file(text, sizeof text);
    char *line = strchr(text, '\n') + 1;
    cr_assert_eq(strncmp(text, "crease-tune 1\n", 14), 0, "%s", text);
    cr_assert_eq(strncmp(line + 17, chosen, strlen(chosen)), 0, "%s", text);
    cr_assert_not_null(strstr(line, "ic32 oc32"), "%s", text);
}

Test(tune, takes_the_choice_of_the_file) {
    static const char *const names[] = {"direct", "winograd2", "winograd4"};
    choose(false);
    for (size_t i = 0; i < 3; i++) {
        write_choice(names[i]);
        cr_assert_str_eq(choose(false), names[i]);
    }
}

Test(tune, does_not_take_what_refuses_or_is_hopeless) {
    static const char *const names[] = {"depthwise", "stem", "reference", "nonesuch", "x"};
    const cr_conv conv = conv_of(false);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        choose(false);
        write_choice(names[i]);
        const cr_conv_algorithm *chosen = choose_conv(&conv);
        cr_assert_null(chosen->refuses(&conv));
        cr_assert_str_neq(chosen->name, names[i]);
    }
}

Test(tune, exact_stays_exact) {
    choose(false);
    write_choice("winograd4");
    cr_assert_str_eq(choose(false), "winograd4");
    cr_assert_str_eq(choose(true), "direct");
}

Test(tune, ignores_damage) {
    static char large[(1 << 20) + 100];
    char good[1024];
    static const char *const bad[] = {
        "",
        "crease-tune 2\n",
        "crease-tune 1",
        "\n\n\n",
        "crease-tune 1\n0123456789abcde direct\n0123456789ABCDEF direct\n0123456789abcdef\n0123456789abcdef "
        "\n",
        "crease-tune 1\n0123456789abcdef "
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa x\n",
        "crease-tune 1\n0123456789abcdef direct \x01\x02\xff\n"};
    const char *fresh = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i], strlen(bad[i]));
        cr_assert_not_null(choose(false));
        read_file(good, sizeof good);
        fresh = strchr(good, '\n') + 1;
        cr_assert_eq(strchr(fresh, '\n')[1], 0, "one choice, its own: %s", good);
    }
    memset(large, 'a', sizeof large);
    memcpy(large, "crease-tune 1\n", 14);
    write_file(large, sizeof large);
    cr_assert_not_null(choose(false));
    cr_assert_lt(read_file(large, sizeof large), 1024);
}

Test(tune, every_cut_and_changed_byte_is_harmless) {
    char text[1024];
    choose(false);
    const size_t n = read_file(text, sizeof text);
    for (size_t i = 0; i < n; i += 3) {
        cr_tuner *tuner;
        const char kept = text[i];
        write_file(text, i);
        OK(cr_tuner_create(heap, path, &tuner));
        cr_tuner_destroy(tuner);
        text[i] = (char)(kept ^ 0x90);
        write_file(text, n);
        OK(cr_tuner_create(heap, path, &tuner));
        cr_tuner_destroy(tuner);
        text[i] = kept;
    }
}

Test(tune, keeps_choices_of_others) {
    static const char other[] = "crease-tune 1\n0123456789abcdef direct of another machine\n";
    char text[1024];
    write_file(other, sizeof other - 1);
    choose(false);
    read_file(text, sizeof text);
    cr_assert_eq(strncmp(text, other, sizeof other - 1), 0, "%s", text);
    cr_assert_gt(strlen(text), sizeof other);
}

Test(tune, refuses_what_is_no_file) {
    cr_tuner *tuner;
    cr_assert_eq(cr_tuner_create(heap, folder, &tuner), CREASE_ERROR_FILE);
    cr_assert_null(tuner);
    cr_assert_eq(cr_tuner_create(heap, "/dev/null", &tuner), CREASE_ERROR_FILE);
}

Test(tune, says_that_it_cannot_write) {
    const cr_conv conv = conv_of(false);
    const cr_epilogue epilogue = {0};
    const cr_prologue prologue = {0};
    const cr_tune_case tuned = {&conv, &epilogue, &prologue, weights};
    const cr_conv_algorithm *chosen = cr_conv_choose(cr_conv_algorithms(cr_cpu_isa()), &conv, NULL);
    cr_tuner *tuner;
    OK(cr_tuner_create(heap, "/nonexistent/folder/choices", &tuner));
    OK(cr_tune(tuner, NULL, &tuned, &chosen));
    cr_assert_eq(cr_tuner_save(tuner), CREASE_ERROR_FILE);
    cr_tuner_destroy(tuner);
}

Test(tune, tries_every_form) {
    cr_conv conv = conv_of(false);
    conv.geometry.n = 2;
    for (int form = 0; form < 8; form++) {
        conv.has_prologue = form & 1;
        conv.has_residual = form & 2;
        conv.has_border_bias = form & 4;
        cr_assert_null(choose_conv(&conv)->refuses(&conv));
    }
}
