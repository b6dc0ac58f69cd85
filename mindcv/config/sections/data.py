"""Options of the images: where they come from and what happens to them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from mindcv.choices import BadImagePolicy, Dataset, Interpolation
from mindcv.config.option import Section, check, option
from mindcv.errors import ConfigError
from mindcv.ranges import AT_LEAST_ONE, AT_LEAST_ZERO, IMAGE_PIXELS, MAX_IMAGE_PIXELS, PROBABILITY, Range

__all__ = ["AugmentConfig", "DataConfig", "DatasetConfig", "ImageConfig", "MixConfig", "PolicyConfig"]

SIDE = Range(8, 2048, "give 8 to 2048 pixels")
AREAS = "give two fractions of the area, 1e-6 <= smallest <= largest <= 1"
ASPECTS = "give two aspect ratios, 0.01 <= smallest <= largest <= 100"


@dataclass(frozen=True, kw_only=True)
class DatasetConfig(Section):
    """Dataset.

    Args:
        name: Kind of dataset. imagenet and image_folder: one folder per class below each split.
        root: Folder of the dataset. digits writes its images there at the first run.
        train_split: Name of the training split.
        val_split: Name of the validation split.
        max_image_pixels: Largest image, in pixels; a larger one is a bad image (on_bad_image) and is not
            decoded. The default is 8192 x 8192.
    """

    name: Dataset = option("imagenet", yaml="dataset", scope="network")
    root: str | None = option(None, yaml="data_dir", aliases=("data_path",))
    train_split: str = option("train")
    val_split: str = option("val")
    max_image_pixels: int = option(MAX_IMAGE_PIXELS, range=IMAGE_PIXELS, unit="pixels")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Data loading.

    Args:
        num_parallel_workers: Threads that decode and augment; never more than the machine's cores.
        shuffle: Draw the training images in a new order each epoch.
        num_samples: Train on this many images in total, over all devices.
        batch_size: Images per device and step.
        drop_remainder: Drop the last training batch of an epoch if it is not full.
        on_bad_image: What to do about an image file that cannot be read. fail stops. skip trains on the next
            image of the epoch's order instead, and replace on the next one of the same class; the validation
            excludes it with either.
    """

    num_parallel_workers: int = option(8, range=AT_LEAST_ONE, aliases=("workers",))
    shuffle: bool = option(True)
    num_samples: int | None = option(None, range=AT_LEAST_ONE, unit="images")
    batch_size: int = option(128, range=Range(1, 65536, "give 1 to 65536 images"), unit="images")
    drop_remainder: bool = option(True)
    on_bad_image: BadImagePolicy = option("fail")


@dataclass(frozen=True, kw_only=True)
class ImageConfig(Section):
    """Size and scale of the images.

    Args:
        image_resize: Height and width of the network's input.
        val_image_resize: Height and width in the validation; by default image_resize. A network trained at
            224 gains by 256.
        progressive_sizes: Sizes to train at one after the other, such as [128, 160, 192], instead of
            image_resize.
        progressive_epochs: Epochs, from the start of training, at which the next of these sizes begins.
        mean: Mean of each channel on the scale 0 to 255; by default the dataset's.
        std: Standard deviation of each channel on the scale 0 to 255; by default the dataset's.
    """

    image_resize: int = option(224, range=SIDE, scope="network", aliases=("image_size",), unit="pixels")
    val_image_resize: int | None = option(None, range=SIDE, scope="network", unit="pixels")
    progressive_sizes: tuple[int, ...] = option((), unit="pixels")
    progressive_epochs: tuple[int, ...] = option((), unit="epochs")
    mean: tuple[float, ...] | None = option(None, scope="network")
    std: tuple[float, ...] | None = option(None, scope="network")

    def check(self) -> None:
        """Check the lists."""
        sizes, epochs = self.progressive_sizes, self.progressive_epochs
        check(self, "progressive_sizes", all(size in SIDE for size in sizes), SIDE.remedy)
        rising = all(a < b for a, b in pairwise((0, *epochs)))
        check(self, "progressive_epochs", rising, "give rising epochs above 0")
        if len(epochs) != max(len(sizes) - 1, 0):
            raise ConfigError(
                f"progressive_sizes={list(sizes)} and progressive_epochs={list(epochs)} do not fit: give "
                "one epoch for each size but the first"
            )
        if self.mean is not None:
            check(self, "mean", all(0 <= v <= 255 for v in self.mean), "its scale is 0 to 255")
        if self.std is not None:
            valid = all(0.001 <= v <= 255 for v in self.std)
            check(self, "std", valid, "give 0.001 to 255: its scale is 0 to 255")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Section):
    """Image transforms.

    Args:
        scale: Smallest and largest fraction of the image's area that a random resized crop keeps.
        ratio: Smallest and largest aspect ratio of a random resized crop.
        hflip: Probability of a horizontal flip; by default 0.5, and 0 for digits.
        vflip: Probability of a vertical flip.
        interpolation: How images are resized. pilcubic averages when it shrinks, as Pillow does.
        crop_pct: Fraction of the resized image that the evaluation crop keeps, above 1 with a border; by
            default 0.875, and 1 for small images.
        crop_padding: Largest random shift of small images; by default image_resize/8 for CIFAR and
            image_resize/16 for digits and MNIST.
    """

    scale: tuple[float, float] = option((0.08, 1.0))
    ratio: tuple[float, float] = option((0.75, 1.333))
    hflip: float | None = option(None, range=PROBABILITY)
    vflip: float = option(0.0, range=PROBABILITY)
    interpolation: Interpolation = option("bilinear", scope="network")
    crop_pct: float | None = option(
        None,
        range=Range(0.25, 8, "give a fraction from 0.25 to 8; 1 keeps the whole image"),
        scope="network",
    )
    crop_padding: int | None = option(None, range=Range(0, 2048, "give 0 to 2048 pixels"), unit="pixels")

    def check(self) -> None:
        """Check the pairs."""
        check(self, "scale", _is_area(self.scale), AREAS)
        check(self, "ratio", _is_aspect(self.ratio), ASPECTS)


@dataclass(frozen=True, kw_only=True)
class PolicyConfig(Section):
    """Further augmentation of single images.

    Args:
        auto_augment: Policy: rand-m9-mstd0.5-inc1 and the like (RandAugment), original, originalr, v0 or v0r
            (AutoAugment), trivialaugwide, 3a (3-Augment), augmix-m3-w3-d2 and the like.
        color_jitter: Largest change of brightness, contrast and saturation, as one fraction or three, and of
            hue as a fourth. A policy other than 3a replaces it. auto is 0.4, as in MindCV, and none for small
            images; null is none.
        re_prob: Probability of erasing a random rectangle.
        re_scale: Smallest and largest fraction of the image's area that is erased.
        re_ratio: Smallest and largest aspect ratio of the rectangle.
        re_value: What it is filled with: 0 is the mean colour, another number a grey in
            units of the deviation from it, random is noise in each pixel.
        re_max_attempts: How often a rectangle that does not fit is drawn again.
    """

    auto_augment: str | None = option(None)
    color_jitter: float | tuple[float, ...] | Literal["auto"] | None = option("auto")
    re_prob: float = option(0.0, range=PROBABILITY)
    re_scale: tuple[float, float] = option((0.02, 0.33))
    re_ratio: tuple[float, float] = option((0.3, 3.3))
    re_value: float | Literal["random"] = option(0.0, range=Range(-1000, 1000, "give a number, or random"))
    re_max_attempts: int = option(10, range=Range(1, 1000, "give 1 to 1000"))

    def check(self) -> None:
        """Check the pairs and the jitter."""
        check(self, "re_scale", _is_area(self.re_scale), AREAS)
        check(self, "re_ratio", _is_aspect(self.re_ratio), ASPECTS)
        jitter = None if self.color_jitter == "auto" else self.color_jitter
        strengths = jitter if isinstance(jitter, tuple) else (jitter or 0.0,) * 3
        check(self, "color_jitter", len(strengths) in (3, 4), "give one fraction, or a list of three or four")
        check(self, "color_jitter", all(s in PROBABILITY for s in strengths), "give fractions from 0 to 1")
        check(self, "color_jitter", len(strengths) < 4 or strengths[3] <= 0.5, "give a hue of at most 0.5")


@dataclass(frozen=True, kw_only=True)
class MixConfig(Section):
    """Mixing and repeating of images.

    Args:
        mixup: Alpha of the Beta distribution that mixup draws its weights from; 0 is off.
        cutmix: Alpha of the Beta distribution that CutMix draws its areas from; 0 is off.
        cutmix_prob: Probability that a batch is mixed, by either.
        mixup_switch_prob: Probability that CutMix mixes it, where both are on.
        mixup_off_epoch: Epoch, counted from 0, from which on batches are no longer mixed; 0 is never.
        aug_repeats: How many copies of an image, each with its own augmentation, an epoch has; it then has
            that many times fewer images. 0 and 1 mean no repetition.
    """

    mixup: float = option(0.0, range=Range(0, 1000, AT_LEAST_ZERO.remedy))
    cutmix: float = option(0.0, range=Range(0, 1000, AT_LEAST_ZERO.remedy))
    cutmix_prob: float = option(1.0, range=PROBABILITY)
    mixup_switch_prob: float = option(0.5, range=PROBABILITY)
    mixup_off_epoch: int = option(0, range=AT_LEAST_ZERO, unit="epochs")
    aug_repeats: int = option(0, range=Range(0, 100, "give 0 to 100 copies"))


def _is_area(pair: tuple[float, float]) -> bool:
    low, high = pair
    return 1e-6 <= low <= high <= 1


def _is_aspect(pair: tuple[float, float]) -> bool:
    low, high = pair
    return 0.01 <= low <= high <= 100
