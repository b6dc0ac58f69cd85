"""What stands on the features: their mean, dropout, and a classifier that can be exchanged."""

import math

from mindspore import Tensor, nn, ops
from mindspore.common.initializer import Uniform

from mindcv.errors import UserError
from mindcv.models.dropout import Dropout

__all__ = ["HEAD_CHANNELS", "ClassifierHead"]

HEAD_CHANNELS = 1280  # the same at every width


class ClassifierHead(nn.Cell):
    """A network that ends in a classifier; what it is derived into makes the features.

    Attributes:
        dropout: Acts on the mean of the features.
        classifier: The dense layer, or `nn.Identity` where there is none.
        num_classes: Number of logits; 0 where there is no classifier.
    """

    dropout: Dropout
    num_classes: int

    def forward_head(self, x: Tensor) -> Tensor:
        """Features (N, 1280, h, w) to logits (N, num_classes); without a classifier to (N, 1280)."""
        return self.classifier(self.dropout(ops.mean(x, axis=(2, 3))))

    def get_classifier(self) -> nn.Cell:
        """The last layer: `nn.Dense`, or `nn.Identity` where there is no classifier."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Give the network a fresh classifier, whose parameters have the old one's names.

        Its weights start from a uniform distribution within ``1 / sqrt(num_classes)`` as in the TensorFlow
        original, its bias at zero. Do it before a train step, an optimizer or any other cell is built from
        the network: they would keep the old classifier.

        Args:
            num_classes: Number of logits; 0 removes the classifier, and what comes out are the features'
                means (N, 1280).

        Raises:
            UserError: The number is negative, or no whole number.
        """
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 0:
            raise UserError(
                f"num_classes={num_classes!r} is no count: give a whole number, or 0 for no classifier"
            )
        self.num_classes = num_classes
        if num_classes == 0:
            self.classifier = nn.Identity()
        else:
            uniform = Uniform(1 / math.sqrt(num_classes))
            self.classifier = nn.Dense(
                HEAD_CHANNELS, num_classes, weight_init=uniform, bias_init="zeros"
            ).set_train(self.training)
        # A network that has run in graph mode would go on with the graph that has the old classifier.
        self.compile_cache.clear()
