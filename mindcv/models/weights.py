"""Weights from a checkpoint file into a network."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.serialization import AVERAGE, TRAINING_STATE, read_checkpoint

__all__ = ["load_weights"]

logger = logging.getLogger(__name__)


def load_weights(
    network: nn.Cell, path: str | Path, *, ema: bool = False, new_classifier: bool = False
) -> None:
    """Load every parameter of a network, batch normalisation's statistics included, from a checkpoint.

    The values are written in place, so that a network which has run already uses them too.

    Args:
        network: Any cell; its parameters' names are looked up in the file.
        path: A ``.ckpt`` file of this project or of MindCV.
        ema: Load the moving average of the weights, which the file then must have.
        new_classifier: Leave out the classifier, whatever its shape in the file: the network keeps its own.

    Raises:
        UserError: If the file cannot be read, or does not match the network parameter for parameter; the
            message names the first difference.
    """
    found = _weights(path, ema=ema)
    wanted: dict[str, Parameter] = network.parameters_dict()
    if new_classifier:
        fresh = _classifier(network)
        for name in fresh:
            found.pop(name, None)
            del wanted[name]
        logger.info("%s: loaded but for %s, which start afresh", path, ", ".join(fresh))
    for name, parameter in wanted.items():
        if name not in found:
            raise UserError(f"{path}: holds no '{name}', which the network has: {_REMEDY}")
        shape = tuple(parameter.shape)
        if found[name].shape != shape:
            raise UserError(
                f"{path}: '{name}' has shape {found[name].shape}, and {shape} in the network: {_REMEDY}"
            )
    unknown = [
        name for name in found if name not in wanted and not _is_training_state(name, found[name], wanted)
    ]
    if unknown:
        raise UserError(f"{path}: holds '{unknown[0]}', which the network has not: {_REMEDY}")
    for name, parameter in wanted.items():
        ops.assign(parameter, Tensor(found[name], parameter.dtype))


def _classifier(network: nn.Cell) -> list[str]:
    """Names of the classifier's parameters."""
    classifier = getattr(network, "classifier", None)
    if classifier is None:
        raise UserError(f"new_classifier=True: {type(network).__name__} has no cell of the name classifier")
    return [parameter.name for parameter in classifier.get_parameters()]


def _weights(path: str | Path, *, ema: bool) -> dict[str, np.ndarray]:
    """The weights in a file, or their moving average, by the network's names."""
    tensors = read_checkpoint(path).tensors
    average = {n.removeprefix(AVERAGE): value for n, value in tensors.items() if n.startswith(AVERAGE)}
    if not ema:
        return {n: v for n, v in tensors.items() if not n.startswith((*TRAINING_STATE, AVERAGE))}
    if not average:
        raise UserError(f"{path}: holds no moving average of the weights: load it with ema=False")
    return average


def _is_training_state(name: str, value: np.ndarray, wanted: Mapping[str, Parameter]) -> bool:
    """Whether a file of MindCV or MindSpore holds this because it was saved while training.

    That is a moment of one of the network's parameters, a number such as the step, or the learning rates.
    """
    return name.partition(".")[2] in wanted or value.size == 1 or name == "learning_rate"


_REMEDY = "choose the model, num_classes and in_channels that the file was made with"
