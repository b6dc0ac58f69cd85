"""The strengths that magnitudes stand for, as explicit tables."""

from collections import Counter

import pytest

from mindcv.data.augment import create_policy
from mindcv.data.augment import operations as ops
from mindcv.data.augment.autoaugment import POLICIES
from mindcv.data.augment.policy_tables import AUGMIX, INCREASING, PLAIN, SETS, THREE, wide_operations

# Strengths at magnitudes 0, 5 and 10; a second row for the other sign.
COMMON = {
    "Rotate": ((0, 15, 30), (0, -15, -30)),
    "SolarizeAdd": ((0, 55, 110),),
    "ShearX": ((0, 0.15, 0.3), (0, -0.15, -0.3)),
    "ShearY": ((0, 0.15, 0.3), (0, -0.15, -0.3)),
    "TranslateX": ((0, 0.225, 0.45), (0, -0.225, -0.45)),
    "TranslateY": ((0, 0.225, 0.45), (0, -0.225, -0.45)),
}
ENHANCED = ("Color", "Contrast", "Brightness", "Sharpness")
TABLES = {
    "plain": {
        **COMMON,
        "Posterize": ((0, 2, 4),),
        "Solarize": ((0, 128, 256),),
        **dict.fromkeys(ENHANCED, ((0.1, 1.0, 1.9),)),
    },
    "increasing": {
        **COMMON,
        "Posterize": ((4, 2, 0),),
        "Solarize": ((256, 128, 0),),
        **dict.fromkeys(ENHANCED, ((1, 1.45, 1.9), (1, 0.55, 0.1))),
    },
}
FUNCTIONS = {
    "AutoContrast": ops.autocontrast,
    "Equalize": ops.equalize,
    "Invert": ops.invert,
    "Rotate": ops.rotate,
    "Posterize": ops.posterize,
    "Solarize": ops.solarize,
    "SolarizeAdd": ops.solarize_add,
    "Color": ops.color,
    "Contrast": ops.contrast,
    "Brightness": ops.brightness,
    "Sharpness": ops.sharpness,
    "ShearX": ops.shear_x,
    "ShearY": ops.shear_y,
    "TranslateX": ops.translate_x_relative,
    "TranslateY": ops.translate_y_relative,
}


def rows(operation, levels=(0, 0.5, 1)):
    """Strengths at levels, for each sign."""
    signs = (False, True) if operation.signed else (False,)
    return tuple(tuple(operation.strength(level, negative=sign) for level in levels) for sign in signs)


def flat(table):
    return [value for row in table for value in row]


@pytest.mark.parametrize(("operations", "table"), [(PLAIN, "plain"), (INCREASING, "increasing")])
def test_randaugments_strengths_at_magnitudes_0_5_and_10(operations, table):
    assert {name: operation.apply for name, operation in operations.items()} == FUNCTIONS
    strong = {name: operation for name, operation in operations.items() if operation.span is not None}
    assert set(strong) == set(TABLES[table]) == set(FUNCTIONS) - {"AutoContrast", "Equalize", "Invert"}
    for name, operation in strong.items():
        assert flat(rows(operation)) == pytest.approx(flat(TABLES[table][name])), name
        assert operation.geometric == (name in COMMON and name != "SolarizeAdd"), name


def test_inc1_chooses_the_increasing_operations():
    assert create_policy("rand-inc1").choice.operations == tuple(INCREASING.values())
    assert create_policy("rand-inc0").choice.operations == tuple(PLAIN.values())
    assert create_policy("rand").choice.operations == tuple(PLAIN.values())
    # The two without weight are Posterize and Invert.
    for name, operations in (("rand-w0", PLAIN), ("rand-w0-inc1", INCREASING)):
        without = {operations["Posterize"], operations["Invert"]}
        assert set(create_policy(name).choice.operations) == set(operations.values()) - without


def test_strengths_stay_possible_above_magnitude_10():
    expected = {"Posterize": 0, "Solarize": 0, "SolarizeAdd": 128, "Rotate": 60, "Color": 2.8}
    assert {name: INCREASING[name].strength(2) for name in expected} == pytest.approx(expected)
    assert INCREASING["Color"].strength(2, negative=True) == 0.1
    assert (PLAIN["Posterize"].strength(3), PLAIN["Solarize"].strength(2)) == (8, 256)


def test_trivialaugments_strengths_at_bins_0_15_and_30():
    expected = [
        (ops.shear_x, ((0, 0.495, 0.99), (0, -0.495, -0.99))),
        (ops.shear_y, ((0, 0.495, 0.99), (0, -0.495, -0.99))),
        (ops.translate_x, ((0, 16, 32), (0, -16, -32))),
        (ops.translate_y, ((0, 16, 32), (0, -16, -32))),
        (ops.rotate, ((0, 67.5, 135), (0, -67.5, -135))),
        *((f, ((1, 1.495, 1.99), (1, 0.505, 0.01))) for f in (ops.color, ops.contrast, ops.brightness)),
        (ops.sharpness, ((1, 1.495, 1.99), (1, 0.505, 0.01))),
        (ops.posterize, ((8, 5, 2),)),
        (ops.solarize, ((255, 127.5, 0),)),
    ]
    operations = wide_operations(224)
    assert [o.apply for o in operations if o.span is None] == [ops.identity, ops.autocontrast, ops.equalize]
    strong = [operation for operation in operations if operation.span is not None]
    assert [operation.apply for operation in strong] == [function for function, _ in expected]
    for operation, (_, table) in zip(strong, expected, strict=True):
        assert flat(rows(operation)) == pytest.approx(flat(table))


def test_trivialaugment_shifts_by_whole_pixels_and_by_no_more_than_the_size():
    shift = wide_operations(224)[3]
    assert [shift.strength(step / 30) for step in range(6)] == [0, 1, 2, 3, 4, 5]
    assert shift.strength(29 / 30, negative=True) == -30
    assert wide_operations(24)[3].strength(1) == 24
    assert create_policy("trivialaugwide", size=24).operations == wide_operations(24)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("original", {8: 7, 7: 6, 6: 6, 5: 6}),
        ("originalr", {8: 1, 7: 2, 6: 2, 5: 2}),
        ("v0", {6: 2, 2: 0}),
        ("v0r", {6: 2, 2: 4}),
    ],
)
def test_posterize_of_autoaugment_keeps_these_bits(name, bits):
    steps = [step for sequence in POLICIES[name] for step in sequence if step[0].apply is ops.posterize]
    assert {magnitude: operation.strength(magnitude / 10) for operation, _, magnitude in steps} == bits


def test_autoaugment_has_the_pairs_of_its_tables():
    for name, counts, first, sums in (
        (
            "original",
            {"Equalize": 17, "Solarize": 7, "Posterize": 5, "Rotate": 6, "Color": 6, "Invert": 3}
            | {"AutoContrast": 2, "Contrast": 2, "Sharpness": 1, "ShearX": 1},
            [("Posterize", 0.4, 8), ("Rotate", 0.6, 9)],
            (31.0, 287),
        ),
        (
            "v0",
            {"Equalize": 12, "Solarize": 8, "Color": 9, "Rotate": 7, "ShearY": 4, "ShearX": 2}
            | {"Posterize": 2, "AutoContrast": 2, "SolarizeAdd": 2, "Invert": 1, "TranslateY": 1},
            [("Equalize", 0.8, 1), ("ShearY", 0.8, 4)],
            (29.8, 240),
        ),
    ):
        names = {function: key for key, function in FUNCTIONS.items()}
        steps = [(names[o.apply], p, m) for sequence in POLICIES[name] for o, p, m in sequence]
        assert len(steps) == 50
        assert Counter(step[0] for step in steps) == counts
        assert steps[:2] == first
        assert (sum(p for _, p, _ in steps), sum(m for _, _, m in steps)) == pytest.approx(sums)
        assert [(p, m) for _, p, m in steps] == [(p, m) for s in POLICIES[name + "r"] for _, p, m in s]


def test_names_of_mindcv_are_those_of_timm():
    assert create_policy("autoaug-mstd0.5") == create_policy("original-mstd0.5")
    assert create_policy("autoaugr") == create_policy("originalr-mstd0.5") != create_policy("autoaug")
    assert create_policy("randaug-m7-inc1") == create_policy("rand-inc1-m7-mstd0.5")


def test_three_augments_strengths_are_those_of_deit_iii():
    assert [(o.apply, o.strength(m / 10)) for ((o, _, m),) in POLICIES["3a"]] == [
        (ops.solarize, 128),
        (ops.desaturate, 1),
        (ops.gaussian_blur, 2),
    ]
    assert THREE["Blur"].start == 0.1


def test_sets_of_key_t_have_timms_weights():
    assert create_policy("rand-t3a").choice == SETS["3a"]
    assert [operation.apply for operation in SETS["3a"].operations] == [
        ops.solarize,
        ops.desaturate,
        ops.gaussian_blur,
    ]
    assert SETS["3a"].weights is None
    three = {o.apply.__name__: w for o, w in zip(SETS["3aw"].operations, SETS["3aw"].weights, strict=True)}
    assert sum(three.values()) == pytest.approx(1)
    assert len(three) == 14
    assert three["gaussian_blur"] / three["invert"] == pytest.approx(6)
    assert three["rotate"] / three["shear_x"] == pytest.approx(1.5)
    weights = dict(zip(SETS["weights"].operations, SETS["weights"].weights, strict=True))
    assert weights[INCREASING["Posterize"]] == weights[INCREASING["Invert"]] == pytest.approx(0.05 / 10.1)
    assert weights[INCREASING["Rotate"]] == pytest.approx(3 / 10.1)
    assert len(weights) == 15


def test_augmix_has_thirteen_increasing_operations():
    assert len(AUGMIX) == 13
    others = {INCREASING[name] for name in ("Invert", "SolarizeAdd", "TranslateX", "TranslateY")}
    assert set(INCREASING.values()) - set(AUGMIX) == others
    shifts = {
        (operation.apply, operation.strength(1.0)) for operation in set(AUGMIX) - set(INCREASING.values())
    }
    assert shifts == {(ops.translate_x_relative, 0.3), (ops.translate_y_relative, 0.3)}
