"""The classifier head of a network: pooling, dropout, and a last layer that can be replaced."""

import math

from mindspore import Tensor, nn
from mindspore.common.initializer import Uniform

from mindcv.errors import UserError

__all__ = ["ClassifierHead"]


class ClassifierHead(nn.Cell):
    """A network that ends in a classifier; a derived class computes the features.

    Attributes:
        pool: Computes the mean of the features over the positions.
        head_channels: Channels that enter the last dense layer.
        classifier: The last dense layer, `nn.Identity` where there is none, or an `nn.SequentialCell` that
            ends in one of them.
        num_classes: Number of logits; 0 where there is no classifier.
    """

    pool: nn.Cell
    head_channels: int
    num_classes: int

    def forward_head(self, x: Tensor) -> Tensor:
        """Map features (N, C, h, w) to (N, num_classes), or without classifier to (N, head_channels)."""
        return self.classifier(self.pool(x))

    def get_classifier(self) -> nn.Cell:
        """Return the last layer: `nn.Dense`, or `nn.Identity` where there is no classifier."""
        classifier = self.classifier
        return classifier[-1] if isinstance(classifier, nn.SequentialCell) else classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a randomly initialized one, whose parameters have the same names.

        Its weights start from a uniform distribution within ``1 / sqrt(num_classes)`` as in the TensorFlow
        original, its bias at zero. Call it before a train step, an optimizer or any other cell is built from
        the network: they would keep the old classifier.

        Args:
            num_classes: Number of logits; 0 removes the last layer, and the network returns its input, of
                shape (N, head_channels).

        Raises:
            UserError: If the number is negative or not an integer.
        """
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 0:
            raise UserError(f"num_classes={num_classes!r} must be a positive integer, or 0 for no classifier")
        self.num_classes = num_classes
        self._set_classifier(self._last_layer(num_classes).set_train(self.training))
        # A network that has run in graph mode would otherwise use the graph compiled with the old classifier.
        self.compile_cache.clear()

    def _last_layer(self, num_classes: int) -> nn.Cell:
        if num_classes == 0:
            return nn.Identity()
        uniform = Uniform(1 / math.sqrt(num_classes))
        return nn.Dense(self.head_channels, num_classes, weight_init=uniform, bias_init="zeros")

    def _set_classifier(self, last: nn.Cell) -> None:
        classifier = self.classifier
        if not isinstance(classifier, nn.SequentialCell):
            self.classifier = last
            return
        place = len(classifier) - 1
        classifier[place] = last
        for parameter in last.get_parameters():
            parameter.name = f"classifier.{place}.{parameter.name.rpartition('.')[2]}"
