#include "runtime/graph/attr.h"

#include <string.h>

const cr_attr *cr_attr_find(const cr_node *node, const char *name) {
    for (int i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

/* *attr is NULL when missing; fails when it has another type. */
static crease_status find_typed(const cr_node *node, const char *name, cr_attr_type type,
                                const cr_attr **attr) {
    char text[256];
    *attr = cr_attr_find(node, name);
    if (*attr && (*attr)->type != type)
        return cr_fail(CREASE_ERROR_MODEL, "%s: attribute '%s' has type %d, expected %d",
                       cr_node_print(node, text, sizeof text), name, (int)(*attr)->type, (int)type);
    return CREASE_OK;
}

crease_status cr_attr_int(const cr_node *node, const char *name, int64_t otherwise, int64_t *value) {
    const cr_attr *attr;
    CR_TRY(find_typed(node, name, CR_ATTR_INT, &attr));
    *value = attr ? attr->ints[0] : otherwise;
    return CREASE_OK;
}

crease_status cr_attr_float(const cr_node *node, const char *name, float otherwise, float *value) {
    const cr_attr *attr;
    CR_TRY(find_typed(node, name, CR_ATTR_FLOAT, &attr));
    *value = attr ? attr->floats[0] : otherwise;
    return CREASE_OK;
}

crease_status cr_attr_string(const cr_node *node, const char *name, const char *otherwise,
                             const char **value) {
    const cr_attr *attr;
    CR_TRY(find_typed(node, name, CR_ATTR_STRING, &attr));
    *value = attr ? attr->strings[0].data : otherwise;
    return CREASE_OK;
}

/* A list attribute; its length fits an int because it came from memory of that many elements. */
static crease_status find_list(const cr_node *node, const char *name, cr_attr_type type, const cr_attr **attr,
                               int *n) {
    char text[256];
    CR_TRY(find_typed(node, name, type, attr));
    if (*attr && (*attr)->n > INT32_MAX)
        return cr_fail(CREASE_ERROR_MODEL, "%s: attribute '%s' is too long",
                       cr_node_print(node, text, sizeof text), name);
    *n = *attr ? (int)(*attr)->n : 0;
    return CREASE_OK;
}

crease_status cr_attr_ints(const cr_node *node, const char *name, const int64_t **values, int *n) {
    const cr_attr *attr;
    CR_TRY(find_list(node, name, CR_ATTR_INTS, &attr, n));
    *values = attr ? attr->ints : NULL;
    return CREASE_OK;
}

crease_status cr_attr_all(const cr_node *node, const char *name, int64_t expected, bool *all) {
    const int64_t *values;
    int n;
    CR_TRY(cr_attr_ints(node, name, &values, &n));
    *all = true;
    for (int i = 0; i < n; i++)
        *all &= values[i] == expected;
    return CREASE_OK;
}

crease_status cr_attr_floats(const cr_node *node, const char *name, const float **values, int *n) {
    const cr_attr *attr;
    CR_TRY(find_list(node, name, CR_ATTR_FLOATS, &attr, n));
    *values = attr ? attr->floats : NULL;
    return CREASE_OK;
}

crease_status cr_attr_tensor(const cr_node *node, const char *name, const cr_tensor **value) {
    const cr_attr *attr;
    CR_TRY(find_typed(node, name, CR_ATTR_TENSOR, &attr));
    *value = attr ? &attr->tensors[0] : NULL;
    return CREASE_OK;
}

crease_status cr_attr_graph(const cr_node *node, const char *name, cr_graph **value) {
    const cr_attr *attr;
    CR_TRY(find_typed(node, name, CR_ATTR_GRAPH, &attr));
    *value = attr ? attr->graphs[0] : NULL;
    return CREASE_OK;
}
