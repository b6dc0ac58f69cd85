from math import cos, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindcv.errors import UserError
from mindcv.scheduler import SCHEDULERS, create_scheduler


def rates(scheduler, steps_per_epoch=1, num_epochs=4, warmup_epochs=0, lr=1.0, min_lr=0.0, **options):
    return create_scheduler(
        steps_per_epoch,
        scheduler,
        lr=lr,
        min_lr=min_lr,
        warmup_epochs=warmup_epochs,
        num_epochs=num_epochs,
        **options,
    )


HALF = 0.5**0.5

TABLE = {  # name: (arguments of `rates`, the rate of every step)
    "constant": ({"scheduler": "constant"}, [1, 1, 1, 1]),
    "warm-up of two epochs": (
        {"scheduler": "constant", "steps_per_epoch": 2, "warmup_epochs": 2},
        [0, 0.25, 0.5, 0.75, 1, 1, 1, 1],
    ),
    "warm-up from a factor": (
        {"scheduler": "constant", "steps_per_epoch": 2, "warmup_epochs": 2, "warmup_factor": 0.2},
        [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1],
    ),
    "warm-up by epochs": (
        {"scheduler": "constant", "steps_per_epoch": 2, "warmup_epochs": 2, "lr_epoch_stair": True},
        [0.5, 0.5, 1, 1, 1, 1, 1, 1],
    ),
    "warm-up by epochs from a factor": (
        {
            "scheduler": "constant",
            "steps_per_epoch": 2,
            "warmup_epochs": 2,
            "warmup_factor": 0.2,
            "lr_epoch_stair": True,
        },
        [0.2, 0.2, 0.6, 0.6, 1, 1, 1, 1],
    ),
    "nothing but warm-up": ({"scheduler": "cosine_decay", "warmup_epochs": 4}, [0, 0.25, 0.5, 0.75]),
    "cosine": ({"scheduler": "cosine_decay", "decay_epochs": 4}, [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2]),
    "cosine's other name": (
        {"scheduler": "warmup_cosine_decay", "decay_epochs": 4},
        [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2],
    ),
    "cosine over all that is left": (
        {"scheduler": "cosine_decay", "decay_epochs": None, "warmup_epochs": 2, "min_lr": 0.2},
        [0, 0.5, 1, 0.6],
    ),
    "cosine stays at its floor": (
        {"scheduler": "cosine_decay", "decay_epochs": 2, "warmup_epochs": 1, "num_epochs": 6, "min_lr": 0.2},
        [0, 1, 0.6, 0.2, 0.2, 0.2],
    ),
    "cosine restarts lower": (
        {
            "scheduler": "cosine_decay",
            "decay_epochs": 2,
            "num_cycles": 2,
            "cycle_decay": 0.5,
            "num_epochs": 6,
        },
        [1, 0.5, 0.5, 0.25, 0, 0],
    ),
    "cosine by epochs": (
        {
            "scheduler": "cosine_decay",
            "decay_epochs": 2,
            "steps_per_epoch": 2,
            "num_epochs": 2,
            "lr_epoch_stair": True,
        },
        [1, 1, 0.5, 0.5],
    ),
    "steps": (
        {"scheduler": "step_decay", "decay_epochs": 2, "decay_rate": 0.1, "num_epochs": 6},
        [1, 1, 0.1, 0.1, 0.01, 0.01],
    ),
    "steps count from the start of training": (
        {
            "scheduler": "step_decay",
            "decay_epochs": 2,
            "decay_rate": 0.5,
            "num_epochs": 6,
            "warmup_epochs": 3,
        },
        [0, 1 / 3, 2 / 3, 0.5, 0.25, 0.25],
    ),
    "steps of a fraction of an epoch": (
        {
            "scheduler": "step_decay",
            "decay_epochs": 1.5,
            "decay_rate": 0.5,
            "steps_per_epoch": 2,
            "num_epochs": 3,
        },
        [1, 1, 1, 0.5, 0.5, 0.5],
    ),
    "milestones count from the start of training": (
        {
            "scheduler": "multi_step_decay",
            "milestones": [1, 3, 5],
            "decay_rate": 0.5,
            "num_epochs": 6,
            "warmup_epochs": 2,
        },
        [0, 0.5, 0.5, 0.25, 0.25, 0.125],
    ),
    "exponential counts from the start of training": (
        {"scheduler": "exponential_decay", "decay_rate": 0.5, "warmup_epochs": 2},
        [0, 0.5, 0.25, 0.125],
    ),
    "exponential by steps": (
        {"scheduler": "exponential_decay", "decay_rate": 0.25, "steps_per_epoch": 2, "num_epochs": 2},
        [1, 0.5, 0.25, 0.125],
    ),
    "exponential by epochs": (
        {
            "scheduler": "exponential_decay",
            "decay_rate": 0.25,
            "steps_per_epoch": 2,
            "num_epochs": 2,
            "lr_epoch_stair": True,
        },
        [1, 1, 0.25, 0.25],
    ),
    "polynomial": (
        {
            "scheduler": "polynomial_decay",
            "decay_rate": 2.0,
            "num_epochs": 5,
            "warmup_epochs": 1,
            "min_lr": 0.2,
        },
        [0, 1, 0.8 * 0.5625 + 0.2, 0.4, 0.25],
    ),
    "triangles": (
        {"scheduler": "cyclic", "min_lr": 0.2, "num_epochs": 8, "num_cycles": 2},
        [0.2, 0.6, 1, 0.6, 0.2, 0.6, 1, 0.6],
    ),
    "triangles after a warm-up to their floor": (
        {"scheduler": "cyclic", "min_lr": 0.2, "num_epochs": 6, "warmup_epochs": 2},
        [0, 0.1, 0.2, 0.6, 1, 0.6],
    ),
    "one cycle of one step": ({"scheduler": "one_cycle", "num_epochs": 1}, [1]),
}


@pytest.mark.parametrize("case", TABLE)
def test_every_step_has_the_rate_of_the_table(case):
    options, expected = TABLE[case]
    np.testing.assert_allclose(rates(**options), expected, rtol=1e-12, atol=1e-15)


def test_one_cycle_is_that_of_pytorch_and_a_warm_up_leads_to_its_first_value():
    n, rise = 20, 0.3 * 20 - 1
    expected = [
        1 + (0.04 - 1) / 2 * (1 + cos(pi * i / rise))
        if i <= rise
        else 0.001 + (1 - 0.001) / 2 * (1 + cos(pi * (i - rise) / (n - 1 - rise)))
        for i in range(n)
    ]
    np.testing.assert_allclose(rates("one_cycle", 5, 4, min_lr=0.001), expected, rtol=1e-12)
    assert (expected[0], expected[5], expected[-1]) == pytest.approx((0.04, 1.0, 0.001))
    warm = rates("one_cycle", 5, 6, warmup_epochs=2, min_lr=0.001)
    np.testing.assert_allclose(warm[:10], 0.04 * np.arange(10) / 10, rtol=1e-12)
    np.testing.assert_allclose(warm[10:], expected, rtol=1e-12)


def test_the_published_cosine_recipe_starts_at_0_peaks_after_5_epochs_and_ends_near_its_floor():
    n = 10
    actual = create_scheduler(
        n, "cosine_decay", lr=0.012, min_lr=1e-10, warmup_epochs=5, decay_epochs=345, num_epochs=350
    )
    steps = np.arange(350 * n)
    cosine = 1e-10 + 0.5 * (0.012 - 1e-10) * (1 + np.cos(np.pi * (steps - 5 * n) / (345 * n)))
    np.testing.assert_allclose(actual, np.where(steps < 5 * n, 0.012 * steps / (5 * n), cosine), rtol=1e-9)


def test_the_original_recipe_decays_every_2_4_epochs_from_step_0_beside_a_warm_up_of_5():
    n = 10
    actual = create_scheduler(
        n, "step_decay", lr=0.016, warmup_epochs=5, decay_epochs=2.4, decay_rate=0.97, num_epochs=350
    )
    steps = np.arange(350 * n)
    decayed = 0.016 * 0.97 ** (steps // (24 * n // 10))
    np.testing.assert_allclose(actual, np.where(steps < 5 * n, 0.016 * steps / (5 * n), decayed), rtol=1e-9)


def settings(**fixed):
    """Valid arguments of `create_scheduler`, any of them."""
    strategies = {
        "steps_per_epoch": st.integers(1, 7),
        "scheduler": st.sampled_from(SCHEDULERS),
        "lr": st.floats(1e-3, 10),
        "min_lr": st.floats(0, 1e-3),
        "warmup_epochs": st.integers(0, 4),
        "warmup_factor": st.floats(0, 1, allow_subnormal=False),
        "decay_epochs": st.floats(0.3, 9),
        "decay_rate": st.floats(0.1, 1),
        "milestones": st.sampled_from([[1], [2, 5], [0.5, 3, 30]]),
        "num_epochs": st.integers(4, 9),
        "num_cycles": st.integers(1, 3),
        "cycle_decay": st.floats(0.1, 1),
        "lr_epoch_stair": st.booleans(),
    }
    return st.fixed_dictionaries(strategies | {key: st.just(value) for key, value in fixed.items()})


def test_one_cycle_starts_at_min_lr_where_that_is_above_a_25th_of_the_peak():
    starts = [rates("one_cycle", 10, lr=lr, min_lr=0.001)[0] for lr in (0.015, 0.025, 0.05)]
    assert starts == pytest.approx([0.001, 0.001, 0.002])


def test_rounding_makes_no_rate_of_a_cycle_negative():
    assert min(rates("cyclic", 3, num_epochs=4, warmup_epochs=2, num_cycles=3)) == 0


@given(settings())
def test_every_rate_lies_between_0_and_the_peak_and_there_is_one_for_each_step(options):
    result = create_scheduler(**options)
    assert len(result) == options["steps_per_epoch"] * options["num_epochs"]
    assert all(0 <= rate <= options["lr"] * (1 + 1e-12) for rate in result)
    main = result[options["warmup_epochs"] * options["steps_per_epoch"] :]
    if options["scheduler"] in ("cosine_decay", "polynomial_decay", "one_cycle", "cyclic"):
        assert all(rate >= options["min_lr"] * (1 - 1e-12) for rate in main)


@given(settings(lr_epoch_stair=True))
def test_an_epoch_stair_has_one_rate_per_epoch_and_never_wastes_the_first(options):
    result = np.reshape(create_scheduler(**options), (options["num_epochs"], options["steps_per_epoch"]))
    assert (result == result[:, :1]).all()
    if options["warmup_epochs"] and (options["scheduler"], options["min_lr"]) != ("cyclic", 0):
        assert result[0, 0] > 0


@pytest.mark.parametrize("scheduler", ["constant", "cosine_decay", "step_decay", "exponential_decay"])
def test_a_longer_run_only_adds_steps(scheduler):
    short, long = (rates(scheduler, 3, epochs, warmup_epochs=2, decay_epochs=3) for epochs in (5, 8))
    assert long[: len(short)] == short


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": "cosine_decai"}, "scheduler 'cosine_decai' is unknown; did you mean 'cosine_decay'?"),
        ({"scheduler": "zzz"}, f"scheduler 'zzz' is unknown: choose one of {', '.join(SCHEDULERS)}"),
        (
            {"warmup_epochs": 5, "num_epochs": 3},
            "warmup_epochs=5 leaves nothing of num_epochs=3: lower the warm-up or train longer",
        ),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0 is out of range: give 1 or more"),
        ({"num_epochs": 0}, "num_epochs=0 is out of range: give 1 or more"),
        ({"num_cycles": 0}, "num_cycles=0 is out of range: give 1 or more"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1 is out of range: give 0 or more"),
        ({"min_lr": -1e-6}, "min_lr=-1e-06 is out of range: give 0 or more"),
        ({"min_lr": 2.0}, "min_lr=2.0 is above lr=1.0: lower min_lr or raise lr"),
        ({"lr": float("nan")}, "lr=nan is out of range: give a positive number"),
        ({"lr": 0.0}, "lr=0.0 is out of range: give a positive number"),
        ({"decay_epochs": 0}, "decay_epochs=0 is out of range: give a positive number"),
        ({"decay_rate": -0.1}, "decay_rate=-0.1 is out of range: give a positive number"),
        ({"warmup_factor": 1.5}, "warmup_factor=1.5 is out of range: give a fraction of lr from 0 to 1"),
        (
            {"scheduler": "step_decay", "decay_epochs": None},
            "scheduler 'step_decay' needs decay_epochs: give the epochs between two steps",
        ),
        (
            {"scheduler": "multi_step_decay"},
            "scheduler 'multi_step_decay' needs milestones: give rising epochs above 0",
        ),
        (
            {"scheduler": "multi_step_decay", "milestones": [3, 2]},
            "milestones=[3, 2] are out of order: give rising epochs above 0",
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy(options, message):
    with pytest.raises(UserError) as caught:
        rates(**{"scheduler": "constant"} | options)
    assert str(caught.value) == message
