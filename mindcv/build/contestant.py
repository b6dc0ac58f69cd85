"""Steps that `compare` measures, each in a process of its own that answers lines of input with seconds.

It also runs in interpreters that lack this package, and imports nothing of it but to measure it.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from time import perf_counter
from typing import Any

__all__ = ["STEPS"]

ENOUGH = 0.3  # seconds of an answer's steps
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


Step = Callable[[], Any]  # one step, with its result on the host


def images_and_labels(job: Namespace) -> tuple[Any, Any]:
    """Return random images, uint8 of shape [N, 3, H, W], and labels."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (job.batch, 3, job.size, job.size), dtype=np.uint8)
    return images, random.integers(0, 1000, job.batch, dtype=np.int32)


def own_step(job: Namespace, mode: int) -> Step:
    """Return a step of this package; ``mode`` is 0 for graph and 1 for PyNative."""
    from mindcv.build.runtime import start_runtime
    from mindcv.build.timed_step import build_evaluated_network, build_synthetic_batch, build_timed_step
    from mindcv.config.benchmark_recipe import benchmark_config

    config = benchmark_config(
        model=job.model, mode=mode, device_target="CPU", batch_size=job.batch, image_resize=job.size
    )
    runtime = start_runtime(config)
    images, labels = build_synthetic_batch(config)
    if job.task == "train":
        step = build_timed_step(config, runtime, 100_000)
        return lambda: step(images, labels).asnumpy()
    network = build_evaluated_network(config, runtime)
    return lambda: network(images).asnumpy()


def onnx_step(job: Namespace) -> Step:
    """Return a step of the network that this package exports, in ONNX Runtime as infer.py runs it."""
    import tempfile
    from pathlib import Path

    import mindspore as ms

    from mindcv.files.onnx_network import OnnxNetwork
    from mindcv.models import create_model

    network = create_model(job.model).set_train(False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        shape = (job.batch, 3, job.size, job.size)
        ms.export(network, ms.ops.ones(shape), file_name=str(path), file_format="ONNX")
        runnable = OnnxNetwork(path, mean=MEAN, std=STD)
    images = images_and_labels(job)[0]
    return lambda: runnable(images)


def torch_step(job: Namespace, *, channels_last: bool) -> Step:
    """Return a step of timm's network in PyTorch, with the same loss and optimizer."""
    import torch

    try:
        import torchvision  # noqa: F401 - timm does
    except RuntimeError:  # its operators, which the networks do not use, miss a CPU build of PyTorch
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            operators.define(f"{name}() -> ()")
    import timm

    kinds: dict[str, Any] = {"memory_format": torch.channels_last} if channels_last else {}
    network = timm.create_model(job.model, drop_rate=0.2).to(**kinds)
    arrays = images_and_labels(job)
    images, labels = torch.tensor(arrays[0]), torch.tensor(arrays[1]).long()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))

    def normalized() -> Any:
        return ((images.float() - mean) / std).to(**kinds)

    if job.task == "infer":
        network.eval()

        def infer() -> Any:
            with torch.inference_mode():
                return network(normalized()).numpy()

        return infer
    network.train()
    options = {"alpha": 0.9, "momentum": 0.9, "eps": 1e-3, "weight_decay": 1e-5, "foreach": True}
    optimizer = torch.optim.RMSprop(network.parameters(), lr=0.016, **options)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)

    def train() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(network(normalized()), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def mindcv_step(job: Namespace) -> Step:
    """Return a step of MindCV in graph mode, by its public functions."""
    import mindspore as ms
    from mindspore import Tensor, nn

    from mindcv.loss import create_loss
    from mindcv.models import create_model
    from mindcv.optim import create_optimizer

    ms.set_context(mode=ms.GRAPH_MODE)
    network = create_model(job.model, num_classes=1000)
    arrays = images_and_labels(job)
    images, labels = Tensor(((arrays[0] - 118.0) / 57.0).astype("float32")), Tensor(arrays[1])
    if job.task == "infer":
        network.set_train(False)
        return lambda: network(images).asnumpy()
    loss = create_loss("CE", label_smoothing=0.1)
    options: dict[str, Any] = {"weight_decay": 1e-5, "momentum": 0.9, "eps": 1e-3, "loss_scale": 256.0}
    optimizer = create_optimizer(network.trainable_params(), "rmsprop", lr=0.016, **options)
    step = nn.TrainOneStepCell(nn.WithLossCell(network, loss), optimizer, sens=256.0).set_train()
    return lambda: step(images, labels).asnumpy()


STEPS: dict[str, Callable[[Namespace], Step]] = {
    "graph": lambda job: own_step(job, 0),
    "pynative": lambda job: own_step(job, 1),
    "onnx": onnx_step,
    "torch": lambda job: torch_step(job, channels_last=False),
    "torch_channels_last": lambda job: torch_step(job, channels_last=True),
    "mindcv": mindcv_step,
}


def seconds_per_step(step: Step) -> float:
    """Return the time of a step: the mean over as many as take `ENOUGH` seconds, at least one."""
    started, steps = perf_counter(), 0
    while steps == 0 or perf_counter() - started < ENOUGH:
        step()
        steps += 1
    return (perf_counter() - started) / steps


def main() -> None:
    """Prepare a step, take two to warm up, and answer each line with a time."""
    name, job = sys.argv[1], Namespace(**json.loads(sys.argv[2]))
    step = STEPS[name](job)
    for _ in range(2):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        print("seconds:", seconds_per_step(step), flush=True)


if __name__ == "__main__":
    main()
