"""The datasets by name: what their images are, and how they are augmented and normalised by default."""

from dataclasses import dataclass

from mindcv.errors import UnknownNameError, UserError, did_you_mean

__all__ = ["DatasetInfo", "channel_statistics", "find_dataset"]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as MindSpore and Pillow convert colour to grey


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Properties of a dataset that are known before it is opened.

    Args:
        name: Canonical name.
        mean: Mean of each channel, on the scale 0 to 1.
        std: Standard deviation of each channel, on the scale 0 to 1.
        small: Whether the images are tiny and all of one size: enlarged and shifted, not cropped.
        encoded: Whether samples are image files rather than pixels.
        channels: Channels of a sample's pixels.
        hflip: Default probability of a horizontal flip in training.
        shift: The default largest random shift of small images is the image size divided by this.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    small: bool = False
    encoded: bool = True
    channels: int = 3
    hflip: float = 0.5
    shift: int = 8


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The deviations of CIFAR are those of all pixels; the often seen 0.2023, 0.1994, 0.2010 average the images'.
DATASETS = {
    info.name: info
    for info in (
        DatasetInfo(name="imagenet", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        DatasetInfo(name="image_folder", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        DatasetInfo(name="mindrecord", mean=IMAGENET_MEAN, std=IMAGENET_STD),
        DatasetInfo(name="digits", mean=(0.3053,), std=(0.3761,), small=True, hflip=0.0, shift=16),
        DatasetInfo(
            name="cifar10",
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            small=True,
            encoded=False,
        ),
        DatasetInfo(
            name="cifar100",
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            small=True,
            encoded=False,
        ),
        DatasetInfo(
            name="mnist",
            mean=(0.1307,),
            std=(0.3081,),
            small=True,
            encoded=False,
            channels=1,
            hflip=0.0,
            shift=16,
        ),
        DatasetInfo(
            name="fashion_mnist",
            mean=(0.2860,),
            std=(0.3530,),
            small=True,
            encoded=False,
            channels=1,
            hflip=0.0,
            shift=16,
        ),
    )
}

ALIASES = {"": "image_folder", "imagefolder": "image_folder", "fashionmnist": "fashion_mnist"}


def find_dataset(name: str) -> DatasetInfo:
    """Look a dataset up by name, whatever its case; ``""`` is an image folder.

    Raises:
        UserError: If there is no such dataset.
    """
    key = name.lower()
    key = ALIASES.get(key, key)
    if key not in DATASETS:
        raise UnknownNameError(
            f"dataset={name!r} is unknown: give one of {', '.join(DATASETS)}{did_you_mean(key, DATASETS)}"
        )
    return DATASETS[key]


def channel_statistics(
    dataset_name: str = "", in_channels: int = 3
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of a dataset's pixels, for normalization.

    Args:
        dataset_name: Name as in `create_dataset`.
        in_channels: 3 for colour and 1 for grey. The grey deviation of a colour dataset is the weighted
            mean of its channels' deviations, as if they varied together.

    Returns:
        ``(mean, std)`` on the scale 0 to 255, one number per channel.

    Raises:
        UserError: If the dataset is unknown, or images cannot have that many channels.
    """
    info = find_dataset(dataset_name)
    check_channels(in_channels)
    return _in_channels(info.mean, in_channels), _in_channels(info.std, in_channels)


def check_channels(in_channels: int) -> None:
    """Check that images can have this number of channels.

    Raises:
        UserError: If it is neither 3 nor 1.
    """
    if in_channels not in (1, 3):
        raise UserError(f"in_channels={in_channels} is not supported: give 3 for colour or 1 for grey")


def _in_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if channels == len(values):
        return tuple(255 * value for value in values)
    if channels == 1:
        return (255 * sum(weight * value for weight, value in zip(LUMA, values, strict=True)),)
    return (255 * values[0],) * channels
