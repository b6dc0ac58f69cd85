"""Models by name: registering, listing and creating them."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar, overload

from mindspore import nn

from mindcv.errors import UserError, did_you_mean
from mindcv.models.features import feature_pyramid
from mindcv.models.weights.loading import put_weights, stated_options
from mindcv.models.weights.pretrained import CLASSES, fetch_weights
from mindcv.models.weights.weight_files import read_weights

__all__ = ["ModelEntry", "create_model", "find_model", "list_models", "register_model"]

_Builder = TypeVar("_Builder", bound=Callable[..., nn.Cell])


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What is known about a registered model.

    Args:
        name: Its name.
        build: Makes the network from keywords.
        options: The keywords that ``build`` takes; None where that is not known.
        aliases: Further names.
        url: Where its published weights are; empty where there are none.
    """

    name: str
    build: Callable[..., nn.Cell]
    options: tuple[str, ...] | None
    aliases: tuple[str, ...] = ()
    url: str = ""


_models: dict[str, ModelEntry] = {}
_aliases: dict[str, ModelEntry] = {}


@overload
def register_model(build: _Builder) -> _Builder: ...
@overload
def register_model(
    *, aliases: Sequence[str] = (), url: str = "", options_of: Callable[..., nn.Cell] | None = None
) -> Callable[[_Builder], _Builder]: ...
def register_model(
    build: _Builder | None = None,
    *,
    aliases: Sequence[str] = (),
    url: str = "",
    options_of: Callable[..., nn.Cell] | None = None,
) -> _Builder | Callable[[_Builder], _Builder]:
    """Make a function's model known under the function's name.

    Use it as ``@register_model`` or ``@register_model(...)``. The function must take the keywords
    ``num_classes`` and ``in_channels``.

    Args:
        build: The function, which makes the network.
        aliases: Further names for it.
        url: Where its published weights are.
        options_of: The class or function that receives the function's ``**kwargs``; its keyword-only
            parameters become options of the model, and any other keyword is refused by `create_model`.

    Returns:
        The function itself.

    Raises:
        UserError: A name is taken.
    """

    def register(build: _Builder) -> _Builder:
        entry = ModelEntry(
            name=build.__name__,
            build=build,
            options=_options(build, options_of),
            aliases=tuple(aliases),
            url=url,
        )
        names = (entry.name, *entry.aliases)
        for i, name in enumerate(names):
            if name in _models or name in _aliases or name in names[:i]:
                raise UserError(f"a model '{name}' is registered already: choose another name")
        _models[entry.name] = entry
        _aliases.update(dict.fromkeys(entry.aliases, entry))
        return build

    return register if build is None else register(build)


def _options(build: Callable, options_of: Callable | None) -> tuple[str, ...] | None:
    """The keywords that ``build`` takes, or None where its signature does not tell."""
    parameters = inspect.signature(build).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if options_of is not None:
        forwarded = inspect.signature(options_of).parameters.values()
        named += [p.name for p in forwarded if p.kind is p.KEYWORD_ONLY and p.name not in named]
    elif any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return tuple(named)


def find_model(model_name: str) -> ModelEntry:
    """What is known about a model, by its name or an alias.

    Raises:
        UserError: There is no such model.
    """
    entry = _models.get(model_name) or _aliases.get(model_name)
    if entry is None:
        hint = did_you_mean(model_name, [*_models, *_aliases]) or "; list_models() names those there are"
        raise UserError(f"there is no model '{model_name}'{hint}")
    return entry


def list_models(
    filter: str | Sequence[str] = "",
    pretrained: bool = False,
    exclude_filters: str | Sequence[str] = "",
) -> list[str]:
    """Names of the registered models, sorted.

    Args:
        filter: One or several patterns with shell wildcards, such as ``"mnasnet_1*"``; nothing means all.
            Aliases are listed where a pattern matches no model's own name.
        pretrained: Whether to list only models with published weights.
        exclude_filters: One or several patterns of names to leave out.
    """
    patterns = _patterns(filter)
    found = set() if patterns else set(_models)
    for pattern in patterns:
        found.update(_matching(_models, pattern) or _matching(_aliases, pattern))
    for pattern in _patterns(exclude_filters):
        found.difference_update(_matching(found, pattern))
    return sorted(name for name in found if find_model(name).url or not pretrained)


def _patterns(given: str | Sequence[str]) -> list[str]:
    return [pattern for pattern in ([given] if isinstance(given, str) else given) if pattern]


def _matching(names, pattern: str) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def create_model(
    model_name: str,
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    pretrained: bool = False,
    checkpoint_path: str = "",
    ema: bool = False,
    new_classifier: bool = False,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    **kwargs,
) -> nn.Cell:
    """Make a network by name.

    Args:
        model_name: A registered name or alias, see `list_models`.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        pretrained: Whether to load the published weights, which are fetched where they are not in the cache.
            Where num_classes is not theirs, 1000, the classifier stays fresh.
        checkpoint_path: File of weights to load, see `read_weights`; empty for fresh ones. Where ``bn_eps``
            and ``padding`` are not given, they are the file's; where ``in_channels`` is not the file's 3, the
            stem is converted.
        ema: Whether to load the moving average of the weights instead.
        new_classifier: Whether to leave out the file's classifier, which may be one of other classes.
        features_only: Whether to return the pyramid of feature maps instead of the classifier, see
            `FeaturePyramid`. num_classes is then that of the weights to load.
        out_indices: Which maps of the pyramid, such as ``(2, 3, 4)`` for strides 8, 16 and 32; by default
            all five.
        kwargs: The model's own options, such as ``drop_rate``; None means the model's default.

    Returns:
        The bare network, which expects normalised images of shape (N, in_channels, H, W).

    Raises:
        UserError: There is no such model, it has no such option, a value is out of its range, or the weights
            cannot be had.
    """
    if out_indices is not None and not features_only:
        raise UserError(f"out_indices={out_indices!r} chooses among feature maps: set features_only=True")
    entry = find_model(model_name)
    if entry.options is not None:
        for option in kwargs:
            if option not in entry.options:
                hint = did_you_mean(option, entry.options) or f"; it has {', '.join(entry.options)}"
                raise UserError(f"model '{entry.name}' has no option '{option}'{hint}")
    given = {option: value for option, value in kwargs.items() if value is not None}
    if pretrained:
        checkpoint_path = _published(entry, checkpoint_path)
        new_classifier = new_classifier or num_classes != CLASSES
    file = read_weights(checkpoint_path) if checkpoint_path else None
    if file is not None:
        given = {**stated_options(file, entry.options or ()), **given}
    network = entry.build(num_classes=num_classes, in_channels=in_channels, **given)
    if file is not None:
        put_weights(network, file, ema=ema, new_classifier=new_classifier)
    return feature_pyramid(network, out_indices) if features_only else network


def _published(entry: ModelEntry, checkpoint_path: str) -> str:
    """The file of a model's published weights, where no other weights are asked for."""
    if checkpoint_path:
        raise UserError(f"pretrained=True and checkpoint_path={checkpoint_path} are two starts: give one")
    if not entry.url:
        raise UserError(
            f"pretrained=True: model '{entry.name}' has no published weights; list_models(pretrained=True) "
            f"names those that have: {', '.join(list_models(pretrained=True))}"
        )
    return str(fetch_weights(entry.url))
