"""Operations of the published policies, with the strengths that their magnitudes mean.

A level is a magnitude divided by the largest: RandAugment's and AutoAugment's go from 0 to 10,
TrivialAugment's bins from 0 to 30. The ranges are timm's (``timm/data/auto_augment.py``) and, for
TrivialAugment, torchvision's, so that a recipe means the same here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from mindcv.data.augment import operations as ops
from mindcv.data.augment.magnitudes import Operation

__all__ = [
    "AUGMIX",
    "INCREASING",
    "ORIGINAL_POSTERIZE",
    "PLAIN",
    "SETS",
    "THREE",
    "W0",
    "WIDE_BINS",
    "Choice",
    "weighted",
    "wide_operations",
]

WIDE_BINS = 31


def _moved(
    apply: Callable[..., Image.Image], span: float, rounding: Callable[[float], float] = float
) -> Operation:
    """Return a geometric operation that goes in either direction."""
    return Operation(apply=apply, span=span, rounding=rounding, signed=True, geometric=True)


def _bits(start: int, span: int, rounding: Callable[[float], float] = int) -> Operation:
    return Operation(apply=ops.posterize, start=start, span=span, rounding=rounding, lowest=0, highest=8)


ENHANCED = {
    "Color": ops.color,
    "Contrast": ops.contrast,
    "Brightness": ops.brightness,
    "Sharpness": ops.sharpness,
}

# Of these, Posterize and Solarize do less as the magnitude grows, and the enhancements go from less to more.
PLAIN = {
    "AutoContrast": Operation(apply=ops.autocontrast),
    "Equalize": Operation(apply=ops.equalize),
    "Invert": Operation(apply=ops.invert),
    "Rotate": _moved(ops.rotate, 30),
    "Posterize": _bits(0, 4),
    "Solarize": Operation(apply=ops.solarize, span=256, rounding=int, highest=256),
    "SolarizeAdd": Operation(apply=ops.solarize_add, span=110, rounding=int, highest=128),
    **{name: Operation(apply=apply, start=0.1, span=1.8) for name, apply in ENHANCED.items()},
    "ShearX": _moved(ops.shear_x, 0.3),
    "ShearY": _moved(ops.shear_y, 0.3),
    "TranslateX": _moved(ops.translate_x_relative, 0.45),
    "TranslateY": _moved(ops.translate_y_relative, 0.45),
}

# Of these, all do more as magnitudes grow.
INCREASING = {
    **PLAIN,
    "Posterize": _bits(4, -4),
    "Solarize": Operation(apply=ops.solarize, start=256, span=-256, rounding=int, lowest=0),
    **{
        name: Operation(apply=apply, start=1, span=0.9, signed=True, lowest=0.1)
        for name, apply in ENHANCED.items()
    },
}

# AutoAugment's paper keeps 4 to 8 bits; its later code 0 to 4, which is PLAIN's.
ORIGINAL_POSTERIZE = _bits(4, 4)

# DeiT III's 3-Augment at magnitudes 10, 5 and 10.
THREE = {
    "Desaturate": Operation(apply=ops.desaturate, start=0.5, span=0.5, highest=1),
    "Solarize": PLAIN["Solarize"],
    "Blur": Operation(apply=ops.gaussian_blur, start=0.1, span=1.9, drawn=True),
}

# Weights of timm's key w0, which gives two operations none.
W0 = {
    **dict.fromkeys(("Solarize", "SolarizeAdd", "Contrast", "Brightness", "Equalize"), 0.005),
    **dict.fromkeys(("Color", "Sharpness", "AutoContrast"), 0.025),
    **dict.fromkeys(("TranslateX", "TranslateY"), 0.1),
    **dict.fromkeys(("ShearX", "ShearY"), 0.2),
    "Rotate": 0.3,
    "Posterize": 0.0,
    "Invert": 0.0,
}

# Sets that timm's key t names, with their weights.
_SOFT = {
    **INCREASING,
    "Desaturate": THREE["Desaturate"],
    "Blur": replace(THREE["Blur"], drawn=False),
}
_THREE_WEIGHTS = dict.fromkeys(("Solarize", "Desaturate", "Blur"), 6.0)
_THREE_AND_MORE = {
    **_THREE_WEIGHTS,
    **dict.fromkeys(("Posterize", "AutoContrast", "Equalize", "Invert", *ENHANCED), 1.0),
    **dict.fromkeys(("ShearX", "ShearY"), 2.0),
    "Rotate": 3.0,
}
_WEIGHTS = {**{name: 10 * weight for name, weight in W0.items()}, "Posterize": 0.05, "Invert": 0.05}


@dataclass(frozen=True)
class Choice:
    """Operations to draw from.

    Args:
        operations: The operations.
        weights: Their probabilities; without them all are equal, and one may be drawn twice.
    """

    operations: tuple[Operation, ...]
    weights: tuple[float, ...] | None = None


def weighted(operations: dict[str, Operation], weights: dict[str, float]) -> Choice:
    """Return the operations that have a weight, and their weights as probabilities."""
    names = [name for name, weight in weights.items() if weight > 0]
    total = sum(weights[name] for name in names)
    return Choice(tuple(operations[name] for name in names), tuple(weights[name] / total for name in names))


SETS = {
    "3a": Choice(tuple(_SOFT[name] for name in _THREE_WEIGHTS)),
    "3aw": weighted(_SOFT, _THREE_AND_MORE),
    "weights": weighted(_SOFT, _WEIGHTS),
}

# timm's set and shifts. The paper leaves out the four enhancements, which resemble the corruptions that it
# evaluates on.
AUGMIX = tuple(
    replace(operation, span=0.3) if name.startswith("Translate") else operation
    for name, operation in INCREASING.items()
    if name not in ("Invert", "SolarizeAdd")
)


def wide_operations(size: int) -> tuple[Operation, ...]:
    """Return TrivialAugment's wide space (arXiv 2103.10158, table 2), over 31 bins.

    Args:
        size: Side of the images in pixels: no shift is longer, and none longer than 32 pixels.
    """
    shift = min(32, size)
    return (
        Operation(apply=ops.identity),
        _moved(ops.shear_x, 0.99),
        _moved(ops.shear_y, 0.99),
        _moved(ops.translate_x, shift, int),
        _moved(ops.translate_y, shift, int),
        _moved(ops.rotate, 135),
        *(Operation(apply=apply, start=1, span=0.99, signed=True) for apply in ENHANCED.values()),
        _bits(8, -6, round),
        Operation(apply=ops.solarize, start=255, span=-255),
        PLAIN["AutoContrast"],
        PLAIN["Equalize"],
    )
