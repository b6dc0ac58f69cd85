"""Learning rates as lists, by the functions that MindCV's users know; `create_scheduler` has them by name.

Each returns ``steps_per_epoch * epochs`` rates, one per step. The names with ``refined`` and those of cycles
change the rate at each step, the others at the end of an epoch.
"""

from collections.abc import Callable, Sequence
from math import cos, floor, pi

from mindcv.errors import UserError
from mindcv.ranges import AT_LEAST_ONE, POSITIVE

__all__ = [
    "constant_lr",
    "cosine_annealing_lr",
    "cosine_annealing_warm_restarts_lr",
    "cosine_decay_lr",
    "cosine_decay_refined_lr",
    "cyclic_lr",
    "exponential_lr",
    "exponential_refined_lr",
    "linear_lr",
    "linear_refined_lr",
    "multi_step_lr",
    "one_cycle_lr",
    "polynomial_lr",
    "polynomial_refined_lr",
    "step_lr",
]


def constant_lr(
    factor: float, total_iters: int, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return ``factor * lr`` for ``total_iters`` epochs and lr for the rest."""
    return _by_epoch(lambda e: lr * (factor if e < total_iters else 1), steps_per_epoch, epochs)


def linear_lr(
    start_factor: float, end_factor: float, total_iters: int, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return lr times a factor that changes linearly over ``total_iters`` epochs and then stays."""
    return _by_epoch(_line(start_factor, end_factor, total_iters, lr), steps_per_epoch, epochs)


def linear_refined_lr(
    start_factor: float, end_factor: float, total_iters: int, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return the rates of `linear_lr`, changing at each step."""
    return _by_step(_line(start_factor, end_factor, total_iters, lr), steps_per_epoch, epochs)


def polynomial_lr(
    total_iters: int, power: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return ``lr * (1 - e / total_iters) ** power`` in epoch e, and 0 from epoch ``total_iters`` on."""
    return _by_epoch(_power(total_iters, power, lr), steps_per_epoch, epochs)


def polynomial_refined_lr(
    total_iters: int, power: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return the rates of `polynomial_lr`, changing at each step."""
    return _by_step(_power(total_iters, power, lr), steps_per_epoch, epochs)


def exponential_lr(gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return ``lr * gamma ** e`` in epoch e."""
    return _by_epoch(lambda e: lr * gamma**e, steps_per_epoch, epochs)


def exponential_refined_lr(gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return the rates of `exponential_lr`, changing at each step."""
    return _by_step(lambda e: lr * gamma**e, steps_per_epoch, epochs)


def step_lr(step_size: int, gamma: float, *, lr: float, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return ``lr * gamma ** floor(e / step_size)`` in epoch e."""
    AT_LEAST_ONE.check(step_size=step_size)
    return _by_epoch(lambda e: lr * gamma ** (e // step_size), steps_per_epoch, epochs)


def multi_step_lr(
    milestones: Sequence[int], gamma: float, *, lr: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return lr times ``gamma`` for each of the milestones, which are epochs, that is reached."""
    return _by_epoch(lambda e: lr * gamma ** sum(e >= m for m in milestones), steps_per_epoch, epochs)


def cosine_annealing_lr(
    t_max: int, eta_min: float, *, eta_max: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return half a cosine from ``eta_max`` to ``eta_min`` over ``t_max`` epochs, then back, and so on."""
    POSITIVE.check(t_max=t_max)
    return _by_epoch(lambda e: _half_cosine(eta_max, eta_min, e / t_max), steps_per_epoch, epochs)


def cosine_annealing_warm_restarts_lr(
    te: int, tm: int, eta_min: float, *, eta_max: float, steps_per_epoch: int, epochs: int
) -> list[float]:
    """Return half cosines from ``eta_max`` to ``eta_min`` (SGDR, arXiv 1608.03983), step by step.

    Args:
        te: Epochs of the first.
        tm: How many times as long as the last each further one is.
        eta_min: Lowest rate.
        eta_max: Peak rate.
        steps_per_epoch: Steps in an epoch.
        epochs: Length of the list in epochs.
    """
    AT_LEAST_ONE.check(te=te, tm=tm)
    rates: list[float] = []
    length = te * steps_per_epoch
    while len(rates) < steps_per_epoch * epochs:
        rates += [_half_cosine(eta_max, eta_min, i / length) for i in range(length)]
        length *= tm
    return rates[: steps_per_epoch * epochs]


def cosine_decay_lr(
    decay_epochs: float,
    eta_min: float,
    *,
    eta_max: float,
    steps_per_epoch: int,
    epochs: int,
    num_cycles: int = 1,
    cycle_decay: float = 1.0,
) -> list[float]:
    """Return ``num_cycles`` half cosines of ``decay_epochs`` each, then ``eta_min``.

    The peak of each is ``cycle_decay`` times the last one's; the first is ``eta_max``.
    """
    cycles = _cosines(decay_epochs, eta_min, eta_max, num_cycles, cycle_decay)
    return _by_epoch(cycles, steps_per_epoch, epochs)


def cosine_decay_refined_lr(
    decay_epochs: float,
    eta_min: float,
    *,
    eta_max: float,
    steps_per_epoch: int,
    epochs: int,
    num_cycles: int = 1,
    cycle_decay: float = 1.0,
) -> list[float]:
    """Return the rates of `cosine_decay_lr`, changing at each step."""
    cycles = _cosines(decay_epochs, eta_min, eta_max, num_cycles, cycle_decay)
    return _by_step(cycles, steps_per_epoch, epochs)


def one_cycle_lr(
    max_lr: float,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 10000.0,
    three_phase: bool = False,
    *,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """Return the rates of `torch.optim.lr_scheduler.OneCycleLR` (arXiv 1708.07120), step by step.

    Args:
        max_lr: Peak rate.
        pct_start: Fraction of the steps in which the rate rises.
        anneal_strategy: ``cos`` or ``linear``.
        div_factor: The peak divided by the first rate.
        final_div_factor: The first rate divided by the last one.
        three_phase: Fall to the first rate as slowly as the rate rises, and then to the last one.
        steps_per_epoch: Steps in an epoch.
        epochs: Length of the list in epochs.

    Raises:
        UserError: The strategy is unknown, or a factor is not positive.
    """
    if anneal_strategy not in ("cos", "linear"):
        raise UserError(f"anneal_strategy={anneal_strategy!r} is unknown: give cos or linear")
    POSITIVE.check(div_factor=div_factor, final_div_factor=final_div_factor, pct_start=pct_start)
    anneal = _half_cosine if anneal_strategy == "cos" else _straight
    steps = steps_per_epoch * epochs
    first = max_lr / div_factor
    last = first / final_div_factor
    corners = [(0.0, first), (pct_start * steps - 1, max_lr)]
    if three_phase:
        corners.append((2 * pct_start * steps - 2, first))
    corners.append((steps - 1, last))
    return [_between(corners, step, anneal) for step in range(steps)]


def cyclic_lr(
    base_lr: float,
    max_lr: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[int], float] | None = None,
    scale_mode: str = "cycle",
    *,
    steps_per_epoch: int,
    epochs: int,
) -> list[float]:
    """Return the rates of `torch.optim.lr_scheduler.CyclicLR` (arXiv 1506.01186), step by step.

    Args:
        base_lr: Lowest rate.
        max_lr: Peak rate.
        step_size_up: Steps of a rise.
        step_size_down: Steps of a fall; as many by default.
        mode: ``triangular``; ``triangular2``, whose peaks halve; ``exp_range``, by ``gamma ** step``.
        gamma: See ``mode``.
        scale_fn: Takes the number of the cycle, from 1, or of the step, and returns the factor on the height;
            then ``mode`` is not used.
        scale_mode: What ``scale_fn`` takes: ``cycle`` or ``iterations``.
        steps_per_epoch: Steps in an epoch.
        epochs: Length of the list in epochs.

    Raises:
        UserError: A mode is unknown, or a number of steps is not positive.
    """
    down = step_size_up if step_size_down is None else step_size_down
    POSITIVE.check(step_size_up=step_size_up, step_size_down=down)
    if scale_fn is not None and scale_mode not in ("cycle", "iterations"):
        raise UserError(f"scale_mode={scale_mode!r} is unknown: give cycle or iterations")
    if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
        raise UserError(f"mode={mode!r} is unknown: give triangular, triangular2 or exp_range")
    length = step_size_up + down

    def rate(step: int) -> float:
        cycle, place = step // length, step % length
        height = place / step_size_up if place <= step_size_up else (length - place) / down
        if scale_fn is not None:
            height *= scale_fn(cycle + 1 if scale_mode == "cycle" else step)
        elif mode == "triangular2":
            height /= 2**cycle
        elif mode == "exp_range":
            height *= gamma**step
        return base_lr + (max_lr - base_lr) * height

    return [rate(step) for step in range(steps_per_epoch * epochs)]


def _by_epoch(rate: Callable[[int], float], steps_per_epoch: int, epochs: int) -> list[float]:
    return [rate(step // steps_per_epoch) for step in range(steps_per_epoch * epochs)]


def _by_step(rate: Callable[[float], float], steps_per_epoch: int, epochs: int) -> list[float]:
    return [rate(step / steps_per_epoch) for step in range(steps_per_epoch * epochs)]


def _line(start: float, end: float, length: float, lr: float) -> Callable[[float], float]:
    POSITIVE.check(total_iters=length)
    return lambda epoch: lr * (start + (end - start) * min(epoch / length, 1.0))


def _power(length: float, power: float, lr: float) -> Callable[[float], float]:
    POSITIVE.check(total_iters=length)
    return lambda epoch: lr * (1 - min(epoch / length, 1.0)) ** power


def _cosines(length: float, low: float, high: float, cycles: int, decay: float) -> Callable[[float], float]:
    POSITIVE.check(decay_epochs=length)

    def rate(epoch: float) -> float:
        index = floor(epoch / length + 1e-9)
        if index >= cycles:
            return low
        return _half_cosine(high * decay**index, low, epoch / length - index)

    return rate


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + 0.5 * (start - end) * (1 + cos(pi * fraction))


def _straight(start: float, end: float, fraction: float) -> float:
    return start + (end - start) * fraction


def _between(
    corners: Sequence[tuple[float, float]], step: int, anneal: Callable[[float, float, float], float]
) -> float:
    """Return the rate at a step on a line through corners, which are pairs of step and rate."""
    index = 1
    while step > corners[index][0] and index < len(corners) - 1:
        index += 1
    (begin, start), (end, stop) = corners[index - 1], corners[index]
    return anneal(start, stop, (step - begin) / (end - begin))
