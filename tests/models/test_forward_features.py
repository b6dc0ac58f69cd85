"""Features and logits of the same images, one after the other in one process."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models import create_model


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=before)


def test_features_keep_their_positions_after_logits_of_the_same_images(mode):
    # PyNative mode took the two operators for one, and wrote the features past the end of a pooled result.
    images = Tensor(np.random.default_rng(0).normal(size=(2, 3, 64, 64)), ms.float32)
    network = create_model("mnasnet_050").set_train(False)
    logits = network(images).asnumpy()
    features = network.forward_features(images)
    assert features.shape == (2, 1280, 2, 2)
    np.testing.assert_allclose(network.forward_head(features).asnumpy(), logits, rtol=1e-4, atol=1e-4)
    another = create_model("mnasnet_050").set_train(False)
    assert another.forward_features(images).shape == (2, 1280, 2, 2)
