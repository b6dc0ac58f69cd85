"""Parameter groups: the weight decay and the learning rate of each parameter."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, get_args

import numpy as np
from mindspore import Parameter, mint, nn

from mindcv.choices import WeightDecayFilter
from mindcv.errors import UserError, did_you_mean
from mindcv.optim.base import LrTable, ScaledRate
from mindcv.structure import parts_of

__all__ = ["WEIGHT_DECAY_FILTERS", "Parameters", "Rate", "parameter_groups"]

Parameters = nn.Cell | Iterable[Parameter] | Iterable[dict[str, Any]]
Rate = float | Sequence[float] | nn.Cell

WEIGHT_DECAY_FILTERS: tuple[WeightDecayFilter, ...] = get_args(WeightDecayFilter)

GROUP_KEYS = ("params", "lr", "weight_decay", "grad_centralization")

NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    mint.nn.BatchNorm1d,
    mint.nn.BatchNorm2d,
    mint.nn.BatchNorm3d,
    mint.nn.LayerNorm,
    mint.nn.GroupNorm,
)


def parameter_groups(
    model_or_params: Parameters,
    *,
    lr: Rate,
    weight_decay: float,
    weight_decay_filter: str,
    layer_decay: float | None = None,
) -> tuple[list[dict[str, Any]], float | nn.Cell]:
    """Return the groups and the learning rate for a `mindspore.nn.Optimizer`.

    Every parameter is in a group with its weight decay, because without groups MindSpore excludes parameters
    with beta or gamma in their names. The order of the parameters is that of the network or the list.

    Args:
        model_or_params: Network, or its parameters, or groups of them.
        lr: Learning rate of parameters whose group does not set its own.
        weight_decay: Weight decay of parameters whose group does not set its own.
        weight_decay_filter: ``disable``, ``auto`` or ``norm_and_bias``; see `create_optimizer`.
        layer_decay: Factor in the learning rate from one part of the network to the part before it.

    Returns:
        Groups, the last of which gives the order, and the learning rate.

    Raises:
        UserError: If there is no parameter, one is frozen or duplicated, a key of a group or the filter is
            unknown, or `layer_decay` is given for a list or a network without parts.
    """
    if weight_decay_filter not in WEIGHT_DECAY_FILTERS:
        hint = did_you_mean(weight_decay_filter, WEIGHT_DECAY_FILTERS)
        hint = hint or f": choose one of {', '.join(WEIGHT_DECAY_FILTERS)}"
        raise UserError(f"weight_decay_filter '{weight_decay_filter}' is unknown{hint}")
    wanted, order = _wanted_groups(model_or_params)
    if layer_decay is not None:
        wanted = _groups_by_depth(model_or_params, order, lr, layer_decay)
    _check_parameters([parameter for group in wanted for parameter in group["params"]])

    excluded: set[int] = set()
    if weight_decay_filter == "auto":
        names = ((id(p), p.name) for group in wanted for p in group["params"])
        excluded = {key for key, name in names if "beta" in name or "gamma" in name}
    elif weight_decay_filter == "norm_and_bias" and isinstance(model_or_params, nn.Cell):
        excluded = _norms_and_biases(model_or_params)
    elif weight_decay_filter == "norm_and_bias":
        excluded = {id(p) for group in wanted for p in group["params"] if _named_as_norm_or_bias(p)}

    rates = _rates([lr, *(group["lr"] for group in wanted if "lr" in group)])
    learning_rate = rates.pop(0)
    groups = []
    for group in wanted:
        if "lr" in group:
            group = group | {"lr": rates.pop(0)}
        groups += [group] if "weight_decay" in group else _split(group, excluded, weight_decay)
    return [*groups, {"order_params": order}], learning_rate


def _wanted_groups(source: Any) -> tuple[list[dict[str, Any]], list[Parameter]]:
    """Return the caller's groups with their parameters as lists, and the order of all parameters."""
    items = source.trainable_params() if isinstance(source, nn.Cell) else list(source)
    if not any(isinstance(item, dict) for item in items):
        return [{"params": items}], items
    groups = []
    order = None
    for item in items:
        if set(item) == {"order_params"}:
            order = list(item["order_params"])
            continue
        for key in set(item) - set(GROUP_KEYS):
            raise UserError(f"unknown key '{key}' in a parameter group{did_you_mean(key, GROUP_KEYS)}")
        groups.append(item | {"params": list(item["params"])})
    return groups, order or [parameter for group in groups for parameter in group["params"]]


def _groups_by_depth(
    model: Any, order: list[Parameter], lr: Rate, layer_decay: float
) -> list[dict[str, Any]]:
    """Return a group for each trainable part, with its own learning rate; the last part has `lr`."""
    if not isinstance(model, nn.Cell):
        raise UserError(
            f"layer_decay={layer_decay} needs the layers, which a list of parameters lacks: "
            "pass the model, or give each group its lr"
        )
    in_order = parts_of(model, f"layer_decay={layer_decay}").in_order()
    parts = [[p for cell in part for p in cell.trainable_params()] for part in in_order]
    placed = {id(parameter) for part in parts for parameter in part}
    for parameter in order:
        if id(parameter) not in placed:
            raise UserError(
                f"layer_decay={layer_decay}: parameter '{parameter.name}' is in no part of the model: "
                "add its cell to one, or leave layer_decay out"
            )
    last = len(parts) - 1
    return [
        {"params": part, "lr": _scaled(lr, layer_decay ** (last - depth))}
        for depth, part in enumerate(parts)
        if part
    ]


def _scaled(lr: Rate, factor: float) -> Rate:
    if isinstance(lr, nn.Cell):
        return ScaledRate(lr, factor)
    scaled = np.asarray(lr, np.float64) * factor
    return scaled.tolist()


def _check_parameters(parameters: list[Parameter]) -> None:
    if not parameters:
        raise UserError("the optimizer has no parameter to train: unfreeze some of the model's parameters")
    names = set()
    for parameter in parameters:
        if not parameter.requires_grad:
            raise UserError(
                f"parameter '{parameter.name}' is frozen and cannot be trained: pass model.trainable_params()"
            )
        if parameter.name in names:
            raise UserError(
                f"parameter '{parameter.name}' is duplicated: list each parameter in one group only"
            )
        names.add(parameter.name)


def _norms_and_biases(model: nn.Cell) -> set[int]:
    """Return the identities of normalization layers' parameters and of every layer's ``bias``."""
    return {
        id(parameter)
        for _, cell in model.cells_and_names()
        for name, parameter in cell.parameters_and_names(expand=False)
        if name == "bias" or isinstance(cell, NORMS)
    }


def _named_as_norm_or_bias(parameter: Parameter) -> bool:
    """Return whether a parameter is of a normalization or a bias, judged by shape and name."""
    own_name = parameter.name.rpartition(".")[2]
    return parameter.ndim == 1 and own_name in ("gamma", "beta", "weight", "bias")


def _split(group: dict[str, Any], excluded: set[int], weight_decay: float) -> list[dict[str, Any]]:
    """Split a group into one with and one without weight decay, leaving out an empty one."""
    decayed = [parameter for parameter in group["params"] if id(parameter) not in excluded]
    rest = [parameter for parameter in group["params"] if id(parameter) in excluded]
    parts = ((decayed, weight_decay), (rest, 0.0))
    return [group | {"params": params, "weight_decay": decay} for params, decay in parts if params]


def _rates(rates: Sequence[Rate]) -> list[float | nn.Cell]:
    """Return learning rates in the form that MindSpore expects: a single number, or all of them as schedules.

    Among schedules it would compute each plain number as ``lr + 1.0 - 1.0``: 1e-10 would become 0.
    """
    built = [_rate(rate) for rate in rates]
    if len(built) == 1:
        return built
    return [rate if isinstance(rate, nn.Cell) else LrTable([rate]) for rate in built]


def _rate(lr: Rate) -> float | nn.Cell:
    if isinstance(lr, nn.Cell):
        return lr
    values = np.asarray(lr, np.float64)
    if values.ndim > 1 or values.size == 0 or not np.isfinite(values).all() or (values < 0).any():
        shown = f"lr={lr}" if isinstance(lr, Real) else "the list of learning rates"
        raise UserError(f"{shown} is out of range: give one number of 0 or more, or one for each step")
    return LrTable(values.tolist()) if values.ndim else float(values)
