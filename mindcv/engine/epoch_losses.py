"""The losses of an epoch, which stay on the device until they are read."""

from collections.abc import Sequence
from math import isfinite, nan

import numpy as np
from mindspore import Tensor, nn

from mindcv.step.loss_scale import LossScale

__all__ = ["EpochLosses", "not_finite"]

# A dynamic loss scale that starts at its largest is at its smallest after 24; then something else is wrong.
OVERFLOWS_IN_A_ROW = 30


class EpochLosses:
    """Collects the loss of each batch; reading each at once would stop the device each time.

    Args:
        loss_scale: Tells whether an update with a loss that is not finite was left out.

    Attributes:
        values: The losses that have been read.
        overflows: Updates of all epochs that were left out, as of the last call of `new_overflows`.
    """

    def __init__(self, loss_scale: LossScale) -> None:
        self.loss_scale = loss_scale
        self.values: list[float] = []
        self.overflows = 0
        self._unread: list[Tensor] = []

    def begin(self, values: Sequence[float]) -> None:
        """Begin an epoch, some of whose batches may be done already."""
        self.values = list(values)
        self._unread.clear()

    def add(self, loss: Tensor) -> int:
        """Take in the loss of a batch; returns how many are unread."""
        self._unread.append(loss)
        return len(self._unread)

    def __len__(self) -> int:
        return len(self.values) + len(self._unread)

    def read(self) -> str:
        """Fetch what is unread, up to the first loss that ends the training.

        Returns:
            What is wrong with it; empty if all is well.
        """
        had_unread = bool(self._unread)
        for i, loss in enumerate(self._unread):
            self.values.append(float(loss.asnumpy()))
            if not isfinite(self.values[-1]) and not self.loss_scale.skips:
                del self._unread[: i + 1]
                return f"the loss is {self.values[-1]}"
        self._unread.clear()
        if had_unread and self.loss_scale.skips:
            skipped = int(self.loss_scale.in_a_row.asnumpy())
            if skipped >= OVERFLOWS_IN_A_ROW:
                return f"the gradients of {skipped} updates in a row were infinite or no numbers"
        return ""

    def new_overflows(self) -> int:
        """Updates that were left out since the last call."""
        if not self.loss_scale.skips:
            return 0
        before, self.overflows = self.overflows, int(self.loss_scale.overflows.asnumpy())
        return self.overflows - before

    @property
    def mean(self) -> float:
        """Mean of the finite ones; NaN if there is none."""
        learnt = [loss for loss in self.values if isfinite(loss)]
        return sum(learnt) / len(learnt) if learnt else nan


def not_finite(step: nn.Cell) -> str:
    """Name of a parameter that is no longer finite, or nothing.

    The loss may not show it: on a CPU, MindSpore's ReLU makes 0 of NaN.
    """
    names = (p.name for p in step.get_parameters() if not np.isfinite(p.asnumpy()).all())
    return next(names, "")
