"""The network: every kind of convolution that batch normalisation is folded into, small enough for git.

A BatchNormalization follows each convolution (plain, strided, depthwise, pointwise, in residual blocks with
and without a projection) and the first Linear. One more stands before the first convolution and learns the
scale of the pictures, so that a picture needs no preprocessing but the division by 255; that convolution has
no padding, so the normalisation folds into its weights. Not all channel counts are multiples of 16.
"""

from collections import OrderedDict

from torch import nn
from torch.nn import functional as F


def conv_norm(inputs, outputs, kernel, stride=1, padding=None, groups=1):
    """Convolution without bias, then batch normalisation; `padding` defaults to half the kernel."""
    padding = kernel // 2 if padding is None else padding
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        norm=nn.BatchNorm2d(outputs)))


class ConvNormRelu(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()
        self.body = conv_norm(*args, **kwargs)

    def forward(self, x):
        return F.relu(self.body(x))


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity or, if the shape changes, a 1x1 projection (He et al. 2015)."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.first = ConvNormRelu(inputs, outputs, 3, stride)
        self.second = conv_norm(outputs, outputs, 3)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise 1x1 (Howard et al. 2017)."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.depthwise = ConvNormRelu(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = ConvNormRelu(inputs, outputs, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project back without activation, add (Sandler et al. 2018)."""

    def __init__(self, channels, expanded):
        super().__init__()
        self.expand = ConvNormRelu(channels, expanded, 1)
        self.depthwise = ConvNormRelu(expanded, expanded, 3, groups=expanded)
        self.project = conv_norm(expanded, channels, 1)

    def forward(self, x):
        return x + self.project(self.depthwise(self.expand(x)))


class FashionNet(nn.Module):
    """[N, 1, 28, 28] pictures in 0..1 to [N, 10] logits."""

    def __init__(self, classes=10):
        super().__init__()
        self.normalize = nn.BatchNorm2d(1)
        self.stem = ConvNormRelu(1, 16, 3, padding=0)            # 26 x 26
        self.stage1 = nn.Sequential(
            ConvNormRelu(16, 24, 3, stride=2),                   # 13 x 13
            Residual(24, 24))
        self.stage2 = nn.Sequential(
            Residual(24, 40, stride=2),                          # 7 x 7
            InvertedResidual(40, 80),
            InvertedResidual(40, 80))
        self.stage3 = nn.Sequential(
            Separable(40, 56, stride=2),                         # 4 x 4
            InvertedResidual(56, 112),
            ConvNormRelu(56, 96, 1))
        self.hidden = nn.Linear(96, 32)
        self.hidden_norm = nn.BatchNorm1d(32)
        self.classify = nn.Linear(32, classes)

    def forward(self, x):
        x = self.stage3(self.stage2(self.stage1(self.stem(self.normalize(x)))))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.classify(F.relu(self.hidden_norm(self.hidden(x))))
