"""Write the numbers that `mindcv check-device` compares with: `python -m tests.devices.make_reference`.

The network's numbers come from this machine's CPU in float32; tests compare them with float64. Those of the
optimizers are the formulas of the papers in float64.
"""

import json
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import ops

from mindcv.device_check.network_checks import scored
from mindcv.device_check.operator_checks import LR, gradients, mask_digests, options_of
from mindcv.device_check.setting import REFERENCE, Setting
from mindcv.optim import OPTIMIZERS
from mindcv.runtime.session import Runtime
from tests.optim.rules import CASES, momentum_rule


def network_numbers() -> dict[str, Any]:
    """Logits, losses and norms of the gradients, by the CPU in PyNative mode."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    setting = Setting(runtime=Runtime(device="CPU"), reference={}, folder=Path(), create_trainer=lambda: None)
    images, labels = setting.batch
    logits = setting.normalized(setting.network()).set_train(False)(images).asnumpy()
    network = setting.network()
    cell = setting.forward(network).set_train()
    loss, found = ops.value_and_grad(cell, None, network.trainable_params())(images, labels)
    return {
        "logits": logits.tolist(),
        "loss": float(loss),
        "gradient_norms": [float(np.linalg.norm(gradient.asnumpy())) for gradient in found],
        "evaluation_loss": scored(setting, logits)[0],
    }


def optimizer_numbers() -> dict[str, list[float]]:
    """Parameters after all updates by each optimizer's formula."""
    numbers = {}
    for name in OPTIMIZERS:
        options = {"opt": name, **options_of(name)}
        (rule,) = [rule for given, rule in CASES.values() if given == options] or [momentum_rule()]
        weights, state = np.zeros(9), {}
        for step, gradient in enumerate(gradients(), 1):
            weights = rule(weights, gradient.astype(np.float64), LR, 0.0, state, step)
        assert not np.any(state.get("unclear", False))
        numbers[name] = weights.tolist()
    return numbers


def reference() -> dict[str, Any]:
    """All numbers."""
    digests = {str(passes): digest for passes, digest in mask_digests().items()}
    return {**network_numbers(), "dropout": digests, "optimizers": optimizer_numbers()}


if __name__ == "__main__":
    REFERENCE.write_text(json.dumps(reference(), indent=1) + "\n", encoding="utf-8")
