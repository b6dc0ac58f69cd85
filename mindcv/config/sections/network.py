"""Options of the network, of what it learns from, and of its loss."""

from dataclasses import dataclass
from typing import Literal

from mindcv.config.checks import ConfigError, check, check_numbers

__all__ = ["LossConfig", "ModelConfig", "TeacherConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Model.

    Args:
        model: Name of a registered model, such as mnasnet_075.
        num_classes: Number of classes; by default the dataset's.
        in_channels: Channels of the input image, 3 for colour and 1 for grey.
        drop_rate: Dropout before the classifier; by default the model's.
        drop_path_rate: Stochastic depth of the last block; by default the model's.
        bn_eps: Batch normalisation's epsilon; by default that of the weights in ckpt_path, else 1e-3.
        bn_momentum: Weight of the old statistic in batch normalisation; by default the model's, 0.99.
        padding: symmetric as in PyTorch, or same as in TensorFlow; by default ckpt_path's, else symmetric.
        pretrained: Start from the model's published weights, which are fetched once (MINDCV_HOME,
            MINDCV_MIRROR); where num_classes is not theirs, 1000, the classifier starts afresh.
        ckpt_path: File of weights that the network starts from: .ckpt, .safetensors, or PyTorch's .pth.
        new_classifier: Leave out the classifier of those weights when training starts: it may be one of
            other classes.
        freeze: What is not trained: backbone is all but the classifier; a number is the stem and that many
            stages after it.
    """

    model: str = "mnasnet_100"
    num_classes: int | None = None
    in_channels: int = 3
    drop_rate: float | None = None
    drop_path_rate: float | None = None
    bn_eps: float | None = None
    bn_momentum: float | None = None
    padding: Literal["symmetric", "same"] | None = None
    pretrained: bool = False
    ckpt_path: str = ""
    new_classifier: bool = False
    freeze: Literal["backbone"] | int | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "give 1 or more", "num_classes", low=1)
        check(self, "in_channels", self.in_channels in (1, 3), "images have 3 channels, or 1 for grey")
        check_numbers(self, "give a rate from 0 to below 1", "drop_rate", "drop_path_rate", high=0.999)
        check_numbers(self, "give a small positive number", "bn_eps", low=1e-12, high=1)
        check_numbers(self, "give a weight from 0 to 1", "bn_momentum", high=1)
        if self.pretrained and self.ckpt_path:
            raise ConfigError(
                f"pretrained=True and ckpt_path={self.ckpt_path} both say what to start from: keep one "
                "(--pretrained false)"
            )
        if self.new_classifier and not (self.ckpt_path or self.pretrained):
            raise ConfigError("new_classifier=True leaves out that of a file: give ckpt_path or pretrained")
        if isinstance(self.freeze, int):
            check_numbers(self, "give backbone, or a number of stages, 0 or more", "freeze")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Loss.

    Args:
        loss: CE is cross entropy, BCE binary cross entropy.
        label_smoothing: Part of the target that is spread over all classes.
        aux_factor: Weight of the loss of a model's auxiliary outputs.
    """

    loss: Literal["CE", "BCE"] = "CE"
    label_smoothing: float = 0.0
    aux_factor: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "give a part from 0 to below 1", "label_smoothing", high=0.999)
        check_numbers(self, "give 0 or more", "aux_factor")


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """Knowledge distillation.

    Args:
        teacher: What the network also learns from: a registered model, or an ONNX file (.onnx).
        teacher_ckpt_path: Checkpoint of a teacher that is a registered model.
        distill_alpha: Weight of what the teacher says; the rest is that of the labels.
        distill_temperature: What logits are divided by before they are compared.
        distill_hard: Learn the teacher's first choice instead of its probabilities.
    """

    teacher: str = ""
    teacher_ckpt_path: str = ""
    distill_alpha: float = 0.5
    distill_temperature: float = 1.0
    distill_hard: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, "give a weight from 0 to 1", "distill_alpha", high=1)
        check_numbers(self, "give a positive number", "distill_temperature", low=1e-3)
        for key in ("distill_alpha", "distill_temperature", "distill_hard"):
            value = getattr(self, key)
            if not self.teacher and value != getattr(TeacherConfig, key):
                raise ConfigError(f"{key}={value} has no teacher: give one, or leave it out")
        if self.teacher and not self.is_onnx and not self.teacher_ckpt_path:
            raise ConfigError(
                f"teacher={self.teacher} would know nothing without its weights: give teacher_ckpt_path"
            )
        if self.teacher_ckpt_path and (self.is_onnx or not self.teacher):
            remedy = "leave it out: an ONNX file has its weights"
            remedy = remedy if self.is_onnx else "give its model as teacher"
            raise ConfigError(f"teacher_ckpt_path={self.teacher_ckpt_path} has no model to go into: {remedy}")

    @property
    def is_onnx(self) -> bool:
        """Whether the teacher is an ONNX file."""
        return self.teacher.endswith(".onnx")
