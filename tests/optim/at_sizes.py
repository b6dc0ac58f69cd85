"""Update tensors of many sizes with every optimizer, in a process that has one or two cores.

Run as ``python -m tests.optim.at_sizes CORES OUT``: it writes the parameters after the updates to OUT, an
.npz file with the keys ``mode/kernels/case/size``. Kernels is 1 with those of this package, where it has one
for the optimizer, and 0 without, as on other devices; what has one does without in PyNative mode on one core
only, to save time. MindSpore's kernels use as many threads as the process has cores, and have vectorised
paths that begin at 8 elements.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

SIZES = (1, 7, 8, 9, 64, 100_003)
UPDATES = 200
LR = 0.01
# Coupled weight decay is small here: where it outweighs the gradient, an optimizer whose steps do not depend
# on the gradient's size amplifies rounding errors from update to update.
WEIGHT_DECAY = {"adamw": 0.1, "adan": 0.1, "lamb": 0.1, "lion": 0.1}
COUPLED_WEIGHT_DECAY = 1e-5
DRAWS = 10  # gradients, which the updates cycle through


def starts() -> list[np.ndarray]:
    """Parameters before the first update, of magnitudes from 1e-6 to 1 and both signs."""
    return [_values(np.random.default_rng((1, size)), size) for size in SIZES]


def draws() -> list[list[np.ndarray]]:
    """Gradients of magnitudes from 1e-6 to 1; that of an element stays within a factor from draw to draw."""
    sets = []
    for draw in range(DRAWS):
        rngs = [np.random.default_rng((2, size, draw)) for size in SIZES]
        scales = [np.abs(_values(np.random.default_rng((3, size)), size)) for size in SIZES]
        sets.append(
            [
                (scale * rng.uniform(-0.5, 1, scale.size)).astype(np.float32)
                for scale, rng in zip(scales, rngs, strict=True)
            ]
        )
    return sets


def gradients() -> Iterator[list[np.ndarray]]:
    """The gradients of each update."""
    sets = draws()
    for update in range(UPDATES):
        yield sets[update % DRAWS]


def decay_of(options: dict[str, Any]) -> float:
    """The weight decay to use with the options of a case."""
    return WEIGHT_DECAY.get(options["opt"], COUPLED_WEIGHT_DECAY)


def _values(rng: np.random.Generator, size: int) -> np.ndarray:
    magnitudes = 10 ** rng.uniform(-6, 0, size)
    return (magnitudes * rng.choice([-1, 1], size)).astype(np.float32)


def main(cores: int, out: str) -> None:
    """Update with each optimizer in both modes and write what comes out."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    # After the choice of cores: MindSpore counts them when it is imported.
    import mindspore as ms
    from mindspore import Parameter, Tensor

    from mindcv.optim import create_optimizer
    from tests.optim.rules import CASES

    sets = [tuple(Tensor(gradient) for gradient in draw) for draw in draws()]
    found = {}
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        for case, (options, _) in CASES.items():
            for kernels in ("1", "0"):
                os.environ["MINDCV_KERNELS"] = kernels
                parameters = [
                    Parameter(Tensor(value), name=f"p{size}")
                    for size, value in zip(SIZES, starts(), strict=True)
                ]
                optimizer = create_optimizer(parameters, lr=LR, weight_decay=decay_of(options), **options)
                if kernels == "1":
                    has_kernel = getattr(optimizer, "fused", None) is not None
                    computed = has_kernel
                else:
                    computed = not has_kernel or cores == 1 or mode == ms.GRAPH_MODE
                if not computed:
                    continue
                for update in range(UPDATES):
                    optimizer(sets[update % DRAWS])
                for size, parameter in zip(SIZES, parameters, strict=True):
                    found[f"{mode}/{kernels}/{case}/{size}"] = parameter.asnumpy()
    np.savez(out, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
