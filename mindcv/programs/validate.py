"""Score a checkpoint: `python validate.py -c RECIPE.yaml --ckpt_path FILE --data_dir DIR`."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from mindcv.config import given_option
from mindcv.config.command_line import ProgramParser, own_options
from mindcv.errors import NotFiniteError, UserError, one_line
from mindcv.files.inputs import check_weights_file
from mindcv.files.outputs import check_output_file
from mindcv.runtime.program import run_program


def validate(argv: Sequence[str], report: Path | None = None) -> None:
    """Print the score of `ckpt_path`, or of published weights, on the validation split, each image once.

    The options that belong to the network are by default those stored in the checkpoint.

    Args:
        argv: Command line without the program's name and its own options.
        report: Page to write about the score, an HTML file.
    """
    check_weights_file(given_option(argv, "ckpt_path"))  # mistakes are reported before MindSpore is imported
    if not (given_option(argv, "ckpt_path") or given_option(argv, "pretrained")):
        raise UserError(
            "ckpt_path is not set, and random weights need no score: "
            "give --ckpt_path FILE, or --pretrained true"
        )
    if report is not None:
        check_output_file(report, ".html", option="report")
    from mindcv import build

    config, stored = build.load_stored_config(argv)
    runtime = build.start_runtime(config)
    build.tell_changes(config)
    data = build.build_validation_data(config, runtime, named=bool(stored))
    classes = build.scored_classes(config, stored, data.source)
    network = build.build_network(config, classes, runtime)
    recorder = None if report is None else build.build_recorder(data)
    evaluation = build.build_evaluation(config, network, data, runtime, classes=classes, recorder=recorder)()
    if runtime.is_main:
        print(evaluation)
    assert evaluation is not None  # nothing asks it to stop
    if not math.isfinite(evaluation.loss):
        given = config.model.checkpoint_path or config.model.model_name
        raise NotFiniteError(
            f"{given}: the loss is NaN or infinite, so the score means nothing: use another checkpoint"
        )
    if report is None or recorder is None:
        return
    predictions = recorder.gather(recorder.recorded(), runtime.sum_over_ranks)
    if runtime.is_main:
        build.write_validation_report(
            report, config, network, classes, data, evaluation, predictions, runtime
        )
        print(one_line(f"report: {report}"))


def run(argv: Sequence[str]) -> None:
    """Validate with this program's own options and those of train.py."""
    parser = ProgramParser(__doc__, add_help=False)
    told = "write a page about classes, mistakes and calibration; by default report.html"
    parser.add_argument(
        "--report", nargs="?", type=Path, const=Path("report.html"), metavar="FILE", help=told
    )
    options, others = own_options(parser, argv)
    validate(others, options.report)


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
