"""The classes of ImageNet-1K."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

__all__ = ["imagenet_classes", "readable_classes"]


@cache
def imagenet_classes() -> dict[str, str]:
    """Names of ImageNet's 1000 classes by their WordNet ids, in the order of the labels: sorted by id.

    A name is the first word of its synset. Where two classes share it, what tells them apart is added.
    """
    text = resources.files("mindcv.data").joinpath("imagenet_classes.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines())  # pyright: ignore[reportReturnType]


def readable_classes(classes: Sequence[str]) -> list[str]:
    """Class names to show: where all of them are WordNet ids of ImageNet, such as n01440764, their words."""
    names = imagenet_classes()
    return [names[name] for name in classes] if set(classes) <= set(names) else list(classes)
