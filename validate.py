"""Score a checkpoint: `python validate.py -c RECIPE.yaml --ckpt_path FILE --data_dir DIR`."""

import builders
from config import Config, parse_args
from mindcv.errors import UserError
from mindcv.runtime.program import run_program


def validate(config: Config) -> None:
    """Print the score of `ckpt_path`, or of published weights, on the validation split, each image once."""
    if not (config.model.ckpt_path or config.model.pretrained):
        raise UserError(
            "ckpt_path is not set, and fresh weights need no score: "
            "give --ckpt_path FILE, or --pretrained true"
        )
    runtime = builders.start_runtime(config)
    data = builders.build_validation_data(config, runtime)
    network = builders.build_network(config, data.source.classes, runtime)
    evaluation = builders.build_evaluation(config, network, data, runtime)()
    if runtime.is_main:
        print(evaluation)


if __name__ == "__main__":
    config = parse_args()
    run_program(lambda: validate(config))
