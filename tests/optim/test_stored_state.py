"""Optimizers that start from a stored state, and the order of MindCV's arguments."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.optim import create_optimizer


def parameters(size: int = 9) -> list[Parameter]:
    return [Parameter(Tensor(np.ones(size), ms.float32), name="weight")]


def gradients(step: int) -> tuple[Tensor, ...]:
    return (Tensor(np.linspace(-1, 1, 9) * (step + 1), ms.float32),)


@pytest.mark.parametrize("opt", ["sgd", "momentum", "rmsprop", "adam", "adamw", "lamb", "lion", "nadam"])
@pytest.mark.parametrize("prefix", ["", "optimizer."])
def test_a_restored_optimizer_continues_bit_by_bit(opt, prefix, tmp_path):
    rates = [0.1, 0.05, 0.025, 0.0125]
    whole = create_optimizer(parameters(), opt, rates)
    for step in range(2):
        whole(gradients(step))
    state = {prefix + name: p for name, p in whole.parameters_dict().items()}
    write_checkpoint(tmp_path / "optim_net.ckpt", state, {})
    restored = create_optimizer(parameters(), opt, rates, checkpoint_path=str(tmp_path / "optim_net.ckpt"))
    ms.ops.assign(restored.parameters[0], Tensor(whole.parameters[0].asnumpy()))
    for step in range(2, 4):
        whole(gradients(step))
        restored(gradients(step))
    assert np.array_equal(restored.parameters[0].asnumpy(), whole.parameters[0].asnumpy())


def test_the_given_learning_rate_wins_over_the_stored_one(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", create_optimizer(parameters(), "sgd", 0.5).parameters_dict(), {})
    optimizer = create_optimizer(parameters(), "sgd", 0.25, checkpoint_path=str(tmp_path / "a.ckpt"))
    assert float(optimizer.learning_rate) == 0.25


def test_a_state_of_another_optimizer_or_network_is_refused(tmp_path):
    path = str(tmp_path / "a.ckpt")
    write_checkpoint(tmp_path / "a.ckpt", create_optimizer(parameters(), "sgd", 0.5).parameters_dict(), {})
    with pytest.raises(UserError, match=r"lacks the optimizer's '\w+\.weight': give a checkpoint"):
        create_optimizer(parameters(), "adam", 0.5, checkpoint_path=path)
    with pytest.raises(UserError, match=r"has the shape \[9\], not \[8\]"):
        create_optimizer(parameters(8), "sgd", 0.5, checkpoint_path=path)
    with pytest.raises(UserError, match="no such checkpoint"):
        create_optimizer(parameters(), "sgd", 0.5, checkpoint_path=str(tmp_path / "missing.ckpt"))


def test_arguments_have_the_order_of_mindcv():
    arguments = ("nadam", 0.1, 0.0, 0.9, False, "disable", None, 1.0, 0.5, "", 0.1)
    positional = create_optimizer(parameters(), *arguments)
    named = create_optimizer(parameters(), "nadam", lr=0.1, momentum_decay=0.5, eps=0.1)
    for optimizer in (positional, named):
        for step in range(3):
            optimizer(gradients(step))
    assert np.array_equal(positional.parameters[0].asnumpy(), named.parameters[0].asnumpy())
    other = create_optimizer(parameters(), "nadam", lr=0.1, eps=0.1)
    for step in range(3):
        other(gradients(step))
    assert not np.array_equal(other.parameters[0].asnumpy(), named.parameters[0].asnumpy())
