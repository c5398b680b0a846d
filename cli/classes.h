#ifndef CREASE_CLI_CLASSES_H
#define CREASE_CLI_CLASSES_H

#include "include/crease/crease.h"

/* Class names, one a line. */
typedef struct label_list {
    char *text; /* owns what lines point into */
    const char **lines;
    size_t n;
} label_list;

int labels_read(const char *path, label_list *out);
void labels_free(label_list *labels);

/* Print the k classes with the largest scores, for each picture of a batch, of an output [classes] or
 * [batch, classes, 1...]. Scores that are no probabilities are shown with those that a softmax makes of them.
 */
int classes_print(const crease_tensor *scores, int k, const label_list *labels);

#endif
