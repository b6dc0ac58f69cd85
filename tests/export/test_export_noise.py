"""Rounding is no mistake of an export, and a mistake is no rounding."""

import mindspore as ms
import numpy as np
import onnxruntime
import pytest

from mindcv.export import ExportError, ImageFormat, expect, export_onnx
from mindcv.export.verify import LIMIT, NOISES, TOLERANCE, Reference, rounding_noise
from tests.support.exporting import MEAN, STD, image_format, normalized, pixels, random_network
from tests.support.float64 import exact_logits
from tests.support.networks import values_of
from tests.support.random_weights import ours

IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


@pytest.fixture(autouse=True)
def _pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.mark.parametrize(("padding", "uint8_input", "size"), [("same", False, 64), ("symmetric", True, 65)])
def test_a_network_that_magnifies_rounding_is_exported_because_float64_lies_between(
    padding, uint8_input, size, tmp_path
):
    network = ours("mobilenet_v3_large_100", seed=4, padding=padding, bn_eps=1e-5)
    images = ImageFormat(channels=3, size=size, uint8_input=uint8_input, **IMAGENET)
    reference = expect(network, images)
    difference = export_onnx(network, tmp_path / "net.onnx", reference, metadata={})
    batch = np.concatenate(reference.batches)
    logits, exact = np.concatenate(reference.logits), exact_logits(network, images.normalized(batch))
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(None, {"images": images.given(batch)})[0])
    largest = max(1, np.abs(exact).max())
    errors = [np.abs(values - exact).max() / largest for values in (logits, found)]
    noise = rounding_noise(network, images.normalized(batch))
    assert max(errors) <= NOISES * noise  # neither computes anything else than float64 does
    assert difference <= 1.01 * sum(errors)
    assert TOLERANCE / 4 < noise < LIMIT / NOISES


@pytest.mark.parametrize("name", ["mobilenet_v3_small_100", "mnasnet_small"])
def test_the_noise_of_ordinary_networks_allows_nothing_more(name):
    network = random_network(name)
    before = values_of(network)
    noise = rounding_noise(network, normalized(pixels(2)))
    assert 0 < NOISES * noise < TOLERANCE
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name])


def test_another_padding_is_no_noise(tmp_path):
    same, symmetric = (
        ours("mobilenet_v3_large_100", seed=4, padding=p, bn_eps=1e-5) for p in ("same", "symmetric")
    )
    images = ImageFormat(channels=3, size=64, mean=MEAN, std=STD)
    with pytest.raises(ExportError, match="the file is not kept"):
        export_onnx(symmetric, tmp_path / "net.onnx", expect(same, images), metadata={})
    assert list(tmp_path.iterdir()) == []


def test_the_allowance_is_a_multiple_of_the_noise_and_has_a_limit(tmp_path):
    batches, logits = [pixels(1, size=4)], [np.ones((1, 2), np.float32)]

    def check(error: float, noise: float) -> float:
        reference = Reference(
            images=image_format(size=4, uint8_input=True), batches=batches, logits=logits, noise=lambda: noise
        )
        return reference.check(lambda _: logits[0] + np.float32(error), tmp_path / "net.onnx")

    assert check(9e-4, 3e-4) == pytest.approx(9e-4, rel=1e-3)
    for error, noise, allowed in ((9e-4, 2e-4, "0.0008"), (2e-4, 1e-6, "0.0001"), (2e-2, 1.0, "0.0001")):
        with pytest.raises(ExportError, match=f"more than {allowed}: the file is not kept"):
            check(error, noise)
    with pytest.raises(ExportError, match="by nan"):
        check(np.nan, 1.0)
