"""Each optimizer against its formula in float64, its state and its learning rates."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.optim import OPTIMIZERS, create_optimizer
from tests.optim.rules import CASES, adam_rule, momentum_rule, rmsprop_rule

RATES = [0.1, 0.05, 0.02]
START = {
    "weight": np.linspace(-1, 1, 6).reshape(2, 3),
    "norm.gamma": np.array([0.5, -0.3]),
    "bias": np.array([0.0, 0.2, 0.0]),
}


def draw_gradients(steps=5):
    rng = np.random.default_rng(0)
    scales = (1.0, 0.01, 3.0, 1e-3, 1.0)[:steps]
    return [[rng.normal(size=value.shape) * scale for value in START.values()] for scale in scales]


def make_parameters():
    return [Parameter(Tensor(value, ms.float32), name=name) for name, value in START.items()]


def apply(optimizer, gradients, scale=1.0):
    for step in gradients:
        optimizer(tuple(Tensor(gradient * scale, ms.float32) for gradient in step))


def values_of(parameters):
    return [parameter.asnumpy() for parameter in parameters]


@pytest.fixture(autouse=True)
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=getattr(request, "param", ms.PYNATIVE_MODE))
    yield
    ms.set_context(mode=before)


def reference(rule, gradients, rates=RATES, decays=(0.1, 0.1, 0.1)):
    """Parameters after the steps; rates holds one list for all parameters or one for each."""
    tables = rates if isinstance(rates[0], list) else [rates] * len(START)
    result = []
    for i, value in enumerate(START.values()):
        state: dict = {}
        for t, step in enumerate(gradients, 1):
            rate = tables[i][min(t - 1, len(tables[i]) - 1)]
            value = rule(value, step[i], rate, decays[i], state, t)
        result.append(value)
    return result


def assert_close(parameters, expected, atol=3e-6):
    for actual, wanted in zip(values_of(parameters), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=atol)


def test_the_cases_cover_every_optimizer():
    assert {options["opt"] for options, _ in CASES.values()} == set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("mode", "case"),
    [(ms.PYNATIVE_MODE, case) for case in CASES] + [(ms.GRAPH_MODE, opt) for opt in OPTIMIZERS],
    indirect=["mode"],
)
def test_five_steps_follow_the_formula_and_the_rate_table_holds_its_last_value(case):
    options, rule = CASES[case]
    parameters = make_parameters()
    optimizer = create_optimizer(parameters, lr=RATES, weight_decay=0.1, **options)
    gradients = draw_gradients()
    apply(optimizer, gradients)
    assert_close(parameters, reference(rule, gradients))
    assert optimizer.global_step.asnumpy().tolist() == [5]


@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_loss_scale_filter_and_a_rate_for_each_group_work_together(opt):
    options, rule = CASES[opt] if opt != "rmsprop" else ({"opt": opt, "eps": 1e-3}, rmsprop_rule(eps=1e-3))
    weight, gamma, bias = parameters = make_parameters()
    groups = [
        {"params": [bias], "lr": [0.5, 0.4], "weight_decay": 0.05},
        {"params": [weight, gamma]},
        {"order_params": parameters},
    ]
    optimizer = create_optimizer(
        groups, lr=0.01, weight_decay=0.1, weight_decay_filter="auto", loss_scale=256.0, **options
    )
    assert [parameter.name for parameter in optimizer.parameters] == list(START)
    gradients = draw_gradients(steps=3)
    apply(optimizer, gradients, scale=256.0)
    assert_close(
        parameters,
        reference(rule, gradients, rates=[[0.01], [0.01], [0.5, 0.4]], decays=(0.1, 0.0, 0.05)),
    )


@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_restored_state_continues_as_if_never_interrupted(opt):
    gradients = draw_gradients()
    whole = make_parameters()
    apply(create_optimizer(whole, opt, lr=RATES, weight_decay=0.1), gradients)

    first = make_parameters()
    saved_optimizer = create_optimizer(first, opt, lr=RATES, weight_decay=0.1)
    apply(saved_optimizer, gradients[:2])
    saved = {parameter.name: parameter.asnumpy() for parameter in saved_optimizer.get_parameters()}
    second = make_parameters()
    resumed = create_optimizer(second, opt, lr=RATES, weight_decay=0.1)
    state = {parameter.name: parameter for parameter in resumed.get_parameters()}
    assert state.keys() == saved.keys()
    assert not [name for name in state if "learning_rate" in name]
    for name, value in saved.items():
        state[name].set_data(Tensor(value))
    apply(resumed, gradients[2:])
    for actual, expected in zip(values_of(second), values_of(whole), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_state_is_named_after_the_moment_and_the_parameter():
    names = {p.name for p in create_optimizer(make_parameters(), "adamw", lr=RATES).get_parameters()}
    moments_of = {f"{moment}.{name}" for moment in ("moment1", "moment2") for name in START}
    assert names == {"global_step", *START, *moments_of}


@pytest.mark.parametrize("centered", [False, True])
def test_rmsprops_state_has_the_names_of_mindspores_whose_checkpoints_load(centered):
    ours = create_optimizer(make_parameters(), "rmsprop", lr=RATES, centered=centered)
    mindspores = nn.RMSProp(make_parameters(), 0.1, centered=centered)
    expected = {p.name: p.asnumpy() for p in mindspores.get_parameters() if p.name != "learning_rate"}
    found = {p.name: p.asnumpy() for p in ours.get_parameters()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("opt", sorted(set(OPTIMIZERS) - {"sgd", "momentum", "nesterov"}))
def test_gradients_in_half_precision_count_as_their_values_in_float32(opt):
    results = []
    for dtype in (np.float16, np.float32):
        parameters = make_parameters()
        optimizer = create_optimizer(parameters, opt, lr=0.1, weight_decay=0.1, loss_scale=8.0)
        for scale in (1e-3, 1e-4, 1e-5):
            halves = [np.full(value.shape, scale, np.float16) for value in START.values()]
            optimizer(tuple(Tensor(half.astype(dtype)) for half in halves))
        results.append(np.concatenate([value.ravel() for value in values_of(parameters)]))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("opt", ["rmsprop", "adamw"])
def test_a_compiled_training_step_updates_the_network_and_its_rate(opt):
    net = nn.Dense(3, 2, weight_init=Tensor(START["weight"], ms.float32), bias_init="zeros")
    optimizer = create_optimizer(net, opt, lr=RATES, eps=1e-3, weight_decay=0.1)

    def loss_of(x):
        return (net(x) ** 2).sum()

    gradient_of = ms.value_and_grad(loss_of, None, optimizer.parameters)

    @ms.jit
    def train(x):
        loss, gradients = gradient_of(x)
        optimizer(gradients)
        return loss

    x = np.array([[1.0, -2.0, 0.5]])
    weight, bias = START["weight"], np.zeros(2)
    rule = {"rmsprop": rmsprop_rule(eps=1e-3), "adamw": adam_rule(eps=1e-3, decoupled=True)}[opt]
    states = ({}, {})
    for t in range(1, 5):
        loss = train(Tensor(x, ms.float32))
        out = x @ weight.T + bias
        assert float(loss.asnumpy()) == pytest.approx((out**2).sum(), rel=1e-4)
        rate = RATES[min(t, 3) - 1]
        weight = rule(weight, 2 * out.T @ x, rate, 0.1, states[0], t)
        bias = rule(bias, 2 * out[0], rate, 0.1, states[1], t)
    assert_close([net.weight, net.bias], [weight, bias], atol=1e-5)


# --- learning rates --------------------------------------------------------------------------------------


def test_a_single_rate_is_a_parameter_that_can_be_set():
    parameters = make_parameters()
    optimizer = create_optimizer(parameters, "sgd", lr=0.1, momentum=0.0)
    ms.ops.assign(optimizer.learning_rate, Tensor(0.5, ms.float32))
    gradients = draw_gradients(steps=1)
    apply(optimizer, gradients)
    assert_close(parameters, reference(momentum_rule(mu=0.0), gradients, [0.5], (0.0, 0.0, 0.0)))


def test_mindspores_own_schedule_is_taken_as_it_is():
    parameters = make_parameters()
    schedule = nn.ExponentialDecayLR(learning_rate=0.1, decay_rate=0.5, decay_steps=1)
    optimizer = create_optimizer(parameters, "sgd", lr=schedule, momentum=0.0)
    gradients = draw_gradients(steps=3)
    apply(optimizer, gradients)
    assert_close(parameters, reference(momentum_rule(mu=0.0), gradients, [0.1, 0.05, 0.025], (0.0, 0.0, 0.0)))


def test_a_tiny_rate_of_one_group_survives_beside_a_table():
    weight, gamma, bias = parameters = make_parameters()
    groups = [{"params": [weight], "lr": 1e-10}, {"params": [gamma, bias]}]
    optimizer = create_optimizer(groups, "sgd", lr=RATES, momentum=0.0)
    gradients = [[np.full(value.shape, 1e10) for value in START.values()]]
    apply(optimizer, gradients)
    np.testing.assert_allclose(weight.asnumpy(), START["weight"] - 1, atol=1e-6)
    assert [parameter.name for parameter in parameters] == [p.name for p in optimizer.parameters]


@pytest.mark.parametrize("opt", ["sgd", "momentum", "nesterov", "lion"])
def test_an_epsilon_is_accepted_by_optimizers_without_one(opt):
    gradients = draw_gradients(steps=2)
    results = []
    for eps in (None, 0.5):
        parameters = make_parameters()
        apply(create_optimizer(parameters, opt, lr=0.1, eps=eps), gradients)
        results.append(np.concatenate([value.ravel() for value in values_of(parameters)]))
    np.testing.assert_array_equal(*results)
