"""MindIR files, loaded again by MindSpore."""

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.export import expect, export_mindir
from mindcv.step import Normalized
from tests.support.exporting import (
    MEAN,
    STD,
    image_format,
    network_logits,
    normalized,
    pixels,
    random_network,
)


@pytest.mark.parametrize(
    ("name", "padding", "uint8_input"),
    [
        pytest.param("semnasnet_075", "symmetric", False, marks=pytest.mark.slow),
        ("mnasnet_small", "same", True),
    ],
)
def test_a_file_gives_the_networks_logits_of_any_batch_and_size(name, padding, uint8_input, tmp_path):
    network = random_network(name, padding=padding, drop_rate=0.3)
    cell = Normalized(network, MEAN, STD) if uint8_input else network
    path = tmp_path / "net.mindir"
    reference = expect(network, image_format(uint8_input=uint8_input))
    assert export_mindir(cell, path, reference, metadata={"classes": ["ä"]}) <= 1e-4
    loaded = nn.GraphCell(ms.load(str(path)))
    for batch, size in ((3, 64), (1, 49)):
        images = pixels(batch, size=size)
        found = loaded(Tensor(images if uint8_input else normalized(images))).asnumpy()
        np.testing.assert_allclose(found, network_logits(network, images), rtol=1e-4, atol=1e-4)
    described = tmp_path / "net.mindir.json"
    assert json.loads(described.read_text(encoding="utf-8")) == {"classes": ["ä"]}
    assert {file.name for file in tmp_path.iterdir()} == {path.name, described.name}
    path.open("r+b").close()  # not read-only, as MindSpore leaves it
