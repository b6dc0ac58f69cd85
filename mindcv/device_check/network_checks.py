"""Checks that run a network: forward, backward, evaluation, mixed precision, loss scale, EMA and export."""

from importlib.util import find_spec

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import ArrayLike

from mindcv.choices import HalfPrecision
from mindcv.device_check.finding import Finding, compare, same
from mindcv.device_check.setting import CLASSES, MEAN, SIZE, STD, Setting
from mindcv.export import ImageFormat, expect, export_mindir, export_onnx
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer
from mindcv.step import Ema, EvalStep, LossScale, TrainStep, initialize_ema_model

__all__ = ["backward", "ema", "evaluation", "export", "forward", "loss_scale", "mixed_precision", "scored"]

FLOAT32 = 5e-3  # accelerators may round the inputs of a convolution to 10 bits (TF32, HF32)
HALF = 5e-2
EMA = 1e-5


def forward(setting: Setting) -> list[Finding]:
    """Compare the logits in evaluation with a CPU's."""
    network = setting.normalized(setting.network()).set_train(False)
    logits = network(setting.batch[0]).asnumpy()
    return [compare("logits", setting.reference["logits"], logits, FLOAT32)]


def backward(setting: Setting) -> list[Finding]:
    """Compare the loss in training and the norm of each gradient with a CPU's."""
    network = setting.network()
    cell = setting.forward(network).set_train()
    loss, gradients = ops.value_and_grad(cell, None, network.trainable_params())(*setting.batch)
    norms = [float(np.linalg.norm(gradient.asnumpy())) for gradient in gradients]
    return [
        compare("loss", setting.reference["loss"], float(loss), FLOAT32),
        compare("norms of the gradients", setting.reference["gradient_norms"], norms, 4 * FLOAT32),
    ]


def evaluation(setting: Setting) -> list[Finding]:
    """Compare the counts of an evaluation with a CPU's: they are integers."""
    loss, counts = scored(setting, setting.reference["logits"])
    return [
        compare("sum of the losses", setting.reference["evaluation_loss"], loss, FLOAT32),
        same("top-1 and top-5 counts", [1, 2], counts),
    ]


def scored(setting: Setting, logits: ArrayLike) -> tuple[float, list[int]]:
    """Score the images with labels that rank first, third and last in some logits, and with one as padding.

    Args:
        setting: Device, numbers and folder.
        logits: Logits of the four images, a CPU's.

    Returns:
        The sum of the losses, and the top-1 and top-5 counts.
    """
    ranked = np.argsort(-np.asarray(logits), axis=1)
    labels = np.array([ranked[0, 0], ranked[1, 2], ranked[2, -1], -1], np.int32)
    step = EvalStep(setting.normalized(setting.network()), create_loss("CE", reduction="none"))
    loss, top1, top5 = step.set_train(False)(setting.batch[0], Tensor(labels))
    return float(loss), [int(top1), int(top5)]


def mixed_precision(setting: Setting) -> list[Finding]:
    """Compare the logits in half precision with a CPU's in float32."""
    findings = []
    kinds: tuple[HalfPrecision, ...] = ("fp16",) if setting.runtime.device == "CPU" else ("fp16", "bf16")
    for kind in kinds:
        for level in ("O1", "O2", "O3"):
            network = setting.normalized(setting.network(level, kind)).set_train(False)
            logits = network(setting.batch[0]).asnumpy().astype(np.float32)
            findings.append(compare(f"logits, {level}, {kind}", setting.reference["logits"], logits, HALF))
    return findings


def loss_scale(setting: Setting) -> list[Finding]:
    """Check that an overflow in half precision skips the update and halves a dynamic loss scale."""
    network = setting.network("O2")
    scale = LossScale(2.0**24, dynamic=True)
    optimizer = create_optimizer(network, "momentum", lr=0.1)
    step = TrainStep(setting.forward(network), optimizer, loss_scale=scale).set_train()
    before = [parameter.asnumpy().copy() for parameter in network.trainable_params()]
    step(*setting.batch).asnumpy()
    after = [parameter.asnumpy() for parameter in network.trainable_params()]
    unchanged = all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    return [
        same("skipped updates", 1, int(scale.overflows.asnumpy())),
        same("loss scale after the overflow", 2.0**23, float(scale.value.asnumpy())),
        same("weights unchanged", True, unchanged),
    ]


def ema(setting: Setting) -> list[Finding]:
    """Compare the EMA of three updates with its formula, from the weights after each update."""
    network, ema_model = setting.network(), setting.network()
    initialize_ema_model(ema_model, network)
    average = Ema(network, ema_model, 0.9)
    optimizer = create_optimizer(network, "rmsprop", lr=0.01, eps=1e-3)
    step = TrainStep(setting.forward(network), optimizer, ema=average).set_train()
    expected = _values(network)
    for update in range(1, 4):
        step(*setting.batch).asnumpy()
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * _values(network)
    return [compare("EMA weights after 3 updates", expected, _values(ema_model), EMA)]


def _values(network: nn.Cell) -> np.ndarray:
    values = [parameter.asnumpy().ravel() for parameter in network.get_parameters()]
    return np.concatenate(values).astype(np.float64)


def export(setting: Setting) -> list[Finding]:
    """Export to MindIR and, where the packages are installed, to ONNX; the exports verify themselves."""
    images = ImageFormat(channels=3, size=SIZE, mean=MEAN, std=STD, uint8_input=False)
    network = setting.network()
    reference = expect(network, images)
    path = setting.folder / "checked.mindir"
    differences = {"MindIR": export_mindir(network, path, reference, metadata={"classes": CLASSES})}
    if ms.get_context("mode") == ms.GRAPH_MODE and find_spec("onnx") and find_spec("onnxruntime"):
        path = setting.folder / "checked.onnx"
        differences["ONNX"] = export_onnx(setting.network(), path, reference, metadata={})
    return [
        Finding(
            what=f"logits of the {kind} file",
            expected="the network's",
            got="",
            difference=difference,
            tolerance=FLOAT32,
        )
        for kind, difference in differences.items()
    ]
