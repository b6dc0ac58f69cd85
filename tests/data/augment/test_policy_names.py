"""Names of policies: their defaults, and what is said about mistakes in them."""

import ast
import math
import sys
from pathlib import Path

import pytest

from mindcv.data import augment
from mindcv.data.augment import create_policy
from mindcv.errors import UserError

HEADS = "3a, augmix, autoaug, autoaugr, original, originalr, rand, randaug, trivialaugwide, v0, v0r"
RAND = "unknown option {}: rand has m, n, p, mstd, mmax, inc, w, t"


def test_defaults_are_timms_and_mindcvs_where_the_name_is_mindcvs():
    policy = create_policy("rand")
    assert (policy.magnitude.mean, policy.magnitude.std, policy.magnitude.top) == (10, 0, 10)
    assert (policy.count, policy.probability, policy.choice.weights) == (2, 0.5, None)
    assert policy.geometry.fill == (124, 116, 104)
    assert create_policy("original").std == 0
    assert {create_policy(name).std for name in ("autoaug", "autoaugr")} == {0.5}
    assert create_policy("randaug-m9").magnitude.std == 0.5
    assert create_policy("randaug-m9-mstd0").magnitude.std == create_policy("autoaug-mstd0").std == 0
    mix = create_policy("augmix")
    assert (mix.magnitude.mean, mix.magnitude.std) == (3, math.inf)
    assert (mix.width, mix.depth, mix.alpha, mix.blended) == (3, -1, 1, False)


def test_options_may_stand_in_any_order():
    assert create_policy("rand-m9-n3-mstd0.5-inc1-p0.7") == create_policy("rand-p0.7-inc1-mstd.5-n3-m9.0")
    assert create_policy("augmix-m3-w4-d2-a0.5-b1") == create_policy("augmix-b1-a.5-d2-w4-m3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rnad-m9", f" is unknown: begin with one of {HEADS}; did you mean 'rand'?"),
        ("", f" is unknown: begin with one of {HEADS}"),
        ("trivialaugmentwide", f" is unknown: begin with one of {HEADS}; did you mean 'trivialaugwide'?"),
        ("m9-rand", f" is unknown: begin with one of {HEADS}"),
        ("rand-m9-q3", f": {RAND.format(repr('q3'))}"),
        ("rand-9", f": {RAND.format(repr('9'))}"),
        ("rand-", f": {RAND.format(repr(''))}"),
        ("rand-m9-msdt0.5", f": {RAND.format(repr('msdt0.5'))}; did you mean 'mstd'?"),
        ("rand-tfoo", f": {RAND.format(repr('tfoo'))}"),
        ("3a-m5", ": unknown option 'm5': 3a has mstd"),
        ("trivialaugwide-n2", ": unknown option 'n2': trivialaugwide has m"),
        ("rand-m", ": 'm' is invalid: m takes a number from 0 to 100"),
        ("rand-m-3", ": 'm' is invalid: m takes a number from 0 to 100"),
        ("rand-m1e1", ": 'm1e1' is invalid: m takes a number from 0 to 100"),
        ("rand-m12", ": m12 is above the limit of 10: lower it, or give mmax12 too"),
        ("rand-m9-mmax8", ": m9 is above the limit of 8: lower it, or give mmax9 too"),
        ("rand-mmax0", ": 'mmax0' is invalid: mmax takes a number from 1 to 100"),
        ("rand-n0", ": 'n0' is invalid: n takes an integer from 1 to 100"),
        ("rand-n1.5", ": 'n1.5' is invalid: n takes an integer from 1 to 100"),
        ("rand-p1.1", ": 'p1.1' is invalid: p takes a number from 0 to 1"),
        ("rand-mstdnan", f": {RAND.format(repr('mstdnan'))}"),
        ("v0-mstd-1", ": 'mstd' is invalid: mstd takes inf, or a number from 0 to 1000"),
        ("rand-inc", ": 'inc' is invalid: inc takes 0 or 1"),
        ("rand-inc2", ": 'inc2' is invalid: inc takes 0 or 1"),
        ("rand-w1", ": 'w1' is invalid: w takes 0"),
        ("rand-t3b", ": 't3b' is invalid: t takes 3a or 3aw or weights"),
        ("rand-m9-m5", ": 'm5' repeats m: give it once"),
        ("rand-w0-n14", ": n14 is too many: weighted operations are drawn once each, from 13"),
        ("rand-t3a-inc1", ": t3a has its own operations and weights: leave inc1 out"),
        ("rand-t3a-w0", ": t3a has its own operations and weights: leave w0 out"),
        ("trivialaugwide-m32", ": 'm32' is invalid: m takes an integer from 1 to 31"),
        ("augmix-m11", ": 'm11' is invalid: m takes a number from 0 to 10"),
        ("augmix-d0", ": 'd0' is invalid: d takes -1, or an integer from 1 to 100"),
        ("augmix-a0", ": 'a0' is invalid: a takes a number from 0.01 to 100"),
        ("augmix-b2", ": 'b2' is invalid: b takes 0 or 1"),
        ("augmix-p1", ": unknown option 'p1': augmix has m, w, d, a, b, mstd"),
    ],
)
def test_a_mistake_is_named_with_its_remedy_in_one_line(name, message):
    with pytest.raises(UserError) as error:
        create_policy(name)
    assert str(error.value) == f"auto_augment={name!r}{message}"


def test_augmentations_import_numpy_and_pillow_and_no_mindspore():
    names = set()
    for path in Path(augment.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names |= {node.module} if isinstance(node, ast.ImportFrom) else set()
            names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
    others = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith("mindcv.data.augment")} == {
        "numpy",
        "PIL",
        "mindcv.errors",
    }
