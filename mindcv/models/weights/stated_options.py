"""The options of a network that a file of weights was made for, as far as it tells them."""

import logging
from collections.abc import Sequence
from math import inf
from typing import Any, get_args

from mindcv.choices import Padding
from mindcv.errors import UserError
from mindcv.files.checkpoint_file import EMA_PREFIX
from mindcv.models.weights.layouts import WeightLayout, detect_layout, find_layout
from mindcv.models.weights.weight_files import WeightFile

__all__ = ["leaves_padding_open", "padding_of", "stated_options"]

logger = logging.getLogger(__name__)


def stated_options(
    file: WeightFile, layouts: Sequence[WeightLayout], options: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the options that the file's weights were made for.

    Args:
        file: The file. What its metadata does not say, the library's convention does.
        layouts: Whose weights fit the network, see `layouts_of`.
        options: Options of the model; by default all.

    Returns:
        ``bn_eps`` and ``padding``, or fewer where neither is known.

    Raises:
        UserError: The file states an impossible value.
    """
    layout = _layout_of(file, layouts)
    stated = ({} if layout is None else layout.options()) | _metadata_options(file)
    eps, padding = stated.get("bn_eps", 1.0), stated.get("padding", "same")
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 < eps < inf:
        raise UserError(
            f"{file.path}: says bn_eps={eps!r}, which must be a positive number: use another file"
        )
    if padding not in get_args(Padding):
        raise UserError(f"{file.path}: says padding={padding!r}, which is unknown: use another file")
    return {key: value for key, value in stated.items() if options is None or key in options}


def leaves_padding_open(file: WeightFile, layouts: Sequence[WeightLayout]) -> bool:
    """Return whether a file has MindCV's names, states no padding, and others pad otherwise than MindCV.

    MindCV may have written it, or `mindspore.save_checkpoint` from a network that was made here.

    Args:
        file: The file.
        layouts: Whose weights fit the network.
    """
    layout = _layout_of(file, layouts)
    is_silent = layout is not None and layout.library == "mindcv" and "padding" not in _metadata_options(file)
    return is_silent and len({known.padding for known in layouts}) > 1


def padding_of(
    file: WeightFile, layouts: Sequence[WeightLayout], padding: str | None = None
) -> dict[str, str]:
    """Return the padding of a file that leaves it open, see `leaves_padding_open`, or nothing.

    Args:
        file: The file.
        layouts: Whose weights fit the network.
        padding: What its user says; by default MindCV's is assumed, and the log says so.

    Returns:
        ``padding``, or nothing.
    """
    layout = _layout_of(file, layouts)
    if layout is None or not leaves_padding_open(file, layouts):
        return {}
    if padding is not None:
        return {"padding": padding}
    logger.info(
        "%s: does not state its padding, so MindCV's padding=%s is assumed: give padding= if it is another",
        file.path,
        layout.padding,
    )
    return {"padding": layout.padding}


def _layout_of(file: WeightFile, layouts: Sequence[WeightLayout]) -> WeightLayout | None:
    return find_layout(layouts, detect_layout({n.removeprefix(EMA_PREFIX) for n in file.tensors}, layouts))


def _metadata_options(file: WeightFile) -> dict[str, Any]:
    config, found = file.metadata.get("config"), {}
    for source in (config if isinstance(config, dict) else {}, file.metadata):
        found |= {key: source[key] for key in ("bn_eps", "padding") if source.get(key) is not None}
    return found
