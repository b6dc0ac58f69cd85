"""Train on two ranks with everything switched on, and on rank 0 alone with the same images.

It expects a recipe as train.py does, and writes its results to ``found.json``.
"""

import json
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from together import STAGES, differences, spread, values_of, without_normalisation

from mindcv import build
from mindcv.config import Config, parse_args
from mindcv.models import MnasNet, register_model
from mindcv.runtime.program import run_program
from mindcv.runtime.session import Runtime
from mindcv.step import TrainStep

ALONE = Runtime(device="CPU")
CLASSES = 7
BATCH = 6
ACCUMULATION = 2
UPDATES = 3
SIZE = 16


@register_model(options_of=MnasNet)
def tiny(**options) -> nn.Cell:
    """A small MnasNet."""
    return MnasNet(STAGES, 1.0, 8, **options)


def trained(config: Config, runtime: Runtime) -> dict[str, object]:
    """Train an epoch of images on all ranks as train.py does."""
    data = build.build_training_data(config, runtime)
    classes = data.source.classes
    ms.set_seed(100 + runtime.rank)  # each rank has values of its own, until it gets rank 0's
    network = build.build_network(config, classes, runtime, is_training=True)
    ema_model = build.build_ema_model(config, network, classes, runtime)
    optimizer = build.build_optimizer(config, network, [0.05] * data.updates_per_epoch)
    build.broadcast_initial_values(network, optimizer, runtime)
    forward = build.build_forward(config, network, classes)
    step = build.build_train_step(config, network, forward, optimizer, ema_model, runtime).set_train()
    start = values_of(network)
    for batch in data.epoch(0).create_tuple_iterator(num_epochs=1):
        step(*batch)
    before = values_of(network) | values_of(ema_model)
    build.build_statistics_exchange(config, network, ema_model, runtime)()
    after = values_of(network) | values_of(ema_model)
    statistics = {name: value for name, value in before.items() if "moving" in name}
    learnt = {name: value for name, value in before.items() if name not in statistics}
    return {
        "learnt differ by": spread(learnt),
        "statistics differ by": spread(statistics),
        "statistics differ after the exchange by": spread({name: after[name] for name in statistics}),
        "steps": {name: float(np.abs(before[name] - start[name]).max()) for name in start},
        **counts(step),
    }


def counts(step: TrainStep) -> dict[str, int]:
    """Return the counters of a step."""
    return {
        "updates": int(step.optimizer.global_step.asnumpy()[0]),
        "averaged": int(step.ema.updates.asnumpy()),
        "overflows": int(step.loss_scale.overflows.asnumpy()),
    }


def batches(ranks: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels by rank and batch; the last rank's third batch has an infinite pixel."""
    rng = np.random.default_rng(5)
    shape = (ranks, UPDATES * ACCUMULATION, BATCH)
    images = rng.integers(0, 256, (*shape, 3, SIZE, SIZE)).astype(np.float32)
    images[-1, ACCUMULATION, 0, 0, 0, 0] = np.inf
    return images, rng.integers(0, CLASSES, shape).astype(np.int32)


def stepped(
    config: Config, start: nn.Cell, images: np.ndarray, labels: np.ndarray, runtime: Runtime
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The values of a network and of its EMA model after steps from a start, and what was counted."""
    network, ema_model = (without_normalisation(sync_bn=False) for _ in range(2))
    for parameter, value in zip(network.get_parameters(), start.get_parameters(), strict=True):
        parameter.set_data(Tensor(value.asnumpy()))
    optimizer = build.build_optimizer(config, network, [0.1, 0.05, 0.02])
    build.broadcast_initial_values(network, optimizer, runtime)
    forward = build.build_forward(config, network, [""] * CLASSES)
    step = build.build_train_step(config, network, forward, optimizer, ema_model, runtime).set_train()
    for batch in zip(images, labels, strict=True):
        step(*map(Tensor, batch))
    return values_of(network) | values_of(ema_model), counts(step)


def accumulated(config: Config, runtime: Runtime) -> dict[str, object]:
    """Accumulate on all ranks, in a network without batch normalisation; rank 0 also takes the
    steps alone, on the images of an update as one batch.
    """
    config = replace(config, optimizer=replace(config.optimizer, layer_decay=None))  # it has no parts
    images, labels = batches(runtime.world_size)
    ms.set_seed(100 + runtime.rank)
    start = without_normalisation(sync_bn=False)
    together, counted = stepped(config, start, images[runtime.rank], labels[runtime.rank], runtime)
    found: dict[str, object] = {"ranks differ by": spread(together), **counted}
    if runtime.is_main:
        whole = replace(config, gradient=replace(config.gradient, gradient_accumulation_steps=1))
        images, labels = (
            column.reshape(runtime.world_size, UPDATES, ACCUMULATION, BATCH, *column.shape[3:])
            .swapaxes(0, 1)
            .reshape(UPDATES, -1, *column.shape[3:])
            for column in (images, labels)
        )
        alone, found["counted alone"] = stepped(whole, start, images, labels, ALONE)
        found["differences"] = differences(together, alone)
        first = values_of(start)
        found["steps"] = differences(first | {f"ema.{name}": v for name, v in first.items()}, alone)
    return found


def main(config: Config) -> None:
    """Find everything out and write it down."""
    runtime = build.start_runtime(config)
    found: dict[str, object] = {}
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        found[f"trained {mode}"] = trained(config, runtime)
        found[f"accumulated {mode}"] = accumulated(config, runtime)
    if runtime.is_main:
        Path("found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    config = parse_args()
    run_program(lambda: main(config))
