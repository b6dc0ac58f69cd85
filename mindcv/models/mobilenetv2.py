"""MobileNetV2 at four widths.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv 1801.04381), table 2.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mindspore import nn

from mindcv.models.inverted_residual import InvertedResidualNetwork, Stage
from mindcv.models.layer_names import blocks_of, layers_with_parameters, timm_layers
from mindcv.models.layers import make_divisible
from mindcv.models.registry import get_pretrained_cfg, list_models, model_entrypoint, register_model
from mindcv.models.weights.layouts import WeightLayout

__all__ = [
    "MobileNetV2",
    "mobilenet_v2_050",
    "mobilenet_v2_075",
    "mobilenet_v2_100",
    "mobilenet_v2_140",
]

PUBLISHED = "https://download.mindspore.cn/toolkits/mindcv/mobilenet/mobilenetv2/"

STAGES = (  # output sizes for a 224 px image
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3),  # 112
    Stage(expand=6, channels=24, blocks=2, stride=2, kernel=3),  # 56
    Stage(expand=6, channels=32, blocks=3, stride=2, kernel=3),  # 28
    Stage(expand=6, channels=64, blocks=4, stride=2, kernel=3),  # 14
    Stage(expand=6, channels=96, blocks=3, stride=1, kernel=3),  # 14
    Stage(expand=6, channels=160, blocks=3, stride=2, kernel=3),  # 7
    Stage(expand=6, channels=320, blocks=1, stride=1, kernel=3),  # 7
)


def names(width: str, *sizes: int) -> list[str]:
    """Return timm's name of a width, and MindCV's for each image size: the network is the same for all."""
    return [f"mobilenetv2_{width}", *(f"mobilenet_v2_{width}_{size}" for size in sizes)]


def torchvision_layers(network: "MobileNetV2") -> Mapping[str, str]:
    """Return torchvision's name of each layer by our name."""
    parts, blocks = network.parts(), blocks_of(network)
    names: dict[str, str] = {}
    names |= zip(layers_with_parameters(parts.stem), ("features.0.0", "features.0.1"), strict=True)
    for block in blocks:
        place, last = f"features.{block.number + 1}.conv", len(block.convolutions) - 1
        for n, pair in enumerate(block.convolutions):
            # Convolutions with an activation are in a sequence of their own, and the last one is not.
            theirs = (
                (f"{place}.{n}", f"{place}.{n + 1}") if n == last else (f"{place}.{n}.0", f"{place}.{n}.1")
            )
            names |= zip(pair, theirs, strict=True)
    head = f"features.{len(blocks) + 1}"
    names |= zip(layers_with_parameters(parts.head), (f"{head}.0", f"{head}.1"), strict=True)
    names |= zip(layers_with_parameters(parts.classifier), ("classifier.1",), strict=False)
    return names


class MobileNetV2(InvertedResidualNetwork):
    """MobileNetV2; for its options see `InvertedResidualNetwork`.

    Args:
        width: Multiplies all numbers of channels, the head's only above 1, before rounding to multiples of 8.
        bn_eps: Added to the variances by batch normalisation.
        bn_momentum: Weight of the old statistic in the running one.
        options: Further options of `InvertedResidualNetwork`.
    """

    activation = nn.ReLU6
    weight_layouts = (
        WeightLayout(
            library="mindcv", stem=("features.0", "features.1"), classifier="classifier.1", bn_eps=1e-5
        ),
        WeightLayout(
            library="timm",
            stem=("conv_stem", "bn1"),
            classifier="classifier",
            layers=timm_layers,
            bn_eps=1e-5,
        ),
        WeightLayout(
            library="torchvision",
            stem=("features.0.0", "features.0.1"),
            classifier="classifier.1",
            layers=torchvision_layers,
            bn_eps=1e-5,
            paddings=("symmetric",),
        ),
    )

    def __init__(self, width: float = 1.0, *, bn_eps: float = 1e-5, bn_momentum: float = 0.9, **options: Any):
        head = make_divisible(1280 * max(1.0, width))
        super().__init__(STAGES, width, 32, head, bn_eps=bn_eps, bn_momentum=bn_momentum, **options)


@register_model(aliases=names("050", 96, 128, 160, 192, 224), options_of=MobileNetV2)
def mobilenet_v2_050(**kwargs) -> MobileNetV2:
    """MobileNetV2 at width 0.5: 2.0 million parameters, 97 million MACs at 224 px."""
    return MobileNetV2(0.5, **kwargs)


@register_model(
    aliases=names("075", 96, 128, 160, 192, 224),
    url=PUBLISHED + "mobilenet_v2_075-bd7bd4c4.ckpt",
    options_of=MobileNetV2,
)
def mobilenet_v2_075(**kwargs) -> MobileNetV2:
    """MobileNetV2 at width 0.75: 2.6 million parameters, 209 million MACs at 224 px."""
    return MobileNetV2(0.75, **kwargs)


@register_model(
    aliases=names("100", 96, 128, 160, 192, 224),
    url=PUBLISHED + "mobilenet_v2_100-d5532038.ckpt",
    options_of=MobileNetV2,
)
def mobilenet_v2_100(**kwargs) -> MobileNetV2:
    """MobileNetV2: 3.5 million parameters, 301 million MACs at 224 px."""
    return MobileNetV2(1.0, **kwargs)


@register_model(
    aliases=names("140", 224),
    url=PUBLISHED + "mobilenet_v2_140-98776171.ckpt",
    options_of=MobileNetV2,
)
def mobilenet_v2_140(**kwargs) -> MobileNetV2:
    """MobileNetV2 at width 1.4: 6.1 million parameters, 582 million MACs at 224 px."""
    return MobileNetV2(1.4, **kwargs)


# What belongs to the published weights of each model, as MindCV's scripts read it.
default_cfgs = {name: get_pretrained_cfg(name) for name in list_models(module="mobilenetv2", pretrained=True)}


def __getattr__(name: str) -> Callable[..., nn.Cell]:
    """Return the function that builds a model by MindCV's name of it, such as mobilenet_v2_050_128."""
    if name in list_models(name, module="mobilenetv2"):
        return model_entrypoint(name)
    raise AttributeError(f"module 'mindcv.models.mobilenetv2' has no attribute '{name}'")
