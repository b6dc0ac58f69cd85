"""Knowledge distillation: a student learns from the labels and from the logits of a teacher."""

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindcv.errors import UserError

__all__ = ["DistillationLoss", "NetworkWithTeacher", "NetworkWithTeacherLogits"]

TEACHER_PREFIX = "teacher."


class DistillationLoss(nn.Cell):
    r"""Mixes the loss of the labels with one of the teacher's logits.

    With student logits x, teacher logits t and temperature T the result is, averaged over the batch,

    - soft: :math:`(1 - \alpha) L(x, y) + \alpha T^2 KL(softmax(t / T) \| softmax(x / T))`, Hinton et al. 2015
      (arXiv 1503.02531). The factor :math:`T^2` keeps the gradients as large as at T = 1.
    - hard: :math:`(1 - \alpha) L(x, y) + \alpha CE(x, argmax\ t)`, Touvron et al. 2020 (DeiT,
      arXiv 2012.12877). It has no temperature. Of equal logits the first one counts.

    It is computed in float32. No gradient reaches the teacher.

    Args:
        loss: L; takes the student's output and the labels and returns a scalar, the mean over the batch.
        alpha: Weight of the teacher's loss, 0 to 1.
        temperature: Above 1 it makes the teacher's probabilities softer; unused if ``hard``.
        hard: Learn the teacher's hard label (argmax) instead of its probabilities.

    Inputs:
        - **logits** - Of the student: [N, C], or a tuple (main, auxiliary...) of such. The teacher is
          compared with the main one; ``loss`` weighs the others.
        - **teacher_logits** - [N, C].
        - **labels** - Class indices [N] or probabilities [N, C].

    Outputs:
        Scalar of type float32.

    Raises:
        UserError: If alpha or temperature is out of range.
    """

    def __init__(self, loss: nn.Cell, *, alpha: float, temperature: float, hard: bool = False) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise UserError(
                f"alpha={alpha} is out of range: give the weight of the teacher's loss, from 0 to 1"
            )
        if not 0 < temperature < float("inf"):
            raise UserError(f"temperature={temperature} is out of range: give a number above 0")
        self.loss = loss
        self.alpha = alpha
        self.temperature = temperature
        self.hard = hard

    def construct(self, logits, teacher_logits, labels):
        """Return the mixed loss."""
        student = _main(logits).astype(ms.float32)
        teacher = ops.stop_gradient(teacher_logits).astype(ms.float32)
        if student.shape != teacher.shape:
            raise ValueError("the teacher's logits need the shape of the student's, [N, C]")
        taught = self.hard_label_loss(student, teacher) if self.hard else self.divergence(student, teacher)
        return (1 - self.alpha) * self.loss(logits, labels) + self.alpha * taught

    def divergence(self, student, teacher):
        """Return the divergence of the student's probabilities from the teacher's, at the temperature."""
        teacher_log = ops.log_softmax(teacher / self.temperature, -1)
        student_log = ops.log_softmax(student / self.temperature, -1)
        divergences = (ops.exp(teacher_log) * (teacher_log - student_log)).sum(axis=1)
        return self.temperature**2 * divergences.mean()

    def hard_label_loss(self, student, teacher):
        """Return the cross entropy with the teacher's hard label (argmax)."""
        label = ops.argmax(teacher, 1).expand_dims(1)
        return -ops.gather_elements(ops.log_softmax(student, -1), 1, label).mean()


class NetworkWithTeacher(nn.Cell):
    """Runs a student and, on the same images, its teacher: images and labels to a loss.

    The teacher always evaluates, with the running statistics of batch normalisation and without dropout,
    although the step around it is set to training. Its parameters are frozen, and their names get the prefix
    ``teacher.``, so that they stay apart from the student's; load its weights before. The teacher
    is neither optimised nor broadcast nor saved, as only the unwrapped student is.

    Args:
        network: The student: takes uint8 images of shape [N, C, H, W] and returns logits.
        teacher: Takes the same images and returns logits; it brings its own `Normalized`.
        loss: Takes the logits of both and the labels, as `DistillationLoss` does.

    Inputs:
        - **images** - uint8, [N, C, H, W].
        - **labels** - As the loss takes them.

    Outputs:
        Scalar, the loss.
    """

    def __init__(self, network: nn.Cell, teacher: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.teacher = _Frozen(teacher)
        self.loss = loss

    def construct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        teacher_logits = ops.stop_gradient(_main(self.teacher(images)))
        return self.loss(self.network(images), teacher_logits, labels)


class NetworkWithTeacherLogits(nn.Cell):
    """Runs a student on batches that contain the teacher's logits: images, labels and logits to a loss.

    Args:
        network: The student: takes uint8 images of shape [N, C, H, W] and returns logits.
        loss: Takes the logits of both and the labels, as `DistillationLoss` does.

    Inputs:
        - **images** - uint8, [N, C, H, W].
        - **labels** - As the loss takes them.
        - **teacher_logits** - float32, [N, num_classes].

    Outputs:
        Scalar, the loss.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss

    def construct(self, images: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return self.loss(self.network(images), teacher_logits, labels)


class _Frozen(nn.Cell):
    """Keeps a network frozen and in evaluation mode, whatever the cell around it is set to."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.set_train(False)
        for parameter in network.get_parameters():
            parameter.requires_grad = False
            if not parameter.name.startswith(TEACHER_PREFIX):
                parameter.name = TEACHER_PREFIX + parameter.name

    def set_train(self, mode: bool = True) -> "_Frozen":
        """Keep evaluation mode."""
        return super().set_train(False)

    def add_flags_recursive(self, **flags: Any) -> nn.Cell:
        """Set flags, but keep evaluation mode."""
        # The surrounding cell's set_train uses this method for its children instead of their set_train.
        if "training" in flags:
            flags["training"] = False
        return super().add_flags_recursive(**flags)

    def construct(self, images: Tensor) -> Tensor:
        """Return the network's output."""
        return self.network(images)


def _main(logits):
    """Return the main output of a network that may have auxiliary ones."""
    return logits[0] if isinstance(logits, (tuple, list)) else logits
