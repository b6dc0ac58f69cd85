"""The cells that run on the device for a batch of training: normalisation, loss and the train step."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindcv.step.ema import Ema
from mindcv.step.loss_scale import LossScale

__all__ = ["NetworkWithLoss", "Normalized", "TrainStep", "batch_norm_statistics"]


class Normalized(nn.Cell):
    """Normalises raw images before a network.

    Images travel to the device as uint8, a quarter of the bytes of float32. The network itself and its
    parameters' names stay as `create_model` returned them.

    Args:
        network: Takes float32 images of shape [N, C, H, W].
        mean: Mean of each channel on the scale 0 to 255.
        std: Standard deviation of each channel on the scale 0 to 255.
    """

    def __init__(self, network: nn.Cell, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        shape = (1, len(mean), 1, 1)
        self.mean = Tensor(list(mean), ms.float32).reshape(shape)
        self.scale = Tensor([1 / value for value in std], ms.float32).reshape(shape)

    def construct(self, images: Tensor) -> Tensor:
        """Return the logits of images of shape [N, C, H, W] and any number type, on the scale 0 to 255."""
        return self.network((ops.cast(images, ms.float32) - self.mean) * self.scale)


class NetworkWithLoss(nn.Cell):
    """Computes the loss of a batch: the forward pass of training.

    Args:
        network: Takes a batch of images and returns logits.
        loss: Takes logits and labels and returns a scalar.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            images: Shape [N, C, H, W].
            labels: Class indices of shape [N], or probabilities of shape [N, num_classes].
        """
        return self.loss(self.network(images), labels)


class TrainStep(nn.Cell):
    """Takes one step of training: forward, backward, and an update after every `accumulation` batches.

    An update averages the gradients over the batches and the devices, removes the loss scale, clips, and
    updates the parameters and then the EMA model. If a gradient has overflowed, and the loss scale expects
    that, the update is skipped on all devices alike and counted.

    Args:
        forward: Takes the columns of a batch and returns the loss, a scalar: a `NetworkWithLoss`.
        optimizer: Updates the parameters that it was built with.
        reduce: Averages the gradients over the devices; None on a single one.
        loss_scale: Factor on the loss in the backward pass; None for no scaling.
        accumulation: Gradient accumulation steps, the batches per update: the effect is that of one batch as
            large as all of them together.
        clip: Takes gradients and returns clipped ones; None for no clipping.
        ema: Updates the EMA model after each update; None for none.
    """

    def __init__(
        self,
        forward: nn.Cell,
        optimizer: nn.Optimizer,
        *,
        reduce: nn.Cell | None = None,
        loss_scale: LossScale | None = None,
        accumulation: int = 1,
        clip: nn.Cell | None = None,
        ema: Ema | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.optimizer = optimizer
        self.reduce = reduce
        self.loss_scale = LossScale(1.0) if loss_scale is None else loss_scale
        self.accumulation = accumulation
        self.clip = clip
        self.ema = ema
        self.value_and_grad = ops.value_and_grad(self._scaled_loss, None, optimizer.parameters)
        self.map = ops.HyperMap()
        self.depend = ops.Depend()
        if accumulation > 1:
            self.count = Tensor(accumulation, ms.float32)
            self.batches = Parameter(Tensor(0, ms.int32), name="accumulation.batches", requires_grad=False)
            self.sums = ParameterTuple(_zeros_like(p, "accumulation.") for p in optimizer.parameters)

    def _scaled_loss(self, *batch: Tensor) -> Tensor:
        return self.forward(*batch) * self.loss_scale.value

    def construct(self, *batch: Tensor) -> Tensor:
        """Take one step.

        Args:
            *batch: The columns that `forward` takes: images of shape [N, C, H, W], and labels.

        Returns:
            The loss before the step, a scalar.
        """
        loss, gradients = self.value_and_grad(*batch)
        loss = loss / self.loss_scale.value
        if self.accumulation == 1:
            return self._update(loss, gradients)
        loss = self.depend(loss, self.map(ops.partial(_add, self.count), self.sums, gradients))
        ops.assign_add(self.batches, 1)
        if self.batches == self.accumulation:
            loss = self._update(loss, self.sums)
            loss = self.depend(loss, self.map(_clear, self.sums))
            ops.assign(self.batches, 0)
        return loss

    def discard_gradients(self) -> None:
        """Discard the gradients accumulated since the last update."""
        if self.accumulation > 1:
            self.map(_clear, self.sums)
            ops.assign(self.batches, 0)

    def _update(self, loss: Tensor, gradients: tuple[Tensor, ...]) -> Tensor:
        if self.reduce is not None:
            gradients = self.reduce(gradients)
        if self.loss_scale.active:
            gradients = self.map(ops.partial(_divide, self.loss_scale.value), gradients)
        if not self.loss_scale.skips:
            return self._apply(loss, gradients)
        finite = self.loss_scale.all_finite(gradients)
        if finite:
            loss = self._apply(loss, gradients)
        return self.depend(loss, self.loss_scale.adjust(finite))

    def _apply(self, loss: Tensor, gradients: tuple[Tensor, ...]) -> Tensor:
        if self.clip is not None:
            gradients = self.clip(gradients)
        loss = self.depend(loss, self.optimizer(gradients))
        if self.ema is not None:
            loss = self.depend(loss, self.ema(loss))
        return loss


def _zeros_like(parameter: Parameter, prefix: str) -> Parameter:
    zeros = ops.zeros(parameter.shape, ms.float32)
    return Parameter(zeros, name=prefix + parameter.name, requires_grad=False)


_add = ops.MultitypeFuncGraph("add")
_clear = ops.MultitypeFuncGraph("clear")
_divide = ops.MultitypeFuncGraph("divide")


@_add.register("Tensor", "Tensor", "Tensor")
def _add_share(count: Tensor, total: Parameter, gradient: Tensor) -> Tensor:
    return ops.assign_add(total, gradient / count)


@_clear.register("Tensor")
def _clear_total(total: Parameter) -> Tensor:
    return ops.assign(total, ops.zeros_like(total))


@_divide.register("Tensor", "Tensor")
def _divide_by_tensor(divisor: Tensor, gradient: Tensor) -> Tensor:
    return gradient / divisor


def batch_norm_statistics(network: nn.Cell) -> list[Parameter]:
    """Return the running means and variances of all batch normalisations that are not frozen."""
    norms = [
        cell
        for _, cell in network.cells_and_names()
        if hasattr(cell, "moving_variance") and cell.use_batch_statistics is not False
    ]
    return [statistic for norm in norms for statistic in (norm.moving_mean, norm.moving_variance)]
