"""The formulas that the optimizers are tested with are those of PyTorch and timm, computed in float64."""

import numpy as np
import pytest

from tests.optim.rules import CASES
from tests.support.peers import timm, torch

UPDATES = 200
LR = 0.01

RMSPROP = {"alpha": 0.9, "momentum": 0.9, "eps": 1e-3}
PEERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "sgd without momentum": (torch.optim.SGD, {}),
    "sgd with dampening": (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
    "sgd nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "momentum": (torch.optim.SGD, {"momentum": 0.8}),
    "momentum nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (timm.optim.RMSpropTF, RMSPROP),
    "rmsprop decay": (timm.optim.RMSpropTF, {"alpha": 0.8, "momentum": 0.5, "eps": 1e-10}),
    "rmsprop centered": (timm.optim.RMSpropTF, {**RMSPROP, "centered": True}),
    "adam": (torch.optim.Adam, {}),
    "adam eps": (torch.optim.Adam, {"eps": 0.1}),
    "adamw": (torch.optim.AdamW, {}),
    "adamw betas": (torch.optim.AdamW, {"betas": (0.8, 0.9)}),
    "adan": (timm.optim.Adan, {}),
    "adan eps": (timm.optim.Adan, {"eps": 0.1, "betas": (0.9, 0.8, 0.95)}),
    "lamb": (timm.optim.Lamb, {"max_grad_norm": None}),
    "lamb eps": (timm.optim.Lamb, {"max_grad_norm": None, "eps": 0.1}),
    "lion": (timm.optim.Lion, {}),
    "adagrad eps": (torch.optim.Adagrad, {"eps": 0.1}),
    "nadam": (torch.optim.NAdam, {}),
    "nadam eps": (torch.optim.NAdam, {"eps": 0.1, "momentum_decay": 1.0}),
}


def test_only_variants_that_neither_library_has_lack_a_peer():
    # Adam with Nesterov's momentum, and Adagrad's sum from 0.1 on, to which PyTorch adds an epsilon.
    assert set(CASES) - set(PEERS) == {"adam nesterov", "adagrad"}


@pytest.mark.parametrize("case", PEERS)
def test_200_updates_of_the_formula_are_those_of_the_library(case):
    optimizer, options = PEERS[case]
    _, rule = CASES[case]
    rng = np.random.default_rng(0)
    start = rng.normal(size=9)
    scales = 10 ** np.linspace(-6, 0, 9)
    parameter = torch.nn.Parameter(torch.tensor(start))
    theirs = optimizer([parameter], lr=LR, weight_decay=0.1, **options)
    weight, state = start, {}
    for t in range(1, UPDATES + 1):
        gradient = scales * rng.normal(size=9)
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        weight = rule(weight, gradient, LR, 0.1, state, t)
    np.testing.assert_allclose(weight, parameter.detach().numpy(), rtol=0, atol=1e-8)
    assert abs(weight - start).min() > 1e-4
