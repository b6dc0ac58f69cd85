"""Image transforms: MindSpore's C++ operators, and Python's where MindSpore lacks one.

The factory's images are normalized float32, as MindCV's are. The project's own programs ask for uint8 and
normalize on the device, so that a quarter of the bytes travel.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore.dataset import vision
from mindspore.dataset.vision import ConvertMode, Inter
from PIL import Image

from mindcv.data.augment import ColorJitter, RandomErasing, RandomResizedCrop, create_policy
from mindcv.data.catalogue import DatasetInfo, channel_statistics, check_channels, find_dataset
from mindcv.data.evaluation_transforms import (
    Interpolation,
    crop_fraction,
    evaluation_crop,
    find_interpolation,
    resize_to,
)
from mindcv.data.seeded_augmentation import CROPS, ERASINGS, Augmentation, Picture, Pixels
from mindcv.errors import UserError

__all__ = ["create_augmentation", "create_transforms"]

Operators = list[Any]


def create_transforms(
    dataset_name: str = "",
    image_resize: int | tuple[int, int] = 224,
    is_training: bool = False,
    auto_augment: str | None = None,
    separate: bool = False,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (0.75, 1.333),
    hflip: float | None = None,
    vflip: float = 0.0,
    interpolation: str = "bilinear",
    crop_pct: float | None = None,
    crop_padding: int | None = None,
    in_channels: int | None = None,
    color_jitter: float | Sequence[float] | None = None,
    re_prob: float = 0.0,
    re_scale: tuple[float, float] = (0.02, 0.33),
    re_ratio: tuple[float, float] = (0.3, 3.3),
    re_value: float | str = 0,
    re_max_attempts: int = 10,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    normalize: bool = True,
) -> Sequence[Any]:
    """Return the operators that turn a sample of `create_dataset` into the network's input, ``[C, H, W]``.

    Photographs are cropped at random for training (Inception's random resized crop), and for evaluation
    resized and cropped in the centre. Small images (digits, CIFAR, MNIST) are resized as they are; in
    training they are then shifted at random, over a black border.

    Args:
        dataset_name: Name as in `create_dataset`.
        image_resize: Size of the output in pixels, or ``(height, width)``. An evaluation image that is not
            square is resized without regard to its aspect.
        is_training: Augment, instead of evaluate.
        auto_augment: Policy in training, as in `create_policy`: randaug-m9-mstd0.5-inc1, for example.
        separate: In training, return the operators in three lists: the crop and the flips, the policy and the
            jitter, and the rest. `create_loader` with ``separate=True`` makes one clean and two augmented
            images of each sample with them.
        scale: Smallest and largest fraction of a photograph's area that a training crop keeps.
        ratio: Smallest and largest aspect ratio of that crop.
        hflip: Probability of a horizontal flip; by default 0.5, and 0 for digits and MNIST.
        vflip: Probability of a vertical flip.
        interpolation: nearest, bilinear (also called linear), bicubic, area; or pilcubic and pilbilinear,
            which average when they shrink. With those two, evaluation images are timm's pixel for pixel.
        crop_pct: Fraction of the resized image that the evaluation crop keeps; by default 0.875, and 1 for
            small images. Above 1, the crop has a black border.
        crop_padding: Largest shift of small images in pixels; by default an eighth of `image_resize` for
            CIFAR, and a sixteenth for digits and MNIST.
        in_channels: 3 for colour, 1 for grey, whatever the images are; by default the dataset's.
        color_jitter: Largest change of brightness, contrast and saturation in training, or three numbers for
            the three, or four with hue. A policy other than 3-Augment takes its place, as in MindCV and timm.
        re_prob: Probability that a training image has a rectangle erased, see `RandomErasing`.
        re_scale: Smallest and largest fraction of the image's area that is erased.
        re_ratio: Smallest and largest aspect ratio of the rectangle.
        re_value: What it is filled with.
        re_max_attempts: Maximum number of draws until a rectangle fits in the image.
        mean: Mean of each channel, from 0 to 255; by default the dataset's, see `channel_statistics`.
        std: Standard deviation of each channel, from 0 to 255; by default the dataset's.
        normalize: Return float32 ``(pixels - mean) / std``; otherwise uint8 pixels.

    Returns:
        A list of operators to apply in `create_loader`; three lists of them with `separate` in training.

    Raises:
        UserError: If a name is unknown or a number out of range.
    """
    info = find_dataset(dataset_name)
    in_channels = info.channels if in_channels is None else in_channels
    check_channels(in_channels)
    inter = find_interpolation(interpolation)
    size = (image_resize, image_resize) if isinstance(image_resize, int) else tuple(image_resize)
    crop_pct = crop_fraction(info, crop_pct, min(size))
    erasing = {"scale": re_scale, "ratio": re_ratio, "value": re_value, "max_attempts": re_max_attempts}
    colours = _colour_statistics(dataset_name, mean, std)
    python = create_augmentation(*colours, min(size), auto_augment, color_jitter, re_prob, **erasing)
    coloured = _is_coloured(info, in_channels, inter, augmented=is_training and python is not None)
    final = _channels_first(coloured, in_channels)
    if normalize:
        final = _normalized(final, *_given_statistics(dataset_name, in_channels, mean, std))
    if not is_training:
        crop = evaluation_crop(size, crop_pct, inter, keep_aspect=not info.small)
        return _opened(info, coloured) + crop + final
    flips = _flips(info.hflip if hflip is None else hflip, vflip)
    first, crop = _photograph_crop(size, scale, ratio, inter)
    if info.small:
        padding = min(size) // info.shift if crop_padding is None else crop_padding
        first, crop = _opened(info, coloured) + resize_to(size, inter) + _shift(size, padding), []
    return (_in_three if separate else _in_one)(first + flips, crop, python, final)


def _is_coloured(info: DatasetInfo, in_channels: int, inter: Interpolation, *, augmented: bool) -> bool:
    """Return whether images keep three channels to the end, as Pillow's resizing and policies require."""
    antialiased = inter is Inter.PILCUBIC or isinstance(inter, Image.Resampling)
    return info.encoded or info.channels == 3 or in_channels == 3 or antialiased or augmented


def _photograph_crop(
    size: tuple[int, ...], scale: tuple[float, float], ratio: tuple[float, float], inter: Interpolation
) -> tuple[Operators, list[Any]]:
    """Return a random resized crop: MindSpore's operators, or a Python function if MindSpore lacks one."""
    if isinstance(inter, Inter):
        return [vision.RandomCropDecodeResize(size, scale, ratio, inter)], []
    return [vision.Decode()], [RandomResizedCrop((size[0], size[1]), scale, ratio, inter)]


def _shift(size: tuple[int, ...], padding: int) -> Operators:
    return [vision.RandomCrop(size, padding=padding)] if padding else []


def _in_one(
    operators: Operators, crop: list[Any], augmentation: Augmentation | None, final: Operators
) -> Operators:
    """Return one list, in which a crop in Python and the augmentation are one operator that gets one key."""
    pictures, pixels = (augmentation.pictures, augmentation.pixels) if augmentation else ((), ())
    python = [Augmentation([*crop, *pictures], pixels)] if crop or augmentation else []
    return operators + python + final


def _in_three(
    operators: Operators, crop: list[Any], augmentation: Augmentation | None, final: Operators
) -> tuple[Operators, Operators, Operators]:
    """Return the crop, the policy and jitter, and the rest: see `create_transforms`."""
    pictures, pixels = (augmentation.pictures, augmentation.pixels) if augmentation else ((), ())
    cropping = [Augmentation(crop, purpose=CROPS)] if crop else []
    changing = [Augmentation(pictures)] if pictures else []
    erasing = [Augmentation(pixels=pixels, purpose=ERASINGS)] if pixels else []
    return operators + cropping, changing, erasing + final


def create_augmentation(
    mean: Sequence[float],
    std: Sequence[float],
    image_resize: int = 224,
    auto_augment: str | None = None,
    color_jitter: float | Sequence[float] | None = None,
    re_prob: float = 0.0,
    **erasing: Any,
) -> Augmentation | None:
    """Return the augmentation in Python, in timm's order: a policy, colour jitter, then erasing.

    Args:
        mean: Mean of each of the three channels, from 0 to 255: what policies bring in from outside the image
            and what erasing fills with.
        std: Standard deviation of each of the three channels.
        image_resize: Size of the images in pixels.
        auto_augment: Policy, as in `create_policy`.
        color_jitter: Largest change of brightness, contrast and saturation, or three numbers for the three,
            or four with hue. A policy other than 3-Augment takes its place, as in MindCV and timm.
        re_prob: Probability that an image has a rectangle erased.
        erasing: Further keywords of `RandomErasing`.

    Returns:
        The operator; None if there is nothing to do.

    Raises:
        UserError: If a name is unknown or a number out of range.
    """
    pictures: list[Picture] = []
    if auto_augment:
        red, green, blue = (min(255, max(0, round(value))) for value in mean)
        pictures.append(create_policy(auto_augment, fill=(red, green, blue), size=image_resize))
    if color_jitter and (not auto_augment or "3a" in auto_augment):
        pictures.append(_jitter(color_jitter))
    pixels: list[Pixels] = []
    if re_prob:
        pixels.append(RandomErasing(re_prob, mean=tuple(mean), std=tuple(std), **erasing))
    return Augmentation(pictures, pixels) if pictures or pixels else None


def _jitter(strength: float | Sequence[float]) -> ColorJitter:
    strengths = (strength,) * 3 if isinstance(strength, (int, float)) else tuple(strength)
    if len(strengths) not in (3, 4):
        raise UserError(
            f"color_jitter={strengths} has {len(strengths)} numbers: give one, or three for brightness, "
            "contrast and saturation, or four with hue"
        )
    return ColorJitter(*strengths)


def _given_statistics(
    dataset_name: str, in_channels: int, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the mean and standard deviation of each of `in_channels` channels."""
    default_mean, default_std = channel_statistics(dataset_name, in_channels)
    mean, std = mean or default_mean, std or default_std
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != in_channels:
            raise UserError(
                f"{name}={tuple(values)} has {len(values)} numbers: give {in_channels}, one for each channel"
            )
    return mean, std


def _colour_statistics(
    dataset_name: str, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the mean and standard deviation of three channels, as augmentation works on colour images."""
    mean, std = (tuple(values) * 3 if values and len(values) == 1 else values for values in (mean, std))
    return _given_statistics(dataset_name, 3, mean, std)


def _opened(info: DatasetInfo, coloured: bool) -> list[Any]:
    if info.encoded:
        return [vision.Decode()]
    return [vision.ConvertColor(ConvertMode.COLOR_GRAY2RGB)] if coloured and info.channels == 1 else []


def _flips(hflip: float, vflip: float) -> list[Any]:
    # MindSpore gives all random operators of a worker the same random numbers: RandomHorizontalFlip would do
    # what RandomVerticalFlip does, and flip just those images that RandomCrop has shifted one way. This one
    # operator draws for both flips, and not as many numbers an image as a crop does.
    flips = [(vision.HorizontalFlip(), hflip), (vision.VerticalFlip(), vflip)]
    flips = [(flip, probability) for flip, probability in flips if probability > 0]
    return [vision.RandomSelectSubpolicy([flips])] if flips else []


def _channels_first(coloured: bool, in_channels: int) -> list[Any]:
    if not coloured or in_channels == 3:
        return [vision.HWC2CHW()]
    # A grey image has lost its channel axis, and of the C++ operators only ToTensor restores it quickly
    # (Slice takes 10 ms). It divides by 255 and truncates: multiply first; the half keeps the values exact.
    return [
        vision.ConvertColor(ConvertMode.COLOR_RGB2GRAY),
        vision.Rescale(255.0, 0.5),
        vision.ToTensor(np.uint8),  # pyright: ignore[reportArgumentType]
    ]


def _normalized(final: Operators, mean: Sequence[float], std: Sequence[float]) -> Operators:
    """Return the last operators with a normalization: first for pixels ``[H, W, C]``, else last."""
    hwc = len(final) == 1
    normalization = vision.Normalize(list(mean), list(std), is_hwc=hwc)
    return [normalization, *final] if hwc else [*final, normalization]
