"""The cases: each recipe, and each option that brings operators of its own, on a network of three blocks."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv import build
from mindcv.config import Config, load_config
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.inference import network_logits
from mindcv.loss import create_loss
from mindcv.models import MnasNet, create_model, register_model
from mindcv.models.mnasnet import Stage
from mindcv.models.mobilenetv3 import MobileNetV3
from mindcv.optim import OPTIMIZERS
from mindcv.runtime.launch import detect_launch
from mindcv.runtime.session import Runtime, start
from mindcv.step import EvalStep
from tests.support.paths import ROOT

RECIPES = sorted(path.stem for path in (ROOT / "configs" / "mnasnet").glob("*.yaml"))
CLASSES = 6
SIZE = {"image_resize": 32, "batch_size": 2, "num_classes": CLASSES}
PLAIN = {"model": "tiny", "opt": "momentum", "drop_rate": 0.0, **SIZE}
EVERYTHING = {
    **PLAIN,
    "opt": "rmsprop",
    "eps": 1e-3,
    "weight_decay": 1e-5,
    "weight_decay_filter": "norm_and_bias",
    "layer_decay": 0.8,
    "label_smoothing": 0.1,
    "drop_rate": 0.2,
    "drop_path_rate": 0.2,
    "ema": True,
    "loss_scale": 1024.0,
    "loss_scale_type": "dynamic",
    "gradient_accumulation_steps": 2,
    "clip_grad": True,
    "clip_mode": "agc",
    "clip_value": 0.1,
}
# Of the options by flat name; `labels` and `teacher` belong to these tests.
INGREDIENTS: dict[str, dict[str, Any]] = {
    "everything at once": EVERYTHING,
    **{f"opt {name}": {"opt": name, "weight_decay": 1e-4} for name in OPTIMIZERS},
    "adam, nesterov": {"opt": "adam", "use_nesterov": True},
    **{f"amp {level}": {"amp_level": level, "val_amp_level": level} for level in ("O1", "O2", "O3")},
    "bce": {"loss": "BCE", "label_smoothing": 0.1},
    "probabilities as labels": {"labels": "probabilities"},
    "bce, probabilities as labels": {"loss": "BCE", "labels": "probabilities"},
    "clip by norm": {"clip_grad": True},
    "clip by value": {"clip_grad": True, "clip_mode": "value"},
    "fixed scale, overflows skipped": {"loss_scale": 128.0, "drop_overflow_update": True},
    "padding same": {"padding": "same"},
    "frozen backbone": {"freeze": "backbone"},
    "grey images": {"in_channels": 1},
    "soft teacher": {"teacher": "tiny"},
    "hard teacher": {"teacher": "tiny", "distill_hard": True},
    "teacher in an ONNX file": {"teacher": "teacher.onnx"},
    "mobilenet_v3 blocks": {"model": "tiny_v3"},
}
CASES: dict[str, str | dict[str, Any]] = {**{name: name for name in RECIPES}, **INGREDIENTS}
TWO_RANKS = {"two ranks": {**PLAIN, "distribute": True, "sync_bn": True}}
REAL_NETWORKS = {
    name: {**PLAIN, "model": name} for name in ("mnasnet_small", "mobilenet_v2_050", "mobilenet_v3_small_100")
}


def tiny(**options: Any) -> MnasNet:
    stages = (
        Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
        Stage(expand=2, channels=8, blocks=2, stride=2, kernel=5, se=0.25),
    )
    return MnasNet(stages, 1.0, 8, **options)


def tiny_v3(**options: Any) -> MobileNetV3:
    stages = (
        Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3, activation=nn.ReLU),
        Stage(expand=2, channels=16, blocks=2, stride=2, kernel=5, se=0.25),
    )
    return MobileNetV3(stages, 64, **options)


def register_networks() -> None:
    """Register the networks of the cases: for a process of its own, since other tests list all models."""
    register_model(options_of=MnasNet)(tiny)
    register_model(options_of=MobileNetV3)(tiny_v3)


def config_of(case: str | Mapping[str, Any], teacher: str) -> tuple[Config, bool]:
    """Return the options of a case, and whether its labels are probabilities."""
    if isinstance(case, str):
        changed = {"model": "tiny", "distribute": False, "pretrained": False, "new_classifier": False, **SIZE}
        given = [part for key, value in changed.items() for part in (f"--{key}", str(value))]
        config = load_config(["-c", str(ROOT / "configs" / "mnasnet" / f"{case}.yaml"), *given])
        options = config.options()
        return config, options["mixup"] + options["cutmix"] > 0
    options = {**PLAIN, **case}
    probabilities = options.pop("labels", "") == "probabilities"
    if options.get("teacher") == "tiny":
        options["teacher_ckpt_path"] = teacher
    return Config.from_options(options), probabilities


def run_case(mode: int, case: str | Mapping[str, Any]) -> Runtime:
    """Take a step of training, one of evaluation and one of inference.

    Args:
        mode: 0 for graph mode, 1 for PyNative mode.
        case: Name of a recipe, or options by flat name.

    Returns:
        This process.
    """
    runtime = start(device_target="CPU", mode=mode, distribute=detect_launch().world_size > 1)
    with tempfile.TemporaryDirectory() as folder:
        teacher = Path(folder) / "teacher.ckpt"
        weights = create_model("tiny", num_classes=CLASSES).parameters_dict()
        write_checkpoint(teacher, weights, {"config": {}, "classes": []})
        config, probabilities = config_of(case, str(teacher))
        network = build.build_network(config, (), runtime, is_training=True)
        ema_model = build.build_ema_model(config, network, (), runtime)
        forward = build.build_forward(config, network, ())
    optimizer = build.build_optimizer(config, network, [0.01, 0.01])
    step = build.build_train_step(config, network, forward, optimizer, ema_model, runtime).set_train()
    images, labels = build.build_synthetic_batch(config)
    hot = Tensor(np.eye(CLASSES, dtype=np.float32)[labels.asnumpy()])
    extra = (hot,) if config.teacher.is_onnx else ()
    for _ in range(config.gradient.gradient_accumulation_steps):
        step(images, hot if probabilities else labels, *extra).asnumpy()
    evaluated = EvalStep(build.normalized(config, network), create_loss(config.loss.name, reduction="none"))
    for count in evaluated.set_train(False)(images, labels):
        count.asnumpy()
    network_logits(build.build_evaluated_network(config, runtime))(images.asnumpy())
    ms.set_context(mode=ms.PYNATIVE_MODE)
    return runtime
