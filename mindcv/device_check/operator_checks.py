"""Checks of operators: dropout masks, optimizers, and collectives between processes."""

import hashlib
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops

from mindcv.device_check.finding import Finding, compare, same
from mindcv.device_check.setting import Setting
from mindcv.models.dropout import Dropout, RandomState
from mindcv.optim import OPTIMIZERS, create_optimizer
from mindcv.runtime.collectives import average_parameters, broadcast_parameters

__all__ = ["LR", "collectives", "dropout", "gradients", "mask_digests", "optimizers", "options_of", "updated"]

PASSES = (0, 1, 2**30)  # forward passes before a mask is drawn
SHAPE = (16, 1280)
UPDATES, LR = 20, 0.01
FORMULA = 1e-4


def dropout(setting: Setting) -> list[Finding]:
    """Compare dropout masks with a CPU's, bit by bit."""
    return [
        same(f"mask after {passes} passes, SHA-256", setting.reference["dropout"][str(passes)], digest)
        for passes, digest in mask_digests().items()
    ]


def mask_digests() -> dict[int, str]:
    """Return a digest of the bits of a mask by the number of forward passes before it."""
    digests = {}
    for passes in PASSES:
        state = RandomState(seed=7)
        state.passes.set_data(Tensor(passes, ms.int32))
        mask = Dropout(0.3, state, layer=2).mask(SHAPE, ms.float32).asnumpy()
        digests[passes] = hashlib.sha256(np.packbits(mask > 0).tobytes()).hexdigest()[:16]
    return digests


def gradients() -> list[np.ndarray]:
    """Return the gradients of each update: 9 elements of magnitudes from 1e-6 to 1."""
    numbers = np.random.RandomState(2)
    magnitudes = 10.0 ** np.linspace(-6, 0, 9)
    return [(magnitudes * numbers.uniform(0.5, 1, 9)).astype(np.float32) for _ in range(UPDATES)]


def options_of(name: str) -> dict[str, Any]:
    """Return the options of an optimizer that differ from its defaults: the ImageNet recipes' epsilon."""
    return {"eps": 1e-3} if name == "rmsprop" else {}


def updated(name: str) -> np.ndarray:
    """Return parameters that started from zero after all updates of an optimizer."""
    parameter = Parameter(Tensor(np.zeros(9, np.float32)), name="parameter")
    optimizer = create_optimizer([parameter], name, lr=LR, **options_of(name))
    for gradient in gradients():
        optimizer((Tensor(gradient),))
    return parameter.asnumpy()


def optimizers(setting: Setting) -> list[Finding]:
    """Compare each optimizer's updates with its formula in float64, element by element."""
    return [
        compare(name, setting.reference["optimizers"][name], updated(name), FORMULA, elementwise=True)
        for name in OPTIMIZERS
    ]


def collectives(setting: Setting) -> list[Finding]:
    """Check what the processes of a training job exchange; nothing where there is only one."""
    runtime = setting.runtime
    ranks = np.arange(runtime.world_size)
    if runtime.world_size == 1:
        return []
    own = np.full(1000, runtime.rank + 1, np.float32)
    broadcast, averaged = (Parameter(Tensor(own), name=name) for name in ("broadcast", "averaged"))
    broadcast_parameters([broadcast])
    average_parameters([averaged])
    exact = runtime.sum_over_ranks(np.array([2.0**53 - 1 - runtime.world_size, 1.0 / 3]))
    return [
        same("AllReduce", float((ranks + 1).sum()), float(ops.AllReduce()(Tensor(own)).asnumpy()[-1])),
        same("broadcast from rank 0", 1.0, float(broadcast.asnumpy()[-1])),
        compare("mean over the ranks", (ranks + 1).mean(), averaged.asnumpy()[-1], 1e-6),
        compare("sum of float64", runtime.world_size * (2.0**53 - 1 - runtime.world_size), exact[0], 1e-15),
    ]
