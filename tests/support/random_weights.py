"""Networks of timm, torchvision and ours with random weights, and statistics in which the epsilon matters."""

from collections.abc import Mapping
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.models import create_model
from tests.support.peers import timm, torch, torchvision

TORCHVISION = {
    "mnasnet_050": torchvision.models.mnasnet0_5,
    "mnasnet_075": torchvision.models.mnasnet0_75,
    "mnasnet_100": torchvision.models.mnasnet1_0,
    "mnasnet_130": torchvision.models.mnasnet1_3,
    "mobilenet_v2_100": torchvision.models.mobilenet_v2,
    "mobilenet_v3_large_100": torchvision.models.mobilenet_v3_large,
    "mobilenet_v3_small_100": torchvision.models.mobilenet_v3_small,
}
CLASSES = 10
VARIANCES = {"running_var": "weight", "moving_variance": "gamma"}
MEANS = ("running_mean", "moving_mean")


def images(size: int = 64, channels: int = 3, count: int = 4) -> np.ndarray:
    """Normalised noise."""
    return np.random.default_rng(9).standard_normal((count, channels, size, size), np.float32)


def random_values(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Weights and statistics; variances reach from 2 down to 1e-4, where an epsilon of 1e-3 is much."""
    rng = np.random.default_rng(seed)
    values = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            values[name] = np.array(7, np.int64)
        elif len(shape) > 1:
            values[name] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        else:
            values[name] = rng.normal(0, 0.1, shape)
    for name, shape in shapes.items():
        place, _, last = name.rpartition(".")
        if last in VARIANCES:
            values[name] = np.exp(rng.uniform(np.log(1e-4), np.log(2), shape))
            # What is divided by the deviation is multiplied by it, or fifty layers would overflow.
            values[f"{place}.{VARIANCES[last]}"] = rng.uniform(0.5, 1.5, shape) * np.sqrt(values[name])
    return {n: v if v.dtype == np.int64 else v.astype(np.float32) for n, v in values.items()}


def peer(
    library: str, model: str, seed: int = 0, classes: int = CLASSES, size: int = 64, **options: Any
) -> torch.nn.Module:
    """A network of another library in evaluation, with random weights and logits of about 1."""
    network = fresh(library, model, classes, **options)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    values = random_values(shapes, seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            tensor.copy_(torch.tensor(values[name]))
    scale = float(np.abs(logits_of(network, images(size, options.get("in_chans", 3)))).mean())
    with torch.no_grad():
        for parameter in list(network.classifier.parameters())[-2:]:  # of the last layer
            parameter /= scale
    return network


def fresh(library: str, model: str, classes: int = CLASSES, **options: Any) -> torch.nn.Module:
    """A network of another library in evaluation, as it makes it."""
    if library == "timm":
        model = model.replace("mobilenet_v", "mobilenetv")
        return timm.create_model(model, num_classes=classes, **options).eval()
    return TORCHVISION[model](num_classes=classes, **options).eval()


def ours(model: str, seed: int = 0, classes: int = CLASSES, **options: Any) -> nn.Cell:
    """A network of this project in evaluation, with random weights and logits of about 1."""
    network = create_model(model, classes, **options).set_train(False)
    parameters = network.parameters_dict()
    for name, array in random_values({n: tuple(p.shape) for n, p in parameters.items()}, seed).items():
        parameters[name].set_data(Tensor(array))
    # The copy runs, because a network that has run must not be given other buffers.
    copy = create_model(model, classes, **options).set_train(False)
    ms.load_param_into_net(copy, {n: ms.Parameter(p.asnumpy(), name=n) for n, p in parameters.items()})
    scale = float(np.abs(logits_of(copy, images(64, network.in_channels))).mean())
    for parameter in network.get_classifier().get_parameters():
        parameter.set_data(Tensor(parameter.asnumpy() / np.float32(scale)))
    return network


def logits_of(network: Any, batch: np.ndarray) -> np.ndarray:
    """Return the logits of images from a network of MindSpore or PyTorch."""
    if isinstance(network, nn.Cell):
        return network.set_train(False)(Tensor(batch)).asnumpy()
    with torch.inference_mode():
        return network(torch.tensor(batch)).numpy()
