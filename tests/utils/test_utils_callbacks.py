"""StateMonitor, ValCallback and CheckpointManager: files and results as MindCV 0.3.0 leaves them."""

import logging
import os
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.utils import CheckpointManager, StateMonitor, ValCallback, create_trainer, get_metrics

CLASSES = 7


def fresh_data():
    """The same 12 samples; MindSpore ties a dataset to the first model that it trains."""
    images = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    labels = (np.arange(12) % CLASSES).astype(np.int32)
    return ms.dataset.NumpySlicesDataset((images, labels), shuffle=False).batch(4)


@pytest.fixture
def data():
    return fresh_data()


def run(data, folder, *, epochs=3, lr=0.1, trainer=None, **kwargs):
    network = nn.Dense(3, CLASSES, weight_init=0.1, bias_init="zeros")
    optimizer = nn.SGD(network.trainable_params(), lr)
    metrics = get_metrics(CLASSES)
    model = create_trainer(
        network,
        nn.CrossEntropyLoss(),
        optimizer,
        get_metrics(CLASSES),
        "O0",
        None,
        "fixed",
        **(trainer or {}),
    )
    monitor = StateMonitor(
        model,
        "net",
        dataset_sink_mode=False,
        metric_name=list(metrics),
        ckpt_save_dir=str(folder),
        log_interval=2,
        **kwargs,
    )
    model.train(epochs, data, callbacks=[monitor], dataset_sink_mode=False)
    return model, monitor


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def table(folder) -> list[list[str]]:
    return [line.split() for line in (folder / "result.log").read_text().splitlines()]


def test_a_run_leaves_the_files_of_mindcv(data, tmp_path):
    _, monitor = run(data, tmp_path, dataset_val=data)
    numbered = [f"net-{epoch}_3.ckpt" for epoch in (1, 2, 3)]
    assert names(tmp_path) == [*numbered, "net_best.ckpt", "optim_net.ckpt", "result.log"]
    header, *rows = table(tmp_path)
    assert header == [
        "Epoch", "TrainLoss", "Top_1_Accuracy", "Top_5_Accuracy", "TrainTime", "EvalTime", "TotalTime"
    ]  # fmt: skip
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert 100 * monitor.best_res == pytest.approx(max(float(row[2].rstrip("%")) for row in rows), abs=1e-4)


def test_a_checkpoint_loads_into_a_network_by_mindspore_itself(data, tmp_path):
    model, _ = run(data, tmp_path, epochs=1)
    network = nn.Dense(3, CLASSES)
    missing, _ = ms.load_param_into_net(network, ms.load_checkpoint(str(tmp_path / "net-1_3.ckpt")))
    assert missing == []
    x = Tensor(np.ones((2, 3), np.float32))
    assert np.array_equal(network(x).asnumpy(), model.predict(x).asnumpy())


def test_the_ema_model_is_evaluated_and_saved_and_training_goes_on_unchanged(data, tmp_path):
    trainer = {"ema": True, "ema_decay": 0.9}
    model, monitor = run(data, tmp_path / "with", dataset_val=data, model_ema=True, trainer=trainer)
    plain, _ = run(fresh_data(), tmp_path / "without", trainer=trainer)
    step = model.train_network
    assert np.array_equal(step.weights_all[0].asnumpy(), plain.train_network.weights_all[0].asnumpy())
    saved = ms.load_checkpoint(str(tmp_path / "with" / "net-3_3.ckpt"))
    assert np.array_equal(saved["weight"].asnumpy(), step.ema_weight[0].asnumpy())
    logits = data_logits(data, step.ema_weight)
    labels = np.arange(12) % CLASSES
    assert float(table(tmp_path / "with")[-1][2].rstrip("%")) == pytest.approx(
        100 * (logits.argmax(1) == labels).mean(), abs=1e-4
    )
    assert monitor.best_epoch > 0


def data_logits(data, weights) -> np.ndarray:
    images = np.concatenate([batch[0] for batch in data.create_tuple_iterator(output_numpy=True)])
    return images @ weights[0].asnumpy().T + weights[1].asnumpy()


def test_intervals_and_policies_choose_epochs_and_files(data, tmp_path):
    run(
        data, tmp_path, dataset_val=data, val_start_epoch=3, save_best_ckpt=False,
        ckpt_save_interval=2, ckpt_save_policy="latest_k", ckpt_keep_max=1,
    )  # fmt: skip
    assert names(tmp_path) == ["net-3_3.ckpt", "optim_net.ckpt", "result.log"]
    _, *rows = table(tmp_path)
    assert [row[2] for row in rows[:2]] == ["0.0000%", "0.0000%"]


def test_a_resumed_run_counts_on_and_adds_to_the_table(data, tmp_path):
    run(data, tmp_path, epochs=1)
    run(fresh_data(), tmp_path, epochs=1, last_epoch=1)
    assert [row[0] for row in table(tmp_path)] == ["Epoch", "1", "2"]
    assert "net-2_3.ckpt" in names(tmp_path)


def test_the_log_names_epoch_batch_loss_and_the_learning_rate_used(data, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "mindcv.utils.callbacks"):
        run(data, tmp_path, epochs=2, lr=[0.1, 0.09, 0.081, 0.0729, 0.06561, 0.059049])
    lines = [record.getMessage() for record in caplog.records if "batch:" in record.getMessage()]
    assert [line.split(", loss")[0] for line in lines] == [
        f"Epoch: [{epoch}/2], batch: [{batch}/3]" for epoch in (1, 2) for batch in (1, 2, 3)
    ]
    rates = [line.split("lr: ")[1].split(",")[0] for line in lines]
    assert rates == ["0.100000", "0.090000", "0.081000", "0.072900", "0.065610", "0.059049"]


def test_an_evaluation_logs_its_batches(data, tmp_path, caplog):
    model, _ = run(data, tmp_path, epochs=1)
    caplog.clear()
    with caplog.at_level(logging.INFO, "mindcv.utils.callbacks"):
        model.eval(data, callbacks=[ValCallback(2)], dataset_sink_mode=False)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["batch: 2/3", "batch: 3/3"]


SCORES = (0.3, 0.5, 0.1, 0.4, 0.5, 0.2)


def test_top_k_keeps_the_best(tmp_path):
    manager, network = CheckpointManager("top_k"), nn.Dense(2, 2)
    kept = [
        manager.save_ckpoint(network, num_ckpt=2, metric=score, save_path=str(tmp_path / f"m-{i}.ckpt"))[:]
        for i, score in enumerate(SCORES)
    ]
    shown = [[(Path(path).name, score) for path, score in files] for files in kept]
    first = [("m-1.ckpt", 0.5), ("m-0.ckpt", 0.3)]
    third = [("m-1.ckpt", 0.5), ("m-4.ckpt", 0.5)]
    assert shown == [[("m-0.ckpt", 0.3)], first, first, [("m-1.ckpt", 0.5), ("m-3.ckpt", 0.4)], third, third]
    assert names(tmp_path) == ["m-1.ckpt", "m-4.ckpt"]
    assert manager.ckpoint_num == 2


def test_latest_k_keeps_the_newest_and_none_keeps_all(tmp_path):
    network = nn.Dense(2, 2)
    for policy, expected in (
        ("latest_k", ["m-2.ckpt", "m-3.ckpt"]),
        (None, [f"m-{i}.ckpt" for i in range(4)]),
    ):
        folder = tmp_path / str(policy)
        folder.mkdir()
        manager = CheckpointManager(policy)
        for i in range(4):
            manager.save_ckpoint(network, 2, save_path=str(folder / f"m-{i}.ckpt"))
        assert names(folder) == expected


def test_an_unknown_policy_and_a_missing_score_are_value_errors(tmp_path):
    with pytest.raises(ValueError, match="ckpt_save_policy='other'"):
        CheckpointManager("other").save_ckpoint(nn.Dense(2, 2), save_path=str(tmp_path / "a.ckpt"))
    with pytest.raises(ValueError, match="metric is missing"):
        CheckpointManager("top_k").save_ckpoint(nn.Dense(2, 2), 2, None, str(tmp_path / "a.ckpt"))


def test_files_of_a_folder_are_managed_by_age(tmp_path, caplog):
    for age, name in enumerate(
        ["p-3_2.ckpt", "q-1.ckpt", "p-2_2.ckpt", "p_3-1_1.ckpt", "p-1_2.ckpt", "p.txt"]
    ):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    manager = CheckpointManager()
    manager.update_ckpoint_filelist(str(tmp_path), "p")
    ordered = [str(tmp_path / f"p-{i}_2.ckpt") for i in (1, 2, 3)]
    assert manager.ckpoint_filelist == ordered
    manager.remove_oldest_ckpoint_file()
    assert manager.ckpoint_filelist == ordered[1:]
    manager.keep_one_ckpoint_per_minutes(1, 1000)
    assert manager.ckpoint_filelist == ordered[2:]
    assert names(tmp_path) == ["p-3_2.ckpt", "p.txt", "p_3-1_1.ckpt", "q-1.ckpt"]
    manager.remove_ckpoint_file(str(tmp_path / "nothing.ckpt"))
    assert "nothing.ckpt cannot be removed" in caplog.text
