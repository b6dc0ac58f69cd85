"""The epsilon of batch normalisation belongs to the weights: taken from the file, or folded into gamma."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from mindcv.models.weights import load_weights
from mindcv.models.weights.adaptation import adapt_stem, fold_eps
from tests.support.networks import values_of
from tests.support.peers import timm, torch
from tests.support.random_weights import CLASSES, images, logits_of, ours

MODEL = "mnasnet_small"
EPSILONS = st.floats(1e-8, 0.1)


@settings(deadline=None)
@given(
    arrays(np.float32, 5, elements=st.floats(0, 100, width=32)),
    arrays(np.float32, 5, elements=st.floats(-10, 10, width=32)),
    EPSILONS,
    EPSILONS,
)
def test_folding_changes_no_result_of_a_normalisation(variance, gamma, old, new):
    folded = fold_eps({"n.gamma": gamma, "n.moving_variance": variance, "n.beta": gamma}, old, new)
    before = gamma / np.sqrt(variance.astype(np.float64) + old)
    after = folded["n.gamma"] / np.sqrt(variance.astype(np.float64) + new)
    np.testing.assert_allclose(after, before, rtol=2e-7, atol=1e-40)
    assert folded["n.gamma"].dtype == np.float32
    np.testing.assert_array_equal(folded["n.beta"], gamma)
    np.testing.assert_array_equal(folded["n.moving_variance"], variance)


def test_a_variance_below_zero_is_no_statistic():
    tensors = {"n.gamma": np.ones(1, np.float32), "n.moving_variance": np.array([-1e-6], np.float32)}
    with pytest.raises(
        UserError, match=r"^'n\.moving_variance' has a variance below zero: use another file$"
    ):
        fold_eps(tensors, 1e-3, 1e-5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 7])
def test_a_stem_is_converted_by_the_rule_of_timm(channels):
    kernels = np.random.default_rng(0).standard_normal((8, 3, 3, 3), np.float32)
    expected = timm.models.adapt_input_conv(channels, torch.tensor(kernels)).numpy()
    np.testing.assert_allclose(adapt_stem(kernels, channels), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("metadata", "eps"),
    [
        ({}, 1e-3),
        ({"config": {"bn_eps": None}}, 1e-3),
        ({"config": {"bn_eps": 0.01}}, 0.01),
        ({"config": {"bn_eps": 0.01}, "bn_eps": 1e-5}, 1e-5),
    ],
)
def test_a_network_has_the_epsilon_and_the_padding_that_the_file_says(tmp_path, metadata, eps):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, ours(MODEL).parameters_dict(), {**metadata, "padding": "same"})
    network = create_model(MODEL, CLASSES, checkpoint_path=str(path))
    assert (network.bn_eps, network.padding) == (eps, "same")
    norms = [cell for _, cell in network.cells_and_names() if hasattr(cell, "moving_variance")]
    assert {cell.eps for cell in norms} == {eps}


def test_gamma_is_adjusted_to_another_epsilon_and_the_log_says_so(tmp_path, caplog):
    source, path = ours(MODEL), tmp_path / "a.ckpt"
    write_checkpoint(path, source.parameters_dict(), {})
    with caplog.at_level(logging.INFO):
        network = create_model(MODEL, CLASSES, checkpoint_path=str(path), bn_eps=1e-5)
    assert caplog.messages == [
        f"{path}: made for bn_eps=0.001; gamma is adjusted to the network's 1e-05, so that evaluation "
        "is the same"
    ]
    expected = logits_of(source, images())
    np.testing.assert_allclose(logits_of(network, images()), expected, rtol=0, atol=1e-4)
    before, after = values_of(source), values_of(network)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith("gamma")}

    again = create_model(MODEL, CLASSES, bn_eps=1e-5)
    load_weights(again, path)
    for name, value in values_of(again).items():
        np.testing.assert_array_equal(value, after[name])


def test_the_same_epsilon_changes_no_bit(tmp_path):
    source, path = ours(MODEL, bn_eps=1e-5), tmp_path / "a.ckpt"
    write_checkpoint(path, source.parameters_dict(), {"bn_eps": 1e-5})
    for options in ({}, {"bn_eps": 1e-5}):
        network = create_model(MODEL, CLASSES, checkpoint_path=str(path), **options)
        for name, value in values_of(network).items():
            np.testing.assert_array_equal(value, values_of(source)[name])


@pytest.mark.parametrize(
    ("metadata", "options", "fault"),
    [
        (
            {"padding": "same"},
            {"padding": "symmetric"},
            "made for padding=same, and the network has symmetric: ",
        ),
        (
            {},
            {"padding": "same"},
            "made for padding=symmetric, and the network has same: build it with symmetric",
        ),
        ({"padding": "full"}, {}, "says padding='full', which is unknown: use another file"),
        ({"bn_eps": "tiny"}, {}, "says bn_eps='tiny', which must be a positive number: use another file"),
        ({"bn_eps": 0}, {}, "says bn_eps=0, which must be a positive number: use another file"),
        ({"bn_eps": True}, {}, "says bn_eps=True, which must be a positive number: use another file"),
    ],
)
def test_a_file_that_contradicts_the_network_or_sense_is_refused(tmp_path, metadata, options, fault):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, create_model(MODEL, CLASSES).parameters_dict(), metadata)
    with pytest.raises(UserError) as caught:
        create_model(MODEL, CLASSES, checkpoint_path=str(path), **options)
    assert str(caught.value).startswith(f"{path}: {fault}")
