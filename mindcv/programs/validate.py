"""Score a checkpoint: `python validate.py -c RECIPE.yaml --ckpt_path FILE --data_dir DIR`."""

import sys

from mindcv.config import Config, load_config
from mindcv.errors import UserError
from mindcv.runtime.program import run_program


def validate(config: Config) -> None:
    """Print the score of `ckpt_path`, or of published weights, on the validation split, each image once."""
    if not (config.model.checkpoint_path or config.model.pretrained):
        raise UserError(
            "ckpt_path is not set, and random weights need no score: "
            "give --ckpt_path FILE, or --pretrained true"
        )
    from mindcv import build

    runtime = build.start_runtime(config)
    data = build.build_validation_data(config, runtime)
    network = build.build_network(config, data.source.classes, runtime)
    evaluation = build.build_evaluation(config, network, data, runtime)()
    if runtime.is_main:
        print(evaluation)


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: validate(load_config(sys.argv[1:])))


if __name__ == "__main__":
    main()
