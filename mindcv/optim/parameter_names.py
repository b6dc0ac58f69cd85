"""Parameter groups by the parameters' names, under MindCV's name."""

from collections.abc import Collection, Iterable
from typing import Any

from mindspore import Parameter

__all__ = ["init_group_params"]

EXCLUDED = ("beta", "gamma", "bias")


def init_group_params(
    params: Iterable[Parameter],
    weight_decay: float,
    weight_decay_filter: str = "disable",
    no_weight_decay: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return groups for a `mindspore.nn.Optimizer`; `create_optimizer` makes its own from a network's layers.

    Args:
        params: Parameters to train.
        weight_decay: Weight decay of those that have one.
        weight_decay_filter: ``disable`` decays all; any other name all but those with beta, gamma or bias in
            their names.
        no_weight_decay: Names of further parameters without weight decay; ``disable`` does not use it.

    Returns:
        A group with weight decay, one without where the filter excludes any by name, and the order of all.
    """
    order = list(params)
    if weight_decay_filter == "disable":
        return [{"params": order, "weight_decay": weight_decay}, {"order_params": order}]
    excluded = [p for p in order if p.name in no_weight_decay or any(word in p.name for word in EXCLUDED)]
    apart = {id(p) for p in excluded}
    return [
        {"params": [p for p in order if id(p) not in apart], "weight_decay": weight_decay},
        {"params": excluded, "weight_decay": 0.0},
        {"order_params": order},
    ]
