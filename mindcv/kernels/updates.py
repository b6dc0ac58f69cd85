"""Updates of all parameters by one operator: optimizers, and the exponential moving average (EMA)."""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindcv.kernels.library import library, library_path
from mindcv.kernels.selection import kernels_wanted

__all__ = ["FusedAverage", "FusedUpdate"]


class _MadeOnce:
    """An attribute of a cell: another cell that is made of it at the first use on this CPU, or None."""

    def __init__(self) -> None:
        self.made: WeakKeyDictionary[nn.Cell, nn.Cell | None] = WeakKeyDictionary()

    def __get__(self, cell: Any, owner: type | None = None) -> Any:
        if cell is None:
            return self
        if not kernels_wanted():
            return None
        if cell not in self.made:
            self.made[cell] = self._make(cell)
        return self.made[cell]

    def _make(self, cell: Any, /) -> nn.Cell | None:
        raise NotImplementedError


class FusedUpdate(_MadeOnce):
    """An attribute of an optimizer: the cell that updates all its parameters on this CPU, or None.

    The cell takes the values of an update that its kernel asks for, shape [k], the learning rates, one scalar
    or one for each parameter, and the gradients.

    Args:
        kernel: Name of the update in ``updates.h``.
        states: Takes the optimizer and returns its states, each a tuple of parameters.
        constants: Takes the optimizer and returns the kernel's constants.
        decoupled: Whether weight decay stays out of the gradient.
    """

    def __init__(
        self,
        kernel: str,
        states: Callable[[Any], Sequence[Sequence[Parameter]]],
        constants: Callable[[Any], Sequence[float]],
        *,
        decoupled: Callable[[Any], bool] = lambda optimizer: False,
    ) -> None:
        super().__init__()
        self.kernel, self.states, self.constants, self.decoupled = kernel, states, constants, decoupled

    def _make(self, optimizer: Any, /) -> nn.Cell | None:
        plain = optimizer.dynamic_weight_decay or any(optimizer.grad_centralization_flags)
        if plain or any(p.dtype != ms.float32 for p in optimizer.parameters) or library() is None:
            return None
        # MindSpore has multiplied the decay by the loss scale, which its reciprocal removes from the sum.
        scale = float(optimizer.reciprocal_scale) if optimizer.need_scale else 1.0
        decays = _decays(optimizer)
        if self.decoupled(optimizer):
            decays = list(optimizer.decays)
        constants = [scale, *map(float, self.constants(optimizer))]
        states = [p for state in self.states(optimizer) for p in state]
        return _UpdateCell(self.kernel, constants, decays, [*optimizer.parameters, *states])


def _decays(optimizer: Any) -> list[float]:
    """Return the weight decay of each parameter as MindSpore adds it to the gradient."""
    count = optimizer.param_length
    if not optimizer.exec_weight_decay:
        return [0.0] * count
    given = optimizer.weight_decay if optimizer.is_group else [optimizer.weight_decay] * count
    pairs = zip(given, optimizer.decay_flags, strict=True)
    return [_number(decay) if flag else 0.0 for decay, flag in pairs]


def _number(value: Any) -> float:
    return float(value.asnumpy()) if isinstance(value, Tensor) else float(value)


def _operator(name: str, *constants: Sequence[float]) -> ops.Custom:
    """Return the operator whose constant inputs have these values.

    PyNative mode reuses what it prepared for an operator with the same attributes and shapes, so the values
    are an attribute too.
    """
    operator = ops.Custom(f"{library_path()}:{name}", lambda *_: [1], lambda *_: ms.float32, "aot")
    operator.add_prim_attr("constants", repr(constants))
    operator.add_prim_attr("side_effect_mem", True)  # it writes its inputs: nothing may be moved across it
    return operator


class _UpdateCell(nn.Cell):
    def __init__(
        self, kernel: str, constants: Sequence[float], decays: Sequence[float], tensors: Sequence[Parameter]
    ) -> None:
        super().__init__(auto_prefix=False)
        self.operator = _operator(kernel, constants, decays)
        self.constants = Tensor(list(constants), ms.float32)
        self.decays = Tensor(list(decays), ms.float32)
        object.__setattr__(self, "tensors", tuple(tensors))  # the optimizer's own

    def construct(self, values, rates, gradients):
        """Update the parameters and the states; return a tensor to depend on."""
        return self.operator(self.constants, values, rates, self.decays, *self.tensors, *gradients)


class FusedAverage(_MadeOnce):
    """An attribute of a cell with ``values`` and ``ema_values``: the cell that averages them, or None.

    That cell takes the fraction of the difference to take, a scalar tensor.
    """

    def _make(self, cell: Any, /) -> nn.Cell | None:
        tensors = [*cell.ema_values, *cell.values]
        fits = all(p.dtype == ms.float32 for p in tensors) and library() is not None
        return _AverageCell(tensors) if fits else None


class _AverageCell(nn.Cell):
    def __init__(self, tensors: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.operator = _operator("UpdateAverage")
        object.__setattr__(self, "tensors", tuple(tensors))

    def construct(self, fraction):
        """Move the averages towards the values; return a tensor to depend on."""
        return self.operator(fraction.reshape((1,)), *self.tensors)
