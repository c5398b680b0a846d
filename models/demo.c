#include "models/demo.h"
#include "models/builder.h"
#include "runtime/api/model.h"
#include "runtime/graph/edit.h"

#include <string.h>

typedef cr_value *activation(builder *b, cr_value *x);

static cr_value *conv_bn(builder *b, cr_value *x, conv_spec spec, activation *act, float gamma) {
    x = batch_norm(b, conv(b, x, spec), gamma);
    return act ? act(b, x) : x;
}

static cr_value *classify(builder *b, cr_value *x) {
    return gemm(b, flatten(b, global_average_pool(b, x)), channels(x), 1000, 1);
}

/* ---- ResNet (He et al. 2016) ---- */

static cr_value *basic_block(builder *b, cr_value *x, int width, int stride) {
    cr_value *y = conv_bn(b, x, (conv_spec){.out = width, .kernel = 3, .stride = stride, .pad = 1}, relu, 1);
    y = conv_bn(b, y, (conv_spec){.out = width, .kernel = 3, .pad = 1, .gain = 1}, NULL, 0.4f);
    if (stride > 1 || channels(x) != width)
        x = conv_bn(b, x, (conv_spec){.out = width, .kernel = 1, .stride = stride, .gain = 1}, NULL, 1);
    return relu(b, add(b, y, x));
}

static cr_value *bottleneck(builder *b, cr_value *x, int width, int stride) {
    cr_value *y = conv_bn(b, x, (conv_spec){.out = width, .kernel = 1}, relu, 1);
    y = conv_bn(b, y, (conv_spec){.out = width, .kernel = 3, .stride = stride, .pad = 1}, relu, 1);
    y = conv_bn(b, y, (conv_spec){.out = 4 * width, .kernel = 1, .gain = 1}, NULL, 0.4f);
    if (stride > 1 || channels(x) != 4 * width)
        x = conv_bn(b, x, (conv_spec){.out = 4 * width, .kernel = 1, .stride = stride, .gain = 1}, NULL, 1);
    return relu(b, add(b, y, x));
}

static void resnet(builder *b, cr_value *(*block)(builder *, cr_value *, int, int), const int depth[4]) {
    cr_value *x =
        conv_bn(b, input(b, 3, 224), (conv_spec){.out = 64, .kernel = 7, .stride = 2, .pad = 3}, relu, 1);
    x = max_pool(b, x, 3, 2, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < depth[stage]; i++)
            x = block(b, x, 64 << stage, i == 0 && stage > 0 ? 2 : 1);
    output(b, classify(b, x));
}

static void resnet18(builder *b) {
    resnet(b, basic_block, (int[]){2, 2, 2, 2});
}

static void resnet50(builder *b) {
    resnet(b, bottleneck, (int[]){3, 4, 6, 3});
}

/* ---- MobileNetV2 (Sandler et al. 2018) ---- */

static cr_value *inverted_residual(builder *b, cr_value *x, int expand, int out, int stride) {
    int width = (int)channels(x) * expand;
    cr_value *y = x;
    if (expand > 1)
        y = conv_bn(b, y, (conv_spec){.out = width, .kernel = 1}, relu6, 1);
    y = conv_bn(b, y, (conv_spec){.out = width, .kernel = 3, .stride = stride, .pad = 1, .groups = width},
                relu6, 1);
    bool residual = stride == 1 && channels(x) == out;
    y = conv_bn(b, y, (conv_spec){.out = out, .kernel = 1, .gain = 1}, NULL, residual ? 0.4f : 1);
    return residual ? add(b, x, y) : y;
}

static void mobilenet_v2(builder *b) {
    static const int rows[][4] = {
        {1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
        {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}}; /* expand, out, repeat, stride */
    cr_value *x =
        conv_bn(b, input(b, 3, 224), (conv_spec){.out = 32, .kernel = 3, .stride = 2, .pad = 1}, relu6, 1);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int i = 0; i < rows[r][2]; i++)
            x = inverted_residual(b, x, rows[r][0], rows[r][1], i == 0 ? rows[r][3] : 1);
    x = conv_bn(b, x, (conv_spec){.out = 1280, .kernel = 1}, relu6, 1);
    output(b, classify(b, x));
}

/* ---- MobileNetV3 large (Howard et al. 2019) and EfficientNet-B0 (Tan and Le 2019) ---- */

static cr_value *squeeze_excite(builder *b, cr_value *x, int squeezed, activation *inner, activation *gate) {
    cr_value *s = global_average_pool(b, x);
    s = inner(b, conv(b, s, (conv_spec){.out = squeezed, .kernel = 1, .bias = true}));
    s = gate(b, conv(b, s, (conv_spec){.out = (int)channels(x), .kernel = 1, .bias = true, .gain = 1}));
    return mul(b, x, s);
}

typedef struct mb_row {
    int kernel, width, out, stride, squeezed; /* squeezed 0: no squeeze-excite */
    activation *act, *se_inner, *se_gate;
} mb_row;

static cr_value *mb_block(builder *b, cr_value *x, const mb_row *r) {
    cr_value *y = x;
    if (r->width != channels(x))
        y = conv_bn(b, y, (conv_spec){.out = r->width, .kernel = 1}, r->act, 1);
    y = conv_bn(b, y,
                (conv_spec){.out = r->width,
                            .kernel = r->kernel,
                            .stride = r->stride,
                            .pad = r->kernel / 2,
                            .groups = r->width},
                r->act, 1);
    if (r->squeezed)
        y = squeeze_excite(b, y, r->squeezed, r->se_inner, r->se_gate);
    bool residual = r->stride == 1 && channels(x) == r->out;
    y = conv_bn(b, y, (conv_spec){.out = r->out, .kernel = 1, .gain = 2}, NULL, residual ? 0.4f : 1);
    return residual ? add(b, y, x) : y;
}

static void mobilenet_v3_large(builder *b) {
    static const struct {
        int kernel, width, out, squeezed, swish, stride;
    } rows[] = {{3, 16, 16, 0, 0, 1},     {3, 64, 24, 0, 0, 2},     {3, 72, 24, 0, 0, 1},
                {5, 72, 40, 24, 0, 2},    {5, 120, 40, 32, 0, 1},   {5, 120, 40, 32, 0, 1},
                {3, 240, 80, 0, 1, 2},    {3, 200, 80, 0, 1, 1},    {3, 184, 80, 0, 1, 1},
                {3, 184, 80, 0, 1, 1},    {3, 480, 112, 120, 1, 1}, {3, 672, 112, 168, 1, 1},
                {5, 672, 160, 168, 1, 2}, {5, 960, 160, 240, 1, 1}, {5, 960, 160, 240, 1, 1}};
    cr_value *x = conv_bn(b, input(b, 3, 224), (conv_spec){.out = 16, .kernel = 3, .stride = 2, .pad = 1},
                          hard_swish, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        x = mb_block(b, x,
                     &(mb_row){rows[i].kernel, rows[i].width, rows[i].out, rows[i].stride, rows[i].squeezed,
                               rows[i].swish ? hard_swish : relu, relu, hard_sigmoid});
    x = conv_bn(b, x, (conv_spec){.out = 960, .kernel = 1}, hard_swish, 1);
    x = flatten(b, global_average_pool(b, x));
    x = hard_swish(b, gemm(b, x, 960, 1280, 2));
    output(b, gemm(b, x, 1280, 1000, 1));
}

static void efficientnet_b0(builder *b) {
    static const int rows[][5] = {{1, 16, 1, 1, 3},  {6, 24, 2, 2, 3},  {6, 40, 2, 2, 5}, {6, 80, 3, 2, 3},
                                  {6, 112, 3, 1, 5}, {6, 192, 4, 2, 5}, {6, 320, 1, 1, 3}};
    cr_value *x =
        conv_bn(b, input(b, 3, 224), (conv_spec){.out = 32, .kernel = 3, .stride = 2, .pad = 1}, silu, 1);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int i = 0; i < rows[r][2]; i++) {
            int in = (int)channels(x), width = in * rows[r][0];
            x = mb_block(b, x,
                         &(mb_row){rows[r][4], width, rows[r][1], i == 0 ? rows[r][3] : 1, in / 4, silu, silu,
                                   sigmoid});
        }
    x = conv_bn(b, x, (conv_spec){.out = 1280, .kernel = 1}, silu, 1);
    output(b, classify(b, x));
}

/* ---- VGG-16 with batch normalisation (Simonyan and Zisserman 2015) ---- */

static void vgg16_bn(builder *b) {
    static const int widths[] = {64, 64,  0,   128, 128, 0,   256, 256, 256,
                                 0,  512, 512, 512, 0,   512, 512, 512, 0};
    cr_value *x = input(b, 3, 224);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        x = widths[i]
                ? conv_bn(b, x, (conv_spec){.out = widths[i], .kernel = 3, .pad = 1, .bias = true}, relu, 1)
                : max_pool(b, x, 2, 2, 0);
    x = flatten(b, x);
    x = relu(b, gemm(b, x, 512 * 7 * 7, 4096, 2));
    x = relu(b, gemm(b, x, 4096, 4096, 2));
    output(b, gemm(b, x, 4096, 1000, 1));
}

/* ---- DenseNet-121 (Huang et al. 2017): pre-activation, so most batch normalisations stand before a ReLU
 * ---- */

static cr_value *dense_layer(builder *b, cr_value *x) {
    cr_value *y = conv(b, relu(b, batch_norm(b, x, 1)), (conv_spec){.out = 128, .kernel = 1});
    return conv(b, relu(b, batch_norm(b, y, 1)), (conv_spec){.out = 32, .kernel = 3, .pad = 1});
}

static void densenet121(builder *b) {
    static const int depth[] = {6, 12, 24, 16};
    cr_value *x =
        conv_bn(b, input(b, 3, 224), (conv_spec){.out = 64, .kernel = 7, .stride = 2, .pad = 3}, relu, 1);
    x = max_pool(b, x, 3, 2, 1);
    for (int stage = 0; stage < 4; stage++) {
        for (int i = 0; i < depth[stage]; i++)
            x = concat(b, (cr_value *[]){x, dense_layer(b, x)}, 2);
        if (stage == 3)
            break;
        x = conv(b, relu(b, batch_norm(b, x, 1)), (conv_spec){.out = (int)channels(x) / 2, .kernel = 1});
        x = average_pool(b, x, 2, 2);
    }
    output(b, classify(b, relu(b, batch_norm(b, x, 1))));
}

/* ---- SqueezeNet 1.1 (Iandola et al. 2016): no batch normalisation at all ---- */

static cr_value *fire(builder *b, cr_value *x, int squeeze, int expand) {
    cr_value *s = relu(b, conv(b, x, (conv_spec){.out = squeeze, .kernel = 1, .bias = true}));
    cr_value *one = relu(b, conv(b, s, (conv_spec){.out = expand, .kernel = 1, .bias = true}));
    cr_value *three = relu(b, conv(b, s, (conv_spec){.out = expand, .kernel = 3, .pad = 1, .bias = true}));
    return concat(b, (cr_value *[]){one, three}, 2);
}

static void squeezenet1_1(builder *b) {
    static const int rows[][2] = {{16, 64}, {16, 64},  {0, 0},    {32, 128}, {32, 128},
                                  {0, 0},   {48, 192}, {48, 192}, {64, 256}, {64, 256}};
    cr_value *x = input(b, 3, 224);
    x = relu(b, conv(b, x, (conv_spec){.out = 64, .kernel = 3, .stride = 2, .bias = true}));
    x = max_pool_ceil(b, x, 3, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        x = rows[i][0] ? fire(b, x, rows[i][0], rows[i][1]) : max_pool_ceil(b, x, 3, 2);
    x = relu(b, conv(b, x, (conv_spec){.out = 1000, .kernel = 1, .bias = true}));
    output(b, flatten(b, global_average_pool(b, x)));
}

/* ---- U-Net (Ronneberger et al. 2015), padded, with batch normalisation ---- */

static cr_value *double_conv(builder *b, cr_value *x, int width) {
    x = conv_bn(b, x, (conv_spec){.out = width, .kernel = 3, .pad = 1}, relu, 1);
    return conv_bn(b, x, (conv_spec){.out = width, .kernel = 3, .pad = 1}, relu, 1);
}

static void unet(builder *b) {
    enum { LEVELS = 4 };
    cr_value *skips[LEVELS], *x = input(b, 3, 256);
    for (int i = 0; i < LEVELS; i++) {
        skips[i] = double_conv(b, x, 32 << i);
        x = max_pool(b, skips[i], 2, 2, 0);
    }
    x = double_conv(b, x, 32 << LEVELS);
    for (int i = LEVELS - 1; i >= 0; i--) {
        x = conv_transpose(b, x, 32 << i, 2, 2);
        x = double_conv(b, concat(b, (cr_value *[]){skips[i], x}, 2), 32 << i);
    }
    output(b, conv(b, x, (conv_spec){.out = 2, .kernel = 1, .bias = true, .gain = 1}));
}

/* ---- the list ---- */

static const char *const names[] = {"resnet18", "resnet50",    "mobilenet_v2",  "mobilenet_v3_large",
                                    "vgg16_bn", "densenet121", "squeezenet1_1", "efficientnet_b0",
                                    "unet",     NULL};
static void (*const networks[])(builder *) = {resnet18,           resnet50,        mobilenet_v2,
                                              mobilenet_v3_large, vgg16_bn,        densenet121,
                                              squeezenet1_1,      efficientnet_b0, unet};

const char *const *crease_demo_names(void) {
    return names;
}

static crease_status build(cr_model *model, size_t which, uint64_t seed) {
    builder b = {.model = model, .graph = model->graph, .random = seed};
    model->ir_version = 8;
    model->producer_name = "crease";
    CR_TRY(cr_model_set_opset(model, "", 14));
    model->graph->name = names[which];
    networks[which](&b);
    return b.status;
}

crease_status crease_demo_model(const char *name, uint64_t seed, crease_model **model) {
    cr_heap *heap;
    cr_model *ir;
    *model = NULL;
    size_t which = 0;
    while (names[which] && strcmp(names[which], name) != 0)
        which++;
    if (!names[which])
        return cr_fail(CREASE_ERROR_ARGUMENT, "there is no demo network '%s'", name);
    CR_TRY(cr_heap_create(NULL, 0, &heap));
    crease_status status = cr_model_create(heap, &ir);
    cr_heap_release(heap);
    CR_TRY(status);
    status = build(ir, which, seed);
    if (status == CREASE_OK)
        return cr_model_publish(ir, model);
    cr_model_destroy(ir);
    return status;
}
