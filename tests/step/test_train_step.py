"""Train steps compared with NumPy: accumulation, clipping, EMA and loss scale."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcv.engine import training_state
from mindcv.step import (
    AdaptiveClip,
    ClipByNorm,
    ClipByValue,
    Ema,
    LossScale,
    batch_norm_statistics,
    initialize_ema_model,
)
from tests.support.networks import values_of
from tests.support.train_steps import (
    batches,
    dense,
    gradients,
    normed,
    run,
    step_of,
)


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"], autouse=True)
def _mode(request):
    ms.set_context(mode=request.param)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)


# --- accumulation ------------------------------------------------------------------------------------------


def test_n_small_batches_are_one_large_batch_for_network_schedule_optimizer_and_ema():
    parts = batches(6)
    large = [tuple(np.concatenate(column) for column in zip(*parts[i : i + 3], strict=True)) for i in (0, 3)]
    found = []
    for accumulation, given in ((3, parts), (1, large)):
        network, ema_model = dense(), dense(7)
        initialize_ema_model(ema_model, network)
        ema = Ema(network, ema_model, 0.9)
        step = step_of(network, [0.5, 0.05], accumulation=accumulation, ema=ema)
        losses = run(step, given)
        found.append((np.mean(losses), values_of(network), values_of(ema_model)))
        assert step.optimizer.global_step.asnumpy().tolist() == [2]
        assert int(ema.updates.asnumpy()) == 2
    (loss, weights, averages), (loss_large, weights_large, averages_large) = found
    assert loss == pytest.approx(loss_large, abs=1e-5)
    for name, value in weights_large.items():
        np.testing.assert_allclose(weights[name], value, atol=1e-6)
    for name, value in averages_large.items():
        np.testing.assert_allclose(averages[name], value, atol=1e-6)


def test_between_updates_nothing_moves_and_no_sum_is_left_after_one():
    network = dense()
    step = step_of(network, accumulation=2)
    before = values_of(network)
    first, second = batches(2)
    run(step, [first])
    assert {name: value.tolist() for name, value in values_of(network).items()} == {
        name: value.tolist() for name, value in before.items()
    }
    run(step, [second])
    assert all(np.abs(values_of(network)[name] - before[name]).max() > 1e-3 for name in before)
    assert [total.asnumpy().any() for total in step.sums] == [False, False]
    assert int(step.batches.asnumpy()) == 0


def test_discarded_gradients_leave_no_trace_in_the_next_update():
    network, reference = dense(), dense()
    step = step_of(network, accumulation=2)
    bad, *good = batches(3)
    run(step, [overflowing(bad)])
    assert not np.isfinite(step.sums[0].asnumpy()).all()
    step.discard_gradients()
    run(step, good)
    run(step_of(reference, accumulation=2), good)
    for name, value in values_of(reference).items():
        np.testing.assert_array_equal(values_of(network)[name], value)


# --- clipping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.1, 100.0])
def test_clipping_by_norm_scales_all_gradients_alike(limit):
    network, parts = dense(), batches(1)
    before, expected = values_of(network), gradients(network, parts)
    run(step_of(network, clip=ClipByNorm(limit)), parts)
    norm = np.sqrt(sum((g**2).sum() for g in expected.values()))
    assert 0.1 < norm < 100
    for name, gradient in expected.items():
        moved = (before[name] - values_of(network)[name]) / 0.5
        np.testing.assert_allclose(moved, gradient * min(1, limit / norm), atol=1e-6)


def test_clipping_by_value_cuts_each_element():
    network, parts = dense(), batches(1)
    before, expected = values_of(network), gradients(network, parts)
    limit = float(np.median(np.abs(expected["weight"])))
    run(step_of(network, clip=ClipByValue(limit)), parts)
    for name, gradient in expected.items():
        moved = (before[name] - values_of(network)[name]) / 0.5
        np.testing.assert_allclose(moved, np.clip(gradient, -limit, limit), atol=1e-6)


def adaptively_clipped(gradient: np.ndarray, weight: np.ndarray, limit: float) -> np.ndarray:
    """Equation 3 of arXiv 2102.06171, unit by unit."""
    units = [...] if weight.ndim < 2 else range(len(weight))
    clipped = gradient.copy()
    for unit in units:
        norm, largest = np.linalg.norm(gradient[unit]), limit * max(np.linalg.norm(weight[unit]), 1e-3)
        if norm > largest:
            clipped[unit] = largest * gradient[unit] / norm
    return clipped


def test_adaptive_clipping_limits_each_units_gradient_to_a_fraction_of_its_weights():
    rng = np.random.default_rng(0)
    shapes = {"conv": (5, 2, 3, 3), "dense": (4, 6), "gamma": (7,), "zero": (3, 2), "head": (2, 3)}
    weights = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    weights["conv"][0] = 0
    given = {name: rng.standard_normal(shape, np.float32) / 9 for name, shape in shapes.items()}
    given["conv"][1] /= 1e4
    given["zero"][:] = 0
    parameters = [Parameter(Tensor(value), name=name) for name, value in weights.items()]
    clip = AdaptiveClip(parameters, 0.04, [parameters[-1]])
    clipped = dict(zip(shapes, clip(tuple(Tensor(g) for g in given.values())), strict=True))
    for name in shapes:
        expected = given[name] if name == "head" else adaptively_clipped(given[name], weights[name], 0.04)
        np.testing.assert_allclose(clipped[name].asnumpy(), expected, rtol=1e-5, atol=1e-8, err_msg=name)
    np.testing.assert_array_equal(clipped["conv"].asnumpy()[1], given["conv"][1])  # short enough as it is
    assert np.abs(clipped["conv"].asnumpy()[2] - given["conv"][2]).max() > 1e-3


# --- EMA ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.9999, 0.3])
def test_the_ema_model_has_averaged_parameters_and_statistics_with_tensorflows_warm_up(decay):
    network, ema_model = normed(), normed(7)
    initialize_ema_model(ema_model, network)
    step = step_of(network, ema=Ema(network, ema_model, decay))
    expected = {name: value.astype(np.float64) for name, value in values_of(network).items()}
    for n, part in enumerate(batches(8), 1):
        run(step, [part])
        d = min(decay, (1 + n) / (10 + n))
        expected = {name: d * old + (1 - d) * values_of(network)[name] for name, old in expected.items()}
    averages = values_of(ema_model)
    assert list(averages) == [f"ema.{name}" for name in expected]
    assert len(batch_norm_statistics(ema_model)) == 2
    for name, value in expected.items():
        np.testing.assert_allclose(averages[f"ema.{name}"], value, atol=1e-6, err_msg=name)
        assert np.abs(averages[f"ema.{name}"] - values_of(network)[name]).max() > 1e-4


def test_an_ema_model_can_be_scored_between_two_steps_without_disturbing_them():
    alone, scored = [], []
    for seen in (alone, scored):
        network, ema_model = normed(), normed(7)
        initialize_ema_model(ema_model, network)
        step = step_of(network, ema=Ema(network, ema_model, 0.9))
        for part in batches(4):
            seen.append(run(step, [part])[0])
            if seen is scored:
                ema_model.set_train(False)
                logits = ema_model(Tensor(part[0])).asnumpy()
                gamma, beta, mean, var = (
                    values_of(ema_model)[f"ema.0.{n}"]
                    for n in ("gamma", "beta", "moving_mean", "moving_variance")
                )
                normalised = (part[0] - mean) / np.sqrt(var + ema_model[0].eps) * gamma + beta
                expected = (
                    normalised @ values_of(ema_model)["ema.1.weight"].T + values_of(ema_model)["ema.1.bias"]
                )
                np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert alone == scored


# --- loss scale --------------------------------------------------------------------------------------------


def overflowing(part: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    images = part[0].copy()
    images[0, 0] = np.inf
    return images, part[1]


@pytest.mark.parametrize(
    "scale", [LossScale(256.0), LossScale(256.0, dynamic=True)], ids=["fixed", "dynamic"]
)
def test_a_loss_scale_changes_nothing_but_the_rounding(scale):
    plain, scaled = dense(), dense()
    parts = batches(3)
    assert run(step_of(scaled, loss_scale=scale), parts) == pytest.approx(
        run(step_of(plain), parts), abs=1e-6
    )
    for name, value in values_of(plain).items():
        np.testing.assert_allclose(values_of(scaled)[name], value, atol=1e-6)


def test_an_update_that_overflows_is_skipped_and_counted_and_halves_a_dynamic_scale():
    good = batches(7)
    parts = [good[0], overflowing(good[1]), good[2], good[3], good[4], overflowing(good[5]), good[6]]
    kept = [good[0], *good[2:5], good[6]]
    reference = dense()
    run(step_of(reference, [0.5, 0.4, 0.3, 0.2, 0.1]), kept)
    for scale, expected in (
        (LossScale(64.0, skip=True), None),
        (LossScale(64.0, dynamic=True, window=3), [64, 32, 32, 32, 64, 32, 32]),
    ):
        network, ema_model = dense(), dense(7)
        initialize_ema_model(ema_model, network)
        ema = Ema(network, ema_model, 0.9)
        step = step_of(network, [0.5, 0.4, 0.3, 0.2, 0.1], loss_scale=scale, ema=ema)
        scales, in_a_row = [], []
        for part in parts:
            run(step, [part])
            scales.append(float(scale.value.asnumpy()) if expected else None)
            in_a_row.append(int(scale.in_a_row.asnumpy()))
        assert scales == (expected or [None] * 7)
        assert in_a_row == [0, 1, 0, 0, 0, 1, 0]
        assert int(scale.overflows.asnumpy()) == 2
        assert step.optimizer.global_step.asnumpy().tolist() == [5]
        assert int(ema.updates.asnumpy()) == 5
        for name, value in values_of(reference).items():
            np.testing.assert_allclose(values_of(network)[name], value, atol=1e-6)


def test_a_dynamic_scale_stays_at_least_1():
    scale = LossScale(2.0, dynamic=True)
    step = step_of(dense(), loss_scale=scale)
    run(step, [overflowing(part) for part in batches(4)])
    assert float(scale.value.asnumpy()) == 1
    assert int(scale.in_a_row.asnumpy()) == 4


def test_a_dynamic_scale_doubles_after_2000_good_updates_up_to_2_to_the_24():
    scale = LossScale(2.0**23, dynamic=True)
    for _ in range(2):
        ms.ops.assign(scale.good_updates, Tensor(1998, ms.int32))
        found = []
        for _ in range(3):
            scale.adjust(Tensor(True))
            found.append((float(scale.value.asnumpy()), int(scale.good_updates.asnumpy())))
        assert found[1:] == [(2.0**24, 0), (2.0**24, 1)]
        assert found[0][1] == 1999


def test_only_a_scale_that_stays_as_it_is_is_to_be_lowered_where_gradients_overflow():
    by_rate = "lower lr or lengthen warmup_epochs"
    assert LossScale(1.0).remedy == LossScale(2.0**20, dynamic=True).remedy == by_rate
    assert LossScale(2.0**20, skip=True).remedy == "lower loss_scale or lr, or lengthen warmup_epochs"


# --- all together ------------------------------------------------------------------------------------------


def test_the_training_state_holds_all_that_a_step_changes_under_names_of_its_own():
    network, ema_model = normed(), normed(7)
    initialize_ema_model(ema_model, network)
    scale = LossScale(2.0, dynamic=True)
    step = step_of(network, ema=Ema(network, ema_model, 0.9), loss_scale=scale, accumulation=2)
    state = training_state(network, step)
    names = [p.name for p in network.get_parameters()]
    assert list(state)[: len(names)] == names
    assert [name for name in state if name.startswith("ema.")] == [f"ema.{name}" for name in names]
    assert "optimizer.global_step" in state
    assert {name for name in state if name.startswith("step.")} == {
        "step.ema_updates",
        *(f"step.loss_scale.{name}" for name in ("value", "good_updates", "overflows", "in_a_row")),
    }
    before = {name: value.asnumpy().copy() for name, value in state.items()}
    run(step, batches(2))
    same = [name for name, value in state.items() if np.array_equal(value.asnumpy(), before[name])]
    assert set(same) & {"1.weight", "ema.1.weight", "0.moving_mean", "optimizer.global_step"} == set()
    assert "step.ema_updates" not in same
