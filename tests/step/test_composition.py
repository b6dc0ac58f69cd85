"""Everything at once: what an option promises, it keeps together with all the others, in both modes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv import build as builders
from mindcv.config import Config
from mindcv.data import Pipeline
from mindcv.engine import training_state
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import MnasNet, create_model, register_model, registry
from mindcv.models.mnasnet import Stage
from mindcv.runtime.session import Runtime
from mindcv.step import TrainStep
from tests.support.training import usual_trainer

ALONE = Runtime(device="CPU")
MODES = (ms.GRAPH_MODE, ms.PYNATIVE_MODE)
UPDATES = 6  # of an epoch: 72 images in batches of 6, two to an update
STAGES = (
    Stage(expand=1, channels=8, blocks=1, stride=1, kernel=3, flat=True),
    Stage(expand=2, channels=8, blocks=2, stride=2, kernel=3, se=0.25),
)
PLAIN = {
    "model": "tiny",
    "image_resize": 32,
    "batch_size": 6,
    "num_parallel_workers": 1,
    "bn_momentum": 0.9,
    "epoch_size": 2,
    "warmup_epochs": 0,
    "opt": "momentum",
    "lr": 0.01,
    "gradient_accumulation_steps": 2,
    "ema": True,
    "ema_decay": 0.9,
}
EVERYTHING = {
    **PLAIN,
    "clip_grad": True,
    "clip_value": 1.0,
    "loss_scale_type": "dynamic",
    "loss_scale": 1024.0,
    "mixup": 0.2,
    "cutmix": 1.0,
    "label_smoothing": 0.1,
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "re_prob": 0.5,
    "re_value": "random",
    "layer_decay": 0.8,
    "weight_decay": 1e-4,
    "weight_decay_filter": "norm_and_bias",
    "drop_rate": 0.2,
    "drop_path_rate": 0.2,
}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """A model of three blocks, which only these tests know."""

    def tiny(**options: Any) -> MnasNet:
        return MnasNet(STAGES, 1.0, 8, **options)

    monkeypatch.setattr(registry, "_models", dict(registry._models))
    register_model(options_of=MnasNet)(tiny)


@dataclass
class Run:
    """The objects that train.py builds."""

    config: Config
    data: Pipeline
    network: nn.Cell
    ema_model: nn.Cell
    step: TrainStep
    rates: list[float]

    def epoch(self, number: int = 0) -> list[float]:
        """Train an epoch; the loss of each batch."""
        batches = self.data.epoch(number).create_tuple_iterator(num_epochs=1)
        return [float(self.step(*batch)) for batch in batches]

    def counts(self) -> dict[str, int]:
        return {
            "optimizer": int(self.step.optimizer.global_step.asnumpy()[0]),
            "ema": int(self.step.ema.updates.asnumpy()),
            "overflows": int(self.step.loss_scale.overflows.asnumpy()) if self.step.loss_scale.skips else 0,
        }


def build(photos: Path, mode: int, **options: Any) -> Run:
    """Build a run as train.py does."""
    ms.set_context(mode=mode)
    config = Config.from_options({"data_dir": str(photos), **options})
    ms.set_seed(config.system.seed)
    data = builders.build_training_data(config, ALONE)
    classes = data.source.classes
    network = builders.build_network(config, classes, ALONE, is_training=True)
    ema_model = builders.build_ema_model(config, network, classes, ALONE)
    rates = builders.build_learning_rates(config, data.updates_per_epoch, ALONE)
    optimizer = builders.build_optimizer(config, network, rates)
    forward = builders.build_forward(config, network, classes)
    step = builders.build_train_step(config, network, forward, optimizer, ema_model, ALONE)
    return Run(config, data, network, ema_model, step.set_train(), rates)


def values(network: nn.Cell) -> dict[str, np.ndarray]:
    return {p.name.removeprefix("ema."): p.asnumpy().copy() for p in network.get_parameters()}


def unchanged(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name for name, value in before.items() if np.array_equal(value, after[name])}


def largest_difference(runs: list[Run], of: str) -> float:
    graph, pynative = (values(getattr(run, of)) for run in runs)
    return max(float(np.abs(graph[name] - pynative[name]).max()) for name in graph)


def test_all_ingredients_together_learn_alike_in_graph_and_pynative_mode(photos):
    runs = [build(photos, mode, **EVERYTHING) for mode in MODES]
    before = [values(run.network) for run in runs]
    losses = []
    for run, mode in zip(runs, MODES, strict=True):
        ms.set_context(mode=mode)
        losses.append(run.epoch())
        assert run.counts() == {"optimizer": UPDATES, "ema": UPDATES, "overflows": 0}
    assert len(losses[0]) == 2 * UPDATES
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert largest_difference(runs, "network") < 1e-4
    assert largest_difference(runs, "ema_model") < 1e-4
    for run, start in zip(runs, before, strict=True):
        # A ReLU after a reduction to 8 channels may be dead.
        assert all(".reduce." in name for name in unchanged(start, values(run.network)))
        assert all(".reduce." in name for name in unchanged(values(run.network), values(run.ema_model)))


@pytest.mark.slow
def test_half_precision_skips_overflows_and_counts_them_alike_in_both_modes(photos):
    found = []
    for mode in MODES:
        options = {**EVERYTHING, "amp_level": "O2", "loss_scale": 2.0**17}
        run = build(photos, mode, **options)
        losses, counts = run.epoch(), run.counts()
        assert 0 < counts["overflows"] < UPDATES
        assert counts["optimizer"] == counts["ema"] == UPDATES - counts["overflows"]
        assert float(run.step.loss_scale.value.asnumpy()) == 2.0 ** (17 - counts["overflows"])
        assert all(np.isfinite(value).all() for value in values(run.ema_model).values())
        found.append((counts, losses))
    assert found[1][0] == found[0][0]
    assert found[1][1] == pytest.approx(found[0][1], rel=2e-3)


@pytest.mark.slow
def test_a_network_continues_with_larger_images_in_a_graph(photos, tmp_path):
    run = build(
        photos, ms.GRAPH_MODE, **PLAIN, num_samples=36, progressive_sizes=(24, 32), progressive_epochs=(1,)
    )
    sizes = [
        {image.shape[2:] for image, _ in run.data.epoch(epoch).create_tuple_iterator(num_epochs=1)}
        for epoch in (0, 1)
    ]
    assert sizes == [{(24, 24)}, {(32, 32)}]
    training = usual_trainer(run.step, run.data, 2, learning_rates=run.rates, folder=tmp_path)
    training.fit()
    assert [result.step for result in training.results] == [3, 6]
    assert run.counts() == {"optimizer": 6, "ema": 6, "overflows": 0}
    first, second = (result.train_loss for result in training.results)
    assert second < first


@pytest.mark.slow
def test_a_teacher_composes_with_accumulation_and_ema(photos, tmp_path):
    taught, path = [], tmp_path / "teacher.ckpt"
    ms.set_seed(7)
    weights = create_model("tiny", num_classes=3).parameters_dict()
    write_checkpoint(path, weights, {})
    for mode in MODES:
        teacher = {"teacher": "tiny", "teacher_ckpt_path": str(path), "distill_temperature": 2.0}
        run = build(photos, mode, **PLAIN, **teacher, num_samples=24)
        taught.append(run.epoch())
        assert run.counts() == {"optimizer": 2, "ema": 2, "overflows": 0}
        for parameter in run.step.forward.teacher.get_parameters():
            expected = weights[parameter.name.removeprefix("teacher.")].asnumpy()
            np.testing.assert_array_equal(parameter.asnumpy(), expected)
        state = training_state(run.network, run.step)
        assert not [name for name in state if "teacher" in name]
    assert taught[1] == pytest.approx(taught[0], rel=1e-4)
    untaught = build(photos, ms.PYNATIVE_MODE, **PLAIN, num_samples=24).epoch()
    assert untaught[0] != pytest.approx(taught[1][0], rel=1e-2)


def test_the_ema_of_frozen_weights_stays_as_it_is_to_the_last_bit(photos):
    options = {**PLAIN, "freeze": 1, "layer_decay": 0.5, "drop_path_rate": 0.2, "weight_decay": 0.1}
    run = build(photos, ms.PYNATIVE_MODE, **options)
    before = values(run.network)
    run.epoch()
    frozen = tuple(f"features.{i}." for i in range(8))  # stem and first stage
    expected = {name for name in before if name.startswith(frozen)}
    assert expected
    assert unchanged(before, values(run.network)) == expected
    assert unchanged(before, values(run.ema_model)) == expected
    assert run.counts() == {"optimizer": UPDATES, "ema": UPDATES, "overflows": 0}
    run.network.set_train(False)
    run.ema_model.set_train(False)
    images = Tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32))
    assert np.abs(run.network(images).asnumpy() - run.ema_model(images).asnumpy()).max() > 1e-4
