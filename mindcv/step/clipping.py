"""Gradient clipping: by the norm of all gradients, by value, or by the norm of the weights."""

from collections.abc import Collection

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

__all__ = ["AdaptiveClip", "ClipByNorm", "ClipByValue"]


class ClipByNorm(nn.Cell):
    """Scales all gradients alike so that their common norm is at most `limit`.

    Pascanu et al. 2013 (arXiv 1211.5063).

    Args:
        limit: Largest norm of all gradients together.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(auto_prefix=False)
        self.limit = limit
        self.map = ops.HyperMap()

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the gradients, each times ``limit / max(norm, limit)``."""
        total = ops.addn(self.map(_square_sum, gradients))
        factor = self.limit / ops.maximum(ops.sqrt(total), Tensor(self.limit, ms.float32))
        return self.map(ops.partial(_multiply, factor), gradients)


class ClipByValue(nn.Cell):
    """Limits each element of a gradient to the range from minus to plus `limit`.

    Args:
        limit: Largest absolute value.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(auto_prefix=False)
        self.limit = Tensor(limit, ms.float32)
        self.map = ops.HyperMap()

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the gradients within the range."""
        return self.map(ops.partial(_clamp, self.limit), gradients)


class AdaptiveClip(nn.Cell):
    """Adaptive gradient clipping: limits the gradient of a unit to a fraction of the norm of its weights.

    A unit computes one output: a row of a dense layer, a filter of a convolution, or a vector. Where
    ``|G| > limit * max(|W|, 1e-3)``, its gradient becomes ``limit * max(|W|, 1e-3) * G / |G|``. Brock et al.
    2021 (arXiv 2102.06171, equation 3), who exclude the classifier.

    Args:
        parameters: The parameters of the gradients, in their order.
        limit: Largest ratio of the norms.
        excluded: Parameters whose gradients are not clipped.
    """

    def __init__(
        self, parameters: Collection[Parameter], limit: float, excluded: Collection[Parameter] = ()
    ) -> None:
        super().__init__(auto_prefix=False)
        self.weights = ParameterTuple(parameters)
        free = {id(parameter) for parameter in excluded}
        self.limits = tuple(
            Tensor(float("inf") if id(parameter) in free else limit, ms.float32) for parameter in parameters
        )
        self.map = ops.HyperMap()

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the gradients, scaled down where their norm is too large."""
        return self.map(_clip_units, self.limits, self.weights, gradients)


_square_sum = ops.MultitypeFuncGraph("square_sum")
_multiply = ops.MultitypeFuncGraph("multiply")
_clamp = ops.MultitypeFuncGraph("clamp")
_clip_units = ops.MultitypeFuncGraph("clip_units")


@_square_sum.register("Tensor")
def _square_sum_of(gradient: Tensor) -> Tensor:
    return ops.square(gradient).sum()


@_multiply.register("Tensor", "Tensor")
def _multiply_by(factor: Tensor, gradient: Tensor) -> Tensor:
    return gradient * factor


@_clamp.register("Tensor", "Tensor")
def _clamp_to(limit: Tensor, gradient: Tensor) -> Tensor:
    return ops.clamp(gradient, -limit, limit)


@_clip_units.register("Tensor", "Tensor", "Tensor")
def _clip_units_of(limit: Tensor, weight: Parameter, gradient: Tensor) -> Tensor:
    largest = limit * ops.maximum(_unit_norm(weight), Tensor(1e-3, ms.float32))
    norm = _unit_norm(gradient)
    # Not norm > largest alone: a zero gradient would divide by zero.
    return gradient * ops.where(norm > largest, largest / ops.maximum(norm, largest), ops.ones_like(norm))


def _unit_norm(value: Tensor) -> Tensor:
    axes = (0,) if value.ndim < 2 else tuple(range(1, value.ndim))
    return ops.sqrt(ops.square(value).sum(axis=axes, keepdims=True))
