"""Callbacks of `mindspore.Model` that monitor, validate and save a run, under MindCV's names."""

import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from mindspore import Callback, Model, RunContext, Tensor, communication, nn, ops

from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.runtime.collectives import sum_over_ranks
from mindcv.utils.checkpoint_manager import CheckpointManager
from mindcv.utils.reduce_manager import world_size
from mindcv.utils.train_step import TrainStep

__all__ = ["StateMonitor", "ValCallback"]

logger = logging.getLogger(__name__)


class StateMonitor(Callback):
    """Logs losses and learning rates, validates after epochs, and saves checkpoints.

    In `ckpt_save_dir` rank 0 writes ``<model_name>-<epoch>_<steps>.ckpt``, ``<model_name>_best.ckpt``,
    ``optim_<model_name>.ckpt`` with the optimizer's state, and ``result.log``, a table with a row for each
    epoch, to which a resumed run adds.

    Args:
        model: The model that trains, such as `create_trainer` returns.
        model_name: Start of the files' names.
        model_ema: Whether to validate and save the EMA model's weights instead of the network's.
        last_epoch: Epochs of the run that this one resumes.
        dataset_sink_mode: Whether validation uses MindSpore's sink mode.
        dataset_val: Data to validate with; None for no validation.
        metric_name: Names of the model's metrics; the first decides which epoch is the best.
        val_interval: Epochs between two validations; the last epoch is validated too.
        val_start_epoch: First epoch with a validation.
        save_best_ckpt: Whether to save the best epoch's weights.
        ckpt_save_dir: Folder for the files, created if missing.
        ckpt_save_interval: Epochs between two checkpoints; the last epoch is saved too.
        ckpt_save_policy: ``top_k``, ``latest_k`` or None for all, see `CheckpointManager`.
        ckpt_keep_max: How many checkpoints are kept.
        summary_dir: Not needed: MindSpore's summary files have had no reader since MindInsight ended.
        log_interval: Batches between two lines of the log.
        rank_id: Rank of this process; by default that of MindSpore's communication.
        device_num: Number of ranks; by default that of MindSpore's communication.
    """

    def __init__(
        self,
        model: Model,
        model_name: str = "",
        model_ema: bool = False,
        last_epoch: int = 0,
        dataset_sink_mode: bool = True,
        dataset_val: Any = None,
        metric_name: Sequence[str] = ("accuracy",),
        val_interval: int = 1,
        val_start_epoch: int = 1,
        save_best_ckpt: bool = True,
        ckpt_save_dir: str = "./",
        ckpt_save_interval: int = 1,
        ckpt_save_policy: str | None = None,
        ckpt_keep_max: int = 10,
        summary_dir: str = "./",
        log_interval: int = 100,
        rank_id: int | None = None,
        device_num: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.model_name = model_name
        self.model_ema = model_ema
        self.last_epoch = last_epoch
        self.dataset_sink_mode = dataset_sink_mode
        self.dataset_val = dataset_val
        self.metric_name = [metric_name] if isinstance(metric_name, str) else list(metric_name)
        self.val_interval = val_interval
        self.val_start_epoch = val_start_epoch
        self.save_best_ckpt = save_best_ckpt
        self.ckpt_save_dir = ckpt_save_dir
        self.ckpt_save_interval = ckpt_save_interval
        self.ckpt_keep_max = ckpt_keep_max
        self.ckpt_manager = CheckpointManager(ckpt_save_policy)
        self.log_interval = log_interval
        self.device_num = world_size() if device_num is None else device_num
        self.rank_id = rank_id if rank_id is not None else _rank()
        self.best_res = 0.0
        self.best_epoch = -1
        self.log_file = str(Path(ckpt_save_dir) / "result.log")
        if self.rank_id == 0:
            Path(ckpt_save_dir).mkdir(parents=True, exist_ok=True)
            if last_epoch == 0 or not Path(self.log_file).exists():
                names = ["Epoch", "TrainLoss", *self.metric_name, "TrainTime", "EvalTime", "TotalTime"]
                Path(self.log_file).write_text(_row(names), encoding="utf-8")

    def apply_eval(self, run_context: RunContext) -> dict[str, float]:
        """Return the metrics over the validation data of all ranks.

        Args:
            run_context: The run.
        """
        step = run_context.original_args().train_network
        if not (self.model_ema and isinstance(step, TrainStep) and step.ema_weight):
            return self._evaluate()
        trained = [Tensor(parameter.asnumpy()) for parameter in step.weights_all]
        # In place: compiled graphs would keep the buffers of parameters that are replaced.
        _assign(step.weights_all, step.ema_weight)
        try:
            return self._evaluate()
        finally:
            _assign(step.weights_all, trained)

    def _evaluate(self) -> dict[str, float]:
        samples = _SampleCounter()
        results = self.model.eval(
            self.dataset_val, callbacks=[samples], dataset_sink_mode=self.dataset_sink_mode
        )
        if self.device_num == 1:
            return results
        # Ranks may hold different numbers of samples: each weighs as much as it has.
        values = np.array([*(results[name] * samples.count for name in self.metric_name), samples.count])
        totals = sum_over_ranks(values)
        return dict(zip(self.metric_name, (totals[:-1] / totals[-1]).tolist(), strict=True))

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        """Start the epoch's clock."""
        self._epoch_start = self._step_start = monotonic()

    def on_train_step_end(self, run_context: RunContext) -> None:
        """Log the loss and the learning rate."""
        run = run_context.original_args()
        batch = (run.cur_step_num - 1) % run.batch_num + 1
        if batch % self.log_interval and batch not in (1, run.batch_num):
            return
        now = monotonic()
        logger.info(
            "Epoch: [%d/%d], batch: [%d/%d], loss: %.6f, lr: %.6f, time: %.6fs",
            run.cur_epoch_num + self.last_epoch,
            run.epoch_num + self.last_epoch,
            batch,
            run.batch_num,
            _loss(run),
            _learning_rate(run.train_network.optimizer),
            now - self._step_start,
        )
        self._step_start = now

    def on_train_epoch_end(self, run_context: RunContext) -> None:
        """Validate, save, and write the epoch's row."""
        run = run_context.original_args()
        epoch, epochs = run.cur_epoch_num + self.last_epoch, run.epoch_num + self.last_epoch
        trained = monotonic()
        results = dict.fromkeys(self.metric_name, 0.0)
        validates = self.dataset_val is not None and epoch >= self.val_start_epoch
        if validates and ((epoch - self.val_start_epoch) % self.val_interval == 0 or epoch == epochs):
            results = self.apply_eval(run_context)
            shown = ", ".join(f"{name}: {results[name]:.4%}" for name in self.metric_name)
            logger.info("Validation %s, time: %.6fs", shown, monotonic() - trained)
            self._note_best(results[self.metric_name[0]], epoch, run.train_network)
        validated = monotonic()
        if self.rank_id == 0:
            if epoch % self.ckpt_save_interval == 0 or epoch == epochs:
                self._save(run, epoch, results[self.metric_name[0]])
            total, train = monotonic() - self._epoch_start, trained - self._epoch_start
            times = (train, validated - trained, total)
            cells = [f"{results[name]:.4%}" for name in self.metric_name] + [f"{t:.2f}" for t in times]
            with Path(self.log_file).open("a", encoding="utf-8") as file:
                file.write(_row([str(epoch), f"{_loss(run):.6f}", *cells]))
            logger.info("Epoch time: %.6fs, left: %.6fs", total, total * (epochs - epoch))

    def on_train_end(self, run_context: RunContext) -> None:
        """Log the best result."""
        logger.info("Finish training!")
        if self.best_epoch > 0:
            name = self.metric_name[0]
            logger.info(
                "The best validation %s is: %.4f%% at epoch %d.", name, 100 * self.best_res, self.best_epoch
            )

    def _note_best(self, result: float, epoch: int, step: nn.Cell) -> None:
        if not result > self.best_res:
            return
        self.best_res, self.best_epoch = result, epoch
        logger.info("New best %s: %.4f%%", self.metric_name[0], 100 * result)
        if self.save_best_ckpt and self.rank_id == 0:
            path = Path(self.ckpt_save_dir) / f"{self.model_name}_best.ckpt"
            write_checkpoint(path, self._weights(step), {})

    def _save(self, run: Any, epoch: int, result: float) -> None:
        folder = Path(self.ckpt_save_dir)
        path = folder / f"{self.model_name}-{epoch}_{run.batch_num}.ckpt"
        logger.info("Saving model to %s", path)
        self.ckpt_manager.save_ckpoint(
            self._weights(run.train_network), self.ckpt_keep_max, result, str(path)
        )
        optimizer = run.train_network.optimizer
        write_checkpoint(folder / f"optim_{self.model_name}.ckpt", optimizer.parameters_dict(), {})

    def _weights(self, step: nn.Cell) -> dict[str, Tensor]:
        """Return the network's weights, of the EMA model where that is wanted, under the network's names."""
        if not isinstance(step, TrainStep):
            return dict(step.network.parameters_dict())
        use_ema = self.model_ema and bool(step.ema_weight)
        values = step.ema_weight if use_ema else step.weights_all
        return {weight.name: value for weight, value in zip(step.weights_all, values, strict=True)}


class ValCallback(Callback):
    """Logs the progress of an evaluation.

    Args:
        log_interval: Batches between two lines; the last batch has one too.
    """

    def __init__(self, log_interval: int = 100) -> None:
        super().__init__()
        self.log_interval = log_interval

    def on_eval_begin(self, run_context: RunContext) -> None:
        """Start the clock."""
        self._start = monotonic()

    def on_eval_step_end(self, run_context: RunContext) -> None:
        """Log how far the evaluation is."""
        run = run_context.original_args()
        if run.cur_step_num % self.log_interval == 0 or run.cur_step_num == run.batch_num:
            now = monotonic()
            logger.info("batch: %d/%d, time: %.6fs", run.cur_step_num, run.batch_num, now - self._start)
            self._start = now


class _SampleCounter(Callback):
    """Counts the samples of an evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_eval_step_end(self, run_context: RunContext) -> None:
        """Add a batch."""
        self.count += run_context.original_args().net_outputs[-1].shape[0]


def _rank() -> int:
    return communication.get_rank() if world_size() > 1 else 0


def _row(cells: Sequence[str]) -> str:
    return "".join(cell.ljust(20) for cell in cells) + "\n"


def _loss(run: Any) -> float:
    """Return the loss of the last batch."""
    outputs = run.net_outputs
    first = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
    return float(np.mean(first.asnumpy()))


def _learning_rate(optimizer: nn.Optimizer) -> float:
    """Return the learning rate of the last update, of the first group where there are several."""
    rate = optimizer.learning_rate
    if isinstance(rate, (tuple, list, nn.CellList)):
        rate = rate[0]
    if isinstance(rate, nn.Cell):
        last = max(int(optimizer.global_step.asnumpy().item()) - 1, 0)
        rate = rate(Tensor(last))
    return float(rate.asnumpy().item())


def _assign(parameters: Sequence[Any], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        ops.assign(parameter, value)
