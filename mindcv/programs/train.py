"""Train a network: `python train.py -c configs/mnasnet/mnasnet0.75_gpu.yaml --data_dir /path/to/imagenet`."""

import sys

from mindcv.config import Config, load_config
from mindcv.runtime.program import run_program


def train(config: Config) -> None:
    """Train as the options say; checkpoints, table and curve are written to `ckpt_save_dir`."""
    from mindcv.build import create_trainer
    from mindcv.engine.history import summarize_run

    trainer = create_trainer(config)
    trainer.fit()
    if trainer.run.is_main:
        print(summarize_run(trainer.results, config.checkpoint.folder))


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: train(load_config(sys.argv[1:])))


if __name__ == "__main__":
    main()
