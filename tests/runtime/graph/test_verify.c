#include "tests/runtime/graph/chain.h"

/* Each invariant, broken by hand: nothing but a bug or a hostile file gets there. */

TestSuite(verify, .init = sketch_open, .fini = sketch_close);

Test(verify, an_empty_model_is_fine) {
    OK(cr_model_verify(model));
}

Test(verify, uses_and_inputs_agree) {
    chain();
    r->n_uses = 0;
    REFUSED(cr_model_verify(model), "node 'y' (Neg): input 0 'r' does not know its use");
    r->n_uses = 1;
    neg->inputs[0] = x;
    REFUSED(cr_model_verify(model), "'x' does not know its use");
    neg->inputs[0] = r;
}

Test(verify, values_are_defined) {
    chain();
    x->is_input = false;
    REFUSED(cr_model_verify(model), "'x' is not defined by any node, input or initializer");
}

Test(verify, outputs_are_defined) {
    chain();
    cr_value *nowhere = sketch_value(model->graph, "nowhere");
    OK(cr_graph_add_output(model->graph, nowhere));
    REFUSED(cr_model_verify(model), "graph output 'nowhere'");
}

Test(verify, one_producer) {
    chain();
    y->producer = relu;
    REFUSED(cr_model_verify(model), "output 'y' is produced twice");
}

Test(verify, constants_have_their_bytes) {
    chain();
    cr_value *k, *z = sketch_value(model->graph, "z");
    cr_tensor *tensor;
    const cr_shape two = cr_shape_of(1, (int64_t[]){2});
    OK(cr_graph_new_constant(model->graph, "k", CREASE_FLOAT, &two, &k, &tensor));
    sketch_node(model->graph, "Add", z, x, k);
    OK(cr_model_verify(model));
    tensor->shape.dims[0] = 100000;
    REFUSED(cr_model_verify(model), "constant 'k' has fewer bytes");
    tensor->shape.dims[0] = CR_DIM_UNKNOWN;
    REFUSED(cr_model_verify(model), "constant 'k'");
    tensor->shape = cr_shape_of(2, (int64_t[]){INT64_MAX, INT64_MAX});
    REFUSED(cr_model_verify(model), "constant 'k'");
}

Test(verify, nodes_are_counted) {
    chain();
    model->graph->n_nodes = 3;
    REFUSED(cr_model_verify(model), "2 nodes are linked, 3 are counted");
}

Test(verify, bodies_are_looked_into) {
    chain();
    cr_value *z = sketch_value(model->graph, "z");
    cr_value *inner = sketch_value(body_of(sketch_node(model->graph, "If", z, x, NULL), "body"), "inner");
    cr_value *nowhere = sketch_value(inner->graph, "nowhere");
    sketch_node(inner->graph, "Exp", inner, nowhere, NULL);
    OK(cr_graph_add_output(inner->graph, inner));
    REFUSED(cr_model_verify(model), "'nowhere'");
}
