"""Create an optimizer by name."""

import logging
from math import inf
from typing import Any, get_args

from mindspore import nn

from mindcv.choices import NESTEROV, Optimizer
from mindcv.errors import UnknownKeywordError, UserError, did_you_mean
from mindcv.optim.adagrad import Adagrad
from mindcv.optim.adam import Adam
from mindcv.optim.adamw import AdamW
from mindcv.optim.adan import Adan
from mindcv.optim.groups import Parameters, Rate, parameter_groups
from mindcv.optim.lamb import Lamb
from mindcv.optim.lion import Lion
from mindcv.optim.nadam import NAdam
from mindcv.optim.parameter_names import init_group_params
from mindcv.optim.rmsprop import RMSProp
from mindcv.optim.sgd import SGD, Momentum
from mindcv.optim.stored_state import load_optimizer_state
from mindcv.ranges import AT_LEAST_ZERO, EPSILON, LAYER_DECAY, MOMENTUM, Range

__all__ = ["OPTIMIZERS", "create_optimizer", "init_group_params"]

logger = logging.getLogger(__name__)

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)

# The options that only some optimizers have.
OWN_OPTIONS: dict[str, tuple[str, ...]] = {
    "sgd": ("dampening",),
    "rmsprop": ("decay", "centered"),
    "adam": ("beta1", "beta2"),
    "adamw": ("beta1", "beta2"),
    "adan": ("beta1", "beta2", "beta3"),
    "lamb": ("beta1", "beta2"),
    "lion": ("beta1", "beta2"),
    "adagrad": ("accum",),
    "nadam": ("beta1", "beta2", "momentum_decay"),
}

SCHEDULE_DECAY = 0.004  # the default of nadam's momentum_decay

BETA = Range(1e-9, 0.9999999, "give a weight above 0 and below 1")
RANGES = {
    "loss_scale": Range(1e-9, inf, "give a positive factor"),
    "eps": EPSILON,
    "momentum": MOMENTUM,
    "decay": MOMENTUM,
    "beta1": BETA,
    "beta2": BETA,
    "beta3": BETA,
    "layer_decay": LAYER_DECAY,
    "dampening": Range(0.0, 1.0, "give a fraction from 0 to 1"),
}


def create_optimizer(
    model_or_params: Parameters,
    opt: str = "adam",
    lr: Rate = 1e-3,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay_filter: str = "disable",
    layer_decay: float | None = None,
    loss_scale: float = 1.0,
    schedule_decay: float = SCHEDULE_DECAY,
    checkpoint_path: str = "",
    eps: float | None = None,
    **kwargs: float | bool,
) -> nn.Optimizer:
    r"""Create an optimizer.

    With gradient g, parameter w and weight decay lambda (numbers in brackets are defaults):

    * ``sgd``, ``momentum``: :math:`g' = g + \lambda w`, :math:`v = \mu v + g'`, :math:`w = w - lr\, v`.
      ``nesterov``, or either with ``nesterov=True``: :math:`w = w - lr (g' + \mu v)`. From its second update
      on, ``sgd`` weighs g' by 1 - ``dampening`` [0].
    * ``rmsprop``: as in TensorFlow, epsilon [1e-10] under the root and the learning rate inside the momentum:
      :math:`s = \rho s + (1 - \rho) g'^2` from s = 1, :math:`v = \mu v + lr\, g' / \sqrt{s + \epsilon}`,
      :math:`w = w - v`, with rho = ``decay`` [0.9]. ``centered`` [False] divides by the gradient's standard
      deviation instead. See `RMSProp`.
    * ``adam``, ``adamw``, ``nadam``: ``beta1`` [0.9], ``beta2`` [0.999], epsilon [1e-8]; nadam's
      ``momentum_decay`` [4e-3]. See `Adam`, `AdamW`, `NAdam`.
    * ``adan``: ``beta1`` [0.98], ``beta2`` [0.92], ``beta3`` [0.99], epsilon [1e-8]. See `Adan`.
    * ``lamb``: ``beta1`` [0.9], ``beta2`` [0.999], epsilon [1e-6]. See `Lamb`.
    * ``lion``: ``beta1`` [0.9], ``beta2`` [0.99], no epsilon. See `Lion`.
    * ``adagrad``: ``accum`` [0.1], epsilon [1e-10]. See `Adagrad`.

    Weight decay is coupled (added to the gradient), except in adamw, adan, lamb and lion.

    Args:
        model_or_params: Network, of which the trainable parameters are taken; or a list of parameters; or a
            list of groups, dicts with ``params`` and, where they differ, ``lr`` and ``weight_decay``.
        opt: Name of the optimizer.
        lr: Learning rate, or one per step, of which the last applies to all further steps; or a
            MindSpore `LearningRateSchedule`.
        weight_decay: Weight decay. A group's own takes precedence, and is not filtered.
        momentum: The mu of sgd, momentum, nesterov and rmsprop; others do not use it.
        nesterov: Use Nesterov's momentum, in sgd, momentum, adam and, where it is always on, nadam; others
            log that they have none.
        weight_decay_filter: ``disable`` decays every parameter; ``auto``, MindSpore's own rule, all without
            beta or gamma in their names; ``norm_and_bias`` all but those that a normalisation layer owns and
            the ``bias`` of any layer, whatever their names; in a list, where the layers are unknown, all but
            vectors whose own name is gamma, beta, weight or bias.
        layer_decay: Factor in (0, 1] by which the learning rate shrinks from one part of the network to the
            part before it; the last part, the classifier, has ``lr``. The network returns its parts from
            its method ``parts``: lists of cells, from input to output. None for one rate everywhere.
        loss_scale: Factor in the gradients that the optimizer removes.
        schedule_decay: MindCV's name for nadam's ``momentum_decay``; others do not use it.
        checkpoint_path: Checkpoint with the optimizer's state to start from, see `load_optimizer_state`;
            empty for a new state.
        eps: Epsilon; None for the optimizer's default. sgd, momentum, nesterov and lion have none and accept
            it unused, since recipes carry one key for all.
        **kwargs: The options of one optimizer, above.

    Returns:
        An optimizer, called with the gradients in the order of its ``parameters``.

    Raises:
        UserError: If a name or an option of the optimizer is unknown, or a number is out of range.
    """
    opt = opt.lower()
    if opt not in OPTIMIZERS:
        hint = did_you_mean(opt, OPTIMIZERS) or f": choose one of {', '.join(OPTIMIZERS)}"
        raise UserError(f"opt '{opt}' is unknown{hint}")
    _check_numbers(
        weight_decay=weight_decay, momentum=momentum, loss_scale=loss_scale, eps=eps, layer_decay=layer_decay
    )
    if opt == "nadam":
        kwargs.setdefault("momentum_decay", schedule_decay)
    _check_options(opt, kwargs)
    nesterov = nesterov or opt == "nesterov"
    if nesterov:
        _check_nesterov(opt, momentum, kwargs)
        nesterov = opt in NESTEROV
    groups, rate = parameter_groups(
        model_or_params,
        lr=lr,
        weight_decay=weight_decay,
        weight_decay_filter=weight_decay_filter,
        layer_decay=layer_decay,
    )
    optimizer = _built(
        opt,
        groups,
        rate,
        mu=float(momentum),
        nesterov=nesterov,
        scale={"loss_scale": float(loss_scale)},
        epsilon={} if eps is None else {"eps": float(eps)},
        options={key: float(value) for key, value in kwargs.items()},
    )
    if checkpoint_path:
        load_optimizer_state(optimizer, checkpoint_path)
    return optimizer


def _built(
    opt: str,
    groups: list[dict[str, Any]],
    rate: float | nn.Cell,
    *,
    mu: float,
    nesterov: bool,
    scale: dict[str, Any],
    epsilon: dict[str, Any],
    options: dict[str, Any],
) -> nn.Optimizer:
    match opt:
        case "momentum" if not nesterov:
            return Momentum(groups, rate, mu, **scale)
        case "sgd" | "momentum" | "nesterov":
            # Not nn.Momentum, which silently ignores use_nesterov on CPU.
            return SGD(groups, rate, mu, nesterov=nesterov, **scale, **options)
        case "rmsprop":
            return RMSProp(groups, rate, momentum=mu, **epsilon, **scale, **options)
        case "adam":
            return Adam(groups, rate, nesterov=nesterov, **epsilon, **scale, **options)
        case "adamw":
            return AdamW(groups, rate, **epsilon, **scale, **options)
        case "adan":
            return Adan(groups, rate, **epsilon, **scale, **options)
        case "lamb":
            return Lamb(groups, rate, **epsilon, **scale, **options)
        case "lion":
            return Lion(groups, rate, **scale, **options)
        case "adagrad":
            return Adagrad(groups, rate, **epsilon, **scale, **options)
        case _:
            psi = options.pop("momentum_decay")
            return NAdam(groups, rate, schedule_decay=psi, **epsilon, **scale, **options)


def _check_options(opt: str, options: dict[str, float]) -> None:
    for key in options:
        if key not in OWN_OPTIONS.get(opt, ()):
            hint = did_you_mean(key, OWN_OPTIONS.get(opt, ()))
            raise UnknownKeywordError(f"opt '{opt}' has no option '{key}'{hint or ': leave it out'}")
    _check_numbers(**options)


def _check_numbers(**values: float | None) -> None:
    """Check each value against the range of its option."""
    for key, value in values.items():
        RANGES.get(key, AT_LEAST_ZERO).check(**{key: value})


def _check_nesterov(opt: str, momentum: float, options: dict[str, float]) -> None:
    if opt not in NESTEROV:
        logger.warning(
            "nesterov=True has no effect: '%s' has no Nesterov momentum; choose sgd, momentum, adam or nadam",
            opt,
        )
    if opt in ("sgd", "momentum", "nesterov") and momentum == 0:
        raise UserError(f"Nesterov's method needs a momentum, and momentum={momentum}: give one above 0")
    if options.get("dampening"):
        raise UserError(
            f"Nesterov's method allows no dampening, and dampening={options['dampening']}: give 0"
        )
