"""MobileNetV3, Large and Small.

Howard et al. 2019, "Searching for MobileNetV3" (arXiv 1905.02244), tables 1 and 2.
"""

from collections.abc import Mapping
from typing import Any

from mindspore import Tensor, nn, ops

from mindcv.models.dropout import Dropout
from mindcv.models.inverted_residual import ConvNorm, InvertedResidualNetwork, Stage
from mindcv.models.layer_names import blocks_of, layers_with_parameters, timm_layers
from mindcv.models.layers import Padding, conv2d, make_divisible
from mindcv.models.registry import get_pretrained_cfg, list_models, register_model
from mindcv.models.weights.layouts import WeightLayout
from mindcv.structure import Composition, Parts

__all__ = ["HardSqueezeExcite", "MobileNetV3", "mobilenet_v3_large_100", "mobilenet_v3_small_100"]

PUBLISHED = "https://download.mindspore.cn/toolkits/mindcv/mobilenet/mobilenetv3/"

LARGE = (  # output sizes for a 224 px image
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3, activation=nn.ReLU),  # 112
    Stage(expand=(4, 3), channels=24, blocks=2, stride=2, kernel=3, activation=nn.ReLU),  # 56
    Stage(expand=3, channels=40, blocks=3, stride=2, kernel=5, se=0.25, activation=nn.ReLU),  # 28
    Stage(expand=(6, 2.5, 2.3, 2.3), channels=80, blocks=4, stride=2, kernel=3),  # 14
    Stage(expand=6, channels=112, blocks=2, stride=1, kernel=3, se=0.25),  # 14
    Stage(expand=6, channels=160, blocks=3, stride=2, kernel=5, se=0.25),  # 7
)

SMALL = (
    Stage(expand=1, channels=16, blocks=1, stride=2, kernel=3, se=0.25, activation=nn.ReLU),  # 56
    Stage(expand=(4.5, 3.67), channels=24, blocks=2, stride=2, kernel=3, activation=nn.ReLU),  # 28
    Stage(expand=(4, 6, 6), channels=40, blocks=3, stride=2, kernel=5, se=0.25),  # 14
    Stage(expand=3, channels=48, blocks=2, stride=1, kernel=5, se=0.25),  # 14
    Stage(expand=6, channels=96, blocks=3, stride=2, kernel=5, se=0.25),  # 7
)


def torchvision_layers(network: "MobileNetV3") -> Mapping[str, str]:
    """Return torchvision's name of each layer by our name."""
    parts = network.parts()
    names: dict[str, str] = {}
    names |= zip(layers_with_parameters(parts.stem), ("features.0.0", "features.0.1"), strict=True)
    for block in blocks_of(network):
        place = f"features.{block.number + 1}"
        if not block.is_wrapped:  # the convolution behind the last block
            names |= zip(block.convolutions[0], (f"{place}.0", f"{place}.1"), strict=True)
            continue
        last = len(block.convolutions) - 1
        for n, pair in enumerate(block.convolutions):
            number = n + 1 if n == last and block.gate else n
            names |= zip(pair, (f"{place}.block.{number}.0", f"{place}.block.{number}.1"), strict=True)
        gate = f"{place}.block.{last}"
        names |= zip(block.gate, (f"{gate}.fc1", f"{gate}.fc2"), strict=False)
    names |= zip(layers_with_parameters(parts.head), ("classifier.0",), strict=True)
    names |= zip(layers_with_parameters(parts.classifier), ("classifier.3",), strict=False)
    return names


class HardSqueezeExcite(nn.Cell):
    """Squeeze-excite whose gates are a hard sigmoid: ``min(max(x / 6 + 0.5, 0), 1)``.

    Args:
        channels: Channels of the input and the output.
        reduced: Channels in between.

    Inputs:
        Tensor of shape (N, channels, H, W).

    Outputs:
        Tensor of the same shape.
    """

    def __init__(self, channels: int, reduced: int):
        super().__init__()
        self.conv_reduce = conv2d(channels, reduced, bias=True)
        self.act = nn.ReLU()
        self.conv_expand = conv2d(reduced, channels, bias=True)
        self.gate = nn.HSigmoid()

    def construct(self, x: Tensor) -> Tensor:
        """Scale the channels of ``x``."""
        means = ops.mean(x, axis=(2, 3), keep_dims=True)
        return x * self.gate(self.conv_expand(self.act(self.conv_reduce(means))))

    def composition(self) -> Composition:
        """Return the steps that make the gates."""
        steps = ("mean", self.conv_reduce, self.act, self.conv_expand, self.gate)
        return Composition(steps=steps, combine="multiply")


class MobileNetV3(InvertedResidualNetwork):
    """MobileNetV3; for its options see `InvertedResidualNetwork`.

    ``padding`` is that of the depthwise convolutions, by default ``"symmetric"`` as in timm and torchvision.
    MindCV pads them with ``"same"``, and its weights choose that. The stem is always padded symmetrically.

    Args:
        stages: `LARGE` or `SMALL`; its ``se`` is a fraction of the channels inside a block.
        head_channels: Channels of the dense layer before the last one.
        bn_eps: Added to the variances by batch normalisation.
        bn_momentum: Weight of the old statistic in the running one.
        padding: ``"symmetric"`` or ``"same"``.
        options: Further options of `InvertedResidualNetwork`.
    """

    activation = nn.HSwish
    stem_padding = "symmetric"
    weight_layouts = (
        WeightLayout(
            library="mindcv",
            stem=("features.0", "features.1"),
            classifier="classifier.3",
            bn_eps=1e-5,
            padding="same",
        ),
        WeightLayout(
            library="timm",
            stem=("conv_stem", "bn1"),
            classifier="classifier",
            layers=timm_layers,
            bn_eps=1e-5,
            paddings=("symmetric",),
            kernels=("conv_head",),
        ),
        WeightLayout(
            library="torchvision",
            stem=("features.0.0", "features.0.1"),
            classifier="classifier.3",
            layers=torchvision_layers,
            bn_eps=1e-3,
            paddings=("symmetric",),
        ),
    )

    def __init__(
        self,
        stages: tuple[Stage, ...],
        head_channels: int,
        *,
        bn_eps: float = 1e-5,
        bn_momentum: float = 0.9,
        padding: Padding = "symmetric",
        **options: Any,
    ):
        options |= {"bn_eps": bn_eps, "bn_momentum": bn_momentum, "padding": padding}
        super().__init__(stages, 1.0, 16, head_channels, **options)

    def _activate(self, stage: Stage, entering: int, inner: int) -> list[nn.Cell]:
        activation = (stage.activation or self.activation)()
        return [
            activation,
            *([HardSqueezeExcite(inner, make_divisible(inner * stage.se))] if stage.se else []),
        ]

    def _last_features(self, channels: int, head_channels: int, conv: ConvNorm) -> tuple[list[nn.Cell], int]:
        return [*conv(channels, 6 * channels), self.activation()], 6 * channels

    def _classifier(self, channels: int, dropout: Dropout, last: nn.Cell) -> nn.Cell:
        return nn.SequentialCell([nn.Dense(channels, self.head_channels), self.activation(), dropout, last])

    def parts(self) -> Parts:
        """Return stem, stages, head and classifier; the last stage is the convolution behind the blocks."""
        parts = super().parts()
        dense, activation, dropout, last = self.classifier.cells()
        return Parts(
            stem=parts.stem,
            stages=[*parts.stages, parts.head],
            head=[self.pool, dense, activation],
            classifier=[dropout, last],
        )


@register_model(
    aliases=["mobilenetv3_large_100"],
    url=PUBLISHED + "mobilenet_v3_large_100-1279ad5f.ckpt",
    options_of=MobileNetV3,
)
def mobilenet_v3_large_100(**kwargs) -> MobileNetV3:
    """MobileNetV3-Large: 5.5 million parameters, 217 million MACs at 224 px."""
    return MobileNetV3(LARGE, 1280, **kwargs)


@register_model(
    aliases=["mobilenetv3_small_100"],
    url=PUBLISHED + "mobilenet_v3_small_100-509c6047.ckpt",
    options_of=MobileNetV3,
)
def mobilenet_v3_small_100(**kwargs) -> MobileNetV3:
    """MobileNetV3-Small: 2.5 million parameters, 57 million MACs at 224 px."""
    return MobileNetV3(SMALL, 1024, **kwargs)


# What belongs to the published weights of each model, as MindCV's scripts read it.
default_cfgs = {name: get_pretrained_cfg(name) for name in list_models(module="mobilenetv3", pretrained=True)}
