"""Score a checkpoint: `python validate.py -c RECIPE.yaml --ckpt_path FILE --data_dir DIR`."""

import math
import sys
from collections.abc import Sequence

from mindcv.config import given_option
from mindcv.errors import NotFiniteError, UserError
from mindcv.files.inputs import check_weights_file
from mindcv.runtime.program import run_program


def validate(argv: Sequence[str]) -> None:
    """Print the score of `ckpt_path`, or of published weights, on the validation split, each image once.

    The options that belong to the network are by default those stored in the checkpoint.

    Args:
        argv: Command line without the program's name.
    """
    check_weights_file(given_option(argv, "ckpt_path"))  # mistakes are reported before MindSpore is imported
    if not (given_option(argv, "ckpt_path") or given_option(argv, "pretrained")):
        raise UserError(
            "ckpt_path is not set, and random weights need no score: "
            "give --ckpt_path FILE, or --pretrained true"
        )
    from mindcv import build

    config, stored = build.load_stored_config(argv)
    runtime = build.start_runtime(config)
    build.tell_changes(config)
    data = build.build_validation_data(config, runtime, named=bool(stored))
    classes = build.scored_classes(config, stored, data.source)
    network = build.build_network(config, classes, runtime)
    evaluation = build.build_evaluation(config, network, data, runtime, classes=classes)()
    if runtime.is_main:
        print(evaluation)
    assert evaluation is not None  # nothing asks it to stop
    if not math.isfinite(evaluation.loss):
        given = config.model.checkpoint_path or config.model.model_name
        raise NotFiniteError(
            f"{given}: the loss is NaN or infinite, so the score means nothing: use another checkpoint"
        )


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: validate(sys.argv[1:]))


if __name__ == "__main__":
    main()
