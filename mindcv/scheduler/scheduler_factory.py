"""Learning-rate schedules: one value per step, a pure function of the step and the settings.

Time is counted in epochs, as a fraction: step i of a run with n steps per epoch is at epoch i / n.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import cos, floor, pi
from typing import get_args

from mindcv.choices import LrScale, Schedule
from mindcv.errors import UserError, did_you_mean
from mindcv.ranges import AT_LEAST_ONE, AT_LEAST_ZERO, LR, POSITIVE, WARMUP_FACTOR

__all__ = ["SCHEDULERS", "create_scheduler", "scale_for_batch"]

SCHEDULERS: tuple[Schedule, ...] = get_args(Schedule)

# The defaults of torch.optim.OneCycleLR.
ONE_CYCLE_DIVISOR = 25.0  # the peak over the first value
ONE_CYCLE_RISE = 0.3  # the fraction of the schedule that rises


def create_scheduler(
    steps_per_epoch: int,
    scheduler: str = "constant",
    lr: float = 0.01,
    min_lr: float = 1e-6,
    warmup_epochs: int = 3,
    warmup_factor: float = 0.0,
    decay_epochs: float | None = 10,
    decay_rate: float = 0.9,
    milestones: Sequence[float] | None = None,
    num_epochs: int = 200,
    num_cycles: int = 1,
    cycle_decay: float = 1.0,
    lr_epoch_stair: bool = False,
) -> list[float]:
    """Return the learning rate of every step of a run.

    For ``warmup_epochs`` W the rate rises linearly from ``warmup_factor`` times a target to the target, so
    that epoch e has ``target * (warmup_factor + (1 - warmup_factor) * e / W)``; then the schedule follows:

    * ``constant``: lr.
    * ``cosine_decay``, also called ``warmup_cosine_decay``: ``num_cycles`` half cosines of ``decay_epochs``
      each, from lr to min_lr, the peak of each ``cycle_decay`` times the last; then min_lr.
    * ``step_decay``: ``lr * decay_rate ** floor(e / decay_epochs)``.
    * ``multi_step_decay``: lr times ``decay_rate`` for every milestone reached.
    * ``exponential_decay``: ``lr * decay_rate ** e``.
    * ``polynomial_decay``: ``(lr - min_lr) * (1 - t) ** decay_rate + min_lr`` at fraction t of the time after
      the warm-up.
    * ``one_cycle``: a half cosine from lr / 25, or min_lr if that is more, to lr over the first 30 %, and one
      from there to min_lr (arXiv 1708.07120).
    * ``cyclic``: ``num_cycles`` triangles from min_lr to lr and back (arXiv 1506.01186).

    The warm-up's target is lr, except for ``one_cycle`` and ``cyclic``, where it is their first value. In
    ``step_decay``, ``multi_step_decay`` and ``exponential_decay`` e counts from the start of training and not
    from the end of the warm-up, as in MnasNet's original recipe (0.97 every 2.4 epochs beside a warm-up of
    5): they continue after the warm-up as if it had decayed, too. The other schedules begin at the end of the
    warm-up.

    Args:
        steps_per_epoch: Updates of the parameters in an epoch.
        scheduler: Name of the schedule.
        lr: Peak rate.
        min_lr: Lowest rate of cosine_decay, polynomial_decay, one_cycle and cyclic; others ignore it.
        warmup_epochs: Length of the warm-up.
        warmup_factor: Start of the warm-up, as a fraction of its target, 0 to 1.
        decay_epochs: Length of a cosine, by default the time after the warm-up divided by ``num_cycles``; or
            the epochs between two steps of step_decay. It need not be an integer.
        decay_rate: Factor of a decay, or the power of polynomial_decay.
        milestones: Rising epochs of multi_step_decay, counted from the start of training.
        num_epochs: Length of the run, warm-up included.
        num_cycles: Number of cosines or of triangles.
        cycle_decay: Factor on the peak from one cosine to the next.
        lr_epoch_stair: Hold the value of an epoch's first step through the epoch. A warm-up from 0 would then
            waste its whole first epoch, so that it takes the values ``target * (e + 1) / W`` instead.

    Returns:
        ``steps_per_epoch * num_epochs`` rates.

    Raises:
        UserError: If a name is unknown, a number is out of range, or the warm-up is longer than the run.
    """
    _check_choice(scheduler, milestones, decay_epochs)
    AT_LEAST_ONE.check(steps_per_epoch=steps_per_epoch, num_epochs=num_epochs, num_cycles=num_cycles)
    AT_LEAST_ZERO.check(min_lr=min_lr, warmup_epochs=warmup_epochs)
    WARMUP_FACTOR.check(warmup_factor=warmup_factor)
    LR.check(lr=lr)
    POSITIVE.check(decay_epochs=decay_epochs, decay_rate=decay_rate, cycle_decay=cycle_decay)
    _check_together(lr, min_lr, warmup_epochs, num_epochs)
    length = num_epochs - warmup_epochs or 1  # 1 if nothing follows the warm-up: then it is not used
    period = decay_epochs or length / num_cycles
    start = warmup_epochs  # epoch at which the schedule starts
    main: Callable[[float], float]
    match scheduler:
        case "constant":
            main = partial(_constant, lr=lr)
        case "cosine_decay" | "warmup_cosine_decay":
            main = partial(_cosine, lr=lr, min_lr=min_lr, cycle=period, cycles=num_cycles, decay=cycle_decay)
        case "step_decay":
            main, start = partial(_steps, lr=lr, rate=decay_rate, stair=period), 0
        case "multi_step_decay":
            main, start = partial(_milestones, lr=lr, rate=decay_rate, milestones=tuple(milestones or ())), 0
        case "exponential_decay":
            main, start = partial(_exponential, lr=lr, rate=decay_rate), 0
        case "polynomial_decay":
            main = partial(_polynomial, lr=lr, min_lr=min_lr, power=decay_rate, length=length)
        case "one_cycle":
            main = partial(_one_cycle, lr=lr, min_lr=min_lr, length=length, step=1 / steps_per_epoch)
        case _:
            main = partial(_triangles, lr=lr, min_lr=min_lr, cycle=length / num_cycles)

    def value(step: int) -> float:
        epoch = step // steps_per_epoch if lr_epoch_stair else step / steps_per_epoch
        if epoch >= warmup_epochs:
            return main(epoch - start)
        if lr_epoch_stair and warmup_factor == 0:
            epoch += 1
        return main(0) * (warmup_factor + (1 - warmup_factor) * epoch / warmup_epochs)

    return [value(step) for step in range(steps_per_epoch * num_epochs)]


def _constant(_: float, *, lr: float) -> float:
    return lr


def _cosine(epoch: float, *, lr: float, min_lr: float, cycle: float, cycles: int, decay: float) -> float:
    index = _whole(epoch / cycle)
    if index >= cycles:
        return min_lr
    peak = max(lr * decay**index, min_lr)
    return min_lr + 0.5 * (peak - min_lr) * (1 + cos(pi * (epoch / cycle - index)))


def _steps(epoch: float, *, lr: float, rate: float, stair: float) -> float:
    return lr * rate ** _whole(epoch / stair)


def _milestones(epoch: float, *, lr: float, rate: float, milestones: tuple[float, ...]) -> float:
    return lr * rate ** sum(epoch >= milestone for milestone in milestones)


def _exponential(epoch: float, *, lr: float, rate: float) -> float:
    return lr * rate**epoch


def _polynomial(epoch: float, *, lr: float, min_lr: float, power: float, length: float) -> float:
    return (lr - min_lr) * (1 - epoch / length) ** power + min_lr


def _one_cycle(epoch: float, *, lr: float, min_lr: float, length: float, step: float) -> float:
    # As torch.optim.OneCycleLR: the last step of the rise has the peak, the last of all has min_lr.
    rise = max(ONE_CYCLE_RISE * length - step, 0.0)
    fall = max(length - step - rise, step)
    if epoch < rise:
        low = max(lr / ONE_CYCLE_DIVISOR, min_lr)
        return lr + 0.5 * (low - lr) * (1 + cos(pi * epoch / rise))
    return min_lr + 0.5 * (lr - min_lr) * (1 + cos(pi * min((epoch - rise) / fall, 1.0)))


def _triangles(epoch: float, *, lr: float, min_lr: float, cycle: float) -> float:
    part = max(epoch / cycle - _whole(epoch / cycle), 0.0)  # a little below 0 where `_whole` rounds up
    return min_lr + (lr - min_lr) * (1 - abs(2 * part - 1))


def _whole(value: float) -> int:
    """Round down to an integer, but 2.9999999999999996, which 7.2 / 2.4 gives, to 3."""
    return floor(value + 1e-9)


def _check_choice(scheduler: str, milestones: Sequence[float] | None, decay_epochs: float | None) -> None:
    if scheduler not in SCHEDULERS:
        hint = did_you_mean(scheduler, SCHEDULERS) or f": choose one of {', '.join(SCHEDULERS)}"
        raise UserError(f"scheduler '{scheduler}' is unknown{hint}")
    if scheduler == "step_decay" and decay_epochs is None:
        raise UserError("scheduler 'step_decay' needs decay_epochs: give the epochs between two steps")
    if scheduler != "multi_step_decay":
        return
    if not milestones:
        raise UserError("scheduler 'multi_step_decay' needs milestones: give rising epochs above 0")
    if not all(a < b for a, b in pairwise([0.0, *milestones])):
        raise UserError(f"milestones={list(milestones)} are out of order: give rising epochs above 0")


def _check_together(lr: float, min_lr: float, warmup_epochs: int, num_epochs: int) -> None:
    if min_lr > lr:
        raise UserError(f"min_lr={min_lr} is above lr={lr}: lower min_lr or raise lr")
    if warmup_epochs > num_epochs:
        raise UserError(
            f"warmup_epochs={warmup_epochs} leaves nothing of num_epochs={num_epochs}: "
            "lower the warm-up or train longer"
        )


def scale_for_batch(rule: str, batch: int, reference: int) -> float:
    """Return the factor on the learning rate for a global batch of another size than it was chosen for.

    Args:
        rule: ``linear`` (Goyal et al. 2017, arXiv 1706.02677), ``sqrt`` (Krizhevsky 2014, arXiv 1404.5997) or
            ``none``.
        batch: Global batch size, over all devices.
        reference: Global batch size that the learning rate is meant for.

    Raises:
        UserError: If the rule is unknown.
    """
    match rule:
        case "none":
            return 1.0
        case "linear":
            return batch / reference
        case "sqrt":
            return (batch / reference) ** 0.5
    raise UserError(f"lr_scale={rule!r} is unknown: give one of {', '.join(get_args(LrScale))}")
