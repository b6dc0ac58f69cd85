"""Weights for networks that are written for MindCV, under the names that its model files import."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.files.cache_folder import cache_folder
from mindcv.models.features import FeatureExtractWrapper
from mindcv.models.layers import make_divisible
from mindcv.models.weights.adaptation import adapt_stem
from mindcv.models.weights.network_loading import load_weights
from mindcv.models.weights.pretrained import CLASSES, fetch_weights
from mindcv.models.weights.weight_files import read_weights

__all__ = [
    "ConfigDict",
    "build_model_with_cfg",
    "get_checkpoint_download_root",
    "load_model_checkpoint",
    "load_pretrained",
    "make_divisible",
]


class ConfigDict(dict[str, Any]):
    """A dict whose values are attributes too."""

    __setattr__ = dict.__setitem__
    __delattr__ = dict.__delitem__

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no key '{name}': the keys are {', '.join(self)}") from None


Filter = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def get_checkpoint_download_root() -> str:
    """Return the folder that published weights are kept in."""
    return str(cache_folder())


def load_pretrained(
    model: nn.Cell,
    default_cfg: Mapping[str, Any],
    num_classes: int = CLASSES,
    in_channels: int = 3,
    filter_fn: Filter | None = None,
) -> None:
    """Load published weights into a network that has not run yet.

    Args:
        model: The network, whose parameters have the names of the file's.
        default_cfg: ``url``, where the weights are published, and, where they are needed, ``classifier``
            and ``first_conv``, the names of the last dense layer and of the first convolution, and
            ``num_classes``, the number of classes of the weights (1000).
        num_classes: Number of logits of the network; if it is another one, the classifier's weights stay as
            they are.
        in_channels: Channels of the images; if they are not 3, the first convolution is converted.
        filter_fn: Takes the weights by name and returns those to load.

    Raises:
        UserError: The weights cannot be had, or one is missing or has another shape.
    """
    url = default_cfg.get("url")
    if not url:
        raise UserError("default_cfg has no url of published weights: set it, or pretrained=False")
    values = dict(read_weights(fetch_weights(url)).tensors)
    if filter_fn is not None:
        values = filter_fn(values)
    stem = f"{default_cfg.get('first_conv')}.weight"
    if in_channels != 3 and stem in values:
        values[stem] = adapt_stem(values[stem], in_channels)
    kept = (
        f"{default_cfg.get('classifier')}." if num_classes != default_cfg.get("num_classes", CLASSES) else ""
    )
    wanted = {p.name: p for p in model.get_parameters() if not (kept and p.name.startswith(kept))}
    for name, parameter in wanted.items():
        if name not in values:
            raise UserError(f"{url}: lacks '{name}': check filter_fn and default_cfg")
        if values[name].shape != parameter.shape:
            shapes = f"{list(values[name].shape)}, not {list(parameter.shape)}"
            raise UserError(f"{url}: '{name}' has the shape {shapes}: check num_classes and in_channels")
    for name, parameter in wanted.items():
        ops.assign(parameter, Tensor(values[name], parameter.dtype))


def load_model_checkpoint(
    model: nn.Cell, checkpoint_path: str = "", ema: bool = False, auto_mapping: bool = False
) -> None:
    """Load a file of weights into a network that has not run yet.

    Args:
        model: The network.
        checkpoint_path: The file, see `mindcv.models.weights.read_weights`.
        ema: Whether to load the weights of the EMA model.
        auto_mapping: Not needed: the names of other libraries' weights are always recognized.

    Raises:
        UserError: The file cannot be read or does not fit the network.
    """
    load_weights(model, checkpoint_path, ema=ema)


def build_model_with_cfg(
    model_cls: Callable[..., nn.Cell],
    pretrained: bool,
    default_cfg: Mapping[str, Any],
    features_only: bool = False,
    out_indices: Sequence[int] = (0, 1, 2, 3, 4),
    **kwargs,
) -> nn.Cell:
    """Build a network, with published weights or without, for logits or for feature maps.

    Args:
        model_cls: Builds the network from ``kwargs``.
        pretrained: Whether to load the published weights.
        default_cfg: See `load_pretrained`.
        features_only: Whether to return the feature maps.
        out_indices: Which of them, see `FeatureExtractWrapper`.
        kwargs: Keywords of the network.
    """
    network = model_cls(**kwargs)
    if pretrained:
        load_pretrained(
            network,
            default_cfg,
            num_classes=kwargs.get("num_classes", CLASSES),
            in_channels=kwargs.get("in_channels", 3),
        )
    return FeatureExtractWrapper(network, out_indices) if features_only else network
