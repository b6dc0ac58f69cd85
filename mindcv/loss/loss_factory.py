"""Create a loss by name."""

from typing import get_args

from mindcv.choices import LossName
from mindcv.errors import UnknownNameError, UserError, did_you_mean
from mindcv.loss.asymmetric import AsymmetricLossMultilabel, AsymmetricLossSingleLabel
from mindcv.loss.binary_cross_entropy_smooth import BinaryCrossEntropySmooth
from mindcv.loss.classification_loss import ClassificationLoss, ClassWeights
from mindcv.loss.cross_entropy_smooth import CrossEntropySmooth
from mindcv.loss.jsd import JSDCrossEntropy

__all__ = ["LOSSES", "create_loss"]

LOSSES = (*get_args(LossName), "jsd")


def create_loss(
    name: str = "CE",
    weight: ClassWeights = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    aux_factor: float = 0.0,
) -> ClassificationLoss:
    """Create a loss that is called as ``loss(logits, labels)``.

    Args:
        name: ``CE`` for `CrossEntropySmooth`, ``BCE`` for `BinaryCrossEntropySmooth`, ``asl_single_label``
            and ``asl_multi_label`` for `AsymmetricLossSingleLabel` and `AsymmetricLossMultilabel`, ``jsd``
            for `JSDCrossEntropy`; upper or lower case.
        weight: Weight of each class, [C]; not for the asymmetric losses.
        reduction: ``mean``, ``sum`` or ``none``; see the loss's class for what each averages over.
        label_smoothing: Fraction of the target that is spread evenly over all classes, 0 to 1.
        aux_factor: Weight of the loss of each auxiliary output of the model.

    Returns:
        A cell. Its ``logits`` are [N, C], or a tuple (main, auxiliary...) of such; its ``labels`` are class
        indices [N] or probabilities [N, C]. The result is a float32 scalar; for ``none`` it is [N], for BCE
        [N, C].

    Raises:
        UserError: A name, a reduction or a number that is out of range. An unknown name is a
            `NotImplementedError` too, as in MindCV.
    """
    common = {"reduction": reduction, "smoothing": label_smoothing, "aux_factor": aux_factor}
    kind = str(name).lower()
    if kind.startswith("asl_") and weight is not None:
        raise UserError(f"loss '{name}' has no class weights: leave weight out")
    match kind:
        case "ce":
            return CrossEntropySmooth(weight=weight, **common)
        case "bce":
            return BinaryCrossEntropySmooth(weight=weight, **common)
        case "asl_single_label":
            return AsymmetricLossSingleLabel(**common)
        case "asl_multi_label":
            return AsymmetricLossMultilabel(**common)
        case "jsd":
            return JSDCrossEntropy(weight=weight, **common)
    near = did_you_mean(str(name), LOSSES) or did_you_mean(str(name).upper(), LOSSES)
    hint = near or f": choose one of {', '.join(LOSSES)}"
    raise UnknownNameError(f"loss '{name}' is unknown{hint}")
