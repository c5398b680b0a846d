#ifndef CREASE_BENCH_CONV_LAYERS_H
#define CREASE_BENCH_CONV_LAYERS_H

#include "runtime/kernels/conv/conv.h"

/* The distinct convolutions of known networks at their usual input size (224 x 224), batch 1; of inception_v3
 * and yolov5s, whose sizes differ, some. */

typedef struct conv_layer {
    const char *network;
    int ic, oc, kernel, stride, pad, in, groups; /* square */
    int count;                                   /* how often the network has it */
    int prologue; /* reads through a folded scale-shift-ReLU (pre-activation) */
    int transposed;
    int flat; /* 1: the kernel is 1 x kernel, 2: kernel x 1 */
} conv_layer;

static const conv_layer conv_layers[] = {
    {"resnet50", 3, 64, 7, 2, 3, 224, 1, 1, 0, 0, 0},
    {"resnet50", 64, 64, 1, 1, 0, 56, 1, 1, 0, 0, 0},
    {"resnet50", 64, 64, 3, 1, 1, 56, 1, 3, 0, 0, 0},
    {"resnet50", 64, 256, 1, 1, 0, 56, 1, 4, 0, 0, 0},
    {"resnet50", 256, 64, 1, 1, 0, 56, 1, 2, 0, 0, 0},
    {"resnet50", 256, 128, 1, 1, 0, 56, 1, 1, 0, 0, 0},
    {"resnet50", 128, 128, 3, 2, 1, 56, 1, 1, 0, 0, 0},
    {"resnet50", 256, 512, 1, 2, 0, 56, 1, 1, 0, 0, 0},
    {"resnet50", 128, 512, 1, 1, 0, 28, 1, 4, 0, 0, 0},
    {"resnet50", 512, 128, 1, 1, 0, 28, 1, 3, 0, 0, 0},
    {"resnet50", 128, 128, 3, 1, 1, 28, 1, 3, 0, 0, 0},
    {"resnet50", 512, 256, 1, 1, 0, 28, 1, 1, 0, 0, 0},
    {"resnet50", 256, 256, 3, 2, 1, 28, 1, 1, 0, 0, 0},
    {"resnet50", 512, 1024, 1, 2, 0, 28, 1, 1, 0, 0, 0},
    {"resnet50", 256, 1024, 1, 1, 0, 14, 1, 6, 0, 0, 0},
    {"resnet50", 1024, 256, 1, 1, 0, 14, 1, 5, 0, 0, 0},
    {"resnet50", 256, 256, 3, 1, 1, 14, 1, 5, 0, 0, 0},
    {"resnet50", 1024, 512, 1, 1, 0, 14, 1, 1, 0, 0, 0},
    {"resnet50", 512, 512, 3, 2, 1, 14, 1, 1, 0, 0, 0},
    {"resnet50", 1024, 2048, 1, 2, 0, 14, 1, 1, 0, 0, 0},
    {"resnet50", 512, 2048, 1, 1, 0, 7, 1, 3, 0, 0, 0},
    {"resnet50", 2048, 512, 1, 1, 0, 7, 1, 2, 0, 0, 0},
    {"resnet50", 512, 512, 3, 1, 1, 7, 1, 2, 0, 0, 0},

    {"mobilenet_v2", 3, 32, 3, 2, 1, 224, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 32, 32, 3, 1, 1, 112, 32, 1, 0, 0, 0},
    {"mobilenet_v2", 32, 16, 1, 1, 0, 112, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 16, 96, 1, 1, 0, 112, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 96, 96, 3, 2, 1, 112, 96, 1, 0, 0, 0},
    {"mobilenet_v2", 96, 24, 1, 1, 0, 56, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 24, 144, 1, 1, 0, 56, 1, 2, 0, 0, 0},
    {"mobilenet_v2", 144, 144, 3, 1, 1, 56, 144, 1, 0, 0, 0},
    {"mobilenet_v2", 144, 24, 1, 1, 0, 56, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 144, 144, 3, 2, 1, 56, 144, 1, 0, 0, 0},
    {"mobilenet_v2", 144, 32, 1, 1, 0, 28, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 32, 192, 1, 1, 0, 28, 1, 3, 0, 0, 0},
    {"mobilenet_v2", 192, 192, 3, 1, 1, 28, 192, 2, 0, 0, 0},
    {"mobilenet_v2", 192, 32, 1, 1, 0, 28, 1, 2, 0, 0, 0},
    {"mobilenet_v2", 192, 192, 3, 2, 1, 28, 192, 1, 0, 0, 0},
    {"mobilenet_v2", 192, 64, 1, 1, 0, 14, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 64, 384, 1, 1, 0, 14, 1, 4, 0, 0, 0},
    {"mobilenet_v2", 384, 384, 3, 1, 1, 14, 384, 4, 0, 0, 0},
    {"mobilenet_v2", 384, 64, 1, 1, 0, 14, 1, 3, 0, 0, 0},
    {"mobilenet_v2", 384, 96, 1, 1, 0, 14, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 96, 576, 1, 1, 0, 14, 1, 3, 0, 0, 0},
    {"mobilenet_v2", 576, 576, 3, 1, 1, 14, 576, 2, 0, 0, 0},
    {"mobilenet_v2", 576, 96, 1, 1, 0, 14, 1, 2, 0, 0, 0},
    {"mobilenet_v2", 576, 576, 3, 2, 1, 14, 576, 1, 0, 0, 0},
    {"mobilenet_v2", 576, 160, 1, 1, 0, 7, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 160, 960, 1, 1, 0, 7, 1, 3, 0, 0, 0},
    {"mobilenet_v2", 960, 960, 3, 1, 1, 7, 960, 3, 0, 0, 0},
    {"mobilenet_v2", 960, 160, 1, 1, 0, 7, 1, 2, 0, 0, 0},
    {"mobilenet_v2", 960, 320, 1, 1, 0, 7, 1, 1, 0, 0, 0},
    {"mobilenet_v2", 320, 1280, 1, 1, 0, 7, 1, 1, 0, 0, 0},

    {"vgg16", 3, 64, 3, 1, 1, 224, 1, 1, 0, 0, 0},
    {"vgg16", 64, 64, 3, 1, 1, 224, 1, 1, 0, 0, 0},
    {"vgg16", 64, 128, 3, 1, 1, 112, 1, 1, 0, 0, 0},
    {"vgg16", 128, 128, 3, 1, 1, 112, 1, 1, 0, 0, 0},
    {"vgg16", 128, 256, 3, 1, 1, 56, 1, 1, 0, 0, 0},
    {"vgg16", 256, 256, 3, 1, 1, 56, 1, 2, 0, 0, 0},
    {"vgg16", 256, 512, 3, 1, 1, 28, 1, 1, 0, 0, 0},
    {"vgg16", 512, 512, 3, 1, 1, 28, 1, 2, 0, 0, 0},
    {"vgg16", 512, 512, 3, 1, 1, 14, 1, 3, 0, 0, 0},

    /* the 1x1 layers of a dense block grow by 32 channels each; here the middle one stands for all */
    {"densenet121", 144, 128, 1, 1, 0, 56, 1, 6, 1, 0, 0},
    {"densenet121", 128, 32, 3, 1, 1, 56, 1, 6, 0, 0, 0},
    {"densenet121", 256, 128, 1, 1, 0, 56, 1, 1, 1, 0, 0},
    {"densenet121", 304, 128, 1, 1, 0, 28, 1, 12, 1, 0, 0},
    {"densenet121", 128, 32, 3, 1, 1, 28, 1, 12, 0, 0, 0},
    {"densenet121", 512, 256, 1, 1, 0, 28, 1, 1, 1, 0, 0},
    {"densenet121", 624, 128, 1, 1, 0, 14, 1, 24, 1, 0, 0},
    {"densenet121", 128, 32, 3, 1, 1, 14, 1, 24, 0, 0, 0},
    {"densenet121", 1024, 512, 1, 1, 0, 14, 1, 1, 1, 0, 0},
    {"densenet121", 752, 128, 1, 1, 0, 7, 1, 16, 1, 0, 0},
    {"densenet121", 128, 32, 3, 1, 1, 7, 1, 16, 0, 0, 0},

    {"inception_v3", 48, 64, 5, 1, 2, 35, 1, 3, 0, 0, 0},
    {"inception_v3", 288, 384, 3, 2, 0, 35, 1, 1, 0, 0, 0},
    {"inception_v3", 128, 128, 7, 1, 3, 17, 1, 2, 0, 0, 1},
    {"inception_v3", 128, 128, 7, 1, 3, 17, 1, 2, 0, 0, 2},
    {"inception_v3", 160, 160, 7, 1, 3, 17, 1, 4, 0, 0, 1},
    {"inception_v3", 160, 160, 7, 1, 3, 17, 1, 4, 0, 0, 2},
    {"inception_v3", 192, 192, 7, 1, 3, 17, 1, 4, 0, 0, 1},
    {"inception_v3", 192, 192, 7, 1, 3, 17, 1, 4, 0, 0, 2},
    {"inception_v3", 384, 384, 3, 1, 1, 8, 1, 4, 0, 0, 1},
    {"inception_v3", 384, 384, 3, 1, 1, 8, 1, 4, 0, 0, 2},

    /* of stride 2, at 640 x 640 */
    {"yolov5s", 32, 64, 3, 2, 1, 320, 1, 1, 0, 0, 0},
    {"yolov5s", 64, 128, 3, 2, 1, 160, 1, 1, 0, 0, 0},
    {"yolov5s", 128, 256, 3, 2, 1, 80, 1, 1, 0, 0, 0},
    {"yolov5s", 256, 512, 3, 2, 1, 40, 1, 1, 0, 0, 0},

    {"regnet_y_400mf", 48, 48, 3, 2, 1, 112, 6, 1, 0, 0, 0},
    {"regnet_y_400mf", 104, 104, 3, 2, 1, 56, 13, 1, 0, 0, 0},
    {"regnet_y_400mf", 104, 104, 3, 1, 1, 28, 13, 2, 0, 0, 0},
    {"regnet_y_400mf", 208, 208, 3, 1, 1, 14, 26, 5, 0, 0, 0},
    {"regnet_y_400mf", 440, 440, 3, 1, 1, 7, 55, 5, 0, 0, 0},

    {"resnext50", 128, 128, 3, 1, 1, 56, 32, 3, 0, 0, 0},
    {"resnext50", 256, 256, 3, 1, 1, 28, 32, 3, 0, 0, 0},
    {"resnext50", 512, 512, 3, 1, 1, 14, 32, 5, 0, 0, 0},
    {"resnext50", 1024, 1024, 3, 1, 1, 7, 32, 2, 0, 0, 0},

    /* the ways up of segmentation networks at 256 x 256 */
    {"unet", 1024, 512, 2, 2, 0, 16, 1, 1, 0, 1, 0},
    {"unet", 512, 256, 2, 2, 0, 32, 1, 1, 0, 1, 0},
    {"unet", 256, 128, 2, 2, 0, 64, 1, 1, 0, 1, 0},
    {"unet", 128, 64, 2, 2, 0, 128, 1, 1, 0, 1, 0},
    {"unet_4x4", 256, 128, 4, 2, 1, 64, 1, 1, 0, 1, 0},
    {"unet_4x4", 128, 64, 4, 2, 1, 128, 1, 1, 0, 1, 0},
};

static inline void layer_geometry(const conv_layer *layer, cr_conv_geometry *g) {
    const int64_t out = layer->transposed ? (layer->in - 1) * layer->stride - 2 * layer->pad + layer->kernel
                                          : (layer->in + 2 * layer->pad - layer->kernel) / layer->stride + 1;
    *g = (cr_conv_geometry){.n = 1, .groups = layer->groups, .ic = layer->ic, .oc = layer->oc};
    const int flat_axis = layer->flat == 1 ? CR_H : layer->flat == 2 ? CR_W : CR_D;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool used = axis != CR_D, flat = axis == flat_axis || !used;
        g->in[axis] = used ? layer->in : 1;
        g->out[axis] = used ? out : 1;
        g->kernel[axis] = flat ? 1 : layer->kernel;
        g->stride[axis] = used ? layer->stride : 1;
        g->pad[axis] = flat ? 0 : layer->pad;
        g->dilation[axis] = 1;
    }
}

#endif
