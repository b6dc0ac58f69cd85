"""Distillation against NumPy closed forms, in graph and PyNative mode."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from mindcv.errors import UserError
from mindcv.loss import create_loss
from mindcv.step import DistillationLoss, NetworkWithTeacher, NetworkWithTeacherLogits, Normalized
from tests.support.networks import values_of

MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}
N, C = 6, 5
RNG = np.random.default_rng(0)
LOGITS, TEACHER = 3 * RNG.standard_normal((2, N, C))
INDICES = RNG.integers(0, C, N)


both_modes = pytest.mark.parametrize("mode", MODES, indirect=True)


@pytest.fixture(autouse=True)
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=MODES[getattr(request, "param", "pynative")])
    yield
    ms.set_context(mode=before)


def tensor(values):
    values = np.asarray(values)
    return Tensor(values, ms.int32 if values.dtype.kind == "i" else ms.float32)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits, targets):
    return -(targets * np.log(softmax(logits))).sum(axis=1).mean()


def expected(logits, teacher, labels, alpha, temperature, hard):
    """The loss and its gradient with respect to the student's logits."""
    targets = np.eye(C)[labels] if labels.ndim == 1 else labels
    label_loss, label_gradient = cross_entropy(logits, targets), (softmax(logits) - targets) / N
    if hard:
        choice = np.eye(C)[teacher.argmax(axis=1)]
        loss, gradient = cross_entropy(logits, choice), (softmax(logits) - choice) / N
    else:
        student_p, teacher_p = softmax(logits / temperature), softmax(teacher / temperature)
        loss = temperature**2 * (teacher_p * np.log(teacher_p / student_p)).sum(axis=1).mean()
        gradient = temperature * (student_p - teacher_p) / N
    return (1 - alpha) * label_loss + alpha * loss, (1 - alpha) * label_gradient + alpha * gradient


@both_modes
@pytest.mark.parametrize(
    ("alpha", "temperature", "hard"),
    [(0.0, 4.0, False), (0.3, 1.0, False), (0.3, 4.0, False), (1.0, 4.0, False), (0.3, 4.0, True)],
)
def test_loss_and_gradient_follow_the_papers(alpha, temperature, hard):
    loss = DistillationLoss(create_loss(), alpha=alpha, temperature=temperature, hard=hard)
    function = ops.value_and_grad(loss, (0, 1))
    for labels in (INDICES, softmax(LOGITS[::-1])) if 0 < alpha < 1 else (INDICES,):
        value, (gradient, to_teacher) = function(tensor(LOGITS), tensor(TEACHER), tensor(labels))
        wanted, wanted_gradient = expected(LOGITS, TEACHER, labels, alpha, temperature, hard)
        assert (value.shape, value.dtype) == ((), ms.float32)
        assert float(value) == pytest.approx(wanted, rel=1e-5)
        np.testing.assert_allclose(gradient.asnumpy(), wanted_gradient, atol=1e-6)
        np.testing.assert_array_equal(to_teacher.asnumpy(), np.zeros((N, C)))


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn_from_it():
    loss = DistillationLoss(create_loss(), alpha=1.0, temperature=3.0)
    value, gradient = ops.value_and_grad(loss)(tensor(TEACHER + 7), tensor(TEACHER), tensor(INDICES))
    assert float(value) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(gradient.asnumpy(), np.zeros((N, C)), atol=1e-6)


def test_numbers_worked_out_by_hand():
    # At temperature 2 the teacher says (3/4, 1/4) and the student (1/2, 1/2).
    logits, teacher = tensor([[0.0, 0.0]]), tensor([[2 * np.log(3.0), 0.0]])
    soft = DistillationLoss(create_loss(), alpha=0.5, temperature=2.0)
    divergence = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert float(soft(logits, teacher, tensor([1]))) == pytest.approx(
        0.5 * np.log(2) + 0.5 * 4 * divergence, rel=1e-5
    )
    hard = DistillationLoss(create_loss(), alpha=0.5, temperature=2.0, hard=True)
    assert float(hard(tensor([[np.log(3.0), 0.0]]), teacher, tensor([1]))) == pytest.approx(
        0.5 * np.log(4) + 0.5 * np.log(4 / 3), rel=1e-5
    )


@both_modes
@pytest.mark.parametrize("hard", [False, True])
def test_the_teacher_teaches_the_main_output_and_the_labels_teach_all(hard):
    inner = create_loss(aux_factor=0.4)
    loss = DistillationLoss(inner, alpha=0.3, temperature=2.0, hard=hard)
    value = loss((tensor(LOGITS), tensor(2 * LOGITS)), tensor(TEACHER), tensor(INDICES))
    auxiliary = cross_entropy(2 * LOGITS, np.eye(C)[INDICES])
    main, _ = expected(LOGITS, TEACHER, INDICES, 0.3, 2.0, hard)
    assert float(value) == pytest.approx(main + 0.7 * 0.4 * auxiliary, rel=1e-5)


@pytest.mark.parametrize("hard", [False, True])
def test_half_precision_logits_are_compared_in_single_precision(hard):
    loss = DistillationLoss(create_loss(), alpha=1.0, temperature=8.0, hard=hard)
    student, teacher = LOGITS.astype(np.float16), TEACHER.astype(np.float16)
    value = loss(Tensor(student), Tensor(teacher), tensor(INDICES))
    wanted, _ = expected(student.astype(float), teacher.astype(float), INDICES, 1.0, 8.0, hard)
    assert value.dtype == ms.float32
    assert float(value) == pytest.approx(wanted, rel=1e-5)


@both_modes
@pytest.mark.parametrize("hard", [False, True])
def test_a_teacher_of_other_classes_is_refused(hard):
    loss = DistillationLoss(create_loss(), alpha=0.5, temperature=1.0, hard=hard)
    with pytest.raises(ValueError, match="the teacher's logits need the shape of the student's"):
        loss(tensor(LOGITS), tensor(TEACHER[:, :1]), tensor(INDICES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "alpha=1.5 is out of range: give the weight of the teacher's loss, from 0 to 1"),
        ({"alpha": -0.1}, "alpha=-0.1 is out of range: give the weight of the teacher's loss, from 0 to 1"),
        ({"temperature": 0}, "temperature=0 is out of range: give a number above 0"),
        ({"temperature": float("nan")}, "temperature=nan is out of range: give a number above 0"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(options, message):
    with pytest.raises(UserError) as caught:
        DistillationLoss(create_loss(), **{"alpha": 0.5, "temperature": 1.0, **options})
    assert str(caught.value) == message


class Classifier(nn.Cell):
    """Whatever trains differently from how it evaluates: batch normalisation and dropout."""

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels, momentum=0.5), nn.ReLU()
        )
        self.dropout = nn.Dropout(p=0.5)
        self.classifier = nn.Dense(channels, C)
        rng = np.random.default_rng(seed)
        for parameter in self.get_parameters():
            values = np.abs(rng.standard_normal(parameter.shape)) + 0.1
            signs = rng.choice([-1, 1], parameter.shape) if parameter.requires_grad else 1
            parameter.set_data(Tensor(values * signs, ms.float32))

    def construct(self, images):
        return self.classifier(self.dropout(self.features(images).mean((2, 3))))


class Remembering(nn.Cell):
    """A loss that keeps the teacher's logits."""

    def __init__(self, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.seen = Parameter(ops.zeros((N, C)), name="seen", requires_grad=False)

    def construct(self, logits, teacher_logits, labels):
        ops.assign(self.seen, teacher_logits)
        return self.loss(logits, teacher_logits, labels)


class Step(nn.Cell):
    """Forward, backward and update."""

    def __init__(self, forward: nn.Cell, optimizer: nn.Optimizer) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.optimizer = optimizer
        self.value_and_grad = ops.value_and_grad(forward, None, optimizer.parameters)

    def construct(self, *batch):
        loss, gradients = self.value_and_grad(*batch)
        return ops.depend(loss, self.optimizer(gradients))


def normalized(network):
    return Normalized(network, [120.0] * 3, [60.0] * 3)


def batches(count):
    rng = np.random.default_rng(3)
    for _ in range(count):
        yield tensor(rng.integers(0, C, N)), Tensor(rng.integers(0, 256, (N, 3, 8, 8)).astype(np.uint8))


@both_modes
@pytest.mark.parametrize("evaluated_before", [False, True])
def test_a_teacher_in_a_training_step_stays_as_it_was_and_says_what_it_says_alone(evaluated_before):
    student, teacher, alone = Classifier(4, seed=1), Classifier(8, seed=2), Classifier(8, seed=2)
    plain = normalized(alone).set_train(False)
    given = normalized(teacher)
    if evaluated_before:
        given.set_train(False)(next(batches(1))[1])
    before, student_before = values_of(alone), values_of(student)
    loss = Remembering(DistillationLoss(create_loss(), alpha=0.5, temperature=2.0))
    forward = NetworkWithTeacher(normalized(student), given, loss)
    step = Step(forward, nn.SGD(student.trainable_params(), 0.1)).set_train(True)
    assert student.training
    assert student.dropout.training
    for labels, images in batches(3):
        step(images, labels)
        np.testing.assert_array_equal(loss.seen.asnumpy(), plain(images).asnumpy())
    after = values_of(teacher)
    assert list(after) == [f"teacher.{name}" for name in before]
    for name, array in before.items():
        np.testing.assert_array_equal(after[f"teacher.{name}"], array, err_msg=name)
    moved = [name for name, array in values_of(student).items() if (array != student_before[name]).any()]
    assert moved == list(student_before)


def test_nothing_puts_the_teacher_into_training_mode():
    teacher = Classifier(8, seed=2)
    forward = NetworkWithTeacher(Classifier(4, seed=1), teacher, Remembering(create_loss()))
    outer = nn.SequentialCell(forward)
    for cell in (outer, forward, forward.teacher):
        cell.set_train(True)
        assert not any(cell.training for _, cell in teacher.cells_and_names())
    assert forward.network.training
    forward.add_flags_recursive(training=True)
    assert not any(cell.training for _, cell in teacher.cells_and_names())


def test_a_teacher_that_is_wrapped_twice_has_one_prefix_and_no_gradient():
    teacher = Classifier(8, seed=2)
    names = [f"teacher.{p.name}" for p in teacher.get_parameters()]
    for _ in range(2):
        forward = NetworkWithTeacher(Classifier(4, seed=1), teacher, create_loss())
        assert [p.name for p in teacher.get_parameters()] == names
    assert teacher.trainable_params() == []
    student = [p.name for p in forward.network.trainable_params()]
    assert [p.name for p in forward.trainable_params()] == student
    assert not set(student) & set(names)


@both_modes
def test_logits_that_come_with_the_batch_teach_as_the_teacher_itself_does():
    teacher = normalized(Classifier(8, seed=2)).set_train(False)
    given = [(images, labels, teacher(images)) for labels, images in batches(3)]
    results = []
    for network_with, count in ((NetworkWithTeacher, 2), (NetworkWithTeacherLogits, 3)):
        student = Classifier(4, seed=1)
        student.dropout.p = student.dropout.keep_prob = 0  # its masks would differ
        loss = DistillationLoss(create_loss(), alpha=0.5, temperature=2.0)
        teachers = [teacher] if count == 2 else []
        forward = network_with(normalized(student), *teachers, loss)
        step = Step(forward, nn.SGD(student.trainable_params(), 0.1)).set_train(True)
        losses = [float(step(*batch[:count])) for batch in given]
        results.append((losses, values_of(student)))
    (losses, weights), (losses_of_logits, weights_of_logits) = results
    assert len(set(losses)) == 3
    assert losses == pytest.approx(losses_of_logits, rel=1e-6)
    for name, array in weights.items():
        np.testing.assert_allclose(weights_of_logits[name], array, atol=1e-6, err_msg=name)
