#include "cli/model_file.h"
#include "cli/file.h"
#include "cli/interrupt.h"
#include "cli/message.h"

#include <sys/stat.h>

int model_save(const crease_model *model, const char *path) {
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return fail(CLI_RUN, "%s: is there already and is not a regular file", path);
    if (file_is_staged(path))
        return fail(CLI_USAGE, "%s: is the name of two files to write", path);
    /* the library has a temporary file of its own, which only it can remove */
    interrupt_hold();
    crease_status status = crease_model_save_file(model, path);
    interrupt_release();
    if (status == CREASE_ERROR_FILE)
        return fail(CLI_RUN, "%s", crease_error_message());
    return status ? fail_file(path, status) : CLI_OK;
}
