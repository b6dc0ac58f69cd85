"""Image transforms: MindSpore's C++ operators, and where asked for Python's augmentation.

Images stay uint8: they are normalised on the device, so that a quarter of the bytes travel.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore.dataset import vision
from mindspore.dataset.vision import ConvertMode, Inter

from mindcv.data.augment import ColorJitter, RandomErasing, create_policy
from mindcv.data.catalogue import DatasetInfo, channel_statistics, check_channels, find_dataset
from mindcv.data.seeded_augmentation import Augmentation, Picture, Pixels
from mindcv.errors import UserError, did_you_mean

__all__ = ["create_augmentation", "create_transforms", "describe_evaluation"]

INTERPOLATIONS = {
    "nearest": Inter.NEAREST,
    "bilinear": Inter.BILINEAR,
    "bicubic": Inter.BICUBIC,
    "area": Inter.AREA,
    "pilcubic": Inter.PILCUBIC,
}


def create_transforms(
    dataset_name: str = "",
    image_resize: int | tuple[int, int] = 224,
    is_training: bool = False,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    hflip: float | None = None,
    vflip: float = 0.0,
    interpolation: str = "bilinear",
    crop_pct: float | None = None,
    crop_padding: int | None = None,
    in_channels: int = 3,
    auto_augment: str | None = None,
    color_jitter: float | Sequence[float] | None = None,
    re_prob: float = 0.0,
    re_scale: tuple[float, float] = (0.02, 0.33),
    re_ratio: tuple[float, float] = (0.3, 3.3),
    re_value: float | str = 0,
    re_max_attempts: int = 10,
) -> list[Any]:
    """Operators that make the network's input of a sample of `create_dataset`: uint8, ``[C, H, W]``.

    Photographs are cropped at random for training (Inception's random resized crop), and for evaluation
    resized and cropped in the centre. Small images (digits, CIFAR, MNIST) are resized as they are; in
    training they are then shifted at random, over a black border.

    Args:
        dataset_name: Name as in `create_dataset`.
        image_resize: Size of the output in pixels, or ``(height, width)``. An evaluation image that is not
            square is resized without regard to its aspect.
        is_training: Augment, instead of evaluate.
        scale: Smallest and largest part of a photograph's area that a training crop keeps.
        ratio: Smallest and largest aspect ratio of that crop.
        hflip: Probability of a horizontal flip; by default 0.5, and 0 for digits and MNIST.
        vflip: Probability of a vertical flip.
        interpolation: nearest, bilinear, bicubic, area, or pilcubic, which averages when it shrinks, as
            Pillow does.
        crop_pct: Part of the resized image that the evaluation crop keeps; by default 0.875, and 1 for small
            images.
        crop_padding: Largest shift of small images in pixels; by default an eighth of `image_resize` for
            CIFAR, and a sixteenth for digits and MNIST.
        in_channels: 3 for colour, 1 for grey, whatever the images are.
        auto_augment: Policy in training, as in `create_policy`: randaug-m9-mstd0.5-inc1, for example.
        color_jitter: Largest change of brightness, contrast and saturation in training, or three numbers for
            the three, or four with hue. A policy other than 3-Augment takes its place, as in MindCV and timm.
        re_prob: Probability that a training image has a rectangle erased, see `RandomErasing`.
        re_scale: Smallest and largest part of the image's area that is erased.
        re_ratio: Smallest and largest aspect ratio of the rectangle.
        re_value: What it is filled with.
        re_max_attempts: Draws of a rectangle, until one fits in the image.

    Returns:
        Operators to apply in `create_loader`. A policy, jitter and erasing are one `Augmentation` among them.

    Raises:
        UserError: If a name is unknown or a number impossible.
    """
    info = find_dataset(dataset_name)
    check_channels(in_channels)
    inter = _find_interpolation(interpolation)
    size = (image_resize, image_resize) if isinstance(image_resize, int) else tuple(image_resize)
    crop_pct = _kept_part(info, crop_pct)
    erasing = {"scale": re_scale, "ratio": re_ratio, "value": re_value, "max_attempts": re_max_attempts}
    augmentation = create_augmentation(
        dataset_name, min(size), auto_augment, color_jitter, re_prob, **erasing
    )
    python = [augmentation] if is_training and augmentation else []

    # Pillow's interpolation is for three channels only, and so are policies.
    colourful = info.encoded or info.channels == 3 or in_channels == 3
    coloured = colourful or inter is Inter.PILCUBIC or bool(python)
    photograph = not info.small
    operators = []
    if is_training and photograph:
        operators += [vision.RandomCropDecodeResize(size, scale, ratio, inter)]
    else:
        operators += _opened(info, coloured)
        operators += _resized(size, 1.0 if is_training else crop_pct, inter, keep_aspect=photograph)
    if is_training:
        if info.small:
            padding = min(size) // info.shift if crop_padding is None else crop_padding
            operators += [vision.RandomCrop(size, padding=padding)] if padding else []
        operators += _flips(info.hflip if hflip is None else hflip, vflip)
    return operators + python + _channels_first(coloured, in_channels)


def create_augmentation(
    dataset_name: str = "",
    image_resize: int = 224,
    auto_augment: str | None = None,
    color_jitter: float | Sequence[float] | None = None,
    re_prob: float = 0.0,
    **erasing: Any,
) -> Augmentation | None:
    """Create the augmentation in Python, in timm's order: a policy, colour jitter, then erasing.

    Args:
        dataset_name: Name as in `create_dataset`.
        image_resize: Size of the images in pixels.
        auto_augment: Policy, as in `create_policy`.
        color_jitter: Largest change of brightness, contrast and saturation, or three numbers for the three,
            or four with hue. A policy other than 3-Augment takes its place, as in MindCV and timm.
        re_prob: Probability that an image has a rectangle erased.
        erasing: Further keywords of `RandomErasing`.

    Returns:
        The operator; None if nothing is asked for.

    Raises:
        UserError: If a name is unknown or a number impossible.
    """
    mean, std = channel_statistics(dataset_name)
    pictures: list[Picture] = []
    if auto_augment:
        red, green, blue = map(round, mean)
        pictures.append(create_policy(auto_augment, fill=(red, green, blue), size=image_resize))
    if color_jitter and (not auto_augment or "3a" in auto_augment):
        pictures.append(_jitter(color_jitter))
    pixels: list[Pixels] = [RandomErasing(re_prob, mean=mean, std=std, **erasing)] if re_prob else []
    return Augmentation(pictures, pixels) if pictures or pixels else None


def _jitter(strength: float | Sequence[float]) -> ColorJitter:
    strengths = (strength,) * 3 if isinstance(strength, (int, float)) else tuple(strength)
    if len(strengths) not in (3, 4):
        raise UserError(
            f"color_jitter={strengths} has {len(strengths)} numbers: give one, or three for brightness, "
            "contrast and saturation, or four with hue"
        )
    return ColorJitter(*strengths)


def describe_evaluation(
    dataset_name: str = "",
    image_resize: int = 224,
    interpolation: str = "bilinear",
    crop_pct: float | None = None,
) -> dict[str, Any]:
    """What `create_transforms` does to an evaluation image, in words that need no MindSpore.

    Args:
        dataset_name: See `create_transforms`, as for the others.
        image_resize: Size of the output in pixels.
        interpolation: How images are resized.
        crop_pct: Part of the resized image that the crop keeps.

    Returns:
        ``resize``: pixels of the resized image; ``side``: whether that is its ``shorter`` side, its aspect
        kept, or ``both``; ``interpolation``; ``crop``: pixels of the centre crop that follows.

    Raises:
        UserError: If a name is unknown or a number impossible.
    """
    info = find_dataset(dataset_name)
    _find_interpolation(interpolation)
    return {
        "resize": math.floor(image_resize / _kept_part(info, crop_pct)),
        "side": "both" if info.small else "shorter",
        "interpolation": interpolation,
        "crop": image_resize,
    }


def _kept_part(info: DatasetInfo, crop_pct: float | None) -> float:
    """The part of a resized image that the evaluation crop keeps."""
    if crop_pct is None:
        return 1.0 if info.small else 0.875
    if not 0 < crop_pct <= 1:
        raise UserError(f"crop_pct={crop_pct} is no part of an image: give a number above 0 and up to 1")
    return crop_pct


def _find_interpolation(name: str) -> Inter:
    if name not in INTERPOLATIONS:
        hint = did_you_mean(name, INTERPOLATIONS)
        raise UserError(f"interpolation={name!r} is unknown: give one of {', '.join(INTERPOLATIONS)}{hint}")
    return INTERPOLATIONS[name]


def _opened(info: DatasetInfo, coloured: bool) -> list[Any]:
    if info.encoded:
        return [vision.Decode()]
    return [vision.ConvertColor(ConvertMode.COLOR_GRAY2RGB)] if coloured and info.channels == 1 else []


def _resized(size: tuple[int, ...], crop_pct: float, inter: Inter, *, keep_aspect: bool) -> list[Any]:
    height, width = (math.floor(side / crop_pct) for side in size)
    if keep_aspect and height == width:
        return [vision.Resize(height, inter), vision.CenterCrop(size)]
    crop = [vision.CenterCrop(size)] if (height, width) != size else []
    return [vision.Resize((height, width), inter), *crop]


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
    # A grey image has lost its channel axis, and of the C++ operators ToTensor alone gives it back at speed
    # (Slice takes 10 ms). It divides by 255 and truncates: multiply first; the half keeps the values exact.
    return [
        vision.ConvertColor(ConvertMode.COLOR_RGB2GRAY),
        vision.Rescale(255.0, 0.5),
        vision.ToTensor(np.uint8),  # pyright: ignore[reportArgumentType]
    ]
