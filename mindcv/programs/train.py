"""Train a network: `python train.py -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet`."""

import sys

from mindcv.config import Config, load_config
from mindcv.errors import printable
from mindcv.files.inputs import check_weights_file, existing_folder
from mindcv.runtime.output import continue_without_output
from mindcv.runtime.program import run_program


def train(config: Config) -> None:
    """Train as the options say; checkpoints, table and curve are written to `ckpt_save_dir`."""
    continue_without_output()  # a full disk behind a pipe costs no run
    check_inputs(config)
    from mindcv.build import best_checkpoint, create_trainer
    from mindcv.engine.history import summarize_run

    trainer = create_trainer(config)
    trainer.fit()
    if trainer.run.is_main:
        best = best_checkpoint(config)
        summary = summarize_run(trainer.results, config.checkpoint.folder, best if best.is_file() else None)
        print(*map(printable, summary.splitlines()), sep="\n")


def check_inputs(config: Config) -> None:
    """Check that the folder of images and the files of weights are there, before MindSpore is imported."""
    existing_folder(config.dataset.root, config.dataset.name, config.dataset.train_split)
    resumed = config.recovery.resume
    for path in (config.model.checkpoint_path, "" if resumed == "auto" else resumed):
        check_weights_file(path)


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: train(load_config(sys.argv[1:])))


if __name__ == "__main__":
    main()
