#include "runtime/exec/session.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "tests/runtime/ops/one.h"

/* An attribute that an operator cannot use is refused when a session is made, before anything runs, with a
 * sentence that names node and attribute. */

typedef struct bad {
    const char *op;
    int opset;
    const char *inputs; /* a type for each and its extents: float, long, bool, unsigned byte; L: a constant */
    const char *attr, *value; /* of `type`: a string, an integer, a list of one or a float */
    char type;
    const char *word; /* of the sentence */
} bad;

static const char wrong_type[] = "has type";

static const bad cases[] = {
    {"ArgMax", 13, "f23", "axis", "2", 'i', "axis 2"},
    {"ArgMax", 13, "f23", "axis", "-9223372036854775808", 'i', "axis -9223372036854775808"},
    {"ArgMax", 13, "f23", "axis", "x", 's', wrong_type},
    {"ArgMin", 13, "f23", "keepdims", "x", 's', wrong_type},
    {"ArgMin", 13, "f23", "select_last_index", "x", 's', wrong_type},
    {"ReduceSum", 11, "f23", "axes", "-3", 'l', "axis -3"},
    {"ReduceSum", 11, "f23", "axes", "1", 'i', wrong_type},
    {"ReduceMax", 18, "f23", "keepdims", "1", 'f', wrong_type},
    {"ReduceMax", 18, "f23", "noop_with_empty_axes", "x", 's', wrong_type},
    {"NegativeLogLikelihoodLoss", 13, "f23l2", "reduction", "most", 's', "reduction 'most'"},
    {"NegativeLogLikelihoodLoss", 13, "f23l2", "reduction", "1", 'i', wrong_type},
    {"SoftmaxCrossEntropyLoss", 13, "f23l2", "ignore_index", "1", 'f', wrong_type},
    {"Compress", 11, "f23b2", "axis", "-3", 'i', "axis -3"},
    {"Compress", 11, "f23b2", "axis", "x", 's', wrong_type},
    {"ConstantOfShape", 9, "l2", "value", "1", 'i', wrong_type},
    {"EyeLike", 9, "f23", "k", "x", 's', wrong_type},
    {"EyeLike", 9, "f23", "dtype", "99", 'i', "type 99"},
    {"OneHot", 11, "l2lf2", "axis", "2", 'i', "axis 2"},
    {"OneHot", 11, "l2lf2", "axis", "x", 's', wrong_type},
    {"HannWindow", 17, "l", "periodic", "x", 's', wrong_type},
    {"HannWindow", 17, "l", "output_datatype", "7", 'i', "output_datatype 7"},
    {"DFT", 17, "f142", "axis", "2", 'i', "axis 2"},
    {"GridSample", 20, "f1122f1112", "mode", "best", 's', "mode 'best'"},
    {"GridSample", 20, "f1122f1112", "padding_mode", "1", 'i', wrong_type},
    {"GridSample", 20, "f1122f1112", "align_corners", "x", 's', wrong_type},
    {"AffineGrid", 20, "f123l4", "align_corners", "x", 's', wrong_type},
    {"RoiAlign", 16, "f1122f14l1", "mode", "best", 's', "mode 'best'"},
    {"RoiAlign", 16, "f1122f14l1", "output_height", "0", 'i', "0 x 1"},
    {"RoiAlign", 16, "f1122f14l1", "sampling_ratio", "-1", 'i', "sampling_ratio is -1"},
    {"MaxRoiPool", 1, "f1122f15", "spatial_scale", "1", 'i', wrong_type},
    {"MaxRoiPool", 1, "f1122f15", "pooled_shape", "1", 'l', "pooled_shape"},
    {"NonMaxSuppression", 11, "f134f113", "center_point_box", "x", 's', wrong_type},
    {"ReverseSequence", 10, "f23l3", "batch_axis", "2", 'i', "batch_axis 2"},
    {"ReverseSequence", 10, "f23l3", "time_axis", "x", 's', wrong_type},
    {"TensorScatter", 24, "f143f123", "mode", "round", 's', "mode 'round'"},
    {"TensorScatter", 24, "f143f123", "axis", "3", 'i', "axis 3"},
    {"TensorScatter", 24, "f143f123", "axis", "0", 'i', "do not fit"},
    {"RotaryEmbedding", 23, "f1114f112f112", "rotary_embedding_dim", "-2", 'i', "rotary_embedding_dim is -2"},
    {"Shape", 15, "f23", "start", "x", 's', wrong_type},
    {"Shape", 15, "f23", "end", "1", 'f', wrong_type},
    {"MaxUnpool", 11, "f112l112", "strides", "0", 'l', "'strides' has the value 0"},
    {"MaxUnpool", 11, "f112l112", "kernel_shape", "2", 'i', wrong_type},
    {"Col2Im", 18, "f111L1L1", "dilations", "0", 'l', "'dilations' has the value 0"},
    {"Col2Im", 18, "f111L1L1", "pads", "0", 'l', "'pads' has 1 values"},
    {"Add", 6, "f23f3", "broadcast", "x", 's', wrong_type},
    {"Add", 6, "f23f3", "axis", "x", 's', wrong_type},
    {"Mod", 13, "f23f3", "fmod", "x", 's', wrong_type},
    {"BitShift", 11, "u3u3", "direction", "UP", 's', "direction is 'UP'"},
};

static void set(cr_node *node, const char *name, const char *value, char type) {
    if (type == 's')
        OK(cr_node_set_string(node, name, value));
    else if (type == 'i')
        OK(cr_node_set_int(node, name, strtoll(value, NULL, 10)));
    else if (type == 'l')
        OK(cr_node_set_ints(node, name, (int64_t[]){strtoll(value, NULL, 10)}, 1));
    else
        OK(cr_node_set_float(node, name, strtof(value, NULL)));
}

/* What some cannot do without. */
static void set_needed(cr_node *node) {
    if (cr_node_is(node, "MaxRoiPool"))
        OK(cr_node_set_ints(node, "pooled_shape", (int64_t[]){1, 1}, 2));
    if (cr_node_is(node, "MaxUnpool"))
        set(node, "kernel_shape", "2", 'l');
    if (cr_node_is(node, "BitShift"))
        set(node, "direction", "LEFT", 's');
}

static void add_input(one *o, crease_dtype dtype, const cr_shape *shape, bool constant) {
    cr_graph *graph = o->model->graph;
    cr_value *value;
    cr_tensor *tensor;
    if (constant) {
        OK(cr_graph_new_constant(graph, NULL, dtype, shape, &value, &tensor));
        for (int64_t i = 0; i < cr_shape_n(shape); i++)
            ((int64_t *)tensor->data)[i] = 1;
    } else {
        OK(cr_graph_add_value(graph, NULL, true, &value));
        value->dtype = dtype;
        value->shape = *shape;
        OK(cr_graph_add_input(graph, value));
    }
    OK(cr_node_set_input(o->node, o->node->n_inputs, value));
}

static void add_inputs(one *o, const char *inputs) {
    while (*inputs) {
        const char type = *inputs++;
        cr_shape shape = {.rank = 0};
        for (; *inputs >= '0' && *inputs <= '9'; inputs++)
            shape.dims[shape.rank++] = *inputs - '0';
        add_input(o,
                  type == 'f'   ? CREASE_FLOAT
                  : type == 'b' ? CREASE_BOOL
                  : type == 'u' ? CREASE_UINT8
                                : CREASE_INT64,
                  &shape, type == 'L');
    }
}

static crease_status make_session(one *o) {
    cr_session *session = NULL;
    OK(cr_graph_add_output(o->model->graph, o->node->outputs[0]));
    OK(cr_model_order(o->model));
    OK(cr_model_resolve(o->model));
    OK(cr_model_verify(o->model));
    CR_TRY(cr_graph_infer(o->model->graph));
    const cr_session_settings settings = {.heap = o->heap, .threads = 1};
    crease_status status = cr_session_create(o->model, &settings, &session);
    cr_session_destroy(session);
    return status;
}

static one begin(const bad *b) {
    one o = one_begin(b->op, b->opset, 1);
    add_inputs(&o, b->inputs);
    set_needed(o.node);
    return o;
}

static void require_refusal(const bad *b, crease_status status) {
    const char *sentence = crease_error_message();
    cr_assert(status == CREASE_ERROR_MODEL || status == CREASE_ERROR_UNSUPPORTED, "%s with %s = %s: %d",
              b->op, b->attr, b->value, (int)status);
    cr_assert(strstr(sentence, "'node'") && strstr(sentence, b->op) && strstr(sentence, b->word),
              "%s with %s = %s: '%s'", b->op, b->attr, b->value, sentence);
    cr_assert(b->word != wrong_type || strstr(sentence, b->attr), "'%s' lacks '%s'", sentence, b->attr);
}

Test(attributes, bad_ones_are_refused_before_anything_runs) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        one good = begin(&cases[i]);
        OK(make_session(&good));
        one_end(&good);
        one o = begin(&cases[i]);
        set(o.node, cases[i].attr, cases[i].value, cases[i].type);
        require_refusal(&cases[i], make_session(&o));
        one_end(&o);
    }
}

Test(attributes, a_branch_that_is_no_graph_is_refused) {
    static const bad missing = {"If", 13, "b", "else_branch", "", 's', "'else_branch'"};
    one o = begin(&missing);
    require_refusal(&missing, make_session(&o));
    one_end(&o);
    one other = begin(&missing);
    set(other.node, "else_branch", "x", 's');
    require_refusal(&missing, make_session(&other));
    one_end(&other);
}
