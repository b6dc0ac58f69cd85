"""Compare the class names of a network with those of the images: same label, same class."""

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mindcv.build.stored_config import stored_options
from mindcv.config import Config
from mindcv.data import Source, imagenet_classes
from mindcv.data.sources.mindrecord import MindRecordSource
from mindcv.errors import UserError

__all__ = ["check_teacher_classes", "match_labels", "relabelled", "scored_classes"]

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
    if isinstance(source, MindRecordSource):  # the format keeps no names
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


def check_teacher_classes(config: Config, classes: Sequence[str]) -> None:
    """Check that a teacher's file, if it names its classes, has those of the images in the same order.

    Raises:
        UserError: If it has others.
    """
    teacher = config.teacher
    path = teacher.model_name if teacher.is_onnx else teacher.checkpoint_path
    known = stored_options(path)[1]
    different = [(mine, its) for mine, its in zip(classes, known, strict=False) if mine != its]
    if known and (different or len(known) != len(classes)):
        mine, its = different[0] if different else (f"{len(classes)} classes", f"{len(known)}")
        raise UserError(
            f"teacher={path}: its classes are not those of the images, it has '{its}' for '{mine}': use a "
            "teacher of the same classes"
        )
