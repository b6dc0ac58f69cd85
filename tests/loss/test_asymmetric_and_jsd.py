"""The asymmetric losses and the Jensen-Shannon loss against their definitions in float64."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.errors import UserError
from mindcv.loss import (
    AsymmetricLossMultilabel,
    AsymmetricLossSingleLabel,
    BinaryCrossEntropySmooth,
    JSDCrossEntropy,
    create_loss,
)

SIZES = [(1, 1), (1, 7), (7, 8), (8, 9), (9, 64), (3, 33341)]  # the last has 100023 elements
EVERYWHERE = [pytest.param(ms.PYNATIVE_MODE, size) for size in SIZES] + [
    pytest.param(ms.GRAPH_MODE, size, marks=[pytest.mark.slow] if size != (9, 64) else [], id=f"graph-{size}")
    for size in SIZES
]


@pytest.fixture(autouse=True)
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=getattr(request, "param", ms.PYNATIVE_MODE))
    yield
    ms.set_context(mode=before)


def tensor(values):
    values = np.asarray(values)
    return Tensor(values, ms.int32 if values.dtype.kind == "i" else ms.float32)


def draw(n, classes):
    rng = np.random.default_rng(n)
    magnitudes = 10 ** rng.uniform(-6, 1, (n, classes))
    logits = (magnitudes * rng.choice([-1, 1], (n, classes))).astype(np.float32).astype(np.float64)
    return logits, rng.integers(0, classes, n), (rng.random((n, classes)) < 0.3).astype(np.float64)


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def multi_label(logits, target, gamma_neg=4, gamma_pos=1, clip=0.05, smoothing=0.0):
    target = (1 - smoothing) * target + smoothing / logits.shape[1]
    positive, shown = sigmoid(logits), np.maximum(sigmoid(logits) - clip, 0)
    loss = target * np.log(positive) + (1 - target) * np.log(1 - shown)
    base = target * sigmoid(-logits) + (1 - target) * shown
    return -(base ** (gamma_pos * target + gamma_neg * (1 - target)) * loss).sum(axis=1)


def single_label(logits, labels, gamma_pos=1, gamma_neg=4, smoothing=0.1):
    hot = np.eye(logits.shape[1])[labels] if labels.ndim == 1 else labels
    p = np.exp(log_softmax(logits))
    weight = np.where(hot == 1, (1 - p) ** gamma_pos, p**gamma_neg)
    target = (1 - smoothing) * hot + smoothing / logits.shape[1]
    return -(target * weight * log_softmax(logits)).sum(axis=1)


@pytest.mark.parametrize(("mode", "size"), EVERYWHERE, indirect=["mode"])
def test_asymmetric_losses_follow_their_definitions_at_every_size(size, mode):
    n, classes = size
    logits, indices, present = draw(n, classes)
    cases = [
        (AsymmetricLossMultilabel(), present, multi_label(logits, present).sum()),
        (
            create_loss("asl_single_label", reduction="none"),
            indices,
            single_label(logits, indices, smoothing=0),
        ),
    ]
    for loss, labels, expected in cases:
        actual = loss(tensor(logits), tensor(labels)).asnumpy()
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["asl_multi_label", "asl_single_label"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_asymmetric_losses_reduce_smooth_and_weigh_auxiliary_outputs(name, smoothing):
    logits, indices, _ = draw(5, 6)
    hot = np.eye(6)[indices]
    per_sample = {"asl_multi_label": multi_label, "asl_single_label": single_label}[name](
        logits, hot, smoothing=smoothing
    )
    for reduction, expected in {
        "none": per_sample,
        "sum": per_sample.sum(),
        "mean": per_sample.mean(),
    }.items():
        loss = create_loss(name, reduction=reduction, label_smoothing=smoothing, aux_factor=0.5)
        for labels in (indices, hot):
            np.testing.assert_allclose(
                loss(tensor(logits), tensor(labels)).asnumpy(), expected, rtol=1e-5, atol=1e-5
            )
            both = loss((tensor(logits), tensor(logits)), tensor(labels)).asnumpy()
            np.testing.assert_allclose(both, 1.5 * expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (AsymmetricLossMultilabel(gamma_neg=2, gamma_pos=0, clip=None), multi_label),
        (AsymmetricLossMultilabel(3, 2, 0.2), multi_label),
        (AsymmetricLossSingleLabel(0, 2, smoothing=0.3), single_label),
    ],
)
def test_the_numbers_of_an_asymmetric_loss_are_those_of_its_definition(loss, reference):
    logits, indices, present = draw(4, 7)
    settings = {"gamma_neg": loss.gamma_neg, "gamma_pos": loss.gamma_pos, "smoothing": loss.smoothing}
    if reference is multi_label:
        settings["clip"] = loss.clip
    labels = present if reference is multi_label else indices
    expected = reference(logits, labels, **settings)
    expected = expected.sum() if reference is multi_label else expected.mean()
    np.testing.assert_allclose(loss(tensor(logits), tensor(labels)).asnumpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["asl_multi_label", "asl_single_label"])
def test_gradients_of_asymmetric_losses_are_the_slopes_of_their_definitions(name):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 5)), rng.integers(0, 5, 3)
    reference = {"asl_multi_label": multi_label, "asl_single_label": single_label}[name]
    gradient = ms.grad(create_loss(name, reduction="sum"))(tensor(logits), tensor(labels)).asnumpy()
    slopes = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[place] = 1e-6
        up, down = (reference(logits + s * step, np.eye(5)[labels], smoothing=0.0).sum() for s in (1, -1))
        slopes[place] = (up - down) / 2e-6
    np.testing.assert_allclose(gradient, slopes, atol=1e-5)


@pytest.mark.parametrize("name", ["asl_multi_label", "asl_single_label", "jsd"])
def test_certain_logits_give_finite_losses_and_gradients(name):
    logits = np.array([[90.0, -90.0, 0.0], [-90.0, 90.0, 60.0], [0.0, 0.0, -300.0]])
    loss = create_loss(name).set_train()
    value, gradient = ms.value_and_grad(loss)(tensor(logits), tensor(np.array([0, 0, 1])))
    assert np.isfinite(value.asnumpy())
    assert np.isfinite(gradient.asnumpy()).all()


def divergence(logits, splits):
    log_p = log_softmax(logits.reshape(splits, -1, logits.shape[1]))
    p = np.exp(log_p)
    mixture = np.log(np.clip(p.mean(axis=0), 1e-7, 1))
    return (p * (log_p - mixture)).sum() / log_p.shape[1]


@pytest.mark.parametrize(("mode", "size"), EVERYWHERE, indirect=["mode"])
def test_jensen_shannon_loss_adds_the_divergence_of_the_copies_to_the_clean_images_loss(size, mode):
    n, classes = size
    logits, labels = (
        np.concatenate([draw(n, classes)[0] / k for k in (1, 2, 3)]),
        np.tile(draw(n, classes)[1], 3),
    )
    clean = -log_softmax(logits[:n])[np.arange(n), labels[:n]].mean()
    expected = clean + 12 / 3 * divergence(logits, 3)
    loss = create_loss("jsd").set_train()
    np.testing.assert_allclose(loss(tensor(logits), tensor(labels)).asnumpy(), expected, rtol=2e-5, atol=1e-6)


def test_jensen_shannon_loss_is_cross_entropy_outside_of_training():
    logits, labels, _ = draw(5, 4)
    weight = [1.0, 2.0, 0.5, 1.0]
    for reduction in ("mean", "sum", "none"):
        jsd = JSDCrossEntropy(2, 3, 0.1, weight, reduction)
        plain = create_loss("CE", weight, reduction, 0.1)
        inputs = tensor(logits), tensor(labels)
        np.testing.assert_array_equal(jsd(*inputs).asnumpy(), plain(*inputs).asnumpy())


def test_a_batch_that_does_not_divide_into_copies_names_the_loader():
    with pytest.raises(ValueError, match=r"use create_loader\(separate=True\)"):
        create_loss("jsd").set_train()(tensor(np.ones((4, 2))), tensor(np.array([0, 1, 0, 1])))


def test_positive_weights_multiply_the_part_of_the_classes_that_an_image_has():
    logits, _, present = draw(6, 5)
    weight, positive = np.array([1.0, 2.0, 0.5, 1.0, 3.0]), np.array([2.0, 1.0, 0.3, 0.0, 1.0])
    expected = weight * (
        positive * present * np.logaddexp(0, -logits) + (1 - present) * np.logaddexp(0, logits)
    )
    loss = BinaryCrossEntropySmooth(0.0, 0.0, "mean", weight, positive)
    np.testing.assert_allclose(loss(tensor(logits), tensor(present)).asnumpy(), expected.mean(), rtol=1e-5)
    with pytest.raises(ValueError, match="as many positive weights"):
        BinaryCrossEntropySmooth(pos_weight=[1.0])(tensor(logits), tensor(present))


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: create_loss("asl_multi_label", weight=[1.0]), "has no class weights: leave weight out"),
        (lambda: AsymmetricLossSingleLabel(gamma_pos=-1), "must be exponents of 0 or more"),
        (lambda: JSDCrossEntropy(num_splits=1), "give 2 or more, and 0 or more"),
        (lambda: create_loss("focal"), "loss 'focal' is unknown: choose one of CE"),
    ],
)
def test_mistakes_are_named(create, message):
    with pytest.raises(UserError, match=message):
        create()


def test_an_unknown_loss_is_also_the_exception_that_mindcv_raises():
    with pytest.raises(NotImplementedError):
        create_loss("focal")


@pytest.mark.parametrize("name", ["CE", "BCE", "asl_single_label", "asl_multi_label", "jsd"])
def test_a_dense_layer_learns_with_every_loss(name):
    rng = np.random.default_rng(0)
    images, labels = tensor(rng.normal(size=(12, 8))), tensor(rng.integers(0, 4, 12))
    net = nn.Dense(8, 4)
    step = nn.TrainOneStepCell(
        nn.WithLossCell(net, create_loss(name)), nn.SGD(net.trainable_params(), 0.2)
    ).set_train()
    values = [float(step(images, labels)) for _ in range(10)]
    assert values[-1] < 0.9 * values[0]
