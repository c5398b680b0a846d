#ifndef CREASE_CLI_MODEL_FILE_H
#define CREASE_CLI_MODEL_FILE_H

#include "include/crease/crease.h"

/* Write a model, whole or not at all, also under a signal. Only regular files are replaced. */
int model_save(const crease_model *model, const char *path);

#endif
