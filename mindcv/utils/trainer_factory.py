"""`mindspore.Model` with the package's train step."""

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import Model, Tensor, nn
from mindspore.train import Metric, Top1CategoricalAccuracy, Top5CategoricalAccuracy

from mindcv.errors import UserError, did_you_mean
from mindcv.utils.amp import auto_mixed_precision
from mindcv.utils.train_step import TrainStep, check_numbers

__all__ = ["create_trainer", "get_metrics", "require_customized_train_step"]

LOSS_SCALE_TYPES = ("fixed", "dynamic", "auto")


def get_metrics(num_classes: int) -> dict[str, Metric]:
    """Return the metrics of a classifier: top-1 accuracy, and top-5 where there are five classes or more.

    Args:
        num_classes: Number of classes.
    """
    metrics: dict[str, Metric] = {"Top_1_Accuracy": Top1CategoricalAccuracy()}
    if num_classes >= 5:
        metrics["Top_5_Accuracy"] = Top5CategoricalAccuracy()
    return metrics


def require_customized_train_step(
    ema: bool = False,
    clip_grad: bool = False,
    gradient_accumulation_steps: int = 1,
    amp_cast_list: str | None = None,
) -> bool:
    """Return whether training needs more than `mindspore.Model`'s own step offers.

    Args:
        ema: Whether there is an EMA model.
        clip_grad: Whether gradients are clipped.
        gradient_accumulation_steps: Batches for one update.
        amp_cast_list: Cells that are chosen for mixed precision.
    """
    return bool(ema or clip_grad or gradient_accumulation_steps > 1 or amp_cast_list)


class _Trainer(Model):
    """A model that trains by a given step, and evaluates and predicts with the network in it."""

    def __init__(
        self,
        network: nn.Cell,
        loss: nn.Cell,
        step: TrainStep,
        metrics: Mapping[str, Metric] | set[str] | None,
    ) -> None:
        super().__init__(
            network,
            eval_network=nn.WithEvalCell(network, loss, add_cast_fp32=True) if metrics else None,
            eval_indexes=[0, 1, 2] if metrics else None,
            metrics=metrics,
        )
        self._train_network = step
        self._optimizer = step.optimizer  # what callbacks ask for


class _Float32Loss(nn.Cell):
    """A network with its loss, which is computed in float32 whatever the network returns."""

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        outputs = self.network(images)
        if isinstance(outputs, (tuple, list)):
            return self.loss(tuple([output.astype(ms.float32) for output in outputs]), labels)
        return self.loss(outputs.astype(ms.float32), labels)


def create_trainer(
    network: nn.Cell,
    loss: nn.Cell,
    optimizer: nn.Optimizer,
    metrics: dict[str, Metric] | set[str] | None,
    amp_level: str,
    amp_cast_list: str | Sequence[type[nn.Cell]] | None,
    loss_scale_type: str,
    loss_scale: float = 1.0,
    drop_overflow_update: bool = False,
    ema: bool = False,
    ema_decay: float = 0.9999,
    clip_grad: bool = False,
    clip_value: float = 15.0,
    gradient_accumulation_steps: int = 1,
) -> Model:
    """Return a `mindspore.Model` that trains, evaluates and predicts with a network.

    Args:
        network: Takes a batch of images and returns logits. It is changed to the level of precision.
        loss: Takes logits and labels and returns a scalar.
        optimizer: Updates the network's trainable parameters. With a fixed scale it may have the same
            ``loss_scale``, unless ema, clip_grad, gradient_accumulation_steps or amp_cast_list is given.
        metrics: Metrics of `Model.eval`, such as `get_metrics` returns; None for none.
        amp_level: Level of mixed precision, see `auto_mixed_precision`.
        amp_cast_list: Cells that are chosen for it, see `auto_mixed_precision`.
        loss_scale_type: ``fixed``; ``dynamic``, which is halved at each overflow and doubled after 2000
            updates without one; or ``auto``, dynamic from 2**24 at O2 and no scale at other levels.
        loss_scale: The scale, or the first one of ``dynamic``; ``auto`` does not use it.
        drop_overflow_update: Whether to skip updates whose gradients overflow; ``dynamic`` requires it.
        ema: Whether to update an EMA of the weights; `StateMonitor` evaluates and saves it.
        ema_decay: Weight of the old average, in [0, 1).
        clip_grad: Whether to limit the gradients' common norm.
        clip_value: Largest norm.
        gradient_accumulation_steps: Batches for one update.

    Raises:
        UserError: An argument is out of range, or does not go with another.
    """
    check_numbers(ema_decay, clip_value, gradient_accumulation_steps)
    if optimizer is None:
        raise UserError("optimizer=None: give the optimizer of the network, see create_optimizer")
    customized = require_customized_train_step(
        ema, clip_grad, gradient_accumulation_steps, "given" if amp_cast_list else None
    )
    scale = _scale(loss_scale_type, loss_scale, drop_overflow_update, amp_level, customized)
    auto_mixed_precision(network, amp_level, amp_cast_list)
    step = TrainStep(
        _Float32Loss(network, loss),
        optimizer,
        scale,
        ema,
        ema_decay,
        clip_grad,
        clip_value,
        gradient_accumulation_steps,
    )
    if isinstance(scale, float | int) and not customized and optimizer.loss_scale == scale:
        # As in MindCV's train.py, where MindSpore's own step leaves the scale to the optimizer. It is removed
        # once, by whoever knows it.
        step.loss_scale.active = False
    return _Trainer(network, loss, step, metrics)


def _scale(kind: str, value: float, drop: bool, amp_level: str, customized: bool) -> float | nn.Cell:
    """Return the loss scale as `TrainStep` takes it."""
    kind = kind.lower()
    if kind not in LOSS_SCALE_TYPES:
        hint = did_you_mean(kind, LOSS_SCALE_TYPES) or f": give one of {', '.join(LOSS_SCALE_TYPES)}"
        raise UserError(f"loss_scale_type={kind!r} is unknown{hint}")
    if value < 1:
        raise UserError(f"loss_scale={value} is out of range: give 1 or more")
    if kind == "auto":
        if customized:
            raise UserError(
                "loss_scale_type=auto does not go with ema, clip_grad, gradient_accumulation_steps or "
                "amp_cast_list: give fixed or dynamic"
            )
        return nn.DynamicLossScaleUpdateCell(2**24, 2, 2000) if amp_level == "O2" else 1.0
    if kind == "dynamic":
        if not drop:
            raise UserError("loss_scale_type=dynamic skips overflows: set drop_overflow_update=True")
        return nn.DynamicLossScaleUpdateCell(value, 2, 2000)
    return nn.FixedLossScaleUpdateCell(value) if drop else value
