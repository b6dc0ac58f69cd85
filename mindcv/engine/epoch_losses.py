"""The losses of an epoch, which stay on the device until they are read."""

from collections.abc import Sequence
from math import isfinite, nan

from mindspore import Tensor

from mindcv.step.loss_scale import LossScale

__all__ = ["EpochLosses"]


class EpochLosses:
    """Collects the loss of each batch. Reading each one immediately would make the device wait each time.

    Args:
        loss_scale: Counts the updates that were skipped because a gradient had overflowed.

    Attributes:
        values: The losses of the epoch that have been read.
        overflows: Updates skipped before the epoch, as of the last call of `new_overflows`.
        skipped: Updates skipped so far, as of the last reading.
    """

    def __init__(self, loss_scale: LossScale) -> None:
        self.loss_scale = loss_scale
        self.values: list[float] = []
        self.overflows = 0
        self.skipped = 0
        self._unread: list[Tensor] = []

    def begin(self, values: Sequence[float]) -> None:
        """Begin an epoch, of which some batches may have been processed already.

        Args:
            values: The losses of those batches.
        """
        self.values = list(values)
        self._unread.clear()
        self.skipped = self._skipped_on_device()

    def add(self, loss: Tensor) -> int:
        """Add the loss of a batch, and return how many are unread."""
        self._unread.append(loss)
        return len(self._unread)

    def __len__(self) -> int:
        return len(self.values) + len(self._unread)

    def read(self) -> tuple[float, ...]:
        """Fetch the unread losses from the device, and return them."""
        new = tuple(float(loss.asnumpy()) for loss in self._unread)
        self._unread.clear()
        self.values.extend(new)
        if new:
            self.skipped = self._skipped_on_device()
        return new

    def new_overflows(self) -> int:
        """Return the number of updates skipped since the last call."""
        if not self.loss_scale.skips:
            return 0
        before, self.overflows = self.overflows, self._skipped_on_device()
        return self.overflows - before

    def _skipped_on_device(self) -> int:
        return int(self.loss_scale.overflows.asnumpy()) if self.loss_scale.skips else 0

    @property
    def mean(self) -> float:
        """Mean of the finite losses; NaN if there is none."""
        finite = [loss for loss in self.values if isfinite(loss)]
        return sum(finite) / len(finite) if finite else nan
