"""The model registry: register, find and list models by name."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import wraps
from typing import Any, TypeVar, cast, overload

from mindspore import nn

from mindcv.errors import UnknownNameError, UserError, did_you_mean

__all__ = [
    "ModelEntry",
    "find_model",
    "get_pretrained_cfg",
    "get_pretrained_cfg_value",
    "has_pretrained_cfg_key",
    "is_model",
    "is_model_in_modules",
    "is_model_pretrained",
    "list_models",
    "list_modules",
    "model_entrypoint",
    "register_model",
]

CLASSES = 1000  # of ImageNet, which published weights tell apart

_Builder = TypeVar("_Builder", bound=Callable[..., nn.Cell])


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A registered model.

    Args:
        name: Its name.
        build: Builds the network from keywords.
        options: The keywords that ``build`` takes; None if its signature does not list them.
        family: The class or function that finally receives the keywords.
        entrypoint: Builds the network as MindCV's functions do, with published weights on request.
        aliases: Further names.
        url: Address of its published weights; empty where there are none.
    """

    name: str
    build: Callable[..., nn.Cell]
    options: tuple[str, ...] | None
    family: Callable[..., nn.Cell]
    entrypoint: Callable[..., nn.Cell]
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
        url: Address of its published weights, which the network loads by its method ``load_published``.
        options_of: The class or function that receives the function's ``**kwargs``; its keyword-only
            parameters become options of the model, and `create_model` refuses any other keyword. Where a
            class passes keywords on to its base class, the base class's are options too. The class may list
            ``weight_layouts``, see `mindcv.models.weights.layouts`.

    Returns:
        The function itself, or where there is a url a function that takes ``pretrained``, ``num_classes`` and
        ``in_channels`` in this order, as MindCV's do, and then the function's keywords.

    Raises:
        UserError: If a name is registered already.
    """

    def register(build: _Builder) -> _Builder:
        entrypoint = _entrypoint(build, url, options_of or build) if url else build
        entry = ModelEntry(
            name=build.__name__,
            build=build,
            options=_options(build, options_of),
            family=options_of or build,
            entrypoint=entrypoint,
            aliases=tuple(aliases),
            url=url,
        )
        names = (entry.name, *entry.aliases)
        for i, name in enumerate(names):
            if name in _models or name in _aliases or name in names[:i]:
                raise UserError(f"a model '{name}' is registered already: choose another name")
        _models[entry.name] = entry
        _aliases.update(dict.fromkeys(entry.aliases, entry))
        return cast(_Builder, entrypoint)

    return register if build is None else register(build)


def _entrypoint(build: Callable[..., nn.Cell], url: str, family: object) -> Callable[..., nn.Cell]:
    """Return a function that builds a network and can load the weights published at an address."""
    published = {} if (layout := _own_layout(family)) is None else layout.options()

    @wraps(build)
    def entrypoint(
        pretrained: bool = False, num_classes: int = CLASSES, in_channels: int = 3, **kwargs
    ) -> nn.Cell:
        usual = published if pretrained else {}
        network = build(num_classes=num_classes, in_channels=in_channels, **{**usual, **kwargs})
        if pretrained:
            network.load_published(url)
        return network

    del entrypoint.__wrapped__  # its signature is this one, and not build's
    return entrypoint


def _options(build: Callable, options_of: Callable | None) -> tuple[str, ...] | None:
    """Return the keywords that ``build`` takes, or None if its signature does not list them."""
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
        UserError: If there is no such model; it is a `RuntimeError` too, as in MindCV.
    """
    entry = _models.get(model_name) or _aliases.get(model_name)
    if entry is None:
        hint = did_you_mean(str(model_name), [*_models, *_aliases])
        where = "python -m mindcv summary --list lists all models"
        raise UnknownNameError(
            f"unknown model '{model_name}'" + (f"{hint} ({where})" if hint else f"; {where}")
        )
    return entry


def list_models(
    filter: str | Sequence[str] = "",
    module: str = "",
    pretrained: bool = False,
    exclude_filters: str | Sequence[str] = "",
) -> list[str]:
    """Return the names of the registered models, sorted.

    Args:
        filter: One or several patterns with shell wildcards, such as ``"mnasnet_1*"``; by default all models.
            Aliases are listed where a pattern matches no model's own name.
        module: Module whose models are listed, see `list_modules`; by default all.
        pretrained: Whether to list only models with published weights.
        exclude_filters: One or several patterns of names to leave out.
    """
    patterns = _patterns(filter)
    found = set() if patterns else set(_models)
    for pattern in patterns:
        found.update(_matching(_models, pattern) or _matching(_aliases, pattern))
    for pattern in _patterns(exclude_filters):
        found.difference_update(_matching(found, pattern))
    if module:
        found = {name for name in found if is_model_in_modules(name, [module])}
    return sorted(name for name in found if find_model(name).url or not pretrained)


def list_modules() -> list[str]:
    """Return the names of the modules that register models, sorted."""
    return sorted({_module(entry) for entry in _models.values()})


def is_model(model_name: str) -> bool:
    """Return whether a model is registered under a name or an alias."""
    return model_name in _models or model_name in _aliases


def model_entrypoint(model_name: str) -> Callable[..., nn.Cell]:
    """Return the function that builds a model.

    Raises:
        KeyError: There is no such model.
    """
    return (_models.get(model_name) or _aliases[model_name]).entrypoint


def is_model_in_modules(model_name: str, module_names: Collection[str]) -> bool:
    """Return whether one of some modules registers a model.

    Args:
        model_name: A name or an alias.
        module_names: Names of modules; MindCV's ``mobilenetv2`` means ``mobilenet_v2``.

    Raises:
        TypeError: ``module_names`` is a string.
    """
    if isinstance(module_names, str):
        raise TypeError(f"module_names={module_names!r} is one name: give a list of names")
    wanted = {name.replace("_", "") for name in module_names}
    return is_model(model_name) and _module(find_model(model_name)).replace("_", "") in wanted


def is_model_pretrained(model_name: str) -> bool:
    """Return whether there is a model of this name that has published weights."""
    return is_model(model_name) and bool(find_model(model_name).url)


def get_pretrained_cfg(model_name: str) -> dict[str, Any]:
    """Return what belongs to a model's published weights.

    Returns:
        ``url``, ``num_classes``, ``first_conv`` and ``classifier``, the names of the first convolution and of
        the last dense layer; an empty dict for a model without published weights, or an unknown one.
    """
    if not is_model_pretrained(model_name):
        return {}
    entry = find_model(model_name)
    own = _own_layout(entry.family)
    layers = {} if own is None else {"first_conv": own.stem[0], "classifier": own.classifier}
    return {"url": entry.url, "num_classes": CLASSES, **layers}


def get_pretrained_cfg_value(model_name: str, cfg_key: str) -> Any:
    """Return one value of `get_pretrained_cfg`, None where there is none."""
    return get_pretrained_cfg(model_name).get(cfg_key)


def has_pretrained_cfg_key(model_name: str, cfg_key: str) -> bool:
    """Return whether `get_pretrained_cfg` has a key."""
    return cfg_key in get_pretrained_cfg(model_name)


def _own_layout(family: object) -> Any:
    """Return MindCV's layout of a family's weights, None where it lists none."""
    layouts = getattr(family, "weight_layouts", ())
    return next((layout for layout in layouts if layout.library == "mindcv"), None)


def _module(entry: ModelEntry) -> str:
    return entry.build.__module__.rpartition(".")[2]


def _patterns(given: str | Sequence[str]) -> list[str]:
    return [pattern for pattern in ([given] if isinstance(given, str) else given) if pattern]


def _matching(names, pattern: str) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]
