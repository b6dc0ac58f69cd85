"""MnasNet: B1 at five widths, A1 with squeeze-excite, and Small.

Tan et al. 2019, "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv 1807.11626). The
tables are those of the authors' TensorFlow code (tensorflow/tpu, models/official/mnasnet).
"""

from collections.abc import Mapping
from dataclasses import replace

from mindspore import Tensor, nn

from mindcv.errors import UserError
from mindcv.models.dropout import Dropout
from mindcv.models.inverted_residual import InvertedResidualNetwork, Stage
from mindcv.models.layer_names import blocks_of, layers_with_parameters, timm_layers
from mindcv.models.registry import get_pretrained_cfg, list_models, register_model
from mindcv.models.weights.layouts import WeightLayout
from mindcv.structure import Parts

__all__ = [
    "MnasNet",
    "Mnasnet",
    "Stage",
    "mnasnet_050",
    "mnasnet_075",
    "mnasnet_100",
    "mnasnet_130",
    "mnasnet_140",
    "mnasnet_small",
    "semnasnet_075",
    "semnasnet_100",
]


PUBLISHED = "https://download.mindspore.cn/toolkits/mindcv/mnasnet/"
HEAD_CHANNELS = 1280  # the same at every width

B1 = (  # what the search without squeeze-excite found; output sizes for a 224 px image
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3, flat=True),  # 112
    Stage(expand=3, channels=24, blocks=3, stride=2, kernel=3),  # 56
    Stage(expand=3, channels=40, blocks=3, stride=2, kernel=5),  # 28
    Stage(expand=6, channels=80, blocks=3, stride=2, kernel=5),  # 14
    Stage(expand=6, channels=96, blocks=2, stride=1, kernel=3),  # 14
    Stage(expand=6, channels=192, blocks=4, stride=2, kernel=5),  # 7
    Stage(expand=6, channels=320, blocks=1, stride=1, kernel=3),  # 7
)

A1 = (  # figure 7a of the paper
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3, flat=True),  # 112
    Stage(expand=6, channels=24, blocks=2, stride=2, kernel=3),  # 56
    Stage(expand=3, channels=40, blocks=3, stride=2, kernel=5, se=0.25),  # 28
    Stage(expand=6, channels=80, blocks=4, stride=2, kernel=3),  # 14
    Stage(expand=6, channels=112, blocks=2, stride=1, kernel=3, se=0.25),  # 14
    Stage(expand=6, channels=160, blocks=3, stride=2, kernel=5, se=0.25),  # 7
    Stage(expand=6, channels=320, blocks=1, stride=1, kernel=3),  # 7
)

SMALL = (
    # The original's table says that 16 channels enter this block, where the stem makes 8, and for that
    # has no skip around it. timm, whose weights are the only published ones, has the skip.
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3),  # 112
    Stage(expand=3, channels=16, blocks=1, stride=2, kernel=3),  # 56
    Stage(expand=6, channels=16, blocks=2, stride=2, kernel=3),  # 28
    Stage(expand=6, channels=32, blocks=4, stride=2, kernel=5, se=0.25),  # 14
    Stage(expand=6, channels=32, blocks=3, stride=1, kernel=3, se=0.25),  # 14
    Stage(expand=6, channels=88, blocks=3, stride=2, kernel=5, se=0.25),  # 7
    Stage(expand=6, channels=144, blocks=1, stride=1, kernel=3),  # 7
)


def torchvision_layers(network: "MnasNet") -> Mapping[str, str]:
    """Return torchvision's name of each layer by our name.

    Raises:
        UserError: If the network is not a MnasNet-B1.
    """
    blocks, parts = blocks_of(network), network.parts()
    counts = [len(stage) for stage in parts.stages[1:]]
    is_b1 = not blocks[0].is_wrapped and counts == [stage.blocks for stage in B1[1:]]
    if not is_b1 or any(block.gate for block in blocks):
        raise UserError(
            "torchvision has only MnasNet-B1 (mnasnet_050 to mnasnet_140), not this network: use layout timm"
        )
    names: dict[str, str] = {}
    names |= zip(layers_with_parameters(parts.stem), ("layers.0", "layers.1"), strict=True)
    for block in blocks:
        # torchvision's first block lies directly behind the stem's three layers.
        place = f"layers.{7 + block.stage}.{block.index}.layers" if block.is_wrapped else "layers"
        for n, pair in enumerate(block.convolutions):
            first = 3 * n + (0 if block.is_wrapped else 3)  # an activation or the block's end is the third
            names |= zip(pair, (f"{place}.{first}", f"{place}.{first + 1}"), strict=True)
    names |= zip(layers_with_parameters(parts.head), ("layers.14", "layers.15"), strict=True)
    names |= zip(layers_with_parameters(parts.classifier), ("classifier.1",), strict=False)
    return names


class MnasNet(InvertedResidualNetwork):
    """A network from a table of stages; for its options see `InvertedResidualNetwork`.

    Args:
        stages: The architecture.
        width: Multiplies all numbers of channels but the head's, before rounding to multiples of 8.
        stem_channels: Channels of the first convolution, at width 1.
        options: Options of `InvertedResidualNetwork`.
    """

    weight_layouts = (
        WeightLayout(
            library="mindcv", stem=("features.0", "features.1"), classifier="classifier", bn_eps=1e-3
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
            stem=("layers.0", "layers.1"),
            classifier="classifier.1",
            layers=torchvision_layers,
            bn_eps=1e-5,
            paddings=("symmetric",),
            version=2,  # 1 had a stem of 32 and 16 channels at every width
        ),
    )

    def __init__(self, stages: tuple[Stage, ...], width: float, stem_channels: int, **options):
        super().__init__(stages, width, stem_channels, HEAD_CHANNELS, **options)

    def _classifier(self, channels: int, dropout: Dropout, last: nn.Cell) -> nn.Cell:
        self.dropout = dropout  # beside the classifier, whose parameters' names have no number in MindCV
        return last

    def parts(self) -> Parts:
        """Return stem, stages, head and classifier."""
        return replace(super().parts(), classifier=[self.pool, self.dropout, self.classifier])

    def forward_head(self, x: Tensor) -> Tensor:
        """Map features (N, 1280, h, w) to logits (N, num_classes), or to (N, 1280) without a classifier."""
        return self.classifier(self.dropout(self.pool(x)))


class Mnasnet(MnasNet):
    """MnasNet-B1 at any width, with MindCV's name and arguments.

    Args:
        alpha: Width.
        in_channels: Channels of the image.
        num_classes: Number of logits.
        drop_rate: Dropout before the classifier, in [0, 1).
    """

    def __init__(
        self, alpha: float, in_channels: int = 3, num_classes: int = 1000, drop_rate: float = 0.2
    ) -> None:
        super().__init__(B1, alpha, 32, in_channels=in_channels, num_classes=num_classes, drop_rate=drop_rate)


@register_model(aliases=["mnasnet0_50"], url=PUBLISHED + "mnasnet_050-7d8bf4db.ckpt", options_of=MnasNet)
def mnasnet_050(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 0.5: 2.2 million parameters, 104 million MACs at 224 px."""
    return MnasNet(B1, 0.5, 32, **kwargs)


@register_model(aliases=["mnasnet0_75"], url=PUBLISHED + "mnasnet_075-465d366d.ckpt", options_of=MnasNet)
def mnasnet_075(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 0.75: 3.2 million parameters, 215 million MACs at 224 px."""
    return MnasNet(B1, 0.75, 32, **kwargs)


@register_model(aliases=["mnasnet1_0"], url=PUBLISHED + "mnasnet_100-1bcf43f8.ckpt", options_of=MnasNet)
def mnasnet_100(**kwargs) -> MnasNet:
    """MnasNet-B1: 4.4 million parameters, 314 million MACs at 224 px."""
    return MnasNet(B1, 1.0, 32, **kwargs)


@register_model(aliases=["mnasnet1_3"], url=PUBLISHED + "mnasnet_130-a43a150a.ckpt", options_of=MnasNet)
def mnasnet_130(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 1.3: 6.3 million parameters, 526 million MACs at 224 px."""
    return MnasNet(B1, 1.3, 32, **kwargs)


@register_model(aliases=["mnasnet1_4"], url=PUBLISHED + "mnasnet_140-7e20bb30.ckpt", options_of=MnasNet)
def mnasnet_140(**kwargs) -> MnasNet:
    """MnasNet-B1 at width 1.4: 7.1 million parameters, 589 million MACs at 224 px."""
    return MnasNet(B1, 1.4, 32, **kwargs)


@register_model(options_of=MnasNet)
def semnasnet_075(**kwargs) -> MnasNet:
    """MnasNet-A1, with squeeze-excite, at width 0.75."""
    return MnasNet(A1, 0.75, 32, **kwargs)


@register_model(options_of=MnasNet)
def semnasnet_100(**kwargs) -> MnasNet:
    """MnasNet-A1, with squeeze-excite: 3.9 million parameters, 312 million MACs at 224 px."""
    return MnasNet(A1, 1.0, 32, **kwargs)


@register_model(options_of=MnasNet)
def mnasnet_small(drop_rate: float = 0.0, **kwargs) -> MnasNet:
    """MnasNet-Small: 2.0 million parameters, 68 million MACs at 224 px; no dropout."""
    return MnasNet(SMALL, 1.0, 8, drop_rate=drop_rate, **kwargs)


# What belongs to the published weights of each model, as MindCV's scripts read it.
default_cfgs = {name: get_pretrained_cfg(name) for name in list_models(module="mnasnet", pretrained=True)}
