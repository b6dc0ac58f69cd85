"""Compare the class names of a network with those of the images: same label, same class."""

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from mindcv.build.stored_config import are_numbers, named_classes
from mindcv.config import Config
from mindcv.data import Source, imagenet_classes
from mindcv.data.sources.mindrecord import MindRecordSource
from mindcv.errors import UserError
from mindcv.structure import classifier_parameters

__all__ = ["check_teacher_classes", "match_classifier", "match_labels", "relabelled", "scored_classes"]

logger = logging.getLogger("mindcv.build")


def scored_classes(config: Config, stored: Sequence[str], source: Source) -> list[str]:
    """Return the names of the classes that a finished network knows, in the order of its logits.

    Args:
        config: Options.
        stored: Names stored in its file, see `load_stored_config`.
        source: The images that it is scored on; their names are assumed where nothing else is known.
    """
    ids = imagenet_classes()
    if stored:
        return list(stored)
    if config.model.pretrained or (config.model.num_classes == len(ids) and set(source.classes) <= set(ids)):
        return list(ids)
    logger.warning(
        "%s: stores no class names; its outputs are taken for the %d classes of %s in their order",
        config.model.checkpoint_path,
        len(source.classes),
        source.origin,
    )
    return list(source.classes)


def match_labels(source: Source, known: Sequence[str], owner: str) -> NDArray[np.int32] | None:
    """Return the network's label of each class of the images; None if all are their own.

    Args:
        source: The images.
        known: Class names of the network, in the order of its logits.
        owner: The network's file, for messages.

    Raises:
        UserError: If the network does not know a class of the images.
    """
    found = list(source.classes)
    if isinstance(source, MindRecordSource) and are_numbers(found):  # the format keeps no names
        if len(found) > len(known):
            raise UserError(
                f"{source.origin}: has the label {len(found) - 1}, and {owner} {len(known)} classes: give a "
                "data_dir with the same classes"
            )
        return None
    if found == list(known[: len(found)]):
        return None
    labels = {name: label for label, name in enumerate(known)}
    unknown = [name for name in found if name not in labels]
    if unknown:
        raise UserError(
            f"{source.origin}: {len(unknown)} of its {len(found)} classes, such as '{unknown[0]}', are not "
            f"among the {len(known)} of {owner}, such as '{known[0]}': rename the folders, or give a "
            "data_dir with the same classes"
        )
    logger.info("%s: %d of %d classes of %s, matched by name", source.origin, len(found), len(known), owner)
    return np.array([labels[name] for name in found], np.int32)


def relabelled(
    batches: Iterable[tuple[np.ndarray, np.ndarray]], labels: NDArray[np.int32] | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield images with the network's labels, see `match_labels`; a negative label stays."""
    for images, own in batches:
        yield images, own if labels is None else np.where(own < 0, own, labels[own]).astype(own.dtype)


def match_classifier(config: Config, network: nn.Cell, classes: Sequence[str]) -> None:
    """Sort the outputs of a network that is to be trained further, so that each keeps its class.

    Nothing happens where the file does not name its classes, or the network has no classifier from it.

    Args:
        config: Options.
        network: The network with the weights of `ckpt_path`, or with the published ones.
        classes: Class names of the training images, by label.

    Raises:
        UserError: If the file lacks a class of the images.
    """
    model, found = config.model, list(classes)
    owner = model.checkpoint_path or f"{model.model_name}, pretrained"
    known = named_classes(owner) if model.checkpoint_path else list(imagenet_classes())
    shared = min(len(known), len(found))
    if not known or _unnamed(config, found) or found[:shared] == known[:shared]:
        return
    unknown = [name for name in found if name not in set(known)]
    if unknown:
        raise UserError(
            f"{owner}: its classifier lacks {len(unknown)} of the images' {len(found)} classes, such as "
            f"'{unknown[0]}': train a new one with new_classifier=True"
        )
    rows = [known.index(name) for name in found]
    parameters = classifier_parameters(network)
    last = max(i for i, parameter in enumerate(parameters) if parameter.ndim > 1)  # its bias follows
    for parameter in parameters[last:]:
        values = parameter.asnumpy()
        order = [*rows, *sorted(set(range(len(values))) - set(rows))]
        ops.assign(parameter, Tensor(values[order]))
    logger.info("%s: the outputs of its classifier are sorted by the names of the images' classes", owner)


def check_teacher_classes(config: Config, classes: Sequence[str]) -> None:
    """Check that a teacher's file, if it names its classes, has those of the images in the same order.

    Raises:
        UserError: If it has others.
    """
    teacher = config.teacher
    path = teacher.model_name if teacher.is_onnx else teacher.checkpoint_path
    known = [] if _unnamed(config, classes) else named_classes(path)
    different = [(mine, its) for mine, its in zip(classes, known, strict=False) if mine != its]
    if known and (different or len(known) != len(classes)):
        mine, its = different[0] if different else (f"{len(classes)} classes", f"{len(known)}")
        raise UserError(
            f"teacher={path}: its classes are not those of the images, it has '{its}' for '{mine}': use a "
            "teacher of the same classes"
        )


def _unnamed(config: Config, classes: Sequence[str]) -> bool:
    """Return whether the images' classes have no names: those of a MindRecord without ``classes.txt``."""
    return config.dataset.name == "mindrecord" and are_numbers(classes)
