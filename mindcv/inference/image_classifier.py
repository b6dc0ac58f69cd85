"""The most probable classes of images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from mindspore import Tensor, nn

from mindcv.errors import NotFiniteError, UserError

__all__ = ["ClassScore", "Classifier", "Prediction", "even_batch_size", "network_logits", "top_k"]


class Image(Protocol):
    """An image to classify and its path, or the reason why it cannot be read."""

    @property
    def path(self) -> str:
        """The file."""
        ...

    @property
    def pixels(self) -> np.ndarray | None:
        """Shape [C, H, W], uint8."""
        ...

    @property
    def problem(self) -> str:
        """Reason why there are no pixels."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """One class that an image may show.

    Args:
        index: Index of the network's output, from 0.
        name: Its name, or the index if the name is unknown.
        probability: Softmax over all outputs, from 0 to 1.
    """

    index: int
    name: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Classes that a network predicts for an image.

    Args:
        path: The image's file.
        scores: The most probable classes, in descending order.
        problem: Reason why there are none; empty if the image was classified.
    """

    path: str
    scores: tuple[ClassScore, ...] = ()
    problem: str = ""


class Classifier:
    """A trained network with the names of its classes.

    Args:
        logits: Takes images, uint8 of shape [N, C, H, W], and returns logits of shape [N, num_classes]: of a
            network, see `network_logits`, or of an exported one, see `mindcv.files.onnx_network.OnnxNetwork`.
        classes: Names of the classes by output. Outputs without a name are called by their index.
    """

    def __init__(self, logits: Callable[[np.ndarray], np.ndarray], classes: Sequence[str] = ()) -> None:
        self.logits = logits
        self.classes = list(classes)

    def predict(
        self, images: Iterable[Image], *, batch_size: int, topk: int | None = None
    ) -> Iterator[Prediction]:
        """Classify images in order.

        Args:
            images: Images of one shape, such as from `mindcv.data.ImageFiles`.
            batch_size: Batch size. The last batch is filled up with black ones, so
                that the network compiles for one shape.
            topk: Classes of each prediction; by default five, or all where there are fewer.

        Yields:
            A prediction for each image in turn, one without scores for an image that cannot be read.

        Raises:
            UserError: If there are fewer classes than `topk`.
            NotFiniteError: If the network returns NaN or infinity.
        """
        remaining = iter(images)
        while batch := list(islice(remaining, batch_size)):
            good = [image for image in batch if image.pixels is not None]
            scores = iter(self._scores(good, batch_size, topk) if good else [])
            for image in batch:
                if image.pixels is None:
                    yield Prediction(path=image.path, problem=image.problem)
                else:
                    yield Prediction(path=image.path, scores=next(scores))

    def _scores(
        self, images: Sequence[Image], batch_size: int, topk: int | None
    ) -> Iterator[tuple[ClassScore, ...]]:
        pixels = np.stack([image.pixels for image in images if image.pixels is not None])
        missing = batch_size - len(images)
        if missing:
            pixels = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), pixels.dtype)])
        logits = self.logits(pixels)[: len(images)]
        for image, row in zip(images, logits, strict=True):
            if not np.isfinite(row).all():
                raise NotFiniteError(
                    f"{image.path}: the network returns NaN or infinity: use another checkpoint"
                )
        indices, probabilities = top_k(logits, topk)
        for chosen, row in zip(indices, probabilities, strict=True):
            yield tuple(
                ClassScore(index=int(index), name=self.name(int(index)), probability=float(probability))
                for index, probability in zip(chosen, row, strict=True)
            )

    def name(self, index: int) -> str:
        """Return the name of an output."""
        return self.classes[index] if index < len(self.classes) else str(index)


def even_batch_size(images: int, largest: int) -> int:
    """Return a batch size up to `largest` at which the last batch lacks as few images as possible."""
    batches = -(-images // largest)
    return -(-images // batches)


def network_logits(network: nn.Cell) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that evaluates a network on uint8 images."""
    network.set_train(False)

    def run(images: np.ndarray) -> np.ndarray:
        logits: Any = network(Tensor(images))
        return logits.asnumpy().astype(np.float32)

    return run


def top_k(logits: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable classes.

    Args:
        logits: Shape [N, num_classes].
        k: How many classes; by default five, or all where there are fewer.

    Returns:
        Their numbers, of shape [N, k] and by falling probability, and their probabilities: softmax over all
        classes, in float64. Of classes with equal logits the first comes first.

    Raises:
        UserError: If there are fewer classes than `k`.
    """
    classes = logits.shape[1]
    count = min(5, classes) if k is None else k
    if not 1 <= count <= classes:
        raise UserError(f"topk={k} does not fit a network of {classes} classes: give 1 to {classes}")
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    indices = np.argsort(-shifted, axis=1, kind="stable")[:, :count]
    return indices, np.take_along_axis(probabilities, indices, axis=1)
