"""Statistics of photographs under MindCV's names, on the scale 0 to 255."""

from mindcv.data.catalogue import channel_statistics

__all__ = ["DEFAULT_CROP_PCT", "IMAGENET_DEFAULT_MEAN", "IMAGENET_DEFAULT_STD"]

DEFAULT_CROP_PCT = 0.875
IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD = (list(values) for values in channel_statistics("imagenet"))
