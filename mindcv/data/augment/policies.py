"""Augmentation policies by name: RandAugment, AutoAugment, TrivialAugment, 3-Augment and AugMix."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from mindcv.data.augment.augmix import AugMix
from mindcv.data.augment.autoaugment import POLICIES, Step
from mindcv.data.augment.magnitudes import DENOMINATOR, Geometry, Magnitude, Operation
from mindcv.data.augment.operations import Fill
from mindcv.data.augment.policy_names import Number, Option, Word, mistake, read_options, split_name
from mindcv.data.augment.policy_tables import (
    INCREASING,
    PLAIN,
    SETS,
    W0,
    WIDE_BINS,
    Choice,
    weighted,
    wide_operations,
)

__all__ = ["AutoAugment", "Policy", "RandAugment", "TrivialAugment", "create_policy"]

UNIFORM_FROM = 100  # a standard deviation from which on the magnitude is drawn evenly

STD = Number(0, 1000, also="inf")
OPTIONS: dict[str, dict[str, Option]] = {
    "rand": {
        "m": Number(0, 100),
        "n": Number(1, 100, whole=True),
        "p": Number(0, 1),
        "mstd": STD,
        "mmax": Number(1, 100),
        "inc": Word(("0", "1")),
        "w": Word(("0",)),
        "t": Word(tuple(SETS)),
    },
    **{head: {"mstd": STD} for head in POLICIES},
    "trivialaugwide": {"m": Number(1, WIDE_BINS, whole=True)},
    "augmix": {
        "m": Number(0, DENOMINATOR),
        "w": Number(1, 100, whole=True),
        "d": Number(1, 100, whole=True, also="-1"),
        "a": Number(0.01, 100),
        "b": Word(("0", "1")),
        "mstd": STD,
    },
}
ALIASES = {"randaug": "rand", "autoaug": "original", "autoaugr": "originalr"}
MINDCV_STD = dict.fromkeys(ALIASES, 0.5)  # what MindCV's names mean without mstd; timm's mean 0


class Policy(Protocol):
    """An augmentation: a function of the image and a random generator only."""

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return an augmented image of the same size and mode; `image` does not change."""
        ...


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """A sequence of random operations, all at one magnitude (arXiv 1909.13719).

    Args:
        choice: Operations to draw from.
        magnitude: Their magnitude; its noise is drawn for each.
        geometry: How they fill and interpolate pixels.
        count: Operations drawn for an image.
        probability: Probability that each of them is applied.
    """

    choice: Choice
    magnitude: Magnitude
    geometry: Geometry
    count: int = 2
    probability: float = 0.5

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Apply operations drawn from `rng`."""
        operations, weights = self.choice.operations, self.choice.weights
        # As in timm, weighted operations are drawn without replacement.
        for index in rng.choice(len(operations), self.count, replace=weights is None, p=weights):
            if rng.random() < self.probability:
                level = self.magnitude.draw(rng) / DENOMINATOR
                image = operations[index](image, level, rng, self.geometry)
        return image


@dataclass(frozen=True, kw_only=True)
class AutoAugment:
    """One of several fixed sequences of operations (arXiv 1805.09501).

    Args:
        sequences: Sequences to draw from uniformly; each step is an operation, its probability and magnitude.
        std: Standard deviation of noise on the magnitudes; infinite: uniform below them.
        geometry: How the operations fill and interpolate pixels.
    """

    sequences: tuple[tuple[Step, ...], ...]
    geometry: Geometry
    std: float = 0.0

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Apply a sequence drawn from `rng`."""
        for operation, probability, magnitude in self.sequences[rng.integers(len(self.sequences))]:
            if rng.random() < probability:
                level = Magnitude(mean=magnitude, std=self.std).draw(rng) / DENOMINATOR
                image = operation(image, level, rng, self.geometry)
        return image


@dataclass(frozen=True, kw_only=True)
class TrivialAugment:
    """One operation at a random strength (arXiv 2103.10158).

    Args:
        operations: Operations to draw from uniformly.
        geometry: How they fill and interpolate pixels.
        bins: Strengths to draw from: the weakest of 31.
    """

    operations: tuple[Operation, ...]
    geometry: Geometry
    bins: int = WIDE_BINS

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Apply an operation drawn from `rng`."""
        operation = self.operations[rng.integers(len(self.operations))]
        level = float(rng.integers(self.bins)) / (WIDE_BINS - 1)
        return operation(image, level, rng, self.geometry)


def create_policy(name: str, *, fill: Fill = (124, 116, 104), size: int = 224) -> Policy:
    """Return the policy with a name in timm's syntax: a head, then options after dashes in any order.

    ``rand`` or ``randaug``: RandAugment. m: magnitude, 0 to 10 (10). n: operations for an image (2).
    p: probability of each (0.5). mstd: standard deviation of normal noise on the magnitude (0; 0.5 with
    ``randaug``, as in MindCV); from 100 on, or inf, the magnitude is uniform from 0 to m. mmax: upper limit
    of the magnitude (10). inc1: every operation does more as its magnitude grows. w0: operations weighted.
    t: another set, 3a, 3aw or weights.

    ``original`` or ``autoaug``, ``originalr`` or ``autoaugr``, ``v0``, ``v0r``: AutoAugment; with r,
    Posterize does more as its magnitude grows. ``3a``: 3-Augment. All have mstd, as above (0; 0.5 with
    ``autoaug`` and ``autoaugr``, as in MindCV).

    ``trivialaugwide``: TrivialAugment. m: draw from the m weakest of its 31 strengths (31).

    ``augmix``: AugMix. m: magnitude (3). w: chains (3). d: operations in a chain, or -1 for 1 to 3 (-1).
    a: parameter of the distributions of its weights (1). b1: mix step by step. mstd: as above (inf).

    Args:
        name: Such as ``rand-m9-mstd0.5-inc1``.
        fill: Colour of the area outside the image in geometric operations.
        size: Side of the images in pixels; TrivialAugment shifts by up to 32 pixels, and no more than this.

    Returns:
        A function of an RGB or L image and a generator. It can be pickled.

    Raises:
        UserError: If the name or one of its options is unknown or out of range.
    """
    head, tokens = split_name(name, [*OPTIONS, *ALIASES])
    kind = ALIASES.get(head, head)
    values = read_options(name, head, tokens, OPTIONS[kind])
    geometry = Geometry(fill=fill)
    match kind:
        case "rand":
            return _rand(name, values, geometry, default_std=MINDCV_STD.get(head, 0.0))
        case "augmix":
            return AugMix(
                magnitude=Magnitude(mean=float(values.get("m", 3)), std=_std(values, math.inf)),
                geometry=geometry,
                width=int(values.get("w", 3)),
                depth=int(values.get("d", -1)),
                alpha=float(values.get("a", 1)),
                blended=values.get("b") == "1",
            )
        case "trivialaugwide":
            # Bilinear alone, as in the recipes of torchvision.
            geometry = Geometry(fill=fill, resamples=(Image.Resampling.BILINEAR,))
            bins = int(values.get("m", WIDE_BINS))
            return TrivialAugment(operations=wide_operations(size), geometry=geometry, bins=bins)
        case _:
            return AutoAugment(
                sequences=POLICIES[kind], geometry=geometry, std=_std(values, MINDCV_STD.get(head, 0.0))
            )


def _rand(name: str, values: dict[str, str], geometry: Geometry, *, default_std: float) -> RandAugment:
    top = float(values.get("mmax", DENOMINATOR))
    mean = float(values.get("m", min(DENOMINATOR, top)))
    if mean > top:
        raise mistake(name, f"m{mean:g} is above the limit of {top:g}: lower it, or give mmax{mean:g} too")
    choice = _choice(name, values)
    count = int(values.get("n", 2))
    if choice.weights is not None and count > len(choice.weights):
        raise mistake(
            name, f"n{count} is too many: weighted operations are drawn once each, from {len(choice.weights)}"
        )
    return RandAugment(
        choice=choice,
        magnitude=Magnitude(mean=mean, std=_std(values, default_std), top=top),
        geometry=geometry,
        count=count,
        probability=float(values.get("p", 0.5)),
    )


def _choice(name: str, values: dict[str, str]) -> Choice:
    if "t" in values:
        other = next((key for key in ("w", "inc") if key in values), None)
        if other:
            raise mistake(
                name,
                f"t{values['t']} has its own operations and weights: leave {other}{values[other]} out",
            )
        return SETS[values["t"]]
    operations = INCREASING if values.get("inc") == "1" else PLAIN
    return weighted(operations, W0) if "w" in values else Choice(tuple(operations.values()))


def _std(values: dict[str, str], default: float) -> float:
    std = float(values.get("mstd", default))
    return math.inf if std >= UNIFORM_FROM else std
