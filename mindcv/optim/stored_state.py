"""The state of an optimizer, read from a checkpoint."""

from pathlib import Path

from mindspore import Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import OPTIMIZER, read_checkpoint

__all__ = ["load_optimizer_state"]


def load_optimizer_state(optimizer: nn.Optimizer, path: str | Path) -> None:
    """Load an optimizer's moments and number of updates; its learning rates stay as they were given.

    Args:
        optimizer: An optimizer that has not run yet.
        path: A checkpoint of a training run, or MindCV's ``optim_*.ckpt``.

    Raises:
        UserError: The file cannot be read, lacks a part of the state, or belongs to another network.
    """
    found = read_checkpoint(path).tensors
    weights = {parameter.name for parameter in optimizer.parameters}
    state = {
        parameter.name: parameter
        for parameter in optimizer.get_parameters()
        if parameter.name not in weights and not parameter.name.startswith("learning_rate")
    }
    values = {name: found.get(f"{OPTIMIZER}{name}", found.get(name)) for name in state}
    for name, parameter in state.items():
        value = values[name]
        if value is None:
            raise UserError(
                f"{path}: lacks the optimizer's '{name}': give a checkpoint of the same optimizer and network"
            )
        if tuple(value.shape) != tuple(parameter.shape):
            raise UserError(
                f"{path}: the optimizer's '{name}' has the shape {list(value.shape)}, not "
                f"{list(parameter.shape)}: give a checkpoint of the same network"
            )
    for name, parameter in state.items():
        ops.assign(parameter, Tensor(values[name], parameter.dtype))
