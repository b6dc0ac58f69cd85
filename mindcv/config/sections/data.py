"""Options of the images: where they come from and what happens to them."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from mindcv.config.checks import ConfigError, check, check_numbers

__all__ = ["AugmentConfig", "DataConfig", "MixConfig", "PolicyConfig"]

DATASETS = Literal[
    "imagenet", "image_folder", "digits", "cifar10", "cifar100", "mnist", "fashion_mnist", "mindrecord"
]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Dataset.

    Args:
        dataset: Kind of dataset. imagenet and image_folder: one folder a class below each split.
        data_dir: Folder of the dataset. digits writes its images there at the first run.
        train_split: Name of the training split.
        val_split: Name of the validation split.
        num_parallel_workers: Threads that decode and augment; never more than the machine's cores.
        shuffle: Draw the training images in a new order each epoch.
        num_samples: Train on this many images in total, over all devices.
        batch_size: Images per device and step.
        drop_remainder: Leave out the last training batch of an epoch if it is not full.
        on_bad_image: What to do about an image file that cannot be read. fail stops. skip trains on the next
            image of the epoch's order instead, and replace on the next one of the same class; the validation
            leaves it out with either.
    """

    dataset: DATASETS = "imagenet"
    data_dir: str | None = None
    train_split: str = "train"
    val_split: str = "val"
    num_parallel_workers: int = 8
    shuffle: bool = True
    num_samples: int | None = None
    batch_size: int = 128
    drop_remainder: bool = True
    on_bad_image: Literal["fail", "skip", "replace"] = "fail"

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "num_parallel_workers", "num_samples", "batch_size", low=1)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Image transforms.

    Args:
        image_resize: Height and width of the network's input, in pixels.
        val_image_resize: Size of the images of the validation; by default image_resize. A network trained
            at 224 gains by 256.
        progressive_sizes: Sizes to train at one after the other, such as [128, 160, 192], instead of
            image_resize.
        progressive_epochs: Epochs, from the start, at which the next of these sizes begins.
        scale: Smallest and largest part of the image's area that a random resized crop keeps.
        ratio: Smallest and largest aspect ratio of a random resized crop.
        hflip: Probability of a horizontal flip; by default 0.5, and 0 for digits.
        vflip: Probability of a vertical flip.
        interpolation: How images are resized. pilcubic averages when it shrinks, as Pillow does.
        crop_pct: Part of the resized image that the evaluation crop keeps; by default 0.875, and 1 for
            small images.
        crop_padding: Largest random shift of small images in pixels; by default image_resize/8 for CIFAR
            and image_resize/16 for digits and MNIST.
        mean: Mean of each channel on the scale 0 to 255; by default the dataset's.
        std: Standard deviation of each channel on the scale 0 to 255; by default the dataset's.
    """

    image_resize: int = 224
    val_image_resize: int | None = None
    progressive_sizes: tuple[int, ...] = ()
    progressive_epochs: tuple[int, ...] = ()
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    hflip: float | None = None
    vflip: float = 0.0
    interpolation: Literal["nearest", "bilinear", "bicubic", "area", "pilcubic"] = "bilinear"
    crop_pct: float | None = None
    crop_padding: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "give 8 pixels or more", "image_resize", "val_image_resize", low=8)
        self._check_sizes()
        check_numbers(self, "give a probability from 0 to 1", "hflip", "vflip", high=1)
        check_numbers(self, "give pixels, 0 or more", "crop_padding")
        check_numbers(self, "give a part of the image, above 0 and up to 1", "crop_pct", low=1e-3, high=1)
        low, high = self.scale
        check(self, "scale", 0 < low <= high <= 1, "give two parts of the area, 0 < smallest <= largest <= 1")
        low, high = self.ratio
        check(self, "ratio", 0 < low <= high < 100, "give two aspect ratios, 0 < smallest <= largest")
        if self.mean is not None:
            check(self, "mean", all(0 <= v <= 255 for v in self.mean), "its scale is 0 to 255")
        if self.std is not None:
            check(
                self, "std", all(0 < v <= 255 for v in self.std), "its scale is 0 to 255, and 0 is no scale"
            )

    def _check_sizes(self) -> None:
        sizes, epochs = self.progressive_sizes, self.progressive_epochs
        check(self, "progressive_sizes", all(size >= 8 for size in sizes), "give 8 pixels or more")
        rising = all(a < b for a, b in pairwise((0, *epochs)))
        check(self, "progressive_epochs", rising, "give rising epochs above 0")
        if len(epochs) != max(len(sizes) - 1, 0):
            raise ConfigError(
                f"progressive_sizes={list(sizes)} and progressive_epochs={list(epochs)} do not fit: give "
                "one epoch for each size but the first"
            )


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Further augmentation of single images.

    Args:
        auto_augment: Policy: rand-m9-mstd0.5-inc1 and the like (RandAugment), original, originalr, v0 or v0r
            (AutoAugment), trivialaugwide, 3a (3-Augment), augmix-m3-w3-d2 and the like.
        color_jitter: Largest change of brightness, contrast and saturation, as one part or three, and of hue
            as a fourth. A policy other than 3a takes its place.
        re_prob: Probability of erasing a random rectangle.
        re_scale: Smallest and largest part of the image's area that is erased.
        re_ratio: Smallest and largest aspect ratio of the rectangle.
        re_value: What it is filled with: 0 is the mean colour, random is noise in each pixel.
        re_max_attempts: How often a rectangle that does not fit is drawn anew.
        aug_repeats: How many copies of an image, each with an augmentation of its own, an epoch has; it then
            sees that many times fewer images. 0 and 1 mean no repetition.
    """

    auto_augment: str | None = None
    color_jitter: float | tuple[float, ...] | None = None
    re_prob: float = 0.0
    re_scale: tuple[float, float] = (0.02, 0.33)
    re_ratio: tuple[float, float] = (0.3, 3.3)
    re_value: Literal[0, "random"] = 0
    re_max_attempts: int = 10
    aug_repeats: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, "give a probability from 0 to 1", "re_prob", high=1)
        low, high = self.re_scale
        check(
            self, "re_scale", 0 < low <= high <= 1, "give two parts of the area, 0 < smallest <= largest <= 1"
        )
        low, high = self.re_ratio
        check(self, "re_ratio", 0 < low <= high < 100, "give two aspect ratios, 0 < smallest <= largest")
        check_numbers(self, "give 1 or more", "re_max_attempts", low=1)
        check_numbers(self, "give 0 or more", "aug_repeats")
        jitter = self.color_jitter
        parts = jitter if isinstance(jitter, tuple) else (jitter or 0.0,)
        check(self, "color_jitter", len(parts) in (1, 3, 4), "give one part, three or four")
        check(self, "color_jitter", all(0 <= part <= 1 for part in parts), "give parts from 0 to 1")
        check(self, "color_jitter", len(parts) < 4 or parts[3] <= 0.5, "give a hue of at most 0.5")


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """Mixing of images.

    Args:
        mixup: Alpha of the Beta distribution that mixup draws its weights from; 0 is off.
        cutmix: Alpha of the Beta distribution that CutMix draws its areas from; 0 is off.
        cutmix_prob: Probability that a batch is mixed, by either.
        mixup_switch_prob: Probability that it is by CutMix, where both are on.
        mixup_off_epoch: Epoch, counted from 0, from which on batches are no longer mixed; 0 is never.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    cutmix_prob: float = 1.0
    mixup_switch_prob: float = 0.5
    mixup_off_epoch: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, "give 0 or more", "mixup", "cutmix", high=1000)
        check_numbers(self, "give a probability from 0 to 1", "cutmix_prob", "mixup_switch_prob", high=1)
        check_numbers(self, "give 0 or more", "mixup_off_epoch")
