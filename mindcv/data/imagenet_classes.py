"""The classes of ImageNet-1K."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

__all__ = ["imagenet_classes", "readable_classes"]


@cache
def imagenet_classes() -> dict[str, str]:
    """Return the names of ImageNet's 1000 classes by WordNet id, in the order of the labels: sorted by id.

    A name is the first word of its synset. Where two classes share it, a distinguishing word is added.
    """
    text = resources.files("mindcv.data").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines())  # pyright: ignore[reportReturnType]


def readable_classes(classes: Sequence[str]) -> list[str]:
    """Return class names to show: words, if all of them are WordNet ids of ImageNet such as n01440764."""
    names = imagenet_classes()
    return [names[name] for name in classes] if set(classes) <= set(names) else list(classes)
