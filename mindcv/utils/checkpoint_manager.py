"""Checkpoint files kept by score or by age, under MindCV's names."""

import logging
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from mindcv.errors import UserError
from mindcv.files.checkpoint_file import write_checkpoint

__all__ = ["CheckpointManager"]

logger = logging.getLogger(__name__)

Tensors = nn.Cell | Mapping[str, Parameter | Tensor]
Files = list[str] | list[tuple[str, float]]


class CheckpointManager:
    """Writes checkpoints and removes those that are no longer wanted.

    Each file is written atomically and carries a checksum.

    Args:
        ckpt_save_policy: ``top_k`` keeps the best, ``latest_k`` the newest, None all.

    Raises:
        UserError: When saving: an unknown policy.
    """

    def __init__(self, ckpt_save_policy: str | None = None) -> None:
        self.ckpt_save_policy = ckpt_save_policy
        self._files: list = []

    @property
    def ckpoint_filelist(self) -> Files:
        """The files: paths by age, or pairs of path and score with ``top_k``, the best first."""
        return self._files

    @property
    def ckpoint_num(self) -> int:
        """Number of files."""
        return len(self._files)

    def update_ckpoint_filelist(self, directory: str | PathLike[str], prefix: str) -> None:
        """Manage the checkpoints ``<prefix>-*.ckpt`` that are in a folder, by age.

        Args:
            directory: The folder.
            prefix: Start of the files' names.
        """
        found = [p for p in Path(directory).glob("*.ckpt") if p.name.startswith(f"{prefix}-")]
        self._files = [str(path) for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def remove_ckpoint_file(self, file_name: str | PathLike[str]) -> None:
        """Remove a file from the folder and from the list; one that cannot be removed is logged.

        Args:
            file_name: Its path.
        """
        self._files = [entry for entry in self._files if _path(entry) != str(file_name)]
        try:
            Path(file_name).unlink()
        except OSError as error:
            logger.warning("%s cannot be removed (%s)", file_name, error.strerror)

    def remove_oldest_ckpoint_file(self) -> None:
        """Remove the file that was written first."""
        if self._files:
            self.remove_ckpoint_file(min(map(_path, self._files), key=_written))

    def keep_one_ckpoint_per_minutes(self, minutes: float, cur_time: float) -> None:
        """Of the files of the last minutes keep only the newest.

        Args:
            minutes: Length of the time.
            cur_time: Its end, in seconds as `time.time` counts.
        """
        recent = [p for p in map(_path, self._files) if cur_time - 60 * minutes < _written(p) <= cur_time]
        for path in sorted(recent, key=_written)[:-1]:
            self.remove_ckpoint_file(path)

    def save_ckpoint(
        self,
        network: Tensors,
        num_ckpt: int = 10,
        metric: float | Tensor | None = None,
        save_path: str | PathLike[str] = "",
    ) -> Files | None:
        """Save a checkpoint by the policy.

        Args:
            network: A cell, whose parameters are saved, or tensors by name.
            num_ckpt: How many files are kept.
            metric: Score of this checkpoint, which ``top_k`` needs.
            save_path: File to write, ending in ``.ckpt``.

        Returns:
            The files kept, see `ckpoint_filelist`; None where all are.

        Raises:
            UserError: The policy is unknown, or ``top_k`` is given no score.
        """
        if self.ckpt_save_policy is None:
            _write(network, save_path)
            return None
        if self.ckpt_save_policy == "top_k":
            if metric is None:
                raise UserError("ckpt_save_policy=top_k: metric is missing: give the checkpoint's score")
            return self.top_K_checkpoint(network, num_ckpt, metric, save_path)
        if self.ckpt_save_policy == "latest_k":
            return self.latest_K_checkpoint(network, num_ckpt, save_path)
        raise UserError(
            f"ckpt_save_policy={self.ckpt_save_policy!r} is unknown: give top_k, latest_k or None"
        )

    def top_K_checkpoint(  # noqa: N802, MindCV's name
        self,
        network: Tensors,
        K: int = 10,  # noqa: N803
        metric: float | Tensor = 0.0,
        save_path: str | PathLike[str] = "",
    ) -> list[tuple[str, float]]:
        """Save a checkpoint if it is among the best; of equal scores the earlier one stays first.

        Args:
            network: A cell or tensors by name.
            K: How many files are kept.
            metric: Score of this checkpoint.
            save_path: File to write.

        Returns:
            Path and score of each file kept, the best first.
        """
        score = float(metric)
        if len(self._files) >= K and score <= self._files[-1][1]:
            return self._files
        _write(network, save_path)
        self._files = sorted([*self._files, (str(save_path), score)], key=lambda entry: -entry[1])
        for path, _ in self._files[K:]:
            self.remove_ckpoint_file(path)
        return self._files

    def latest_K_checkpoint(  # noqa: N802, MindCV's name
        self,
        network: Tensors,
        K: int = 10,  # noqa: N803
        save_path: str | PathLike[str] = "",
    ) -> list[str]:
        """Save a checkpoint and remove the oldest where there are too many.

        Args:
            network: A cell or tensors by name.
            K: How many files are kept.
            save_path: File to write.

        Returns:
            The paths kept, the oldest first.
        """
        _write(network, save_path)
        self._files = [path for path in self._files if path != str(save_path)] + [str(save_path)]
        for path in self._files[:-K]:
            self.remove_ckpoint_file(path)
        return self._files


def _write(network: Any, path: str | PathLike[str]) -> None:
    tensors = network.parameters_dict() if isinstance(network, nn.Cell) else network
    write_checkpoint(Path(path), tensors, {})


def _path(entry: str | tuple[str, float]) -> str:
    return entry if isinstance(entry, str) else entry[0]


def _written(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:  # somebody else has removed it
        return 0.0
