"""Options of the network, of its teacher, and of its loss."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from mindcv.choices import LossName, Padding
from mindcv.config.option import Section, check, option
from mindcv.errors import ConfigError
from mindcv.ranges import AT_LEAST_ZERO, Range

__all__ = ["DistillationConfig", "FreezingConfig", "LossConfig", "ModelConfig", "TeacherConfig"]

RATE = Range(0, 0.999, "give a rate from 0 to below 1")
WEIGHT = Range(0, 1, "give a weight from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """Model.

    Args:
        model_name: Name of a registered model, such as mnasnet_075.
        num_classes: Number of classes; by default the dataset's.
        in_channels: Channels of the input image, 3 for colour and 1 for grey.
        drop_rate: Dropout before the classifier; by default the model's.
        drop_path_rate: Stochastic depth of the last block; by default the model's.
        bn_eps: Epsilon of batch normalization; by default that of the weights in ckpt_path, else the model's.
        bn_momentum: Weight of the old statistic in batch normalization; by default the model's.
        padding: symmetric as in PyTorch, or same as in TensorFlow; by default that of ckpt_path, else
            the model's.
        pretrained: Start from the model's published weights, which are downloaded once (MINDCV_HOME,
            MINDCV_MIRROR); where num_classes is not theirs, 1000, the classifier is randomly initialized.
        checkpoint_path: File of weights that the network starts from: .ckpt, .safetensors, or PyTorch's .pth.
        new_classifier: Do not load the classifier of those weights when training starts: it may be one for
            other classes.
    """

    model_name: str = option("mnasnet_100", yaml="model", scope="network", aliases=("arch",))
    num_classes: int | None = option(None, range=Range(1, 100_000, "give 1 to 100000"), scope="network")
    in_channels: int = option(3, scope="network")
    drop_rate: float | None = option(None, range=RATE, scope="network")
    drop_path_rate: float | None = option(None, range=RATE, scope="network")
    bn_eps: float | None = option(
        None, range=Range(1e-12, 1, "give a small positive number"), scope="network"
    )
    bn_momentum: float | None = option(None, range=WEIGHT, scope="network")
    padding: Padding | None = option(None, scope="network")
    pretrained: bool = option(False)
    checkpoint_path: str = option("", yaml="ckpt_path", aliases=("checkpoint_path",))
    new_classifier: bool = option(False)

    def check(self) -> None:
        """Check that there is one source of weights at most."""
        check(self, "in_channels", self.in_channels in (1, 3), "images have 3 channels, or 1 for grey")
        if self.pretrained and self.checkpoint_path:
            raise ConfigError(
                f"pretrained=True and ckpt_path={self.checkpoint_path} both say what to start from: keep "
                "one (--pretrained false)"
            )
        if self.new_classifier and not (self.checkpoint_path or self.pretrained):
            raise ConfigError(
                "new_classifier=True skips the classifier of a file: give ckpt_path or pretrained"
            )


@dataclass(frozen=True, kw_only=True)
class FreezingConfig(Section):
    """Freezing.

    Args:
        what: What is not trained: backbone is everything but the classifier; a number is the stem and that
            many stages after it.
    """

    what: Literal["backbone"] | int | None = option(
        None, yaml="freeze", range=Range(0, inf, "give backbone, or a number of stages, 0 or more")
    )


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """Loss.

    Args:
        name: CE is cross entropy, BCE binary cross entropy; asl_single_label and asl_multi_label are the
            asymmetric losses over a softmax and over sigmoids.
        label_smoothing: Fraction of the target that is spread over all classes.
        aux_factor: Weight of the loss of a model's auxiliary outputs.
    """

    name: LossName = option("CE", yaml="loss")
    label_smoothing: float = option(0.0, range=Range(0, 0.999, "give a fraction from 0 to below 1"))
    aux_factor: float = option(0.0, range=AT_LEAST_ZERO)


@dataclass(frozen=True, kw_only=True)
class TeacherConfig(Section):
    """Teacher.

    Args:
        model_name: Model that the network also learns from: a registered one, or an ONNX file (.onnx).
        checkpoint_path: Checkpoint of a teacher that is a registered model.
    """

    model_name: str = option("", yaml="teacher")
    checkpoint_path: str = option("", yaml="teacher_ckpt_path")

    def check(self) -> None:
        """Check that the teacher has weights, once."""
        if self.model_name and not self.is_onnx and not self.checkpoint_path:
            raise ConfigError(
                f"teacher={self.model_name} knows nothing without its weights: give teacher_ckpt_path"
            )
        if self.checkpoint_path and (self.is_onnx or not self.model_name):
            remedy = "leave it out: an ONNX file has its weights"
            remedy = remedy if self.is_onnx else "give its model as teacher"
            raise ConfigError(f"teacher_ckpt_path={self.checkpoint_path} has no model to go into: {remedy}")

    @property
    def is_onnx(self) -> bool:
        """Whether the teacher is an ONNX file."""
        return self.model_name.endswith(".onnx")


@dataclass(frozen=True, kw_only=True)
class DistillationConfig(Section):
    """Knowledge distillation.

    Args:
        alpha: Weight of the teacher's part of the loss; the rest is that of the labels.
        temperature: Divisor of the logits before they are compared.
        hard: Learn the teacher's hard label (argmax) instead of its probabilities.
    """

    alpha: float = option(0.5, yaml="distill_alpha", range=WEIGHT)
    temperature: float = option(
        1.0, yaml="distill_temperature", range=Range(1e-3, inf, "give a positive number")
    )
    hard: bool = option(False, yaml="distill_hard")
