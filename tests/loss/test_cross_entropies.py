import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.errors import UserError
from mindcv.loss import create_loss

LOGITS = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 0.0, 0.0, 0.0], [-1.0, 4.0, 2.0, 0.3]])
INDICES = np.array([3, 0, 2])
SOFT = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0], [0.0, 0.7, 0.3, 0.0]])
WEIGHT = np.array([1.0, 2.0, 0.5, 4.0])


@pytest.fixture(autouse=True)
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=getattr(request, "param", ms.PYNATIVE_MODE))
    yield
    ms.set_context(mode=before)


def tensor(values):
    values = np.asarray(values)
    return Tensor(values, ms.int32 if values.dtype.kind == "i" else ms.float32)


def value(loss, logits, labels):
    return loss(tensor(logits), tensor(labels)).asnumpy()


# --- references in float64, from the definitions ---------------------------------------------------------


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def targets(labels, classes, smoothing):
    rows = np.eye(classes)[labels] if labels.ndim == 1 else labels
    return (1 - smoothing) * rows + smoothing / classes


def cross_entropies(logits, labels, smoothing=0.0, weight=1.0):
    return -(weight * targets(labels, logits.shape[1], smoothing) * log_softmax(logits)).sum(axis=1)


def binary_cross_entropies(logits, labels, smoothing=0.0, weight=1.0):
    target = targets(labels, logits.shape[1], smoothing)
    return weight * (target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits))


@pytest.mark.parametrize("labels", [INDICES, SOFT], ids=["indices", "probabilities"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_both_losses_follow_their_definitions_under_every_reduction(labels, smoothing):
    expected = {
        "CE": cross_entropies(LOGITS, labels, smoothing),
        "BCE": binary_cross_entropies(LOGITS, labels, smoothing),
    }
    for name, each in expected.items():
        wanted = {"none": each, "mean": each.mean(), "sum": each.sum()}
        for reduction, result in wanted.items():
            loss = create_loss(name, reduction=reduction, label_smoothing=smoothing)
            actual = value(loss, LOGITS, labels)
            assert actual.shape == np.shape(result)
            np.testing.assert_allclose(actual, result, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE], indirect=True)
@pytest.mark.parametrize(("n", "classes"), [(1, 1), (1, 7), (7, 8), (8, 9), (9, 64), (101, 1000)])
def test_losses_and_gradients_at_sizes_that_reach_all_paths_of_the_kernels(n, classes, mode):
    rng = np.random.default_rng(n)
    magnitudes = 10 ** rng.uniform(-6, 1.5, (n, classes))
    logits = (magnitudes * rng.choice([-1, 1], (n, classes))).astype(np.float32).astype(np.float64)
    labels = rng.integers(0, classes, n)
    target = targets(labels, classes, 0.1)
    cases = {
        "CE": (cross_entropies, np.exp(log_softmax(logits)) - target, n),
        "BCE": (binary_cross_entropies, 1 / (1 + np.exp(-logits)) - target, n * classes),
    }
    for name, (function, gradient, count) in cases.items():
        found, found_gradient = ms.value_and_grad(create_loss(name, label_smoothing=0.1))(
            tensor(logits), tensor(labels)
        )
        expected = function(logits, labels, 0.1).mean()
        np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found_gradient.asnumpy(), gradient / count, rtol=1e-5, atol=2e-5 / count)


def test_numbers_worked_out_by_hand():
    assert value(create_loss("CE"), [[0.0, 0.0]], [1]) == pytest.approx(np.log(2), abs=1e-5)
    assert value(create_loss("bce"), [[0.0, 0.0]], [1]) == pytest.approx(np.log(2), abs=1e-5)
    # Softmax of (log 3, 0) is (3/4, 1/4); with smoothing 0.2 the target of class 0 is (0.9, 0.1).
    smooth = create_loss("ce", label_smoothing=0.2)
    assert value(smooth, [[np.log(3.0), 0.0]], [0]) == pytest.approx(
        -0.9 * np.log(0.75) - 0.1 * np.log(0.25), abs=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_mean_what_they_mean_in_pytorch(smoothing):
    def weighted(name, labels, reduction="mean"):
        loss = create_loss(name, weight=WEIGHT, label_smoothing=smoothing, reduction=reduction)
        return value(loss, LOGITS, labels)

    indexed = cross_entropies(LOGITS, INDICES, smoothing, WEIGHT)
    np.testing.assert_allclose(weighted("CE", INDICES), indexed.sum() / WEIGHT[INDICES].sum(), rtol=1e-5)
    np.testing.assert_allclose(weighted("CE", INDICES, "none"), indexed, rtol=1e-5)
    soft = cross_entropies(LOGITS, SOFT, smoothing, WEIGHT)
    np.testing.assert_allclose(weighted("CE", SOFT), soft.mean(), rtol=1e-5)
    binary = binary_cross_entropies(LOGITS, SOFT, smoothing, WEIGHT)
    np.testing.assert_allclose(weighted("BCE", SOFT), binary.mean(), rtol=1e-5)


def test_class_weights_may_be_a_list_an_array_or_a_tensor():
    results = [
        value(create_loss(weight=weight), LOGITS, INDICES)
        for weight in (WEIGHT.tolist(), WEIGHT, tensor(WEIGHT))
    ]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_auxiliary_outputs_count_by_their_factor_and_not_at_all_without(name):
    main, first, second = LOGITS, LOGITS[::-1].copy(), 2 * LOGITS
    single = create_loss(name, label_smoothing=0.1)
    parts = [float(value(single, logits, INDICES)) for logits in (main, first, second)]
    outputs = tuple(tensor(logits) for logits in (main, first, second))
    for factor, expected in ((0.4, parts[0] + 0.4 * parts[1] + 0.4 * parts[2]), (0.0, parts[0])):
        loss = create_loss(name, label_smoothing=0.1, aux_factor=factor)
        assert float(loss(outputs, tensor(INDICES)).asnumpy()) == pytest.approx(expected, rel=1e-6)
        assert float(value(loss, main, INDICES)) == pytest.approx(parts[0], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("CE", 0, 0.0),
        ("CE", 1, 1e4),
        ("CE", 2, 2e4),
        ("BCE", 0, 0.0),
        ("BCE", 1, 1e4 / 3),
        ("BCE", 2, 2e4 / 3),
    ],
)
def test_extreme_logits_give_finite_losses_and_gradients(name, label, expected):
    loss = create_loss(name)
    logits = np.array([[1e4, 0.0 if name == "CE" else -1e-30, -1e4]])
    if name == "BCE":  # class 1 at 0 has log 2 whatever the label
        expected += np.log(2) / 3
    labels = tensor([label])
    actual, gradient = ms.value_and_grad(loss)(tensor(logits), labels)
    np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(gradient.asnumpy()).all()


def test_gradients_are_those_of_the_closed_forms():
    probability = np.exp(log_softmax(LOGITS))
    target = targets(INDICES, 4, 0.1)
    gradient = ms.grad(create_loss("CE", label_smoothing=0.1))(tensor(LOGITS), tensor(INDICES))
    np.testing.assert_allclose(gradient.asnumpy(), (probability - target) / 3, atol=2e-6)
    # Row 1 of the logits is 0, where a careless softplus has no right derivative.
    gradient = ms.grad(create_loss("BCE", label_smoothing=0.1))(tensor(LOGITS), tensor(INDICES))
    np.testing.assert_allclose(gradient.asnumpy(), (1 / (1 + np.exp(-LOGITS)) - target) / 12, atol=2e-6)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_half_precision_logits_give_a_float32_loss(name):
    loss = create_loss(name)
    half = loss(tensor(LOGITS).astype(ms.float16), tensor(INDICES))
    assert half.dtype == ms.float32
    np.testing.assert_allclose(half.asnumpy(), value(loss, LOGITS, INDICES), rtol=1e-3)


@pytest.mark.parametrize("name", ["CE", "BCE"])
@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_out_of_range_makes_the_loss_nan(name, label):
    assert np.isnan(value(create_loss(name, label_smoothing=0.1), LOGITS, [0, label, 1]))
    per_sample = value(create_loss(name, reduction="none"), LOGITS, [0, label, 1])
    assert np.isnan(per_sample.reshape(3, -1)).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(per_sample.reshape(3, -1)).any(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["CE", "BCE"])
@pytest.mark.parametrize("mode", [ms.GRAPH_MODE], indirect=True, ids=["graph"])
def test_graph_mode_gives_the_same_numbers(name, mode):
    def wanted(labels):
        ce = cross_entropies(LOGITS, labels, 0.1, WEIGHT)
        bce = binary_cross_entropies(LOGITS, labels, 0.1, WEIGHT).mean()
        indexed = labels.ndim == 1
        return {"CE": ce.sum() / (WEIGHT[labels].sum() if indexed else 3), "BCE": bce}[name]

    loss = create_loss(name, weight=WEIGHT, label_smoothing=0.1, aux_factor=0.5)
    for labels in (INDICES, SOFT):
        outputs = (tensor(LOGITS), tensor(LOGITS))
        np.testing.assert_allclose(loss(outputs, tensor(labels)).asnumpy(), 1.5 * wanted(labels), rtol=1e-5)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE], indirect=True, ids=["graph"])
def test_graph_mode_refuses_labels_of_another_shape_too(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MindSpore leaves a dump of the graph where it runs
    with pytest.raises(ValueError, match="need the shape of the logits"):
        value(create_loss(), LOGITS, SOFT[:, :1])


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, SOFT[:, :1], "need the shape of the logits"),
        (LOGITS, INDICES[:2], r"need the shape \[N\]"),
        (LOGITS[0], INDICES[:1], r"expects logits of shape \[N, C\]"),
        (LOGITS[:, :1], INDICES, "as many class weights"),
    ],
)
def test_shapes_that_would_broadcast_to_nonsense_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        value(create_loss("BCE", weight=WEIGHT), logits, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "BCEE"}, "loss 'BCEE' is unknown; did you mean 'BCE'?"),
        (
            {"name": "focal"},
            "loss 'focal' is unknown: choose one of CE, BCE, asl_single_label, asl_multi_label, jsd",
        ),
        ({"reduction": "meen"}, "reduction 'meen' is unknown; did you mean 'mean'?"),
        ({"label_smoothing": 1.5}, "label_smoothing=1.5 is out of range: give a fraction from 0 to 1"),
        ({"aux_factor": -1.0}, "aux_factor=-1.0 is out of range: give 0 or more"),
        (
            {"weight": [[1.0]]},
            "weight must be a list of class weights: give one number of 0 or more for each class",
        ),
        (
            {"weight": [1.0, -1.0]},
            "weight must be a list of class weights: give one number of 0 or more for each class",
        ),
    ],
)
def test_a_mistake_is_named_with_its_remedy(options, message):
    with pytest.raises(UserError) as caught:
        create_loss(**options)
    assert str(caught.value) == message
