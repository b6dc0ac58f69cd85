"""The cells that run on the device: normalisation, one training step, one evaluation step."""

from collections.abc import Sequence

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

__all__ = ["EvalStep", "Normalized", "TrainStep", "batch_norm_statistics"]


class Normalized(nn.Cell):
    """A network that takes raw images and normalises them first.

    Images travel to the device as uint8, a quarter of the bytes of float32. The network itself stays as
    `create_model` returned it, and so do its parameters' names.

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
        """Logits of images of shape [N, C, H, W] and any number type, on the scale 0 to 255."""
        return self.network((ops.cast(images, ms.float32) - self.mean) * self.scale)


class TrainStep(nn.Cell):
    """One optimisation step: forward, backward, unscale, update.

    Args:
        network: Takes a batch of images and returns logits.
        loss: Takes logits and labels and returns a scalar.
        optimizer: Updates the parameters it was built with.
        reduce: Averages the gradients over the devices; None on a single one.
        loss_scale: The loss is multiplied by it before the backward pass and the gradients are divided by it
            after, so that small gradients survive half precision.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss: nn.Cell,
        optimizer: nn.Optimizer,
        *,
        reduce: nn.Cell | None = None,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.reduce = reduce
        self.loss_scale = loss_scale
        self.value_and_grad = ops.value_and_grad(self._scaled_loss, None, optimizer.parameters)
        self.map = ops.HyperMap()
        self.depend = ops.Depend()

    def _scaled_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.network(images), labels) * self.loss_scale

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Take one step.

        Args:
            images: Shape [N, C, H, W].
            labels: Class indices of shape [N], or probabilities of shape [N, num_classes].

        Returns:
            The loss before the step, a scalar.
        """
        loss, gradients = self.value_and_grad(images, labels)
        if self.reduce is not None:
            gradients = self.reduce(gradients)
        if self.loss_scale != 1.0:
            gradients = self.map(ops.partial(_divide, self.loss_scale), gradients)
        return self.depend(loss / self.loss_scale, self.optimizer(gradients))


_divide = ops.MultitypeFuncGraph("divide")


@_divide.register("Number", "Tensor")
def _divide_tensor(divisor: float, gradient: Tensor) -> Tensor:
    return gradient / divisor


class EvalStep(nn.Cell):
    """Counts of one batch: never a mean, so that batches of any size add up exactly.

    Args:
        network: Takes a batch of images and returns logits of shape [N, num_classes].
        loss: Takes logits and labels and returns the loss of each image, shape [N].
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss

    def construct(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score one batch.

        Args:
            images: Shape [N, C, H, W].
            labels: Class indices of shape [N]; a negative one marks an image that only fills up the batch.

        Returns:
            The sum of the losses, and how many labels were among the first and the first five predictions.
            A label that shares its logit with others counts as ranked behind them, so that a network
            without an opinion, or one that returns NaN, scores nothing.
        """
        real = labels >= 0
        labels = ops.maximum(labels, ops.zeros_like(labels))
        logits = ops.cast(self.network(images), ms.float32)
        losses = ops.where(real, self.loss(logits, labels), ops.zeros((), ms.float32))
        target = ops.gather_elements(logits, 1, labels.expand_dims(1))
        counted = ops.logical_and(real, (target == target).squeeze(1))  # NaN equals nothing, itself included
        beaten = ops.cast(logits < target, ms.int32).sum(axis=1)
        classes = logits.shape[1]
        top1 = ops.cast(ops.logical_and(counted, beaten >= classes - 1), ms.int32).sum()
        top5 = ops.cast(ops.logical_and(counted, beaten >= classes - 5), ms.int32).sum()
        return losses.sum(), top1, top5


def batch_norm_statistics(network: nn.Cell) -> list[Parameter]:
    """The running means and variances of all batch normalisations in a network."""
    norms = [cell for _, cell in network.cells_and_names() if hasattr(cell, "moving_variance")]
    return [statistic for norm in norms for statistic in (norm.moving_mean, norm.moving_variance)]
