"""Export a finished network as an ONNX or a MindIR file, and check the file against the network.

    python export.py --ckpt_path ckpt/mnasnet_075_best.ckpt --format onnx --output mnasnet.onnx

The options stored in the checkpoint are used; all options of train.py can be given too.
"""

import argparse
from typing import TYPE_CHECKING, get_args

from mindcv.choices import OPSETS, ExportFormat
from mindcv.config import Config, given_option
from mindcv.config.command_line import ProgramParser, positive_int
from mindcv.errors import one_line
from mindcv.files.inputs import check_weights_file
from mindcv.runtime.program import run_program

if TYPE_CHECKING:
    from mindcv.export import ExportRequest


def export(config: Config, classes: list[str], request: "ExportRequest") -> None:
    """Write the file, print how near its logits are to the network's, and quantize it if requested."""
    from mindcv import build
    from mindcv.export import expect, export_mindir, export_onnx, measure, quantize_onnx, table, write_report

    runtime = build.start_runtime(config)
    network = build.build_exported_network(config, classes, runtime)
    images = build.build_image_format(config, uint8_input=request.uint8_input)
    reference = expect(network, images, build.build_sample_images(config))
    metadata = build.export_metadata(config, classes, images)
    path = request.path
    if request.format == "mindir":
        cell = build.normalized(config, network) if request.uint8_input else network
        difference = export_mindir(cell, path, reference, metadata=metadata)
    else:
        difference = export_onnx(network, path, reference, metadata=metadata, opset=request.operators)
    told = f"{path}: logits differ from the network's by at most {difference:.1e} ({reference})"
    print(one_line(told))
    if request.quantize:
        calibration, scored = build.build_quantization_images(config, classes, runtime, request.calibration)
        quantize_onnx(path, request.int8_path, images, calibration)
        results = measure([path, request.int8_path], images, scored)
        print(table(results, images.size))
        if request.report is not None:
            model = config.model.model_name
            write_report(
                request.report, results, model=model, size=images.size, calibration=request.calibration
            )


def parse_options() -> tuple[argparse.Namespace, list[str]]:
    """Parse this program's own options; the rest are options of train.py."""
    parser = ProgramParser(__doc__)
    parser.add_argument("--format", choices=get_args(ExportFormat), required=True, help="kind of file")
    parser.add_argument("--output", required=True, help="file to write")
    versions = f"version of ONNX's operators, {OPSETS[0]} to {OPSETS[-1]}; by default 20"
    parser.add_argument("--opset", type=int, choices=OPSETS, metavar="N", help=versions)
    parser.add_argument(
        "--uint8_input", action="store_true", help="take raw uint8 images, and normalize inside"
    )
    parser.add_argument("--quantize", action="store_true", help="also write an INT8 version, *_int8.onnx")
    parser.add_argument(
        "--calibration_images", type=positive_int, help="images for its calibration; by default 128"
    )
    parser.add_argument("--report", help="JSON file for accuracy, size and latency of both versions")
    options, argv = parser.parse_known_args()
    check_weights_file(given_option(argv, "ckpt_path"))  # mistakes are reported before MindSpore is imported
    return options, argv


def run(options: argparse.Namespace, argv: list[str]) -> None:
    """Export with this program's own options and those of train.py."""
    from mindcv.build import load_stored_config
    from mindcv.export import ExportRequest

    config, classes = load_stored_config(argv)
    export(config, classes, ExportRequest(**vars(options)))


def main() -> None:
    """Run the program with this process's command line."""
    run_program(lambda: run(*parse_options()))


if __name__ == "__main__":
    main()
