"""AutoAugment's policies for ImageNet: 25 pairs of operations, of which an image gets one.

Each line is a pair of operations, each with its probability and its magnitude.
"""

from mindcv.data.augment.magnitudes import Operation
from mindcv.data.augment.policy_tables import INCREASING, ORIGINAL_POSTERIZE, PLAIN, THREE

__all__ = ["POLICIES", "Step"]

# An operation, its probability and its magnitude.
Step = tuple[Operation, float, float]

# arXiv 1805.09501, table 9; its last five pairs are repetitions.
ORIGINAL = """
Posterize 0.4 8, Rotate 0.6 9
Solarize 0.6 5, AutoContrast 0.6 5
Equalize 0.8 8, Equalize 0.6 3
Posterize 0.6 7, Posterize 0.6 6
Equalize 0.4 7, Solarize 0.2 4
Equalize 0.4 4, Rotate 0.8 8
Solarize 0.6 3, Equalize 0.6 7
Posterize 0.8 5, Equalize 1.0 2
Rotate 0.2 3, Solarize 0.6 8
Equalize 0.6 8, Posterize 0.4 6
Rotate 0.8 8, Color 0.4 0
Rotate 0.4 9, Equalize 0.6 2
Equalize 0.0 7, Equalize 0.8 8
Invert 0.6 4, Equalize 1.0 8
Color 0.6 4, Contrast 1.0 8
Rotate 0.8 8, Color 1.0 2
Color 0.8 8, Solarize 0.8 7
Sharpness 0.4 7, Invert 0.6 8
ShearX 0.6 5, Equalize 1.0 9
Color 0.4 0, Equalize 0.6 3
Equalize 0.4 7, Solarize 0.2 4
Solarize 0.6 5, AutoContrast 0.6 5
Invert 0.6 4, Equalize 1.0 8
Color 0.6 4, Contrast 1.0 8
Equalize 0.8 8, Equalize 0.6 3
"""

# v0 of TensorFlow's EfficientNet for TPU, which is not in a paper.
V0 = """
Equalize 0.8 1, ShearY 0.8 4
Color 0.4 9, Equalize 0.6 3
Color 0.4 1, Rotate 0.6 8
Solarize 0.8 3, Equalize 0.4 7
Solarize 0.4 2, Solarize 0.6 2
Color 0.2 0, Equalize 0.8 8
Equalize 0.4 8, SolarizeAdd 0.8 3
ShearX 0.2 9, Rotate 0.6 8
Color 0.6 1, Equalize 1.0 2
Invert 0.4 9, Rotate 0.6 0
Equalize 1.0 9, ShearY 0.6 3
Color 0.4 7, Equalize 0.6 0
Posterize 0.4 6, AutoContrast 0.4 7
Solarize 0.6 8, Color 0.6 9
Solarize 0.2 4, Rotate 0.8 9
Rotate 1.0 7, TranslateY 0.8 9
ShearX 0.0 0, Solarize 0.8 4
ShearY 0.8 0, Color 0.6 4
Color 1.0 0, Rotate 0.6 2
Equalize 0.8 4, Equalize 0.0 8
Equalize 1.0 4, AutoContrast 0.6 2
ShearY 0.4 7, SolarizeAdd 0.6 7
Posterize 0.8 2, Solarize 0.6 10
Solarize 0.6 8, Equalize 0.6 1
Color 0.8 6, Rotate 0.4 5
"""

# DeiT III (arXiv 2204.07118): one of grey, solarised from 128 on, and blurred.
THREE_AUGMENT = """
Solarize 1.0 5
Desaturate 1.0 10
Blur 1.0 10
"""


def _read(text: str, operations: dict[str, Operation]) -> tuple[tuple[Step, ...], ...]:
    return tuple(
        tuple(_step(entry, operations) for entry in line.split(", ")) for line in text.strip().splitlines()
    )


def _step(entry: str, operations: dict[str, Operation]) -> Step:
    name, probability, magnitude = entry.split()
    return operations[name], float(probability), float(magnitude)


_ORIGINAL_OPERATIONS = {**PLAIN, "Posterize": ORIGINAL_POSTERIZE}
_RESEARCH_OPERATIONS = {**PLAIN, "Posterize": INCREASING["Posterize"]}

# With the letter r, Posterize does more as the magnitude grows, as in the later research code.
POLICIES = {
    "original": _read(ORIGINAL, _ORIGINAL_OPERATIONS),
    "originalr": _read(ORIGINAL, _RESEARCH_OPERATIONS),
    "v0": _read(V0, PLAIN),
    "v0r": _read(V0, _RESEARCH_OPERATIONS),
    "3a": _read(THREE_AUGMENT, THREE),
}
