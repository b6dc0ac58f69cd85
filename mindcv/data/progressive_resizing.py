"""Progressive resizing: training in stages with growing images."""

from collections.abc import Sequence

from mindcv.errors import UserError

__all__ = ["progressive_stages"]


def progressive_stages(sizes: Sequence[int], epochs: Sequence[int]) -> list[tuple[int, int]]:
    """Return the stages of a run whose images grow (as in EfficientNetV2, arXiv 2104.00298).

    Args:
        sizes: Image size of each stage, in pixels.
        epochs: Epochs, from 0, at which the second stage and the further ones start.

    Returns:
        For each stage its first epoch and its image size.

    Raises:
        UserError: If there is not one epoch less than sizes, or they do not increase.
    """
    if len(epochs) != len(sizes) - 1:
        raise UserError(
            f"progressive_epochs={tuple(epochs)} does not fit progressive_sizes={tuple(sizes)}: "
            f"give the epoch at which each size but the first starts"
        )
    if min(sizes) < 1:
        raise UserError(f"progressive_sizes={tuple(sizes)} must be positive: give sizes of 1 pixel or more")
    starts = [0, *epochs]
    if any(start >= following for start, following in zip(starts, epochs, strict=False)):
        raise UserError(f"progressive_epochs={tuple(epochs)} must be above 0 and increase")
    return list(zip(starts, sizes, strict=True))
