"""Loss scale: keeps small gradients in half precision, and detects overflows."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

__all__ = ["LossScale"]

WINDOW = 2000  # updates without an overflow before the scale is doubled
LARGEST = 2.0**24


class LossScale(nn.Cell):
    """Scales the loss: by a fixed factor, or by one that adapts to overflows.

    A dynamic scale is halved at each overflow, and doubled after 2000 updates without one. The rule is that
    of Micikevicius et al. 2018 (arXiv 1710.03740), with the usual numbers; the scale stays between 1 and
    2**24.

    Args:
        value: The scale, or the initial one.
        dynamic: Whether it changes.
        skip: Whether an update with an overflow is skipped. With a dynamic scale it always is.
        window: Updates without an overflow before a dynamic scale is doubled.

    Attributes:
        value: The scale, a scalar; a parameter if it is dynamic.
        active: Whether the gradients must be divided by the scale.
        skips: Whether updates with an overflow are skipped.
        overflows: Number of skipped updates, a parameter; only if `skips`.
        in_a_row: Number of skipped updates since the last one that was not, a parameter; only if `skips`.
    """

    def __init__(
        self, value: float, *, dynamic: bool = False, skip: bool = False, window: int = WINDOW
    ) -> None:
        super().__init__(auto_prefix=False)
        self.dynamic = dynamic
        self.skips = skip or dynamic
        self.active = dynamic or value != 1.0
        self.window = window
        self.value = Tensor(value, ms.float32)
        self.map = ops.HyperMap()
        if dynamic:
            self.value = Parameter(Tensor(value, ms.float32), name="loss_scale.value", requires_grad=False)
            self.good_updates = _counter("loss_scale.good_updates")
        if self.skips:
            self.overflows = _counter("loss_scale.overflows")
            self.in_a_row = _counter("loss_scale.in_a_row")

    @property
    def remedy(self) -> str:
        """Remedy for losses or gradients that are not finite; a dynamic scale has been lowered already."""
        lower = "loss_scale or lr, or" if self.active and not self.dynamic else "lr or"
        return f"lower {lower} lengthen warmup_epochs"

    def all_finite(self, gradients: tuple[Tensor, ...]) -> Tensor:
        """Return whether no element of any gradient is NaN or infinite, as a boolean scalar."""
        flags = self.map(_is_finite, gradients)
        finite = flags[0]
        for flag in flags[1:]:
            finite = ops.logical_and(finite, flag)
        return finite

    def adjust(self, finite: Tensor) -> Tensor:
        """Count an update, and adjust a dynamic scale.

        Args:
            finite: Whether its gradients were finite, see `all_finite`.

        Returns:
            The number of overflows so far.
        """
        good = ops.cast(finite, ms.int32)
        ops.assign(self.in_a_row, (self.in_a_row + 1) * (1 - good))
        if self.dynamic:
            count = (self.good_updates + 1) * good
            double = ops.cast(count == self.window, ms.int32)
            halve = ops.cast(1 - good, ms.float32)
            value = self.value * ops.cast(1 + double, ms.float32) * (1.0 - 0.5 * halve)
            ops.assign(self.value, ops.clamp(value, 1.0, LARGEST))
            # Not `count % window`, whose operator in graph mode MindSpore documents for Ascend alone.
            ops.assign(self.good_updates, count * (1 - double))
        return ops.assign_add(self.overflows, 1 - good)


def _counter(name: str) -> Parameter:
    return Parameter(Tensor(0, ms.int32), name=name, requires_grad=False)


_is_finite = ops.MultitypeFuncGraph("is_finite")


@_is_finite.register("Tensor")
def _is_tensor_finite(gradient: Tensor) -> Tensor:
    return ops.isfinite(gradient).all()
