"""Freezing: real training steps leave the front of a network as it was, to the last bit."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, communication, nn

from mindcv.errors import UserError
from mindcv.models import MnasNet, create_model, freeze
from mindcv.models.layers import SyncBatchNorm2d
from mindcv.models.mnasnet import Stage
from mindcv.optim import create_optimizer
from mindcv.step import NetworkWithLoss, TrainStep
from mindcv.structure import Parts

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}
STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=2, stride=2, kernel=3, se=0.25),
)
EXPECTED = {  # what is frozen: the start of the parameters' names
    "backbone": ("features.",),
    1: tuple(f"features.{i}." for i in range(8)),
}


@pytest.fixture(autouse=True)
def mode(request):
    ms.set_context(mode=getattr(request, "param", ms.PYNATIVE_MODE))
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


both_modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES, indirect=True)


@pytest.fixture
def _alone(monkeypatch):
    """One process that needs no cluster."""
    monkeypatch.setattr(communication, "get_group_size", lambda: 1)
    monkeypatch.setattr(communication, "get_rank", lambda: 0)


def network(**options) -> MnasNet:
    ms.set_seed(1)
    return MnasNet(STAGES, 1.0, 8, num_classes=2, **options)


def batch() -> tuple[Tensor, Tensor]:
    images = np.random.default_rng(0).standard_normal((8, 3, 16, 16), np.float32)
    return Tensor(images), Tensor(np.arange(8) % 2, ms.int32)


def copies(net: nn.Cell) -> dict[str, np.ndarray]:
    return {p.name: p.asnumpy().copy() for p in net.get_parameters()}


@both_modes
@pytest.mark.parametrize("what", EXPECTED)
def test_three_steps_change_exactly_what_is_not_frozen(what):
    net = network(drop_path_rate=0.5, bn_momentum=0.9)
    freeze(net, what)
    before = copies(net)
    optimizer = create_optimizer(net, "momentum", lr=0.05, weight_decay=0.1)
    step = TrainStep(NetworkWithLoss(net, nn.CrossEntropyLoss()), optimizer).set_train()
    for _ in range(3):
        step(*batch())
    after = copies(net)
    unchanged = {name for name in before if np.array_equal(before[name], after[name])}
    assert unchanged == {name for name in before if name.startswith(EXPECTED[what])}
    assert {p.name for p in net.get_parameters() if p.requires_grad} == {
        name for name in set(before) - unchanged if "moving" not in name
    }


@both_modes
def test_a_frozen_backbone_computes_in_training_what_it_computes_in_evaluation():
    net = network(drop_path_rate=0.9)
    freeze(net, "backbone")
    images, _ = batch()
    expected = net.set_train(False).features(images).asnumpy()
    np.testing.assert_array_equal(net.set_train(True).features(images).asnumpy(), expected)


def test_the_dropout_before_the_classifier_stays_with_it():
    net = network(drop_rate=0.9)
    freeze(net, "backbone")
    images, _ = batch()
    net.set_train()
    assert not np.array_equal(net(images).asnumpy(), net(images).asnumpy())


@pytest.mark.usefixtures("_alone")
def test_a_frozen_normalisation_over_all_processes_uses_its_running_statistics():
    norm = SyncBatchNorm2d(3, eps=1e-3, momentum=0.9)
    norm.moving_mean.set_data(Tensor([1.0, 2.0, 3.0]))
    net = nn.SequentialCell(norm)
    net.parts = lambda: Parts(stem=[norm], stages=[[]])
    freeze(net, 0)
    images, _ = batch()
    expected = (images.asnumpy() - np.reshape([1, 2, 3], (1, 3, 1, 1))) / np.sqrt(1 + 1e-3)
    np.testing.assert_allclose(net.set_train()(images).asnumpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(norm.moving_mean.asnumpy(), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(norm.moving_variance.asnumpy(), [1.0, 1.0, 1.0])


@pytest.mark.parametrize(("stages", "first_unfrozen"), [(0, "features.3.weight"), (2, "features.10.weight")])
def test_the_fewest_stages_are_the_stem_alone_and_the_most_all_but_the_head(stages, first_unfrozen):
    net = network()
    freeze(net, stages)
    names = [p.name for p in net.get_parameters()]
    assert next(p.name for p in net.trainable_params()) == first_unfrozen
    assert not any(p.requires_grad for p in list(net.get_parameters())[: names.index(first_unfrozen)])


def test_a_frozen_backbone_leaves_the_classifier_to_the_optimizer():
    net = create_model("mnasnet_050", num_classes=3)
    freeze(net, "backbone")
    optimizer = create_optimizer(net)
    assert [p.name for p in optimizer.parameters] == ["classifier.weight", "classifier.bias"]


@pytest.mark.parametrize("what", [-1, 3, True, 1.5])
def test_a_number_of_stages_out_of_range_is_refused(what):
    with pytest.raises(UserError) as caught:
        freeze(network(), what)
    assert str(caught.value) == (
        f"freeze={what} must be a number of stages from 0 to 2, or backbone for all but the classifier"
    )


def test_other_mistakes_are_named_with_their_remedy():
    with pytest.raises(UserError, match=r"^freeze='backbon' is unknown; did you mean 'backbone'"):
        freeze(network(), "backbon")
    with pytest.raises(UserError, match=r"^freeze='all' is unknown: give backbone or a number of stages$"):
        freeze(network(), "all")
    with pytest.raises(
        UserError, match=r"^freeze=1: Dense does not describe its parts: give it a method parts"
    ):
        freeze(nn.Dense(2, 2), 1)
