"""Creation of networks by model name, for classification or for feature maps."""

from collections.abc import Sequence
from inspect import signature

from mindspore import nn

from mindcv.errors import UnknownKeywordError, UserError, did_you_mean
from mindcv.models.features import FeatureExtractWrapper, feature_pyramid
from mindcv.models.registry import ModelEntry, find_model, is_model, list_models
from mindcv.models.weights.layouts import layouts_of
from mindcv.models.weights.network_loading import put_weights
from mindcv.models.weights.pretrained import CLASSES, fetch_weights
from mindcv.models.weights.stated_options import padding_of, stated_options
from mindcv.models.weights.weight_files import WeightFile, read_weights

__all__ = ["create_model"]


def create_model(
    model_name: str,
    num_classes: int = 1000,
    pretrained: bool = False,
    in_channels: int = 3,
    checkpoint_path: str = "",
    ema: bool = False,
    auto_mapping: bool = False,
    *,
    new_classifier: bool = False,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    **kwargs,
) -> nn.Cell:
    """Build a network by name.

    Args:
        model_name: A registered name or alias, see `list_models`.
        num_classes: Number of logits.
        pretrained: Whether to load the published weights, which are downloaded where they are not in the
            cache. Where num_classes is not theirs, 1000, the classifier is randomly initialized.
        in_channels: Channels of the image.
        checkpoint_path: File of weights to load, see `read_weights`; empty for random initialization. Where
            ``bn_eps`` and ``padding`` are not given, they are the file's; where ``in_channels`` is not the
            file's 3, the stem is converted.
        ema: Whether to load the weights of the EMA model instead.
        auto_mapping: Not needed: the names of other libraries' weights are always recognized.
        new_classifier: Whether to leave out the file's classifier, which may have other classes.
        features_only: Whether to return the feature maps instead of logits, see `FeaturePyramid`. num_classes
            is then that of the weights to load.
        out_indices: Which feature maps, such as ``(2, 3, 4)`` for strides 8, 16 and 32; by default all five.
        kwargs: The model's own options, such as ``drop_rate``; None means the model's default.

    Returns:
        The unwrapped network, which expects normalised images of shape (N, in_channels, H, W).

    Raises:
        UserError: If the model or an option is unknown, a value is out of range, or the weights cannot be
            loaded.
    """
    if out_indices is not None and not features_only:
        raise UserError(f"out_indices={out_indices!r} chooses feature maps: set features_only=True")
    entry = find_model(model_name)
    if entry.options is not None:
        for option in kwargs:
            if option not in entry.options:
                hint = did_you_mean(option, entry.options) or f"; its options are {', '.join(entry.options)}"
                raise UnknownKeywordError(f"model '{entry.name}': unknown option '{option}'{hint}")
    given = {option: value for option, value in kwargs.items() if value is not None}
    if pretrained and not entry.url and "pretrained" in signature(entry.build).parameters:
        given["pretrained"] = True  # a function written for MindCV loads its weights itself
    elif pretrained:
        checkpoint_path = _published(entry, checkpoint_path)
        new_classifier = new_classifier or num_classes != CLASSES
    file, padding = read_weights(checkpoint_path) if checkpoint_path else None, None
    if file is not None:
        layouts = layouts_of(entry.family)
        padding = padding_of(file, layouts, given.get("padding")).get("padding")
        given = {**stated_options(file, layouts, entry.options or ()), **given}
    network = entry.build(num_classes=num_classes, in_channels=in_channels, **given)
    if file is not None:
        made_for = _another_model(file, entry)
        put_weights(network, file, ema=ema, new_classifier=new_classifier, padding=padding, made_for=made_for)
    if not features_only:
        return network
    if hasattr(network, "feature_info"):  # a network written for MindCV
        return FeatureExtractWrapper(network, *([] if out_indices is None else [out_indices]))
    return feature_pyramid(network, out_indices)


def _another_model(file: WeightFile, entry: ModelEntry) -> str:
    """Return the registered model that a file says it was made for; empty if none or the entry's own."""
    config = file.metadata.get("config")
    stored = {**(config if isinstance(config, dict) else {}), **file.metadata}.get("model")
    made_for = find_model(stored).name if isinstance(stored, str) and is_model(stored) else entry.name
    return "" if made_for == entry.name else made_for


def _published(entry: ModelEntry, checkpoint_path: str) -> str:
    """Return the file of a model's published weights, if no other weights are given."""
    if checkpoint_path:
        raise UserError(
            f"pretrained=True and checkpoint_path={checkpoint_path} both give weights: give one of them"
        )
    if not entry.url:
        raise UserError(
            f"pretrained=True: model '{entry.name}' has no published weights; list_models(pretrained=True) "
            f"lists the models that have: {', '.join(list_models(pretrained=True))}"
        )
    return str(fetch_weights(entry.url))
