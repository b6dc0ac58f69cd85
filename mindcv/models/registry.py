"""Models by name: registering, finding and listing them."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar, overload

from mindspore import nn

from mindcv.errors import UserError, did_you_mean

__all__ = ["ModelEntry", "find_model", "list_models", "register_model"]

_Builder = TypeVar("_Builder", bound=Callable[..., nn.Cell])


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A registered model.

    Args:
        name: Its name.
        build: Builds the network from keywords.
        options: The keywords that ``build`` takes; None where its signature does not tell.
        family: The class or function that receives the keywords in the end.
        aliases: Further names.
        url: Address of its published weights; empty where there are none.
    """

    name: str
    build: Callable[..., nn.Cell]
    options: tuple[str, ...] | None
    family: Callable[..., nn.Cell]
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
    """Register the model that a function builds under the function's name.

    Use it as ``@register_model`` or ``@register_model(...)``. The function must take the keywords
    ``num_classes`` and ``in_channels``.

    Args:
        build: The function, which builds the network.
        aliases: Further names for it.
        url: Address of its published weights.
        options_of: The class or function that receives the function's ``**kwargs``; its keyword-only
            parameters become options of the model, and `create_model` refuses any other keyword. Where a
            class passes keywords on to its base class, the base class's are options too. The class may list
            ``weight_layouts``, see `mindcv.models.weights.layouts`.

    Returns:
        The function itself.

    Raises:
        UserError: A name is registered already.
    """

    def register(build: _Builder) -> _Builder:
        entry = ModelEntry(
            name=build.__name__,
            build=build,
            options=_options(build, options_of),
            family=options_of or build,
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
    """Return the keywords that ``build`` takes, or None where its signature does not tell."""
    parameters = inspect.signature(build).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if options_of is not None:
        named += [name for name in _keywords(options_of) if name not in named]
    elif any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return tuple(named)


def _keywords(receiver: Callable) -> list[str]:
    """Return the keyword-only parameters of a function, or of a class and the bases it passes keywords to."""
    classes = receiver.__mro__ if isinstance(receiver, type) else ()
    functions = [cls.__init__ for cls in classes if "__init__" in vars(cls)] or [receiver]
    names: list[str] = []
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        names += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in names]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


def find_model(model_name: str) -> ModelEntry:
    """Return a model by its name or an alias.

    Raises:
        UserError: There is no such model.
    """
    entry = _models.get(model_name) or _aliases.get(model_name)
    if entry is None:
        hint = did_you_mean(model_name, [*_models, *_aliases]) or "; list_models() lists the models"
        raise UserError(f"unknown model '{model_name}'{hint}")
    return entry


def list_models(
    filter: str | Sequence[str] = "",
    pretrained: bool = False,
    exclude_filters: str | Sequence[str] = "",
) -> list[str]:
    """Return the names of the registered models, sorted.

    Args:
        filter: One or several patterns with shell wildcards, such as ``"mnasnet_1*"``; by default all models.
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
