"""Compute with several ranks, and with rank 0 alone from the same inputs.

It expects a recipe as train.py does, writes its results to ``found.json`` and ends with a mistake of the last
rank only.
"""

import json
import time
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv import build
from mindcv.config import Config, parse_args
from mindcv.errors import UserError
from mindcv.models import MnasNet
from mindcv.models.mnasnet import Stage
from mindcv.runtime.collectives import average_parameters, broadcast_parameters, sum_over_ranks
from mindcv.runtime.program import run_program
from mindcv.runtime.session import Runtime
from mindcv.step import BucketReducer

ALONE = Runtime(device="CPU")
CLASSES = 7
BATCH = 6
SIZE = 16
STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=1, stride=2, kernel=3, se=0.25),
)


def without_normalisation(*, sync_bn: bool) -> nn.Cell:
    """A small network that treats each image on its own; there is nothing to synchronise."""
    del sync_bn
    outputs = 8 * (SIZE // 2) ** 2
    return nn.SequentialCell(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Dense(outputs, CLASSES))


def with_normalisation(*, sync_bn: bool) -> nn.Cell:
    """A small MnasNet, whose images meet in the batch normalisations."""
    return MnasNet(STAGES, 1.0, 8, num_classes=CLASSES, drop_rate=0.0, bn_momentum=0.9, sync_bn=sync_bn)


NETWORKS = {"plain": without_normalisation, "normalised": with_normalisation}


def values_of(network: nn.Cell) -> dict[str, np.ndarray]:
    """Copies of all parameters, statistics included."""
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


def network_from(name: str, values: dict[str, np.ndarray]) -> nn.Cell:
    """A network for one device with given values."""
    network = NETWORKS[name](sync_bn=False)
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(values[parameter.name]))
    return network


def after_step(
    config: Config, network: nn.Cell, images: np.ndarray, labels: np.ndarray, runtime: Runtime
) -> tuple[dict[str, np.ndarray], float]:
    """All parameters after one step, and the loss."""
    optimizer = build.build_optimizer(config, network, [0.1])
    build.broadcast_initial_values(network, optimizer, runtime)
    forward = build.build_forward(config, network, [""] * CLASSES)
    step = build.build_train_step(config, network, forward, optimizer, None, runtime).set_train()
    loss = float(step(Tensor(images), Tensor(labels)))
    return values_of(network), loss


def one_step(config: Config, runtime: Runtime, name: str) -> tuple[nn.Cell, dict[str, object]]:
    """Take a step on all ranks; rank 0 also takes it alone, on all the images and on its own."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (runtime.world_size, BATCH, 3, SIZE, SIZE)).astype(np.uint8)
    images[1:] //= 2  # the ranks' means and variances differ
    labels = rng.integers(0, CLASSES, (runtime.world_size, BATCH)).astype(np.int32)
    ms.set_seed(100 + runtime.rank)  # each rank has values of its own, until it gets rank 0's
    network = NETWORKS[name](sync_bn=True)
    before = values_of(network)
    together, loss = after_step(config, network, images[runtime.rank], labels[runtime.rank], runtime)
    found: dict[str, object] = {
        "ranks differ by": spread(together),
        "loss": sum_over_ranks(np.array([loss]))[0] / runtime.world_size,
    }
    if runtime.is_main:
        reference = network_from(name, before)
        whole = images.reshape(-1, *images.shape[2:]), labels.reshape(-1)
        alone, found["loss alone"] = after_step(config, reference, *whole, ALONE)
        found["differences"] = differences(together, alone)
        found["steps"] = differences(before, alone)
        if ms.get_context("mode") == ms.PYNATIVE_MODE:  # once is enough to show that the others matter
            own, _ = after_step(config, network_from(name, before), images[0], labels[0], ALONE)
            found["differences without the others"] = differences(own, alone)
    return network, found


def differences(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest absolute difference in each parameter."""
    return {name: float(np.abs(a[name] - b[name]).max()) for name in b}


def spread(values: dict[str, np.ndarray]) -> float:
    """Largest difference between two ranks in any parameter."""
    flat = np.concatenate([value.ravel() for value in values.values()])
    gathered = ops.AllGather()(Tensor(flat[None])).asnumpy()
    return float(np.ptp(gathered, axis=0).max())


def exchanges(rank: int) -> dict[str, object]:
    """Return the results of the collectives on values that differ between the ranks."""
    numbers = [Parameter(Tensor([1.5 + rank, -2.0 * rank]), name="a"), Parameter(Tensor(4.0**rank), name="b")]
    average_parameters(numbers)
    values = [Parameter(Tensor([[rank + 1.0]]), name="c"), Parameter(Tensor([5 + rank], ms.int32), name="d")]
    broadcast_parameters(values)
    sums = sum_over_ranks(np.array([2.0**24 + 1 + rank, 2.0**40 + 1 + rank, 0.1 * (rank + 1), -rank]))
    return {
        "mean": [p.asnumpy().tolist() for p in numbers],
        "broadcast": [p.asnumpy().tolist() for p in values],
        "sum": sums.tolist(),
        "everywhere": sum_over_ranks(
            np.concatenate([p.asnumpy().ravel() for p in numbers + values])
        ).tolist(),
    }


def bucketed(runtime: Runtime) -> dict[str, float]:
    """Return the largest difference between averages by buckets of several sizes and by single messages."""
    rng = np.random.default_rng(7 + runtime.rank)
    shapes = [(3,), (8, 3, 3, 3), (1,), (100_003,), (), (9, 7), (64,), (5, 1, 5, 5)]
    parameters = [
        Parameter(Tensor(np.zeros(shape, np.float32)), name=f"p{i}") for i, shape in enumerate(shapes)
    ]
    gradients = tuple(
        Tensor(rng.normal(0, 10.0 ** rng.integers(-6, 4), s).astype(np.float32)) for s in shapes
    )
    alone = nn.DistributedGradReducer(parameters, mean=True, degree=runtime.world_size)(gradients)
    found = {}
    for size in (1, 300, 2**30):
        averages = BucketReducer(parameters, runtime.world_size, size)(gradients)
        found[str(size)] = max(
            float(np.abs(a.asnumpy() - b.asnumpy()).max()) for a, b in zip(averages, alone, strict=True)
        )
    return found


def scores(config: Config, runtime: Runtime, network: nn.Cell) -> dict[str, object]:
    """Evaluate together, and on rank 0 alone; and say how many images of each class each rank has."""
    data = build.build_validation_data(config, runtime)
    together = build.build_evaluation(config, network, data, runtime)()
    own = [labels for _, labels in data.epoch().create_tuple_iterator(num_epochs=1, output_numpy=True)]
    counts = np.zeros((runtime.world_size, CLASSES))
    counts[runtime.rank] = np.bincount(np.concatenate(own), minlength=CLASSES)
    found: dict[str, object] = {
        "together": vars(together),
        "classes": sum_over_ranks(counts.ravel()).reshape(counts.shape).tolist(),
    }
    if runtime.is_main:
        whole = build.build_validation_data(config, ALONE)
        found["alone"] = vars(build.build_evaluation(config, network, whole, ALONE)())
    return found


def main(config: Config) -> None:
    """Find everything out, write it down, and fail on the last rank."""
    runtime = build.start_runtime(config)
    found: dict[str, object] = {"rank of rank 0": runtime.rank, "size": runtime.world_size}
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        for name in NETWORKS:
            network, found[f"{name} {mode}"] = one_step(config, runtime, name)
        found[f"exchanges {mode}"] = exchanges(runtime.rank)
        found[f"buckets {mode}"] = bucketed(runtime)
        found[f"scores {mode}"] = scores(config, runtime, network)
    if runtime.is_main:
        Path("found.json").write_text(json.dumps({**found, "end": time.time()}), encoding="utf-8")
    sum_over_ranks(np.zeros(1))
    if runtime.rank == runtime.world_size - 1:
        raise UserError("a mistake that the others did not make")
    sum_over_ranks(np.zeros(1))
    print("this is never reached")


if __name__ == "__main__":
    config = parse_args()
    run_program(lambda: main(config))
