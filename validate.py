"""Score a checkpoint: `python validate.py -c RECIPE.yaml --ckpt_path FILE --data_dir DIR`."""

import build
from config import Config, parse_args
from mindcv.engine import Evaluation
from mindcv.errors import UserError, reporting_mistakes


def main() -> None:
    """Run the program."""
    config = parse_args()
    with reporting_mistakes():
        print(validate(config))


def validate(config: Config) -> Evaluation:
    """Score the weights in `ckpt_path` on every image of the validation split, each exactly once."""
    if not config.model.ckpt_path:
        raise UserError("ckpt_path is not set, and fresh weights need no score: give --ckpt_path FILE")
    runtime = build.start_runtime(config)
    data = build.build_validation_data(config, runtime)
    network = build.build_network(config, data.source.classes)
    return build.build_evaluation(config, network, data, runtime)()


if __name__ == "__main__":
    main()
